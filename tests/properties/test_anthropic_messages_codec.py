"""Laws of the Messages codec, searched for what breaks them."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.content import (
    Document,
    Image,
    Opaque,
    Part,
    Reasoning,
    ReasoningState,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Finished,
    FinishReason,
    OpaqueFrame,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import (
    FunctionTool,
    HostedTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    ToolChoice,
)
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.anthropic_messages.dialect import (
    ANTHROPIC_MESSAGES as MESSAGES,
)
from smart_llmrouter.dialects.anthropic_messages.streams import STOP
from smart_llmrouter.dialects.base import Answering, Serving
from smart_llmrouter.dialects.sealed import unseal
from tests.support.grammar_anthropic_messages import read_stream, read_whole_stream

OWN: Final = "anthropic-messages"
LABEL: Final = "acme/claude"
REASONS: Final[tuple[FinishReason, ...]] = (
    "stop",
    "stop_sequence",
    "length",
    "context",
    "tool_calls",
    "content_filter",
    "pause",
)
SAID = (
    st.text(min_size=1, max_size=12)
    .filter(lambda text: not text.isspace())
    .map(lambda text: text.strip() or "x")
)
PIECES = st.lists(st.text(max_size=6), max_size=4)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
COUNTS = st.integers(0, 1_000_000)
OBJECTS = st.dictionaries(
    st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(max_size=4)
)
CACHED = {"cache_control": msgspec.Raw(b'{"type":"ephemeral"}')}
EXTRAS = st.sampled_from([{}, CACHED])


def raw(value: object) -> msgspec.Raw:
    """Return a value as it is written."""
    return msgspec.Raw(json.dumps(value, separators=(",", ":")).encode())


TEXTS = st.builds(Text, text=SAID, extras=EXTRAS)
IMAGES = st.builds(Image, url=SAID.filter(lambda url: not url.startswith("data:"))) | (
    st.builds(Image, data=NAMES, media_type=st.just("image/png"), extras=EXTRAS)
    | st.builds(Image, file_id=NAMES)
)
DOCUMENTS = (
    st.builds(Document, text=st.text(max_size=5), media_type=st.just("text/plain"))
    | st.builds(
        Document,
        data=NAMES,
        media_type=st.just("application/pdf"),
        title=st.none() | SAID,
        extras=EXTRAS,
    )
    | st.builds(Document, url=SAID)
)
OPAQUE = st.builds(
    Opaque,
    kind=st.just("search_result"),
    raw=SAID.map(lambda title: raw({"type": "search_result", "title": title})),
)
STATES = st.builds(ReasoningState, kind=st.just("signature"), value=NAMES)
THOUGHTS = st.builds(Reasoning, text=st.text(max_size=5), state=STATES) | st.builds(
    Reasoning,
    state=st.builds(ReasoningState, kind=st.just("redacted"), value=NAMES),
)
CALLS = st.builds(
    ToolCall,
    id=NAMES,
    name=NAMES,
    arguments=OBJECTS.map(json.dumps),
    extras=EXTRAS,
)
RESULTS = st.builds(
    ToolResult,
    call_id=NAMES,
    content=st.lists(TEXTS | IMAGES | DOCUMENTS | OPAQUE, max_size=3).map(tuple),
    is_error=st.none() | st.booleans(),
    extras=EXTRAS,
)
SYSTEM = st.builds(
    Turn,
    role=st.just("system"),
    parts=TEXTS.map(lambda text: (text,)),
    extras=st.sampled_from([{}, {"output_config": raw({"effort": "low"})}]),
)


def turns_of(role: Literal["user", "assistant", "tool"], part: Any) -> Any:  # noqa: ANN401 - strategies
    """Return turns of one role."""
    parts = st.lists(part, min_size=1, max_size=4).map(tuple)
    return st.builds(Turn, role=st.just(role), parts=parts)


USERS = turns_of("user", TEXTS | IMAGES | DOCUMENTS | OPAQUE)
ASSISTANTS = turns_of("assistant", TEXTS | THOUGHTS | CALLS)
TOOLS = turns_of("tool", RESULTS)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Return turns of both sides by turns, and of the system between them."""
    turns: list[Turn] = []
    for _ in range(draw(st.integers(0, 3))):
        turns += draw(
            st.sampled_from([(USERS,), (TOOLS,), (TOOLS, USERS)]).flatmap(
                lambda each: st.tuples(*each)
            )
        )
        if draw(st.booleans()):
            turns.append(draw(SYSTEM))
        turns.append(draw(ASSISTANTS))
    return tuple(turns)


TOOL = st.builds(
    FunctionTool,
    name=NAMES,
    description=st.none() | SAID,
    schema=st.just(raw({"type": "object", "properties": {}})),
    strict=st.sampled_from([None, True]),
    extras=st.sampled_from([{}, {"defer_loading": msgspec.Raw(b"true")}]),
) | st.just(
    HostedTool(
        kind="web_search",
        raw=raw({"type": "web_search_20250305", "name": "web_search"}),
    )
)
CHOICES = (
    st.none()
    | st.builds(ToolChoice, mode=st.sampled_from(["auto", "required", "none"]))
    | st.builds(ToolChoice, mode=st.just("named"), name=NAMES)
)
EFFORTS = st.none() | st.sampled_from(["low", "high", "max"])
ASKS = st.none() | (
    st.builds(
        ReasoningAsk,
        adaptive=st.just(value=True),
        effort=EFFORTS,
        summary=st.sampled_from([None, "auto"]),
    )
    | st.builds(ReasoningAsk, budget_tokens=st.integers(1_024, 9_999))
    | st.builds(
        ReasoningAsk,
        off=st.just(value=True),
        extras=st.sampled_from([{}, {"effort": msgspec.Raw(b'"high"')}]),
    )
    | st.builds(ReasoningAsk, effort=st.just("low"))
)
FRACTIONS = st.none() | st.floats(0, 1)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Return a request that Messages can say."""
    tools = tuple(draw(st.lists(TOOL, max_size=3)))
    choice = draw(CHOICES) if tools else None
    callable_ = choice is not None and choice.mode != "none"
    return Request(
        dialect=OWN,
        model="m",
        turns=draw(conversations()),
        stream=draw(st.booleans()),
        system=tuple(draw(st.lists(TEXTS, max_size=3))),
        tools=tools,
        tool_choice=choice,
        parallel_tools=draw(st.sampled_from([None, False])) if callable_ else None,
        output_cap=draw(st.integers(0, 99_999)),
        output_format=draw(
            st.none()
            | st.just(OutputFormat(kind="json_schema", schema=raw({"type": "object"})))
        ),
        reasoning=draw(ASKS),
        temperature=draw(FRACTIONS),
        top_p=draw(FRACTIONS),
        stop=tuple(draw(st.lists(SAID, max_size=2))),
        user=draw(st.none() | SAID),
        service_tier=draw(st.sampled_from([None, "auto", "default"])),
        extras=draw(
            st.sampled_from(
                [
                    {},
                    {"top_k": msgspec.Raw(b"5")},
                    {"metadata": msgspec.Raw(b'{"x":1}')},
                    {"output_config": msgspec.Raw(b'{"task_budget":{"total":5}}')},
                    {"context_management": msgspec.Raw(b'{"edits":[]}')},
                ]
            )
        ),
    )


@given(requests())
def test_what_is_rendered_reads_the_same(request: Request) -> None:
    """For every request that the dialect can say; and nothing is noted."""
    notes = Notes()

    body = MESSAGES.render(request, Serving(label=LABEL, model="m"), notes)

    assert MESSAGES.parse(MESSAGES.peek(body)) == request
    assert notes.all() == ()


@given(requests(), st.sampled_from([None, "effort", "token_budget"]))
def test_a_request_of_another_dialect_is_always_valid(
    request: Request, control: Literal["effort", "token_budget"] | None
) -> None:
    """The two sides alternate, nothing is blank, and thinking keeps its rules."""
    foreign = msgspec.structs.replace(
        request,
        dialect="openai-chat",
        tools=tuple(t for t in request.tools if isinstance(t, FunctionTool)),
        turns=tuple(
            msgspec.structs.replace(turn, parts=tuple(_portable(turn.parts)))
            for turn in request.turns
        ),
    )
    serving = Serving(label=LABEL, model="m", reasoning_control=control)

    body = json.loads(MESSAGES.render(foreign, serving, Notes()))

    _insist_on_validity(body)


def _portable(parts: Sequence[Part]) -> Sequence[Part]:
    """Return the parts that every dialect can say."""
    return [
        msgspec.structs.replace(
            part, content=tuple(p for p in part.content if isinstance(p, Text))
        )
        if isinstance(part, ToolResult)
        else part
        for part in parts
        if not isinstance(part, Opaque)
        and not (isinstance(part, Image) and part.file_id is not None)
    ]


def _insist_on_validity(body: dict[str, Any]) -> None:
    sides = [message["role"] for message in body["messages"]]
    assert sides
    assert sides[0] == "user"
    assert all(first != second for first, second in pairwise(sides))
    for message in body["messages"]:
        assert message["content"]
        if isinstance(message["content"], list):
            kinds = [block["type"] == "tool_result" for block in message["content"]]
            assert kinds == sorted(kinds, reverse=True)
            assert all(block.get("text", "x").strip() for block in message["content"])
    thinking = body.get("thinking", {"type": "disabled"})
    if thinking["type"] == "disabled":
        return
    assert thinking.get("budget_tokens", -1) < body["max_tokens"]
    assert thinking.get("budget_tokens", 1_024) >= 1_024
    assert body.get("tool_choice", {}).get("type") not in ("any", "tool")
    assert "temperature" not in body


USAGES = st.builds(
    lambda uncached, read, five, hour, out: Usage(
        input_tokens=uncached + read + five + hour,
        cached_input_tokens=read,
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        output_tokens=out,
    ),
    *[COUNTS] * 5,
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Return the events of a whole answer; calls alternate."""
    events: list[Event] = [Started("x", "y")]
    index = 0
    for kind in draw(
        st.lists(
            st.sampled_from(["text", "reasoning", "summary", "refusal", "calls"]),
            max_size=4,
        )
    ):
        if kind == "calls":
            count = draw(st.integers(1, 3))
            events += draw(_calls(index, count))
            index += count
            continue
        events.append(Opened(index, kind))  # type: ignore[arg-type]  # one of them
        events += [Delta(index, piece) for piece in draw(PIECES)]
        if kind == "text" and draw(st.booleans()):
            events.append(Annotated(index, OWN, msgspec.Raw(b'{"n":1}')))
        if kind == "reasoning" and draw(st.booleans()):
            state = draw(STATES)
            events.append(Signed(index, state))
        events.append(Closed(index))
        index += 1
        if draw(st.booleans()):
            block = raw({"type": "server_tool_use", "id": "s"})
            events.append(OpaqueFrame(OWN, "server_tool_use", block))
    if draw(st.booleans()):
        events.append(UsageSeen(draw(USAGES)))
    reason = draw(st.sampled_from(REASONS))
    sequence = "END" if reason == "stop_sequence" else None
    return [*events, Finished(reason, sequence)]


@st.composite
def _calls(draw: st.DrawFn, first: int, count: int) -> list[Event]:
    """Return calls whose deltas alternate in some order."""
    events: list[Event] = [
        Opened(first + n, "tool_call", call_id=f"c{first + n}", name=draw(NAMES))
        for n in range(count)
    ]
    pieces: list[list[Event]] = []
    for index in range(first, first + count):
        text = json.dumps(draw(OBJECTS))
        cut = draw(st.integers(0, len(text)))
        first_half, rest = Delta(index, text[:cut]), Delta(index, text[cut:])
        pieces.append([first_half, rest, Closed(index)])
    while any(pieces):
        place = draw(st.sampled_from([n for n, left in enumerate(pieces) if left]))
        events.append(pieces[place].pop(0))
    return events


def answering() -> Answering:
    """Return what an answer is written for."""
    request = Request(dialect=OWN, model="m", turns=())
    return Answering(
        request=request, id="0" * 32, created_s=1, model="m", label=LABEL, notes=Notes()
    )


def streamed(events: Sequence[Event]) -> bytes:
    """Write a stream, event by event."""
    encoder = MESSAGES.encoder(answering())
    *before, last = events
    assert isinstance(last, Finished)
    return b"".join(encoder.encode([event]) for event in before) + encoder.finish(last)


def decoded(pieces: Sequence[bytes]) -> list[Event]:
    """Read a stream that comes in these pieces."""
    decoder = MESSAGES.decoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def gist(events: Sequence[Event]) -> list[object]:
    """Return what events tell: parts in order, their deltas joined, and the end."""
    parts: dict[int, dict[str, Any]] = {}
    told: list[object] = []
    usage: object = None
    for event in events:
        match event:
            case Opened():
                kind = {"refusal": "text", "summary": "reasoning"}.get(event.kind)
                part = parts[event.index] = {
                    "kind": kind or event.kind,
                    "text": "",
                    "state": None,
                    "id": event.call_id,
                    "name": event.name,
                    "notes": 0,
                }
                told.append(part)
            case Delta():
                parts[event.index]["text"] += event.text
            case Signed():
                parts[event.index]["state"] = _own(event.state)
            case Annotated():
                parts[event.index]["notes"] += 1
            case OpaqueFrame():
                told.append(bytes(event.raw))
            case UsageSeen() if event.usage != Usage():
                usage = event.usage
            case _:
                pass
    end = events[-1]
    return [each for each in told if _says(each)] + [usage, end]


def _says(told: object) -> bool:
    return not isinstance(told, dict) or any(
        told[name] for name in ("text", "state", "id", "notes")
    )


def _own(state: ReasoningState) -> str | None:
    unsealed = unseal(state.value)
    return (unsealed[0].value if unsealed else state.value) or None


def expected(events: Sequence[Event]) -> list[object]:
    """Return the gist as Messages can tell it."""
    told = gist(events)
    called = any(isinstance(each, Opened) and each.call_id for each in events)
    end = told[-1]
    assert isinstance(end, Finished)
    if end.reason in ("stop", "tool_calls"):
        told[-1] = Finished("tool_calls" if called else "stop")
    if told[-2] is None:
        told[-2] = NOTHING_USED
    return told


NOTHING_USED: Final = Usage(
    input_tokens=0,
    cached_input_tokens=0,
    cache_write_5m_tokens=0,
    cache_write_1h_tokens=0,
    output_tokens=0,
)


@given(answers())
def test_whatever_is_encoded_keeps_the_grammar_and_the_content(
    events: list[Event],
) -> None:
    """Text, reasoning and arguments survive, and a plain answer says the same."""
    stream = streamed(events)
    plain = MESSAGES.write_answer(events, answering())

    assert read_whole_stream(stream) == json.loads(plain)
    assert gist(decoded([stream])) == expected(events)
    assert gist(MESSAGES.read_answer(plain)) == expected(events)


@given(answers(), st.data())
def test_cuts_do_not_matter(events: list[Event], data: st.DataObject) -> None:
    """However the bytes are split, with whatever ends of lines."""
    stream = streamed(events)
    if data.draw(st.booleans()):
        stream = stream.replace(b"\n", b"\r\n")
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=9).map(sorted))
    pieces = [stream[a:b] for a, b in pairwise([0, *places, len(stream)])]
    meter = MESSAGES.meter(MESSAGES.peek(b"{}"))

    seen = b"".join(meter.feed(piece) for piece in pieces)

    assert decoded(pieces) == decoded([stream])
    assert seen + meter.ending == stream
    assert meter.done


@given(answers(), st.data())
def test_a_cut_stream_is_never_complete(
    events: list[Event], data: st.DataObject
) -> None:
    """Neither decoded nor relayed, nor written again, unless the reason had come."""
    stream = streamed(events)
    cut = data.draw(st.integers(0, len(stream) - 1))
    reason_ends = stream.find(b"\n\n", stream.find(b"event: message_delta\n"))
    decoder = MESSAGES.decoder()
    encoder = MESSAGES.encoder(answering())
    meter = MESSAGES.meter(MESSAGES.peek(b"{}"))

    told = decoder.feed(stream[:cut]) + decoder.end()
    relayed = meter.feed(stream[:cut]) + meter.end()
    written = encoder.encode(told)

    ended = any(isinstance(event, Finished) for event in told)
    assert ended == meter.finished == (cut >= reason_ends)
    assert not read_stream(written).ended
    assert (meter.ending == STOP) == ended
    assert STOP not in relayed
