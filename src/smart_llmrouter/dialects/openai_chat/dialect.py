"""OpenAI Chat Completions, as `dialects.base` asks for a dialect."""

from collections.abc import Sequence
from typing import Final

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import Dialect, Peek
from smart_llmrouter.dialects.glancing import text_in, urls_in
from smart_llmrouter.dialects.levels import with_known_effort
from smart_llmrouter.dialects.openai_chat.affinity import conversation_of
from smart_llmrouter.dialects.openai_chat.answers import parse_answer, parse_usage
from smart_llmrouter.dialects.openai_chat.decoder import ChatDecoder, read_answer
from smart_llmrouter.dialects.openai_chat.encoder import ChatEncoder
from smart_llmrouter.dialects.openai_chat.errors import encode_error_event
from smart_llmrouter.dialects.openai_chat.folding import write_answer
from smart_llmrouter.dialects.openai_chat.images import with_images
from smart_llmrouter.dialects.openai_chat.needs import media_in, requirements_of
from smart_llmrouter.dialects.openai_chat.parse import KNOWN_EXTRAS, parse
from smart_llmrouter.dialects.openai_chat.render import render
from smart_llmrouter.dialects.openai_chat.requests import (
    parse_request,
    render_request,
)
from smart_llmrouter.dialects.openai_chat.streams import KEEP_ALIVE, StreamMeter
from smart_llmrouter.dialects.openai_errors import render_error
from smart_llmrouter.dialects.proofs import IsForeign, ProofMark


class OpenAiChat:
    """Chat Completions, both as callers speak it and as providers do.

    Nobody goes on from a stored answer of this dialect, and its thoughts prove nothing:
    a request holds all that was said.
    """

    name: DialectName = "openai-chat"
    keep_alive: bytes = KEEP_ALIVE
    codex_keep_alive: bytes = KEEP_ALIVE
    known_extras: frozenset[str] = KNOWN_EXTRAS
    stores_answers: bool = False
    proof_mark: ProofMark | None = None
    peek = staticmethod(parse_request)
    conversation_of = staticmethod(conversation_of)
    requirements_of = staticmethod(requirements_of)
    with_images = staticmethod(with_images)
    usage_of = staticmethod(parse_answer)
    read_usage = staticmethod(parse_usage)
    parse = staticmethod(parse)
    render = staticmethod(render)
    decoder = staticmethod(ChatDecoder)
    read_answer = staticmethod(read_answer)
    encoder = staticmethod(ChatEncoder)
    write_answer = staticmethod(write_answer)
    render_error = staticmethod(render_error)

    def address(
        self,
        peek: Peek,
        *,
        model: bytes,
        keep_seals: bool = False,  # noqa: ARG002 - nothing of this dialect is refused
    ) -> bytes:
        """Return the request for a target of this dialect; `model` is encoded JSON."""
        return render_request(peek, model=model)

    def image_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of all images, without those that hold their data."""
        return urls_in(media_in(peek.members), "image")

    def other_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of documents, sound and video, without such data."""
        return urls_in(media_in(peek.members), "document", "audio", "video")

    def at_level(self, peek: Peek, levels: Sequence[str]) -> tuple[Peek, Note | None]:
        """Return the request with an effort that the model knows; see `Dialect`."""
        if text_in(peek.members.get("reasoning_effort")) is not None:
            return with_known_effort(peek, levels, member="reasoning_effort")
        # The wild has an object.
        return with_known_effort(peek, levels, member="reasoning", inner="effort")

    def meter(self, peek: Peek) -> StreamMeter:
        """Return the meter for the stream that answers `peek`."""
        return StreamMeter(strip_usage=not peek.wants_usage)

    def goes_on_from(self, peek: Peek) -> str | None:
        """Return nothing: a request of this dialect holds all that was said."""

    def stored_id(self, body: bytes) -> str | None:
        """Return nothing: nobody goes on from a stored answer of this dialect."""

    def last_proof(self, peek: Peek) -> bytes | None:
        """Return nothing: no caller of this dialect has a provider's own proof."""

    def without_foreign(
        self,
        peek: Peek,
        is_foreign: IsForeign,  # noqa: ARG002 - there are no proofs
    ) -> Peek:
        """Return the request."""
        return peek

    def encode_error_event(
        self, error: RouterError, *, request_id: str, answer_id: str | None = None
    ) -> bytes:
        """Return the last event of a stream that failed."""
        del answer_id  # an error has none here
        return encode_error_event(error, request_id=request_id)


OPENAI_CHAT: Final[Dialect] = OpenAiChat()
