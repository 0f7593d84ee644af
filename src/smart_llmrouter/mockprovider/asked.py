"""What a request asks of the mock, in words of no dialect.

The reader of each dialect makes one `Asked` of a request; what is answered depends on
nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from smart_llmrouter.mockprovider.samples import Json, Schema

Role = Literal["system", "user", "assistant", "tool"]
ToolKind = Literal["function", "custom", "search"]
"""Called with JSON, called with free text, or a search for tools by the client."""

CacheWish = Literal["never", "by-itself", "5m", "1h"]
"""When a prompt is cached: not at all, unasked, or as the request says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that may be called; a `deferred` one only where it is named."""

    name: str
    kind: ToolKind = "function"
    schema: Schema | None = None
    namespace: str | None = None
    deferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that was shown; one at an address has no size and no type."""

    media_type: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a tool gave back."""

    text: str
    images: tuple[Image, ...] = ()
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One contribution: `calls` counts the tools that an assistant called in it."""

    role: Role
    text: str = ""
    images: tuple[Image, ...] = ()
    calls: int = 0
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request.

    `tools` are those that may be called, a forced choice already applied. With `thinks`
    the dialect shows reasoning for this request; `size_chars` measures all its text.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    parallel: bool = True
    structured: bool = False
    structure: Json = None
    thinks: bool = False
    effort: str | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    size_chars: int = 0
    cache: CacheWish = "by-itself"

    @property
    def last_said(self) -> str:
        """Return the last text of the user."""
        for message in reversed(self.messages):
            if message.role == "user" and (message.text or message.images):
                return message.text
        return ""

    @property
    def results(self) -> tuple[Result, ...]:
        """Return what tools answered since the assistant last spoke."""
        return tuple(
            result
            for message in self.messages[self._last_answer() + 1 :]
            for result in message.results
        )

    @property
    def images(self) -> tuple[Image, ...]:
        """Return every image of the conversation."""
        return tuple(self._images())

    @property
    def answered_before(self) -> bool:
        """Tell whether the conversation holds an answer already."""
        return self._last_answer() >= 0

    def _images(self) -> Iterator[Image]:
        for message in self.messages:
            yield from message.images
            for result in message.results:
                yield from result.images

    def _last_answer(self) -> int:
        places = [n for n, each in enumerate(self.messages) if each.role == "assistant"]
        return places[-1] if places else -1


def inline_image(media_type: str, base64_text: str) -> Image:
    """Return the image that `base64_text` holds, without decoding it."""
    padding = len(base64_text) - len(base64_text.rstrip("="))
    size = len(base64_text) * 3 // 4 - padding
    return Image(media_type=media_type, size_bytes=size)


def image_at(url: str) -> Image:
    """Return the image at `url`, which may be a `data:` URL."""
    if not url.startswith("data:"):
        return Image()
    media_type, _, content = url.removeprefix("data:").partition(";base64,")
    return inline_image(media_type, content)
