"""The relay is the identity: over real sockets, values and answers pass untouched."""

import http.client
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_llmrouter.mockprovider.script import Raw, Step
from smart_llmrouter.wire.jsonobject import parse_members
from tests.support.gateway import configuration, provider, token
from tests.support.json_text import members, values, written
from tests.support.mock import Mock, running_mock
from tests.support.router import Router, on_its_own_loop, serving
from tests.support.wait import PATIENCE_S

# What the router reads, and what the mock provider does.
READ = frozenset({"model", "stream", "stream_options", "messages"}) | frozenset(
    {"temperature", "seed", "metadata", "reasoning_effort", "n", "stop", "tools"}
)
HI = '[{"role": "user", "content": "hi"}]'
FEWER = settings(max_examples=(settings.default or settings()).max_examples // 3)
ANSWERED = frozenset({"choices", "usage", "error"})
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
PLAIN_ANSWER = Step(raw=Raw(headers=JSON, body='{"choices": [ ]}'))


@dataclass(frozen=True)
class Relay:
    """A router, its provider, and one connection to it."""

    mock: Mock
    connection: http.client.HTTPConnection

    def post(self, body: bytes, step: Step) -> bytes:
        """Let the provider answer one request with `step`; return the answer's body."""
        self.mock.server.provider.script.clear()
        self.mock.will(step)
        self.connection.request(
            "POST",
            "/v1/chat/completions",
            body,
            {"Authorization": f"Bearer {token()}", "Content-Type": "application/json"},
        )
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == http.client.OK, content
        return content

    @property
    def received(self) -> bytes:
        """Return the body of the latest request that reached the provider."""
        return self.mock.received[-1].raw_body


@asynccontextmanager
async def both(directory: Path) -> AsyncGenerator[tuple[Mock, Router]]:
    """Run a provider and a router on one loop."""
    async with running_mock() as mock:
        router_settings = configuration({"acme": provider(mock.base_url)})
        async with serving(directory, router_settings) as router:
            yield mock, router


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """Return one relay for all examples of this module."""
    with on_its_own_loop(both(tmp_path_factory.mktemp("relay"))) as (mock, router):
        connection = http.client.HTTPConnection(
            "127.0.0.1", router.port, timeout=PATIENCE_S
        )
        yield Relay(mock, connection)
        connection.close()


@FEWER
@given(st.data())
def test_a_request_reaches_the_provider_as_it_was_written(
    relay: Relay, data: st.DataObject
) -> None:
    """Vendor fields, number spellings, escapes and key order: all but `model` stays."""
    pieces = {
        "model": '"chat"',
        "messages": HI,
        **data.draw(members(without=READ)),
    }
    shuffled = dict(data.draw(st.permutations(list(pieces.items()))))
    body = data.draw(written(shuffled))

    relay.post(body, PLAIN_ANSWER)

    sent = parse_members(relay.received)
    expected = {**shuffled, "model": '"mock-mini"'}
    assert {name: bytes(raw).decode() for name, raw in sent.items()} == expected
    assert list(sent) == list(expected)


@FEWER
@given(st.data())
def test_a_streamed_request_is_asked_for_usage_and_otherwise_unchanged(
    relay: Relay, data: st.DataObject
) -> None:
    """`stream_options` get `include_usage`; what the caller put there stays."""
    options = data.draw(members(without=frozenset({"include_usage"})))
    pieces = {
        **data.draw(members(without=READ)),
        "model": '"chat"',
        "stream": "true",
        "stream_options": data.draw(written(options)).decode().strip(" \t\r\n"),
        "messages": HI,
    }
    chunk = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'

    relay.post(data.draw(written(pieces)), Step(raw=Raw(headers=EVENTS, body=chunk)))

    sent = parse_members(relay.received)
    asked = parse_members(bytes(sent.pop("stream_options")))
    assert bytes(asked.pop("include_usage")) == b"true"
    assert {name: bytes(raw).decode() for name, raw in asked.items()} == options
    assert {name: bytes(raw).decode() for name, raw in sent.items()} == {
        name: value for name, value in pieces.items() if name != "stream_options"
    } | {"model": '"mock-mini"'}


@FEWER
@given(st.data())
def test_a_plain_answer_reaches_the_caller_as_it_was_written(
    relay: Relay, data: st.DataObject
) -> None:
    """Not a byte of an answer is changed, down to its whitespace."""
    pieces = {"choices": "[ ]", **data.draw(members(without=ANSWERED))}
    answer = data.draw(written(pieces))
    step = Step(raw=Raw(headers=JSON, body=answer.decode()))

    assert relay.post(f'{{"model":"chat","messages":{HI}}}'.encode(), step) == answer


@FEWER
@given(st.data())
def test_a_stream_reaches_the_caller_as_it_was_written(
    relay: Relay, data: st.DataObject
) -> None:
    """Events keep their bytes in every cut; only the unasked usage chunk is missing."""
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    texts = data.draw(st.lists(st.text(max_size=6), min_size=1, max_size=5))
    said = [
        f'data: {{"choices" : [{{"delta":{{"content":{json.dumps("a" + text)}}}}}], '
        f'"x": {data.draw(values()).translate({10: " ", 13: " "})}}}{end}{end}'
        for text in texts
    ]
    usage = f'data: {{"choices":[],"usage":{{"prompt_tokens":1}}}}{end}{end}'
    done = f"data: [DONE]{end}{end}"
    whole = "".join([*said, usage, done])
    places = sorted(data.draw(st.lists(st.integers(1, len(whole) - 1), max_size=6)))
    bounds = sorted({0, *places, len(whole)})
    chunks = tuple(whole[first:last] for first, last in pairwise(bounds))

    heard = relay.post(
        f'{{"model":"chat","messages":{HI},"stream":true}}'.encode(),
        Step(raw=Raw(headers=EVENTS, chunks=chunks)),
    )

    assert heard.decode() == "".join([*said, done])
