"""Laws that hold for each client dialect over each provider dialect."""

import json
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.errors import UpstreamFailed
from smart_llmrouter.core.events import (
    Closed,
    Delta,
    Event,
    Finished,
    Opened,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Note, Notes
from smart_llmrouter.core.request import DialectName, FunctionTool, Request
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Answering, Dialect, NotAStream, Serving
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.translation import Asked, Translation, Translator
from tests.support import (
    grammar_anthropic_messages,
    grammar_openai_chat,
    grammar_openai_responses,
)
from tests.support.canon import answers, told
from tests.support.conversations import CONVERSATIONS
from tools.translation_page import PROBES, outcome

ID: Final = "0" * 32
PAIRS: Final = [
    (client, provider)
    for client in DIALECTS
    for provider in DIALECTS
    if client != provider
]
BODIES: Final[dict[DialectName, dict[str, object]]] = {
    "openai-chat": {
        "model": "chat",
        "messages": [{"role": "user", "content": "hi"}],
        "stream_options": {"include_usage": True},
    },
    "openai-responses": {"model": "chat", "input": "hi"},
    "anthropic-messages": {
        "model": "chat",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
    },
}

pairs = pytest.mark.parametrize(("client", "provider"), PAIRS)


def translation(
    client: DialectName, provider: DialectName, *, stream: bool
) -> Translation:
    """Return the translation of a simple request."""
    return translated(client, provider, {**BODIES[client], "stream": stream})


def translated(
    client: DialectName, provider: DialectName, members: Mapping[str, object]
) -> Translation:
    """Return the translation of a request."""
    body = json.dumps(members).encode()
    dialect = DIALECTS[client]
    asked = Asked(dialect, dialect.peek(body), GROUP)
    serving = Serving(label="acme/mini", model="mini", output_cap=8192)
    return Translation(asked, DIALECTS[provider], serving, request_id=f"req_{ID}")


GROUP: Final = Group(
    name="chat",
    aliases=(),
    strategy="failover",
    targets=(),
    max_attempts=3,
    first_event_timeout_s=1.0,
)


def answering(dialect: Dialect, *, stream: bool) -> Answering:
    """Return what a provider of this dialect writes its answer for."""
    body = json.dumps({**BODIES[dialect.name], "stream": stream}).encode()
    return Answering(
        request=dialect.parse(dialect.peek(body)),
        id=ID,
        created_s=0,
        model="mini",
        label="acme/mini",
        notes=Notes(),
    )


def streamed(dialect: Dialect, events: list[Event]) -> bytes:
    """Return the stream in which a provider of this dialect says `events`."""
    encoder = dialect.encoder(answering(dialect, stream=True))
    last = events[-1]
    assert isinstance(last, Finished)
    return encoder.encode(events[:-1]) + encoder.finish(last)


def fed(meter: Translator, stream: bytes, cuts: list[int]) -> bytes:
    """Feed a stream cut at `cuts`; return all that the caller is sent."""
    sent, begin = b"", 0
    for end in (*sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)):
        if stream[begin:end]:
            sent += meter.feed(stream[begin:end])
        begin = end
    return sent + meter.end()


@pairs
@given(events=answers(), cuts=st.lists(st.integers(0, 100_000), max_size=5))
def test_a_stream_says_the_same_in_every_dialect(
    client: DialectName, provider: DialectName, events: list[Event], cuts: list[int]
) -> None:
    """Text, reasoning, calls, reason and usage survive, however the bytes are cut."""
    stream = streamed(DIALECTS[provider], events)
    meter = translation(client, provider, stream=True).meter()

    sent = fed(meter, stream, cuts) + meter.ending

    assert meter.done
    reader = DIALECTS[client].decoder()
    heard = [*reader.feed(sent), *reader.end()]
    assert told(heard) == told(events)


@pairs
@given(events=answers())
def test_a_plain_answer_says_the_same_in_every_dialect(
    client: DialectName, provider: DialectName, events: list[Event]
) -> None:
    """A plain answer tells what a stream of the same answer tells."""
    written = DIALECTS[provider].write_answer(
        events, answering(DIALECTS[provider], stream=False)
    )

    body, usage = translation(client, provider, stream=False).answer(written)

    heard = told(list(DIALECTS[client].read_answer(body)))
    assert heard == told(events)
    assert usage.output_tokens == heard.output_tokens


@pairs
@given(events=answers(), cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_stream_never_looks_complete(
    client: DialectName, provider: DialectName, events: list[Event], cut: float
) -> None:
    """A reader of the client's dialect does not take half an answer for a whole one."""
    stream = streamed(DIALECTS[provider], events)
    meter = translation(client, provider, stream=True).meter()

    try:
        sent = fed(meter, stream[: int(len(stream) * cut)], [])
    except NotAStream:
        return

    if meter.done:
        # All that is missing comes behind the end of the answer.
        sent += meter.ending
    reader = DIALECTS[client].decoder()
    heard = [*reader.feed(sent), *reader.end()]
    assert any(isinstance(event, Finished) for event in heard) == meter.done
    if meter.done:
        assert told(heard).parts == told(events).parts


def _whole_chat(stream: bytes) -> object:
    read = grammar_openai_chat.read_stream(stream, include_usage=True)
    assert read.complete
    calls = [(call["id"], call["name"], call["given"]) for call in read.calls]
    texts = {name: text for name, text in read.texts.items() if text}
    return texts, calls, read.finish_reason, read.usage


def _plain_chat(answer: Any) -> object:  # noqa: ANN401 - any JSON
    (choice,) = answer["choices"]
    message = choice["message"]
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", ())
    ]
    names = ("content", "reasoning_content")
    texts = {name: message[name] for name in names if message.get(name)}
    return texts, calls, choice["finish_reason"], answer["usage"]


def _said_by_messages(message: Any) -> object:  # noqa: ANN401 - any JSON
    return {
        name: message[name]
        for name in ("content", "stop_reason", "stop_sequence", "usage")
    }


READERS: Final[
    Mapping[DialectName, tuple[Callable[[bytes], object], Callable[[Any], object]]]
] = {
    "openai-chat": (_whole_chat, _plain_chat),
    "openai-responses": (
        lambda stream: grammar_openai_responses.read(stream).response,
        lambda answer: answer,
    ),
    "anthropic-messages": (
        lambda stream: _said_by_messages(
            grammar_anthropic_messages.read_whole_stream(stream)
        ),
        _said_by_messages,
    ),
}
"""How a strict client reads a whole stream, and how it reads a plain answer."""


@pairs
@given(events=answers())
def test_a_stream_keeps_the_grammar_and_folds_into_the_plain_answer(
    client: DialectName, provider: DialectName, events: list[Event]
) -> None:
    """Whatever a provider says, a strict client reads it, and the same either way."""
    read_stream, read_plain = READERS[client]
    dialect = DIALECTS[provider]
    meter = translation(client, provider, stream=True).meter()
    written = dialect.write_answer(events, answering(dialect, stream=False))

    sent = fed(meter, streamed(dialect, events), []) + meter.ending
    plain, _ = translation(client, provider, stream=False).answer(written)

    assert read_stream(sent) == read_plain(json.loads(plain))


LONG: Final[list[Event]] = [
    Started("upstream-id", "mini"),
    Opened(0, "reasoning"),
    Delta(0, "Hm, ö"),
    Closed(0),
    Opened(1, "text"),
    Delta(1, "I look: "),
    Delta(1, "\U0001f44b"),
    Closed(1),
    Opened(2, "tool_call", call_id="call_1", name="weather"),
    Delta(2, '{"city":'),
    Delta(2, '"Oslo"}'),
    Closed(2),
    Opened(3, "tool_call", call_id="call_2", name="now"),
    Delta(3, "{}"),
    Closed(3),
    UsageSeen(Usage(input_tokens=12, cached_input_tokens=4, output_tokens=31)),
    Finished("tool_calls"),
]


@lru_cache(maxsize=64)
def seems_complete(client: DialectName, stream: bytes) -> bool:
    """Say whether a strict client takes a stream for a whole answer."""
    if stream.endswith(ERROR_EVENTS[client]):
        stream = stream.removesuffix(ERROR_EVENTS[client])
    try:
        READERS[client][0](stream)
    except (AssertionError, KeyError, ValueError):
        return False
    return True


ERROR: Final = UpstreamFailed("the provider broke the stream off")
ERROR_EVENTS: Final = {
    name: dialect.encode_error_event(ERROR, request_id=f"req_{ID}")
    for name, dialect in DIALECTS.items()
}


@pairs
def test_no_cut_at_any_byte_seems_complete(
    client: DialectName, provider: DialectName
) -> None:
    """Every beginning of a stream is a failure to a strict client, and told as one."""
    stream = streamed(DIALECTS[provider], LONG)
    translating = translation(client, provider, stream=True)
    wrong: list[int] = []

    for end in range(1, len(stream)):
        meter = translating.meter()
        sent = meter.feed(stream[:end]) + meter.end()
        behind = meter.ending if meter.done else ERROR_EVENTS[client]
        if seems_complete(client, sent) or (
            seems_complete(client, sent + behind) != meter.done
        ):
            wrong.append(end)

    assert wrong == []


TRIPLES: Final = [
    (client, between, provider)
    for client, between in PAIRS
    for provider in DIALECTS
    if provider != between
]


@pytest.mark.parametrize(("client", "between", "provider"), TRIPLES)
@given(events=answers())
def test_a_router_behind_a_router_says_the_same(
    client: DialectName,
    between: DialectName,
    provider: DialectName,
    events: list[Event],
) -> None:
    """What went through two translations tells what the provider told."""
    stream = streamed(DIALECTS[provider], events)
    inner = translation(between, provider, stream=True).meter()
    outer = translation(client, between, stream=True).meter()

    halfway = fed(inner, stream, []) + inner.ending
    sent = fed(outer, halfway, []) + outer.ending

    reader = DIALECTS[client].decoder()
    heard = [*reader.feed(sent), *reader.end()]
    assert told(heard) == told(events)
    assert outer.usage.output_tokens == inner.usage.output_tokens


def asked_of(name: DialectName, body: bytes) -> object:
    """Return what a request asks for, in no dialect's own words."""
    dialect = DIALECTS[name]
    request: Request = dialect.parse(dialect.peek(body))
    return (
        [part.text for part in request.system],
        [(turn.role, *map(_told_part, turn.parts)) for turn in request.turns],
        [
            (tool.name, json.loads(bytes(tool.schema or b"")))
            for tool in request.tools
            if isinstance(tool, FunctionTool)
        ],
        request.tool_choice,
        request.output_cap,
        request.temperature,
    )


def _told_part(part: Any) -> object:  # noqa: ANN401 - parts of all kinds
    if hasattr(part, "arguments"):
        return part.id, part.name, json.loads(part.arguments)
    if hasattr(part, "call_id"):
        return part.call_id, [inner.text for inner in part.content]
    return getattr(part, "text", None) or part.data


@pytest.mark.parametrize(("client", "between", "provider"), TRIPLES)
def test_a_request_through_two_routers_asks_for_the_same(
    client: DialectName, between: DialectName, provider: DialectName
) -> None:
    """What any dialect can say arrives whole, by whatever way, without a note."""
    members = CONVERSATIONS[client]

    outer = translated(client, between, members)
    inner = translated(between, provider, json.loads(outer.take_body()))
    arrived = inner.take_body()

    assert asked_of(provider, arrived) == asked_of(client, json.dumps(members).encode())
    assert [*outer.noted(), *inner.noted()] == []


@cache
def independent(client: DialectName, provider: DialectName) -> list[str]:
    """Return the probes of single fields that another dialect takes or drops."""
    return [
        probe.name
        for probe in PROBES[client][1]
        if len(probe.members) == 1
        and not probe.without
        and not {*probe.members} & {"messages", "input", "tools", *_INTERACTING}
        and outcome(probe, client, provider).fate != "refused"
    ]


_INTERACTING: Final = frozenset(
    {
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "functions"),
        *("temperature", "top_p", "thinking", "reasoning", "reasoning_effort"),
        *("output_config", "response_format", "text", "system"),
    }
)


@pairs
@given(data=st.data())
def test_notes_add_up(
    client: DialectName, provider: DialectName, data: st.DataObject
) -> None:
    """A request with many fields has the notes of each of them, and no other."""
    names = data.draw(
        st.sets(st.sampled_from(independent(client, provider)), min_size=1)
    )
    base, probes = PROBES[client]
    chosen = [probe.members for probe in probes if probe.name in names]

    together = {name: value for each in chosen for name, value in each.items()}
    noted = translated(client, provider, {**base, **together}).noted()

    each: set[Note] = set(translated(client, provider, base).noted())
    for members in chosen:
        each |= set(translated(client, provider, {**base, **members}).noted())
    assert set(noted) == each
