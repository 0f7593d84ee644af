"""The translate lane: what follows a stream, and which losses a group allows."""

from collections.abc import Iterable

import msgspec
import pytest

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.events import (
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    Opened,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.request import CustomTool
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import NotBridged, Serving
from smart_llmrouter.dialects.lowering import Raising
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.dialects.tool_names import ToolNames
from smart_llmrouter.engine.translation import Asked, Translation, Translator


class Told:
    """A decoder that tells what it is given, one list a chunk."""

    def __init__(self, *told: list[Event]) -> None:
        """Tell these, in turn."""
        self._told = list(told)

    def feed(self, chunk: bytes) -> list[Event]:  # noqa: ARG002 - told in advance
        """Return the next list, whatever the chunk."""
        return self._told.pop(0)

    def end(self) -> list[Event]:
        """Return the next list, if there is one."""
        return self._told.pop(0) if self._told else []


class Heard:
    """An encoder that keeps what it is given."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.events: list[Event] = []

    def encode(self, events: Iterable[Event]) -> bytes:
        """Keep events, and say how many."""
        came = list(events)
        self.events += came
        return b"%d " % len(came)

    def finish(self, finished: Finished) -> bytes:
        """Say why it ended."""
        return finished.reason.encode()


def test_deltas_that_came_together_are_joined() -> None:
    """Neighbouring pieces of one part are one piece; nothing else changes places."""
    usage = Usage(input_tokens=1)
    told: list[Event] = [
        Started("id", "m"),
        Opened(0, "text"),
        Delta(0, "a"),
        Delta(0, "b"),
        Closed(0),
        Opened(1, "tool_call"),
        Opened(2, "tool_call"),
        Delta(1, "c"),
        Delta(2, "d"),
        Delta(2, "e"),
        UsageSeen(usage),
        Finished("stop"),
    ]
    heard = Heard()
    translator = Translator(Told(told), Raising(ToolNames(())), heard)

    translator.feed(b"x")

    assert heard.events == [
        Started("id", "m"),
        Opened(0, "text"),
        Delta(0, "ab"),
        Closed(0),
        Opened(1, "tool_call"),
        Opened(2, "tool_call"),
        Delta(1, "c"),
        Delta(2, "de"),
        UsageSeen(usage),
    ]
    assert (translator.done, translator.ending) == (True, b"stop")
    assert translator.usage == usage


def test_a_stream_is_meaningful_with_its_first_part() -> None:
    """That a provider has begun says nothing yet."""
    translator = Translator(
        Told([Started()], [UsageSeen(UNKNOWN_USAGE)], [Opened(0, "text")]),
        Raising(ToolNames(())),
        Heard(),
    )

    said = [(translator.feed(b"x"), translator.meaningful) for _ in range(3)]

    assert said == [(b"1 ", False), (b"1 ", False), (b"1 ", True)]


def test_a_failure_is_kept_for_whoever_asks_next() -> None:
    """What the provider says of its failure is no event for the caller."""
    translator = Translator(
        Told([Delta(0, "a"), Failed(msgspec.Raw(b'{"code":1}'))]),
        Raising(ToolNames(())),
        Heard(),
    )

    block = translator.feed(b"x")

    assert (block, translator.error, translator.done) == (b"1 ", b'{"code":1}', False)
    assert translator.feed(b"more") == b""
    assert translator.end() == b""


def test_a_custom_tools_input_comes_back_raw() -> None:
    """The function that stood for it is undone, its JSON whole or in pieces."""
    names = ToolNames([CustomTool(name="patch", namespace="code")])
    heard = Heard()
    translator = Translator(
        Told(
            [Opened(0, "tool_call", call_id="c", name=names.flat("patch", "code"))],
            [Delta(0, '{"input":"a\\'), Delta(0, 'n"}')],
            [Closed(0), Finished("tool_calls")],
        ),
        Raising(names),
        heard,
    )

    for _ in range(3):
        translator.feed(b"x")

    opened = Opened(
        0, "tool_call", call_id="c", name="patch", namespace="code", call_kind="custom"
    )
    assert heard.events == [opened, Delta(0, "a\n"), Closed(0)]


@pytest.mark.parametrize(
    ("bridges", "missing"),
    [("best-effort", ()), ("lossless", ("not-lossless:top_k",))],
)
def test_a_group_says_whether_hints_may_be_dropped(
    bridges: str, missing: tuple[str, ...]
) -> None:
    """`lossless` passes a target over to which not everything can be said."""
    body = (
        b'{"model":"g","max_tokens":9,"top_k":3,'
        b'"messages":[{"role":"user","content":"hi"}]}'
    )
    client, provider = DIALECTS["anthropic-messages"], DIALECTS["openai-chat"]
    group = Group(
        name="g",
        aliases=(),
        strategy="failover",
        targets=(),
        max_attempts=3,
        first_event_timeout_s=1,
        bridges="lossless" if bridges == "lossless" else "best-effort",
    )
    asked = Asked(client, client.peek(body), group)

    lacking: tuple[str, ...] = ()
    try:
        Translation(
            asked, provider, Serving(label="a/b", model="m"), request_id="req_0"
        )
    except NotBridged as error:
        lacking = error.missing

    assert lacking == missing
