"""What holds for every request and every answer of the Responses API."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Image,
    Part,
    Reasoning,
    ReasoningState,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.core.events import (
    Closed,
    Delta,
    Event,
    Finished,
    FinishReason,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    SearchTool,
    ToolChoice,
)
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.support.grammar_openai_responses import NotGrammatical, events_of, read
from tests.support.openai_responses import (
    SERVING,
    answering,
    captured,
    completed,
    decoded,
    ended,
    joined,
    parsed,
    rendered,
    sse,
    streamed,
)

WORDS = st.sampled_from(["a", "é😀", 'say "x"', "\r\n\n", "data: x", "srt1.x", " "])
TEXTS = WORDS | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6
)
NAMES = st.sampled_from(["f", "g", "apply_patch"])
SPACES = st.sampled_from([None, "mcp__toy"])
RAWS = st.sampled_from([Raw(b'{"type":"object"}'), Raw(b"[1.00]"), Raw(b'"x"')])
COUNTS = st.integers(0, 1_000_000)


def extras(*names: str) -> st.SearchStrategy[dict[str, Raw]]:
    """Return some fields that only this dialect has."""
    return st.dictionaries(st.sampled_from(names), RAWS, max_size=2)


def option(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a value or none."""
    return st.none() | strategy


TOLD = st.builds(Text, text=TEXTS, extras=extras("x"))
IMAGES = st.sampled_from(
    [
        Image(url="https://example.com/a.png", detail="original"),
        Image(data="AAAA", media_type="image/png"),
        Image(file_id="file_1"),
    ]
)
DOCUMENTS = st.sampled_from(
    [
        Document(data="AAAA", media_type="application/pdf", title="a.pdf"),
        Document(data="AAAA"),
        Document(url="https://example.com/a.pdf"),
        Document(file_id="file_1"),
    ]
)
SOUNDS = st.just(Audio(data="AAAA", format="wav"))
GIVEN = TOLD | IMAGES | DOCUMENTS | SOUNDS
OUTPUTS = st.lists(TOLD | IMAGES | DOCUMENTS, max_size=3).map(tuple)
RESULTS = st.builds(
    ToolResult,
    call_id=TEXTS,
    content=OUTPUTS,
    kind=st.sampled_from(["function", "custom"]),
    extras=extras("id", "status"),
)
CALLS = st.builds(
    ToolCall,
    id=TEXTS,
    name=NAMES,
    arguments=TEXTS,
    namespace=SPACES,
    kind=st.sampled_from(["function", "custom"]),
    extras=extras("id", "status"),
) | st.builds(
    ToolCall,
    id=TEXTS,
    name=st.just("tool_search"),
    arguments=st.just('{"query":"x"}'),
    kind=st.just("tool_search"),
)
STATES = st.builds(
    ReasoningState,
    kind=st.just("encrypted"),
    value=st.just("gAAAA"),
    item_id=option(st.just("rs_1")),
)
THOUGHTS = st.builds(
    Reasoning,
    text=st.just("") | TEXTS,
    summary=st.lists(TEXTS, max_size=2).map(tuple),
    state=option(STATES),
)


@st.composite
def said(draw: st.DrawFn) -> Turn:
    """Return what a model said: each message begins with its own id."""
    parts: list[Part] = []
    for place, kind in enumerate(draw(st.lists(st.integers(0, 2), min_size=1))):
        if kind == 0:
            first = Text(text=draw(TEXTS), extras={"id": Raw(f'"m{place}"'.encode())})
            parts += [
                first,
                *draw(st.lists(st.builds(Refusal, text=TEXTS), max_size=1)),
            ]
        else:
            parts.append(draw(THOUGHTS) if kind == 1 else draw(CALLS))
    return Turn(role="assistant", parts=tuple(parts))


GIVEN_TURNS = st.builds(
    Turn,
    role=st.sampled_from(["user", "developer", "system"]),
    parts=st.lists(GIVEN, max_size=3).map(tuple),
    extras=extras("id", "status"),
)
RESULT_TURNS = st.builds(
    Turn, role=st.just("tool"), parts=st.lists(RESULTS, min_size=1).map(tuple)
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Return turns in which neither the model nor the tools speak twice in a row."""
    turns: list[Turn] = []
    for _ in range(draw(st.integers(0, 4))):
        turns.append(draw(GIVEN_TURNS))
        turns += draw(st.lists(said(), max_size=1))
        turns += draw(st.lists(RESULT_TURNS, max_size=1))
    return tuple(turns)


FUNCTIONS = st.builds(
    FunctionTool,
    name=NAMES,
    description=option(TEXTS),
    schema=option(RAWS),
    strict=option(st.booleans()),
    namespace=SPACES,
    extras=extras("defer_loading"),
)
CUSTOMS = st.builds(
    CustomTool, name=NAMES, format=option(RAWS), namespace=SPACES, extras=extras("x")
)
SEARCHES = st.builds(SearchTool, description=option(TEXTS), schema=option(RAWS))
HOSTED = st.just(HostedTool(kind="web_search", raw=Raw(b'{"type":"web_search"}')))


def _place(tool: Any) -> tuple[str | None, str]:  # noqa: ANN401 - any tool
    return (getattr(tool, "namespace", None), getattr(tool, "name", tool.__class__))


TOOLS = st.lists(
    FUNCTIONS | CUSTOMS | SEARCHES | HOSTED, max_size=4, unique_by=_place
).map(tuple)
CHOICES = st.sampled_from(
    [
        ToolChoice(mode="auto"),
        ToolChoice(mode="required"),
        ToolChoice(mode="named", name="f"),
        ToolChoice(mode="named", name="f", namespace="mcp__toy"),
        ToolChoice(mode="allowed", names=("f", "g"), required=True),
    ]
)
FORMATS = st.just(OutputFormat(kind="json_object")) | st.builds(
    OutputFormat,
    kind=st.just("json_schema"),
    name=TEXTS,
    description=option(TEXTS),
    schema=RAWS,
    strict=option(st.booleans()),
)
ASKS = st.builds(
    ReasoningAsk,
    effort=st.sampled_from(["none", "low", "high"]),
    summary=option(st.just("auto")),
    extras=extras("context"),
)
REQUESTS = st.builds(
    Request,
    dialect=st.just("openai-responses"),
    model=st.just("gpt-5.5"),
    turns=conversations(),
    stream=st.booleans(),
    system=st.lists(st.builds(Text, text=TEXTS), max_size=1).map(tuple),
    tools=TOOLS,
    tool_choice=option(CHOICES),
    parallel_tools=option(st.booleans()),
    output_cap=option(COUNTS),
    output_format=option(FORMATS),
    reasoning=option(ASKS),
    wants_reasoning_state=st.booleans(),
    verbosity=option(st.just("low")),
    temperature=option(st.just(0.5)),
    user=option(TEXTS),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=2),
    store=option(st.booleans()),
    extras=extras("client_metadata", "safety_identifier", "text.x"),
)


@given(REQUESTS)
def test_what_is_written_is_read_again(request: Request) -> None:
    """Nothing that this dialect can say is lost, and nothing is noted."""
    notes = Notes()

    body = OPENAI_RESPONSES.render(request, SERVING, notes)

    assert OPENAI_RESPONSES.parse(OPENAI_RESPONSES.peek(body)) == request
    assert notes.all() == ()


@given(REQUESTS)
def test_relaying_changes_the_model_only(request: Request) -> None:
    """All other values keep their bytes."""
    body = json.dumps(rendered(request), ensure_ascii=False).encode()
    peek = OPENAI_RESPONSES.peek(body)

    sent = OPENAI_RESPONSES.peek(OPENAI_RESPONSES.address(peek, model=b'"acme"'))

    assert {**sent.members, "model": peek.members["model"]} == peek.members


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=2)))
    bounds = [0, *places, len(text)]
    pieces = [text[a:b] for a, b in pairwise(bounds)]
    return [piece for piece in pieces if piece]


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Return the events of an answer in this dialect's own order."""
    events: list[Event] = [Started("resp_x", "m")]
    calls = False
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.integers(0, 3))
        text = draw(TEXTS)
        pieces: list[Event] = [Delta(index, piece) for piece in _cut(draw, text)]
        if kind == 0:
            opened = Opened(index, draw(st.sampled_from(["text", "refusal"])))
        elif kind == 1:
            opened = Opened(index, draw(st.sampled_from(["reasoning", "summary"])))
            pieces += [Signed(index, s) for s in draw(st.lists(STATES, max_size=1))]
        else:
            calls = True
            opened = Opened(
                index,
                "tool_call",
                draw(TEXTS),
                draw(NAMES),
                draw(SPACES),
                "function" if kind == 2 else "custom",
            )
        events += [opened, *pieces, Closed(index)]
    usage = Usage(
        input_tokens=draw(COUNTS),
        cached_input_tokens=draw(COUNTS),
        cache_write_5m_tokens=draw(COUNTS),
        output_tokens=draw(COUNTS),
        reasoning_tokens=draw(COUNTS),
    )
    usual: FinishReason = "tool_calls" if calls else "stop"
    reason: FinishReason = "length" if draw(st.booleans()) else usual
    return [*events, UsageSeen(usage), Finished(reason)]


def _told(events: list[Event]) -> list[Event]:
    """Leave out the names that each answer has of its own, and what was sealed."""
    return [
        event for event in joined(events) if not isinstance(event, Started | Signed)
    ]


@given(answers())
def test_a_stream_is_grammatical_and_tells_all(events: list[Event]) -> None:
    """A strict reader accepts it, and what was said is read out of it again."""
    stream = streamed(events)

    assert read(stream).kind in ("response.completed", "response.incomplete")
    assert _told(decoded(stream)) == _told(events)


@given(answers())
def test_a_plain_answer_is_the_fold_of_its_stream(events: list[Event]) -> None:
    """Both say the same, to a client and to the router."""
    plain = OPENAI_RESPONSES.write_answer(events, answering())
    stream = streamed(events)

    assert json.loads(plain) == read(stream).response
    assert list(OPENAI_RESPONSES.read_answer(plain)) == joined(decoded(stream))


@given(answers(), st.lists(st.integers(0, 1 << 16), max_size=8), st.booleans())
def test_cuts_do_not_matter(events: list[Event], places: list[int], crlf: bool) -> None:  # noqa: FBT001 - drawn
    """A stream tells the same however the network cut it, and the meter learns it."""
    stream = streamed(events)
    if crlf:
        stream = stream.replace(b"\n", b"\r\n")
    bounds = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(bounds)]
    decoder, meter = (
        OPENAI_RESPONSES.decoder(),
        OPENAI_RESPONSES.meter(OPENAI_RESPONSES.peek(b'{"input":""}')),
    )

    told = [event for piece in pieces for event in decoder.feed(piece)]
    passed = b"".join([meter.feed(piece) for piece in pieces])

    assert told + decoder.end() == decoded(stream)
    assert (passed + meter.end() + meter.ending, meter.finished) == (stream, True)
    assert [UsageSeen(meter.usage)] == [e for e in told if isinstance(e, UsageSeen)]


@given(answers(), st.data())
def test_a_cut_stream_is_never_complete(
    events: list[Event], data: st.DataObject
) -> None:
    """Neither the decoder nor a strict reader of what was written takes it for that."""
    stream = streamed(events)
    end = data.draw(st.integers(0, len(stream) - 3))
    told = decoded(stream[:end])

    rest = streamed(told) if told else b""

    assert not ended(told)
    try:
        read(rest)
    except NotGrammatical:
        return
    raise AssertionError("a cut stream was taken for complete")


@given(st.lists(st.sampled_from(["added", "delta", "done", "item", "end"]), min_size=1))
def test_a_text_is_told_once_whatever_is_missing(kinds: list[str]) -> None:
    """Each event of a text alone suffices, in the order in which they come."""
    item = {
        "type": "message",
        "id": "msg_1",
        "content": [{"type": "output_text", "text": "hello"}],
    }
    at = {"output_index": 0, "content_index": 0}
    known = {
        "added": {"type": "response.output_item.added", "item": {}, **at},
        "delta": {"type": "response.output_text.delta", "delta": "hello", **at},
        "done": {"type": "response.output_text.done", "text": "hello", **at},
        "item": {"type": "response.output_item.done", "item": item, **at},
        "end": completed(item),
    }
    order = [*(kind for kind in known if kind in kinds), "end"]

    events = decoded(sse(*(known[kind] for kind in order)))

    assert "".join(e.text for e in events if isinstance(e, Delta)) == "hello"
    assert isinstance(events[-1], Finished)


def test_the_strict_reader_is_strict() -> None:
    """Any event left out, doubled or moved breaks a rule."""
    stream = streamed(
        [
            Started(),
            Opened(0, "reasoning"),
            Delta(0, "a"),
            Closed(0),
            Opened(1, "text"),
            Delta(1, "b"),
            Closed(1),
            Opened(2, "tool_call", "c", "f"),
            Delta(2, "{}"),
            Closed(2),
            Finished("tool_calls"),
        ]
    )
    events = [event + b"\n\n" for event in stream.split(b"\n\n")[:-1]]
    accepted = []

    for place, event in enumerate(events):
        for changed in (
            [*events[:place], *events[place + 1 :]],
            [*events[:place], event, event, *events[place + 1 :]],
        ):
            try:
                accepted.append(read(_renumbered(b"".join(changed))))
            except NotGrammatical:
                continue

    assert accepted == []


def _renumbered(stream: bytes) -> bytes:
    return sse(
        *(
            {name: value for name, value in event.items() if name != "sequence_number"}
            for event in events_of(stream)
        )
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1) | st.just(0.5) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "text", "name", "x"]), inner, max_size=2
        )
    ),
    max_leaves=4,
)
REAL = [body for _, body in captured("codex", "sdk")]


def _replaced(draw: st.DrawFn, value: Any, depth: int) -> Any:  # noqa: ANN401 - JSON
    """Return a value in which one thing, somewhere, is something else."""
    if depth == 0 or not isinstance(value, dict | list) or not value:
        return draw(JSON)
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        changed = _replaced(draw, value[place], depth - 1)
        return [*value[:place], changed, *value[place + 1 :]]
    name = draw(st.sampled_from(sorted(value)))
    return {**value, name: _replaced(draw, value[name], depth - 1)}


@st.composite
def broken_requests(draw: st.DrawFn) -> bytes:
    """Return what a real client sent, but for one value."""
    body = draw(st.sampled_from(REAL))
    changed = _replaced(draw, body, draw(st.integers(1, 5)))
    return json.dumps(changed).encode()


@given(broken_requests())
def test_a_broken_request_is_refused_by_its_field(body: bytes) -> None:
    """Whatever is wrong, the router does not fail; and what it reads it writes."""
    wrong: object = None
    try:
        request = OPENAI_RESPONSES.parse(OPENAI_RESPONSES.peek(body))
        sent = OPENAI_RESPONSES.render(request, SERVING, Notes())
    except InvalidRequest as refused:
        wrong = refused.details["field"]
        sent = b""

    assert wrong or json.loads(sent)["model"] == SERVING.model


def test_requests_of_other_models_are_told_apart() -> None:
    """The strategies above draw what is asked about: a request as it is read."""
    assert replace(parsed(), turns=()) == Request(
        dialect="openai-responses",
        model="gpt-5.5",
        turns=(),
        wants_reasoning_state=False,
    )
