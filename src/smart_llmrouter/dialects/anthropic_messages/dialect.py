"""Anthropic Messages as one of the dialects that the router knows."""

from collections.abc import Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.anthropic_messages.affinity import conversation_of
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
from smart_llmrouter.dialects.anthropic_messages.images import with_images
from smart_llmrouter.dialects.anthropic_messages.needs import media_in, requirements_of
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
from smart_llmrouter.dialects.anthropic_messages.usage import read_usage
from smart_llmrouter.dialects.base import (
    Dialect,
    Meter,
    Peek,
)
from smart_llmrouter.dialects.glancing import urls_in
from smart_llmrouter.dialects.levels import with_known_effort
from smart_llmrouter.dialects.proofs import IsForeign, ProofMark

_PROOF_MARK: Final = ProofMark("signature")


class AnthropicMessages:
    """`dialects.base.Dialect` for the Messages API."""

    name: DialectName = "anthropic-messages"
    stores_answers: bool = False
    keep_alive: bytes = KEEP_ALIVE
    codex_keep_alive: bytes = KEEP_ALIVE
    known_extras: frozenset[str] = KNOWN_EXTRAS

    proof_mark: ProofMark | None = _PROOF_MARK
    peek = staticmethod(peek_request)
    requirements_of = staticmethod(requirements_of)
    with_images = staticmethod(with_images)
    address = staticmethod(address_request)
    conversation_of = staticmethod(conversation_of)
    usage_of = staticmethod(usage_of_answer)
    read_usage = staticmethod(read_usage)
    parse = staticmethod(parse_request)
    render = staticmethod(render_request)
    decoder = staticmethod(MessagesDecoder)
    read_answer = staticmethod(read_answer)
    encoder = staticmethod(MessagesEncoder)
    write_answer = staticmethod(write_answer)
    render_error = staticmethod(render_error)

    def image_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of all images, without those that hold their data."""
        return urls_in(media_in(peek.members), "image")

    def other_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of documents, sound and video, without such data."""
        return urls_in(media_in(peek.members), "document", "audio", "video")

    def at_level(self, peek: Peek, levels: Sequence[str]) -> tuple[Peek, Note | None]:
        """Return the request with an effort that the model knows; see `Dialect`."""
        return with_known_effort(peek, levels, member="output_config", inner="effort")

    def meter(self, peek: Peek) -> Meter:  # noqa: ARG002 - usage comes unasked here
        """Return the meter for the stream that answers `peek`."""
        return MessagesMeter()

    def goes_on_from(self, peek: Peek) -> str | None:
        """Return nothing: a request of this dialect holds all that was said."""

    def stored_id(self, body: bytes) -> str | None:
        """Return nothing: nobody goes on from a stored answer of this dialect."""

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

    def encode_error_event(
        self, error: RouterError, *, request_id: str, answer_id: str | None = None
    ) -> bytes:
        """Return the last event of a stream that failed."""
        del answer_id  # an error has none here
        return encode_error_event(error, request_id=request_id)


ANTHROPIC_MESSAGES: Final[Dialect] = AnthropicMessages()
