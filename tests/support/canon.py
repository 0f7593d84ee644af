"""Answers and requests in the canon, for properties that hold whatever the dialect."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from smart_llmrouter.core.events import (
    Closed,
    Delta,
    Event,
    Finished,
    FinishReason,
    Opened,
    PartKind,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.usage import Usage

_TEXT: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
    min_size=1,
    max_size=20,
)
_NAME: Final = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
_CALL_ID: Final = st.from_regex(r"call_[a-zA-Z0-9]{4,10}", fullmatch=True)
_ARGUMENTS: Final = st.sampled_from(
    (
        "{}",
        '{"a":1}',
        '{"path":"x.txt","text":"é\\n\\"q\\""}',
        '{"deep":{"list":[1,2]}}',
    )
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer, whole, and where its deltas are cut."""

    kind: PartKind
    text: str
    name: str = ""
    call_id: str = ""
    cuts: tuple[int, ...] = ()


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Return a whole answer: some reasoning, some text, some calls, and an end."""
    parts: list[Part] = []
    if draw(st.booleans()):
        parts.append(_cut(draw, "reasoning", draw(_TEXT)))
    if draw(st.booleans()):
        parts.append(_cut(draw, "text", draw(_TEXT)))
    ids = draw(st.lists(_CALL_ID, max_size=3, unique=True))
    parts += [
        _cut(draw, "tool_call", draw(_ARGUMENTS), name=draw(_NAME), call_id=call_id)
        for call_id in ids
    ]
    reason: FinishReason = (
        "tool_calls" if ids else draw(st.sampled_from(("stop", "length")))
    )
    counts = st.integers(0, 10_000)
    cached, output = draw(counts), draw(counts)
    usage = Usage(
        input_tokens=cached + draw(counts),
        cached_input_tokens=cached,
        output_tokens=output,
    )
    return [
        Started("upstream-id", "mini"),
        *_events(parts),
        UsageSeen(usage),
        Finished(reason),
    ]


def _cut(
    draw: st.DrawFn, kind: PartKind, text: str, *, name: str = "", call_id: str = ""
) -> Part:
    cuts = draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=4))
    return Part(kind, text, name, call_id, tuple(sorted(cuts)))


def _events(parts: Iterable[Part]) -> Iterable[Event]:
    for index, part in enumerate(parts):
        yield Opened(index, part.kind, call_id=part.call_id, name=part.name)
        begin = 0
        for end in (*part.cuts, len(part.text)):
            if part.text[begin:end]:
                yield Delta(index, part.text[begin:end])
            begin = end
        yield Closed(index)


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer tells, however it is cut into events."""

    parts: tuple[Part, ...]
    reason: str | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None


def told(events: Sequence[Event]) -> Told:
    """Return what events tell: neighbouring text of a kind is one."""
    parts: list[Part] = []
    places: dict[int, int] = {}
    reason, usage = None, Usage()
    for event in events:
        if isinstance(event, Opened):
            places[event.index] = len(parts)
            kind = "reasoning" if event.kind == "summary" else event.kind
            parts.append(Part(kind, "", event.name, event.call_id))
        elif isinstance(event, Delta):
            place = places[event.index]
            part = parts[place]
            text = part.text + event.text
            parts[place] = Part(part.kind, text, part.name, part.call_id)
        elif isinstance(event, UsageSeen):
            usage = event.usage
        elif isinstance(event, Finished):
            reason = event.reason
    return Told(
        tuple(part for part in parts if part.text or part.kind == "tool_call"),
        reason,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.output_tokens,
    )
