"""Laws that hold for each client dialect over each provider dialect."""

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.events import Event, Finished
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import Answering, Dialect, NotAStream, Serving
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.translation import Asked, Translation, Translator
from tests.support.canon import answers, told

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
    body = json.dumps({**BODIES[client], "stream": stream}).encode()
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
