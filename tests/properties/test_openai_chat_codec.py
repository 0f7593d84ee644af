"""Laws of the codec of Chat Completions: round trips, cuts, the grammar, folds."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.content import (
    Audio,
    Document,
    Image,
    Part,
    Reasoning,
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
    Failed,
    Finished,
    FinishReason,
    Opened,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    Tool,
    ToolChoice,
)
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Answering, NotAStream, Serving
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT
from tests.support.grammar_openai_chat import read_stream

TEXTS = st.sampled_from(["hello", "é😀", '"error":{', "[DONE]", "a\nb", "\u2028"]) | (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
)
NAMES = st.text("abcXYZ019_-", min_size=1, max_size=8)
DATA = st.sampled_from(["AAAA", "aGVsbG8="])
RAWS = st.sampled_from([b"1", b'"x"', b'{"a":[1]}', b"true"]).map(msgspec.Raw)
EXTRAS = st.dictionaries(st.sampled_from(["cache_control", "name", "odd"]), RAWS)
WILD = Serving(label="t", model="llama-4")
OPENAI = Serving(label="t", model="gpt-5.1")

texts = st.builds(Text, text=TEXTS)
marked_texts = st.builds(Text, text=TEXTS, extras=EXTRAS)
images = st.one_of(
    st.builds(
        Image,
        url=st.just("https://a.example/b.png"),
        detail=st.sampled_from([None, "low", "auto"]),
    ),
    st.builds(Image, data=DATA, media_type=st.just("image/png")),
)
documents = st.builds(
    Document, data=DATA, media_type=st.just("application/pdf"), title=NAMES
)
sounds = st.builds(Audio, data=DATA, format=st.just("wav"))
users = st.builds(
    Turn,
    role=st.just("user"),
    parts=st.lists(texts | images | documents | sounds, min_size=1, max_size=3).map(
        tuple
    ),
)
instructions = st.builds(Turn, role=st.just("system"), parts=st.tuples(texts))


@st.composite
def rounds(draw: st.DrawFn, number: int, *, custom: bool) -> list[Turn]:
    """Return what a user says, an answer, and the results of its calls."""
    parts: list[Part] = []
    if draw(st.booleans()):
        parts.append(Reasoning(text=draw(TEXTS)))
    parts.append(draw(texts))
    kinds = st.sampled_from(["function", "custom"] if custom else ["function"])
    calls = [
        ToolCall(
            id=f"call_{number}_{place}",
            name=draw(NAMES),
            arguments=draw(st.sampled_from(["{}", '{"a":1}'])),
            kind=draw(kinds),  # type: ignore[arg-type]  # hypothesis knows str only
        )
        for place in range(draw(st.integers(0, 3)))
    ]
    results = [
        ToolResult(call_id=call.id, content=(draw(texts),), kind=call.kind)
        for call in draw(st.permutations(calls))
    ]
    turns = [draw(users), Turn(role="assistant", parts=(*parts, *calls))]
    if results:
        turns.append(Turn(role="tool", parts=tuple(results)))
    if draw(st.booleans()):
        turns.append(draw(instructions))
    return turns


@st.composite
def requests(draw: st.DrawFn, *, own: bool) -> Request:
    """Return a request that Chat can say; `own` has what only Chat has, too."""
    turns: list[Turn] = []
    for number in range(draw(st.integers(0, 3))):
        turns += draw(rounds(number, custom=own))
    turns.append(draw(users))
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    tools: tuple[Tool, ...] = tuple(
        FunctionTool(
            name=name,
            description=draw(st.none() | TEXTS),
            schema=msgspec.Raw(b'{"type":"object"}'),
            strict=draw(st.sampled_from([None, True, False])),
        )
        for name in names
    )
    modes = [ToolChoice(mode="auto"), ToolChoice(mode="required")]
    modes += [ToolChoice(mode="named", name=name) for name in names]
    form = OutputFormat(
        kind="json_schema", name="n", schema=msgspec.Raw(b"{}"), strict=True
    )
    stream = draw(st.booleans())
    request = Request(
        dialect="openai-chat",
        model="m",
        turns=tuple(turns),
        stream=stream,
        wants_reasoning_state=False,
        system=draw(st.lists(texts, max_size=1).map(tuple)),
        tools=tools,
        tool_choice=draw(st.none() | st.sampled_from(modes)) if tools else None,
        parallel_tools=draw(st.sampled_from([None, True, False])) if tools else None,
        output_cap=draw(st.none() | st.integers(1, 99_999)),
        output_format=draw(st.sampled_from([None, form])),
        reasoning=draw(st.sampled_from([None, ReasoningAsk(effort="high")])),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.7, 1.0])),
        top_p=draw(st.none() | st.just(0.5)),
        stop=draw(st.lists(TEXTS, max_size=4).map(tuple)),
        user=draw(st.none() | NAMES),
    )
    return draw(with_own_fields(request)) if own else request


@st.composite
def with_own_fields(draw: st.DrawFn, request: Request) -> Request:
    """Return a request with what no other dialect could have said."""
    choice = request.tool_choice
    marked, limited = draw(st.booleans()), draw(st.booleans())
    if request.tools and limited:
        choice = ToolChoice(
            mode="allowed",
            names=tuple(tool.name for tool in request.tools if hasattr(tool, "name")),
            required=draw(st.booleans()),
        )
    custom = CustomTool(name="freely", format=msgspec.Raw(b'{"type":"text"}'))
    return msgspec.structs.replace(
        request,
        system=tuple(draw(st.lists(marked_texts, max_size=3))),
        turns=(*request.turns, Turn(role="user", parts=(draw(marked_texts),))),
        tools=(*request.tools, custom) if marked else request.tools,
        tool_choice=choice,
        verbosity=draw(st.none() | st.just("low")),
        metadata=draw(st.dictionaries(NAMES, TEXTS, max_size=2)),
        service_tier=draw(st.none() | st.just("flex")),
        prompt_cache_key=draw(st.none() | NAMES),
        store=draw(st.sampled_from([None, True, False])),
        extras=draw(st.dictionaries(st.sampled_from(["seed", "top_k"]), RAWS)),
    )


def _back(body: bytes) -> Request:
    """Return a rendered request in the canon, with the caller's own model."""
    request = OPENAI_CHAT.parse(OPENAI_CHAT.peek(body))
    return msgspec.structs.replace(request, model="m")


@given(requests(own=True))
def test_what_chat_says_comes_back(request: Request) -> None:
    """A request of this dialect is rendered with all that it said."""
    notes = Notes()

    body = OPENAI_CHAT.render(request, WILD, notes)

    assert _back(body) == request
    assert notes.all() == ()


@given(requests(own=False))
def test_what_others_say_and_chat_can_say_comes_back(request: Request) -> None:
    """What Chat can say is the same after the bridge, and nothing is noted."""
    notes = Notes()
    foreign = msgspec.structs.replace(request, dialect="anthropic-messages")

    body = OPENAI_CHAT.render(foreign, WILD, notes)

    assert _back(body) == request
    assert notes.all() == ()


def _answered(read: list[dict[str, Any]]) -> bool:
    """Say whether messages keep the order that strict providers demand."""
    waiting: Counter[str] = Counter()
    for message in read:
        if message["role"] == "tool":
            if not waiting[message["tool_call_id"]]:
                return False
            waiting[message["tool_call_id"]] -= 1
        elif any(waiting.values()):
            return False
        waiting.update(call["id"] for call in message.get("tool_calls", ()))
    return not any(waiting.values())


_jumbled = st.lists(
    st.one_of(
        users,
        instructions,
        st.builds(
            Turn,
            role=st.just("assistant"),
            parts=st.lists(
                texts
                | st.builds(
                    ToolCall,
                    id=st.sampled_from("abc"),
                    name=NAMES,
                    arguments=st.sampled_from(["", "{}"]),
                ),
                max_size=2,
                unique_by=str,
            ).map(tuple),
        ),
        st.builds(
            Turn,
            role=st.just("tool"),
            parts=st.lists(
                st.builds(
                    ToolResult,
                    call_id=st.sampled_from("abcd"),
                    content=st.lists(texts | images | documents, max_size=2).map(tuple),
                    is_error=st.sampled_from([None, True]),
                ),
                min_size=1,
                max_size=3,
            ).map(tuple),
        ),
    ),
    max_size=8,
)


@given(_jumbled)
def test_any_history_is_sent_in_the_demanded_order(turns: list[Turn]) -> None:
    """Calls are answered at once, and no text of any turn is lost."""
    request = Request(dialect="openai-responses", model="m", turns=tuple(turns))

    body = OPENAI_CHAT.render(request, OPENAI, Notes())

    sent = json.loads(body)["messages"]
    assert _answered(sent)
    assert all(message["content"] != [] for message in sent)
    said = json.dumps(sent)
    for turn in turns:
        for part in turn.parts:
            held = part.content if isinstance(part, ToolResult) else (part,)
            for each in held:
                if isinstance(each, Text):
                    assert json.dumps(each.text)[1:-1] in said
                elif isinstance(each, Image | Document) and each.data:
                    assert each.data in said


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "a", "text"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "text", "id", "function", "name", "content"]),
            inner,
        )
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "messages", "tools", "tool_choice", "stop", "stop_sequences",
                "response_format", "reasoning", "max_tokens", "functions", "metadata",
                "web_search_options", "function_call", "temperature", "n",
            ]
        ),
        _values,
    ),
    st.lists(
        st.dictionaries(
            st.sampled_from(["content", "tool_calls", "tool_call_id", "refusal"]),
            _values,
        ),
        max_size=3,
    ),
    st.sampled_from(["system", "user", "assistant", "tool", "function", "odd"]),
)  # fmt: skip
def test_nonsense_is_refused_by_name(
    members: dict[str, Any], said: list[dict[str, Any]], role: str
) -> None:
    """Whatever a caller sends is read, or refused with the path of a field."""
    if said:
        members["messages"] = [{"role": role, **message} for message in said]
    peek = OPENAI_CHAT.peek(json.dumps(members).encode())

    field: object = "none"
    try:
        OPENAI_CHAT.parse(peek)
    except InvalidRequest as refused:
        field = refused.details.get("field")

    assert isinstance(field, str)


# --- answers -------------------------------------------------------------------------

COUNTS = st.none() | st.integers(0, 1_000)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Return the events of a complete answer: thoughts, text, a refusal, then calls."""
    events: list[Event] = [Started("x", "real")]
    index = 0
    for kind in ("reasoning", "text", "refusal"):
        if draw(st.booleans()):
            events.append(Opened(index, kind))
            deltas = draw(st.lists(TEXTS, min_size=1, max_size=4))
            events += [Delta(index, text) for text in deltas]
            events.append(Closed(index))
            index += 1
    calls = list(range(index, index + draw(st.integers(0, 3))))
    for call in calls:
        custom = draw(st.booleans())
        kind = "custom" if custom else "function"
        events.append(
            Opened(call, "tool_call", f"c{call}", draw(NAMES), None, kind)  # type: ignore[arg-type]  # a literal
        )
    order = draw(st.lists(st.sampled_from(calls), max_size=6)) if calls else []
    events += [Delta(call, draw(TEXTS)) for call in [*calls, *order]]
    events += [Closed(call) for call in calls]
    usage = Usage(
        input_tokens=draw(COUNTS),
        cached_input_tokens=draw(COUNTS),
        cache_write_5m_tokens=draw(COUNTS),
        output_tokens=draw(COUNTS),
        reasoning_tokens=draw(COUNTS),
    )
    if usage != Usage() and draw(st.booleans()):
        events.append(UsageSeen(usage))
    reasons: list[FinishReason] = ["tool_calls"] if calls else ["stop"]
    reasons += ["length", "content_filter"]
    return [*events, Finished(draw(st.sampled_from(reasons)))]


def _answering() -> Answering:
    request = Request(dialect="openai-chat", model="m", turns=())
    return Answering(
        request=request, id="0" * 32, created_s=7, model="m", label="t", notes=Notes()
    )


def _encoded(events: Sequence[Event]) -> bytes:
    encoder = OPENAI_CHAT.encoder(_answering())
    last = events[-1]
    assert isinstance(last, Finished)
    return encoder.encode(events[:-1]) + encoder.finish(last)


def _told(events: Sequence[Event]) -> tuple[object, ...]:
    """Return what events tell, however it is cut: parts, usage, and the end."""
    parts: dict[int, list[object]] = {}
    usage: Usage | None = None
    end: Event | None = None
    for event in events:
        match event:
            case Opened():
                parts[event.index] = [
                    event.kind, event.call_id, event.name, event.call_kind, "",
                ]  # fmt: skip
            case Delta():
                parts[event.index][-1] = f"{parts[event.index][-1]}{event.text}"
            case UsageSeen():
                usage = event.usage
            case Finished() | Failed():
                end = event
            case _:
                pass
    return (list(parts.values()), usage, end)


def _decoded(data: bytes, places: Sequence[int] = ()) -> list[Event]:
    decoder = OPENAI_CHAT.decoder()
    events: list[Event] = []
    for start, end in pairwise([0, *places, len(data)]):
        events += decoder.feed(data[start:end])
    return [*events, *decoder.end()]


def _joined(events: Iterable[Event]) -> list[Event]:
    """Join deltas in a row: how many came together is not told by what they say."""
    joined: list[Event] = []
    for event in events:
        match joined[-1:], event:
            case [Delta(before, text)], Delta(index, more) if index == before:
                joined[-1] = Delta(index, text + more)
            case _:
                joined.append(event)
    return joined


@given(answers())
def test_whatever_is_written_keeps_the_grammar(events: list[Event]) -> None:
    """A strict reader takes every stream for complete, and reads all of it."""
    read = read_stream(_encoded(events), include_usage=True)

    assert read.complete
    deltas = sum(len(event.text) for event in events if isinstance(event, Delta))
    said = sum(map(len, read.texts.values()))
    assert said + sum(len(call["given"]) for call in read.calls) == deltas


@given(answers())
def test_streamed_and_plain_answers_agree(events: list[Event]) -> None:
    """What is written as a stream and what is written at once tell the same."""
    plain = OPENAI_CHAT.write_answer(events, _answering())

    assert _told(OPENAI_CHAT.read_answer(plain)) == _told(_decoded(_encoded(events)))


@given(answers())
def test_what_goes_in_comes_out(events: list[Event]) -> None:
    """A stream that was written and read again tells what it told."""
    assert _told(_decoded(_encoded(events))) == _told(events)


@given(answers(), st.data(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_cuts_do_not_matter(
    events: list[Event], data: st.DataObject, end: bytes
) -> None:
    """However the bytes are cut, the same is told in the same order."""
    stream = b": ping\n\n" + _encoded(events)
    stream = stream.replace(b"\n\n", end + end)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))

    assert _joined(_decoded(stream, places)) == _joined(_decoded(stream))


@given(answers(), st.data())
def test_a_stream_that_was_cut_has_no_end(
    events: list[Event], data: st.DataObject
) -> None:
    """Only the reason or `[DONE]` makes an answer complete, wherever it is cut."""
    stream = _encoded(events)
    complete = stream.index(b'"finish_reason":"')
    cut = data.draw(st.integers(0, stream.index(b"}\n\n", complete)))

    told = _decoded(stream[:cut])

    assert not [event for event in told if isinstance(event, Finished | Failed)]
    again = OPENAI_CHAT.encoder(_answering()).encode(told)
    assert not read_stream(again, include_usage=True).complete


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4).map(sorted))
def test_noise_is_no_answer(noise: bytes, places: list[int]) -> None:
    """Bytes that are no stream tell nothing, and break nothing but themselves."""
    try:
        events = _decoded(noise, [place for place in places if place <= len(noise)])
    except NotAStream:
        events = []

    assert not [event for event in events if isinstance(event, Delta)]


_odd = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "a", "stop"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["text", "name", "arguments"]), inner)
    ),
    max_leaves=4,
)


def _sometimes_odd(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(usual, usual, usual, _odd)


def _members(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with some of these members, each of an odd type at times."""
    optional = {name: _sometimes_odd(usual) for name, usual in fields.items()}
    return st.fixed_dictionaries({}, optional=optional)


_words = st.sampled_from(["", "a", "b"])
_pieces = _members(
    index=st.integers(0, 2),
    id=_words,
    function=_members(name=_words, arguments=_words),
    custom=_members(name=_words, input=_words),
)
_saids = _members(
    role=st.just("assistant"),
    content=_words | st.lists(_members(type=_words, text=_words, thinking=_words)),
    reasoning_content=_words,
    reasoning_details=st.lists(_members(text=_words), max_size=2),
    refusal=_words,
    tool_calls=st.lists(_pieces, max_size=3),
    function_call=_members(name=_words, arguments=_words),
    annotations=st.lists(_words, max_size=2),
    images=st.lists(_words, max_size=1),
)
_chunks = _members(
    id=_words,
    model=_words,
    choices=st.lists(
        _members(
            index=st.integers(0, 1),
            delta=_saids,
            finish_reason=st.sampled_from([None, "stop", "tool_calls", "error"]),
            usage=_members(prompt_tokens=st.integers(0, 9)),
        ),
        max_size=2,
    ),
    usage=_members(prompt_tokens=st.integers(-1, 9), completion_tokens=COUNTS),
    error=st.none() | _members(message=_words),
)


def _keep_the_order(events: Sequence[Event]) -> None:
    """Fail unless events come in the order that the canon promises."""
    opened: dict[int, str] = {}
    closed: set[int] = set()
    for place, event in enumerate(events):
        assert isinstance(event, Started) == (place == 0)
        assert not isinstance(event, Finished | Failed) or place == len(events) - 1
        match event:
            case Opened():
                assert event.index == len(opened)
                running = opened.keys() - closed
                assert all(opened[index] == "tool_call" for index in running)
                assert event.kind == "tool_call" or not running
                opened[event.index] = event.kind
            case Delta() | Closed():
                assert event.index in opened.keys() - closed
                if isinstance(event, Closed):
                    closed.add(event.index)
            case Finished():
                assert closed == opened.keys()
            case _:
                pass


@given(st.lists(_chunks, min_size=1, max_size=6))
def test_any_chunks_are_told_in_order(chunks: list[dict[str, Any]]) -> None:
    """Whatever a provider writes in whatever type, events keep their order.

    And the caller's stream keeps its grammar.
    """
    hello = {"id": "i", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    data = b"".join(
        f"data: {json.dumps(each)}\n\n".encode() for each in (hello, *chunks)
    )

    told = _decoded(data + b"data: [DONE]\n\n")

    _keep_the_order(told)
    encoder = OPENAI_CHAT.encoder(_answering())
    stream = encoder.encode(told[:-1])
    if isinstance(told[-1], Finished):
        stream += encoder.finish(told[-1])
    complete = read_stream(stream, include_usage=True).complete
    assert complete == isinstance(told[-1], Finished)
