"""OpenAI Responses behind the one interface that the router knows of a dialect."""

from collections.abc import Sequence
from typing import Final

from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import Dialect, Peek
from smart_llmrouter.dialects.glancing import urls_in
from smart_llmrouter.dialects.levels import with_known_effort
from smart_llmrouter.dialects.openai_errors import render_error
from smart_llmrouter.dialects.openai_responses.affinity import conversation_of
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
from smart_llmrouter.dialects.openai_responses.errors import encode_error_event
from smart_llmrouter.dialects.openai_responses.images import with_images
from smart_llmrouter.dialects.openai_responses.needs import media_in, requirements_of
from smart_llmrouter.dialects.openai_responses.parse import parse_request
from smart_llmrouter.dialects.openai_responses.render import render_request
from smart_llmrouter.dialects.openai_responses.requests import (
    address_request,
    peek_request,
    without_reasoning,
)
from smart_llmrouter.dialects.openai_responses.schema import (
    text_of,
    usage_from,
)
from smart_llmrouter.dialects.openai_responses.streams import (
    CODEX_KEEP_ALIVE,
    KEEP_ALIVE,
    StreamMeter,
)
from smart_llmrouter.dialects.proofs import IsForeign, ProofMark
from smart_llmrouter.wire.rawvalues import NULL

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

    name: DialectName = "openai-responses"
    keep_alive: bytes = KEEP_ALIVE
    codex_keep_alive: bytes = CODEX_KEEP_ALIVE
    known_extras: frozenset[str] = _KNOWN_EXTRAS
    stores_answers: bool = True
    proof_mark: ProofMark | None = _PROOF_MARK
    peek = staticmethod(peek_request)
    requirements_of = staticmethod(requirements_of)
    with_images = staticmethod(with_images)
    address = staticmethod(address_request)
    stored_id = staticmethod(stored_id_of)
    conversation_of = staticmethod(conversation_of)
    usage_of = staticmethod(usage_of_answer)
    read_usage = staticmethod(usage_from)
    parse = staticmethod(parse_request)
    render = staticmethod(render_request)
    decoder = staticmethod(StreamDecoder)
    read_answer = staticmethod(read_answer)
    encoder = staticmethod(StreamEncoder)
    write_answer = staticmethod(write_answer)
    render_error = staticmethod(render_error)
    encode_error_event = staticmethod(encode_error_event)

    def image_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of all images, without those that hold their data."""
        return urls_in(media_in(peek.members), "image")

    def other_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of documents, sound and video, without such data."""
        return urls_in(media_in(peek.members), "document", "audio", "video")

    def at_level(self, peek: Peek, levels: Sequence[str]) -> tuple[Peek, Note | None]:
        """Return the request with an effort that the model knows; see `Dialect`."""
        return with_known_effort(peek, levels, member="reasoning", inner="effort")

    def meter(self, peek: Peek) -> StreamMeter:
        """Return the meter for the stream that answers `peek`."""
        del peek
        return StreamMeter()

    def goes_on_from(self, peek: Peek) -> str | None:
        """Return the id of the stored answer that a request goes on from, if any."""
        return text_of(peek.members.get("previous_response_id"))

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


OPENAI_RESPONSES: Final[Dialect] = OpenAiResponses()
