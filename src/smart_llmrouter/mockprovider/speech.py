"""What the mock says, and what that costs in tokens; no dialect, no bytes.

Everything follows from the prompt and the step: the same request is always answered
in the same words.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from smart_llmrouter.mockprovider.asked import CacheWish, ToolKind
from smart_llmrouter.mockprovider.samples import Json
from smart_llmrouter.mockprovider.script import Step

_PIECE: Final = re.compile(r"\s*\w{1,12}|\s*[^\w\s]{1,4}|\s+")
_HUGE_PIECE_BYTES: Final = 4096
_QUOTED_CHARS: Final = 240
_ARGUMENT_PIECE_CHARS: Final = 12
_CHARS_PER_TOKEN: Final = 4
_TOKENS_PER_MESSAGE: Final = 4
_TOKENS_PER_IMAGE: Final = 85
_CACHE_FROM_TOKENS: Final = 1024
_CACHE_STEP_TOKENS: Final = 128
_REASONING_TOKENS: Final = {
    "none": 0, "minimal": 16, "low": 64, "medium": 256, "high": 1024, "xhigh": 4096,
    "max": 8192,
}  # fmt: skip
_WORDS: Final = (
    "the", "router", "carries", "every", "call", "from", "one", "end", "to", "the",
    "other", "and", "keeps", "a", "record", "of", "it", "while", "a", "mock", "speaks",
    "plain", "words", "that", "cost", "nothing", "at", "all",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool: JSON arguments, or free text for a custom tool.

    A dialect puts its own prefix before `id`.
    """

    id: str
    name: str
    arguments: str
    kind: ToolKind = "function"
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the answer depends on, whatever dialect it was said in.

    `said` is the last thing the user said, `planned` the text that a plan has for this
    turn, `tool_results` are what tools answered, and `size_chars` measures all text of
    the request.
    """

    model: str
    said: str = ""
    planned: str | None = None
    reasoning: str | None = None
    redacted: bool = False
    tool_results: tuple[str, ...] = ()
    messages: int = 1
    size_chars: int = 0
    images: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    structure: Json = None
    structured: bool = False
    effort: str | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    cache: CacheWish = "by-itself"
    answered_before: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One answer, in words of no dialect: reasoning, text, calls of tools.

    A piece of the text is a token. `prompt_tokens` is the whole input; of it
    `cached_tokens` were read from a cache, and the two `cache_write` counts were put
    into one for 5 minutes or for an hour. `stop_sequence` is the one that ended it.
    """

    pieces: tuple[str, ...]
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning: str | None = None
    redacted: bool = False
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        """Return the text as one string."""
        return "".join(self.pieces)


def compose(prompt: Prompt, step: Step) -> Speech:
    """Answer `prompt`; what `step` prescribes goes before what would be said."""
    calls = () if step.content is not None else prompt.tool_calls
    reasoning_tokens = _reasoning_tokens(prompt, step)
    mute = bool(calls) and prompt.planned is None
    speech = Speech(
        pieces=() if mute else _pieces(prompt, step),
        tool_calls=calls,
        finish_reason="tool_calls" if calls else "stop",
        prompt_tokens=0,
        cached_tokens=0,
        completion_tokens=0,
        reasoning_tokens=reasoning_tokens,
        reasoning=step.reasoning_text or prompt.reasoning,
        redacted=prompt.redacted or step.redacted_thinking,
    )
    speech = _counted(_capped(_stopped(speech, prompt.stop), prompt), prompt, step)
    if step.finish_reason is not None:
        speech = replace(speech, finish_reason=step.finish_reason)
    return speech


def tokens_in(text: str) -> int:
    """Return how many tokens the mock makes of `text`."""
    return math.ceil(len(text) / _CHARS_PER_TOKEN)


def argument_pieces(arguments: str) -> Iterator[str]:
    """Yield what is called with in the pieces in which a stream brings it."""
    for start in range(0, len(arguments), _ARGUMENT_PIECE_CHARS):
        yield arguments[start : start + _ARGUMENT_PIECE_CHARS]


def _pieces(prompt: Prompt, step: Step) -> tuple[str, ...]:
    if step.huge_bytes is not None:
        return _huge(step.huge_bytes)
    if step.words is not None:
        return _words(step.words)
    return tuple(_PIECE.findall(_text(prompt, step)))


def _text(prompt: Prompt, step: Step) -> str:
    if step.content is not None:
        return step.content
    if prompt.planned is not None:
        return prompt.planned
    if prompt.structured:
        return _json_text(prompt.structure)
    parts = [f"This is {prompt.model}, a mock."]
    if prompt.tool_results:
        parts.append(f"The tools answered: {_quoted(' | '.join(prompt.tool_results))}")
    elif prompt.said:
        parts.append(f"You said: {_quoted(prompt.said)}")
    if prompt.images:
        noun = "image" if prompt.images == 1 else "images"
        parts.append(f"I was shown {prompt.images} {noun}.")
    parts.append("Everything I say is made up, and always the same.")
    return " ".join(parts)


def _json_text(value: Json) -> str:
    # The standard library's spelling (spaces after "," and ":") is what models write.
    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    cut = flat[:_QUOTED_CHARS] + ("…" if len(flat) > _QUOTED_CHARS else "")
    return f'"{cut}"' + ("" if cut.endswith((".", "!", "?", "…")) else ".")


def _words(count: int) -> tuple[str, ...]:
    return tuple(
        _WORDS[index % len(_WORDS)] if index == 0 else " " + _WORDS[index % len(_WORDS)]
        for index in range(count)
    )


def _huge(size: int) -> tuple[str, ...]:
    whole, rest = divmod(size, _HUGE_PIECE_BYTES)
    piece = ("mock text " * (_HUGE_PIECE_BYTES // 10 + 1))[:_HUGE_PIECE_BYTES]
    return (piece,) * whole + ((piece[:rest],) if rest else ())


def _reasoning_tokens(prompt: Prompt, step: Step) -> int:
    if step.reasoning_tokens is not None:
        return step.reasoning_tokens
    if step.reasoning_text is not None:
        return tokens_in(step.reasoning_text)
    by_effort = _REASONING_TOKENS.get(prompt.effort or "none", 0)
    return max(by_effort, tokens_in(prompt.reasoning or ""))


def _stopped(speech: Speech, stops: Sequence[str]) -> Speech:
    """Cut the text before the first of `stops`."""
    text = speech.text
    found = [
        (place, each) for each in stops if each and (place := text.find(each)) > -1
    ]
    if not found:
        return speech
    place, stop = min(found)
    pieces = tuple(_PIECE.findall(text[:place]))
    return replace(speech, pieces=pieces, stop_sequence=stop)


def _capped(speech: Speech, prompt: Prompt) -> Speech:
    """Keep to the cap, which reasoning uses up first."""
    cap = prompt.max_tokens
    if cap is None:
        return speech
    reasoning = min(speech.reasoning_tokens, cap)
    left = cap - reasoning
    if len(speech.pieces) <= left:
        return replace(speech, reasoning_tokens=reasoning)
    return replace(
        speech,
        pieces=speech.pieces[:left],
        reasoning_tokens=reasoning,
        finish_reason="length",
    )


def prompt_tokens(prompt: Prompt) -> int:
    """Return how many tokens of input the mock makes of `prompt`."""
    size = math.ceil(prompt.size_chars / _CHARS_PER_TOKEN)
    return (
        size + prompt.messages * _TOKENS_PER_MESSAGE + prompt.images * _TOKENS_PER_IMAGE
    )


def _counted(speech: Speech, prompt: Prompt, step: Step) -> Speech:
    input_tokens = _first(step.prompt_tokens, prompt_tokens(prompt))
    steps = input_tokens // _CACHE_STEP_TOKENS * _CACHE_STEP_TOKENS
    cacheable = steps if input_tokens >= _CACHE_FROM_TOKENS else 0
    read, written, written_1h = _cached(prompt, cacheable)
    spoken = (
        sum(tokens_in(call.name + call.arguments) for call in speech.tool_calls)
        + len(speech.pieces)
        + speech.reasoning_tokens
    )
    return replace(
        speech,
        prompt_tokens=input_tokens,
        cached_tokens=_first(step.cached_tokens, read),
        cache_write_tokens=_first(step.cache_write_tokens, written),
        cache_write_1h_tokens=_first(step.cache_write_1h_tokens, written_1h),
        completion_tokens=_first(step.completion_tokens, spoken),
    )


def _cached(prompt: Prompt, tokens: int) -> tuple[int, int, int]:
    """Return how many of `tokens` are read, written for 5 minutes, and for an hour.

    A cache that was asked for is written in the first turn and read after that.
    """
    if prompt.cache == "never":
        return 0, 0, 0
    if prompt.cache == "by-itself" or prompt.answered_before:
        return tokens, 0, 0
    return (0, tokens, 0) if prompt.cache == "5m" else (0, 0, tokens)


def _first(prescribed: int | None, found: int) -> int:
    return found if prescribed is None else prescribed
