"""Anthropic Messages as one of the dialects that the router knows."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.events import Event
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import DialectName, Request
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.anthropic_messages.answers import (
    usage_of_answer,
    write_answer,
)
from smart_llmrouter.dialects.anthropic_messages.decoder import (
    MessagesDecoder,
    read_answer,
)
from smart_llmrouter.dialects.anthropic_messages.encoder import MessagesEncoder
from smart_llmrouter.dialects.anthropic_messages.errors import (
    encode_error_event,
    render_error,
)
from smart_llmrouter.dialects.anthropic_messages.parse import (
    KNOWN_EXTRAS,
    parse_request,
)
from smart_llmrouter.dialects.anthropic_messages.render import render_request
from smart_llmrouter.dialects.anthropic_messages.requests import (
    address_request,
    peek_request,
)
from smart_llmrouter.dialects.anthropic_messages.streams import (
    KEEP_ALIVE,
    MessagesMeter,
)
from smart_llmrouter.dialects.anthropic_messages.thinking import without_thinking
from smart_llmrouter.dialects.anthropic_messages.thinking_off import with_messages
from smart_llmrouter.dialects.base import (
    Answering,
    Decoder,
    Dialect,
    Encoder,
    Meter,
    Peek,
    Serving,
)
from smart_llmrouter.dialects.proofs import IsForeign, ProofMark

_PROOF_MARK: Final = ProofMark("signature")


class AnthropicMessages:
    """`dialects.base.Dialect` for the Messages API."""

    name: DialectName = "anthropic-messages"
    stores_answers: bool = False
    keep_alive: bytes = KEEP_ALIVE
    known_extras: frozenset[str] = KNOWN_EXTRAS

    def peek(self, body: bytes) -> Peek:
        """Read as much of a request as the path must know."""
        return peek_request(body)

    def address(self, peek: Peek, *, model: bytes, keep_seals: bool = False) -> bytes:
        """Return the request for a target of this dialect."""
        return address_request(peek, model=model, keep_seals=keep_seals)

    def meter(self, peek: Peek) -> Meter:  # noqa: ARG002 - usage comes unasked here
        """Return the meter for the stream that answers `peek`."""
        return MessagesMeter()

    def goes_on_from(self, peek: Peek) -> str | None:
        """Return nothing: a request of this dialect holds all that was said."""

    def stored_id(self, body: bytes) -> str | None:
        """Return nothing: nobody goes on from a stored answer of this dialect."""

    @property
    def proof_mark(self) -> ProofMark:
        """The member `signature`."""
        return _PROOF_MARK

    def last_proof(self, peek: Peek) -> bytes | None:
        """Return the digest of the last proof that the caller sends back, if any."""
        return _PROOF_MARK.last_in(peek.members.get("messages"))

    def without_foreign(self, peek: Peek, is_foreign: IsForeign) -> Peek:
        """Return the request without thinking that others signed."""
        messages = peek.members.get("messages")
        if messages is None:
            return peek
        proofs = _PROOF_MARK.foreign_in(messages, is_foreign)
        if not proofs:
            return peek
        kept = without_thinking(messages, proofs)
        members = with_messages(peek.members, kept)
        return msgspec.structs.replace(peek, members=members)

    def usage_of(self, body: bytes) -> Usage:
        """Read the usage of a plain answer. Raises `NotAnAnswer`."""
        return usage_of_answer(body)

    def parse(self, peek: Peek) -> Request:
        """Read a whole request. Raises `InvalidRequest`, with the field's name."""
        return parse_request(peek)

    def render(self, request: Request, serving: Serving, notes: Notes) -> bytes:
        """Write a request for a provider of this dialect. Raises `NotBridged`."""
        return render_request(request, serving, notes)

    def decoder(self) -> Decoder:
        """Return a reader of a provider's stream."""
        return MessagesDecoder()

    def read_answer(self, body: bytes) -> Sequence[Event]:
        """Read a provider's plain answer. Raises `NotAnAnswer`."""
        return read_answer(body)

    def encoder(self, answering: Answering) -> Encoder:
        """Return a writer of the caller's stream."""
        return MessagesEncoder(answering)

    def write_answer(self, events: Iterable[Event], answering: Answering) -> bytes:
        """Write the caller's plain answer: the fold of a complete stream."""
        return write_answer(events, answering)

    def render_error(self, error: RouterError, *, request_id: str) -> bytes:
        """Return the body of an error answer."""
        return render_error(error, request_id=request_id)

    def encode_error_event(
        self, error: RouterError, *, request_id: str, answer_id: str | None = None
    ) -> bytes:
        """Return the last event of a stream that failed."""
        del answer_id  # an error has none here
        return encode_error_event(error, request_id=request_id)


ANTHROPIC_MESSAGES: Final[Dialect] = AnthropicMessages()
