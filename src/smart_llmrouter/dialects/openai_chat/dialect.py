"""OpenAI Chat Completions, as `dialects.base` asks for a dialect."""

from collections.abc import Iterable, Sequence
from typing import Final

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.events import Event
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import DialectName, Request
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Answering, Peek, Serving
from smart_llmrouter.dialects.openai_chat import decoder, errors, folding
from smart_llmrouter.dialects.openai_chat.answers import parse_answer
from smart_llmrouter.dialects.openai_chat.decoder import ChatDecoder
from smart_llmrouter.dialects.openai_chat.encoder import ChatEncoder
from smart_llmrouter.dialects.openai_chat.parse import KNOWN_EXTRAS, parse
from smart_llmrouter.dialects.openai_chat.render import render
from smart_llmrouter.dialects.openai_chat.requests import (
    parse_request,
    render_request,
)
from smart_llmrouter.dialects.openai_chat.streams import KEEP_ALIVE, StreamMeter
from smart_llmrouter.dialects.proofs import IsForeign


class OpenAiChat:
    """Chat Completions, both as callers speak it and as providers do."""

    @property
    def name(self) -> DialectName:
        """Its name in the configuration and in reports."""
        return "openai-chat"

    @property
    def keep_alive(self) -> bytes:
        """A comment."""
        return KEEP_ALIVE

    @property
    def known_extras(self) -> frozenset[str]:
        """The names of its own fields that a note may spell out."""
        return KNOWN_EXTRAS

    def peek(self, body: bytes) -> Peek:
        """Read as much of a request as the path must know."""
        return parse_request(body)

    def address(
        self,
        peek: Peek,
        *,
        model: bytes,
        keep_seals: bool = False,  # noqa: ARG002 - nothing of this dialect is refused
    ) -> bytes:
        """Return the request for a target of this dialect; `model` is encoded JSON."""
        return render_request(peek, model=model)

    def meter(self, peek: Peek) -> StreamMeter:
        """Return the meter for the stream that answers `peek`."""
        return StreamMeter(strip_usage=not peek.wants_usage)

    def goes_on_from(self, peek: Peek) -> str | None:
        """Return nothing: a request of this dialect holds all that was said."""

    def stored_id(self, body: bytes) -> str | None:
        """Return nothing: nobody goes on from a stored answer of this dialect."""

    @property
    def proof_mark(self) -> None:
        """Nothing: a thought of this dialect is text, and proves nothing."""

    def last_proof(self, peek: Peek) -> bytes | None:
        """Return nothing: no caller of this dialect has a provider's own proof."""

    def without_foreign(
        self,
        peek: Peek,
        is_foreign: IsForeign,  # noqa: ARG002 - there are no proofs
    ) -> Peek:
        """Return the request."""
        return peek

    def usage_of(self, body: bytes) -> Usage:
        """Read the usage of a plain answer. Raises `NotAnAnswer`."""
        return parse_answer(body)

    def parse(self, peek: Peek) -> Request:
        """Read a whole request. Raises `InvalidRequest`, with the field's path."""
        return parse(peek)

    def render(self, request: Request, serving: Serving, notes: Notes) -> bytes:
        """Write a request of any dialect. Raises `NotBridged`."""
        return render(request, serving, notes)

    def decoder(self) -> ChatDecoder:
        """Return a reader of a provider's stream."""
        return ChatDecoder()

    def read_answer(self, body: bytes) -> Sequence[Event]:
        """Read a provider's plain answer. Raises `NotAnAnswer`."""
        return decoder.read_answer(body)

    def encoder(self, answering: Answering) -> ChatEncoder:
        """Return a writer of the caller's stream."""
        return ChatEncoder(answering)

    def write_answer(self, events: Iterable[Event], answering: Answering) -> bytes:
        """Write the caller's plain answer."""
        return folding.write_answer(events, answering)

    def render_error(self, error: RouterError, *, request_id: str) -> bytes:
        """Return the body of an error answer."""
        return errors.render_error(error, request_id=request_id)

    def encode_error_event(
        self, error: RouterError, *, request_id: str, answer_id: str | None = None
    ) -> bytes:
        """Return the last event of a stream that failed."""
        del answer_id  # an error has none here
        return errors.encode_error_event(error, request_id=request_id)


OPENAI_CHAT: Final = OpenAiChat()
