"""OpenAI Responses behind the one interface that the router knows of a dialect."""

from collections.abc import Iterable, Sequence
from typing import Final

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.events import Event
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import DialectName, Request
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Answering, Peek, Serving
from smart_llmrouter.dialects.openai_responses.answers import (
    read_answer,
    stored_id_of,
    usage_of_answer,
)
from smart_llmrouter.dialects.openai_responses.decoder import StreamDecoder
from smart_llmrouter.dialects.openai_responses.encoder import (
    StreamEncoder,
    write_answer,
)
from smart_llmrouter.dialects.openai_responses.errors import (
    encode_error_event,
    render_error,
)
from smart_llmrouter.dialects.openai_responses.parse import parse_request
from smart_llmrouter.dialects.openai_responses.render import render_request
from smart_llmrouter.dialects.openai_responses.requests import (
    address_request,
    peek_request,
    without_reasoning,
)
from smart_llmrouter.dialects.openai_responses.schema import NULL, text_of
from smart_llmrouter.dialects.openai_responses.streams import KEEP_ALIVE, StreamMeter
from smart_llmrouter.dialects.proofs import IsForeign, ProofMark

_KNOWN_EXTRAS: Final = frozenset(
    {
        "client_metadata",
        "context_management",
        "include",
        "max_tool_calls",
        "moderation",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "text.schema",
        "tool_choice",
        "tool_choice.tools",
        "truncation",
        "reasoning.context",
        "reasoning.mode",
        "messages.id",
        "messages.phase",
        "messages.status",
        "content.annotations",
        "content.caller",
        "content.id",
        "content.logprobs",
        "content.phase",
        "content.prompt_cache_breakpoint",
        "content.status",
        "tools.allowed_callers",
        "tools.async",
        "tools.defer_loading",
        "tools.namespace.description",
        "tools.output_schema",
    }
)

_PROOF_MARK: Final = ProofMark("encrypted_content")


class OpenAiResponses:
    """The dialect of `POST /v1/responses`."""

    @property
    def name(self) -> DialectName:
        """Its name in the configuration and in reports."""
        return "openai-responses"

    @property
    def keep_alive(self) -> bytes:
        """An event that no client knows."""
        return KEEP_ALIVE

    @property
    def known_extras(self) -> frozenset[str]:
        """The names of its own fields that a note may spell out."""
        return _KNOWN_EXTRAS

    def peek(self, body: bytes) -> Peek:
        """Read as much of a request as the path must know."""
        return peek_request(body)

    def address(self, peek: Peek, *, model: bytes, keep_seals: bool = False) -> bytes:
        """Return the request for a target of this dialect."""
        return address_request(peek, model=model, keep_seals=keep_seals)

    def meter(self, peek: Peek) -> StreamMeter:
        """Return the meter for the stream that answers `peek`."""
        del peek
        return StreamMeter()

    def goes_on_from(self, peek: Peek) -> str | None:
        """Return the id of the stored answer that a request goes on from, if any."""
        raw = peek.members.get("previous_response_id")
        return text_of(raw)

    def stored_id(self, body: bytes) -> str | None:
        """Return the id of a plain answer that its provider keeps, if it does."""
        return stored_id_of(body)

    @property
    def proof_mark(self) -> ProofMark:
        """The member `encrypted_content`."""
        return _PROOF_MARK

    def last_proof(self, peek: Peek) -> bytes | None:
        """Return the digest of the last proof that the caller sends back, if any."""
        return _PROOF_MARK.last_in(peek.members.get("input"))

    def without_foreign(self, peek: Peek, is_foreign: IsForeign) -> Peek:
        """Return the request without reasoning items that others proved.

        Raises `NotBridged` where the conversation cannot do without one.
        """
        given = peek.members.get("input", NULL)
        proofs = _PROOF_MARK.foreign_in(given, is_foreign)
        return without_reasoning(peek, proofs) if proofs else peek

    def usage_of(self, body: bytes) -> Usage:
        """Read the usage of a plain answer."""
        return usage_of_answer(body)

    def parse(self, peek: Peek) -> Request:
        """Read a whole request."""
        return parse_request(peek)

    def render(self, request: Request, serving: Serving, notes: Notes) -> bytes:
        """Write a request for a provider of this dialect."""
        return render_request(request, serving, notes)

    def decoder(self) -> StreamDecoder:
        """Return a reader of a provider's stream."""
        return StreamDecoder()

    def read_answer(self, body: bytes) -> Sequence[Event]:
        """Read a provider's plain answer."""
        return read_answer(body)

    def encoder(self, answering: Answering) -> StreamEncoder:
        """Return a writer of the caller's stream."""
        return StreamEncoder(answering)

    def write_answer(self, events: Iterable[Event], answering: Answering) -> bytes:
        """Write the caller's plain answer."""
        return write_answer(events, answering)

    def render_error(self, error: RouterError, *, request_id: str) -> bytes:
        """Return the body of an error answer."""
        return render_error(error, request_id=request_id)

    def encode_error_event(
        self, error: RouterError, *, request_id: str, answer_id: str | None = None
    ) -> bytes:
        """Return the last event of a stream that failed."""
        return encode_error_event(error, request_id=request_id, answer_id=answer_id)


OPENAI_RESPONSES: Final = OpenAiResponses()
