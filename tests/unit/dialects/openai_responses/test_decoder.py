"""Reading what providers really send: in pieces, whole, or both, and out of order."""

import json
from typing import Any

import pytest
from msgspec import Raw

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    OpaqueFrame,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import NotAnAnswer, NotAStream
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.support.openai_responses import (
    answer,
    completed,
    decoded,
    ended,
    joined,
    sse,
)

BEGUN = {"type": "response.created", "response": answer(status="in_progress")}
STARTED = Started("resp_1", "gpt-5.5-2026")
USED = UsageSeen(
    Usage(
        input_tokens=12,
        cached_input_tokens=4,
        cache_write_5m_tokens=2,
        output_tokens=7,
        reasoning_tokens=3,
    )
)


def item_done(item: dict[str, Any], place: int | None = 0) -> dict[str, Any]:
    """Return the event that an item is complete."""
    event = {"type": "response.output_item.done", "item": item}
    return event if place is None else event | {"output_index": place}


def piece(kind: str, **fields: object) -> dict[str, Any]:
    """Return an event about the first part of the first item."""
    return {
        "type": f"response.{kind}",
        "output_index": 0,
        "content_index": 0,
    } | fields


def message(text: str, **fields: object) -> dict[str, Any]:
    """Return a message."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "content": content} | fields


def call(arguments: object, **fields: object) -> dict[str, Any]:
    """Return the call of a function."""
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "f",
        "arguments": arguments,
    } | fields


def told(*events: dict[str, Any]) -> list[Event]:
    """Return what these events and a last one tell between beginning and usage."""
    stream = sse(BEGUN, *events, completed())
    first, *between, usage, last = joined(decoded(stream))
    assert (first, usage) == (STARTED, USED)
    assert isinstance(last, Finished)
    return between


HELLO = [Opened(0, "text"), Delta(0, "hello"), Closed(0)]
CALLED = [Opened(0, "tool_call", "c1", "f"), Delta(0, '{"a":1}'), Closed(0)]


@pytest.mark.parametrize(
    "events",
    [
        [
            {"type": "response.output_item.added", "output_index": 0, "item": {}},
            piece("output_text.delta", delta="hel"),
            piece("output_text.delta", delta="lo"),
            piece("output_text.delta", delta=""),
            piece("output_text.done", text="hello"),
            item_done(message("hello")),
        ],
        [
            piece("output_text.delta", delta="hel"),
            piece("output_text.done", text="hello"),
        ],
        [piece("output_text.delta", delta="hel"), item_done(message("hello"))],
        [piece("output_text.done", text="hello")],
        [item_done(message("hello"))],
        [item_done(message("hello"), None)],
        [{"type": "response.output_text.delta", "delta": "hello"}],
    ],
    ids=["all", "part", "cut", "whole", "item", "placeless", "bare"],
)
def test_a_text_is_told_once(events: list[dict[str, Any]]) -> None:
    """However often and in which pieces a provider tells it."""
    assert told(*events) == HELLO


def test_items_only_in_the_last_event() -> None:
    """Some providers send nothing else."""
    item = message("hello", id="msg_1")

    assert joined(decoded(sse(completed(item)))) == [
        STARTED,
        *HELLO,
        USED,
        Finished("stop"),
    ]
    assert decoded(sse(item_done(item, 0), completed(item)))[1:4] == HELLO
    assert decoded(sse(item_done(item, 5), completed(item)))[1:4] == HELLO


def test_a_text_goes_on_in_another_item_at_the_same_place() -> None:
    """What was told of the one says nothing of the other."""
    other = call("{}", id="fc_2")
    assert [
        event.text
        for event in told(
            piece("output_item.added", item=call("")),
            piece("output_item.added", item=call("")),
            piece("output_text.delta", delta="a"),
            item_done(message("a", id="msg_1")),
            piece("output_text.delta", delta="b"),
            item_done(message("b", id="msg_2")),
            item_done(other),
        )
        if isinstance(event, Delta)
    ] == ["a", "b", "{}"]


def test_items_that_all_have_the_same_place() -> None:
    """Their ids tell them apart, and without places their order does."""
    items = [message("a", id="msg_1"), message("b", id="msg_2"), call("{}")]
    same = [item_done(item, 0) for item in items]
    none = [item_done(item, None) for item in items]

    for events in (same, none, [*same, *same]):
        texts = [e.text for e in decoded(sse(*events, completed())) if type(e) is Delta]
        assert texts == ["a", "b", "{}"]


@pytest.mark.parametrize(
    "events",
    [
        [
            piece("output_item.added", item=call("")),
            piece("function_call_arguments.delta", delta='{"a"'),
            piece("function_call_arguments.delta", delta=":1}"),
            piece("function_call_arguments.done", arguments='{"a":1}'),
            item_done(call('{"a":1}')),
        ],
        [
            piece("output_item.added", item=call("")),
            piece("function_call_arguments.done", arguments='{"a":1}'),
        ],
        [
            piece("output_item.added", item=call('{"a":1}')),
            item_done(call('{"a":1}')),
        ],
        [
            piece("output_item.added", item={"type": "function_call"}),
            piece("function_call_arguments.delta", delta='{"a"'),
            item_done(call('{"a":1}')),
        ],
        [
            piece("function_call_arguments.delta", delta='{"a":1}'),
            item_done(call('{"a":1}')),
        ],
        [item_done(call('{"a":1}'))],
        [item_done(call({"a": 1}))],
    ],
    ids=["all", "done", "late", "nameless", "early", "item", "object"],
)
def test_arguments_are_told_once(events: list[dict[str, Any]]) -> None:
    """Also where they come in the last event of a call only."""
    assert [
        Delta(0, e.text.replace(" ", "")) if isinstance(e, Delta) else e
        for e in told(*events)
    ] == CALLED


def test_parallel_calls_may_alternate() -> None:
    """Each piece belongs to its own call, of whichever kind."""
    custom = {
        "type": "custom_tool_call",
        "call_id": "c2",
        "name": "patch",
        "namespace": "n",
        "input": "xy",
    }
    events = [
        piece("output_item.added", item=call("")),
        piece("output_item.added", item=custom | {"input": ""}, output_index=1),
        piece("function_call_arguments.delta", delta='{"a"'),
        piece("custom_tool_call_input.delta", delta="x", output_index=1),
        piece("function_call_arguments.delta", delta=":1}"),
        piece("custom_tool_call_input.done", input="xy", output_index=1),
        item_done(custom, 1),
        item_done(call('{"a":1}')),
    ]

    *between, _, last = decoded(sse(BEGUN, *events, completed()))

    assert between[1:] == [
        Opened(0, "tool_call", "c1", "f"),
        Opened(1, "tool_call", "c2", "patch", "n", "custom"),
        Delta(0, '{"a"'),
        Delta(1, "x"),
        Delta(0, ":1}"),
        Delta(1, "y"),
        Closed(1),
        Closed(0),
    ]
    assert last == Finished("tool_calls")


def test_a_search_is_a_call_if_the_caller_runs_it() -> None:
    """Its arguments are an object; the provider's own search is none of our calls."""
    own = {"type": "tool_search_call", "call_id": "s1", "arguments": {"q": "x"}}
    theirs = own | {"execution": "server", "id": "tsc_2"}

    assert told(item_done(own), item_done(theirs, 1)) == [
        Opened(0, "tool_call", "s1", "tool_search", None, "tool_search"),
        Delta(0, '{"q": "x"}'),
        Closed(0),
        OpaqueFrame(
            "openai-responses",
            "other",
            Raw(json.dumps(theirs).encode()),
        ),
    ]


def test_calls_that_lack_something() -> None:
    """An id is taken from the item or made, and no arguments are no piece."""
    bare = {"type": "function_call", "name": "f"}

    assert told(item_done(bare | {"id": "fc_1"}), item_done(bare, 1)) == [
        Opened(0, "tool_call", "fc_1", "f"),
        Closed(0),
        Opened(1, "tool_call", "call_1", "f"),
        Closed(1),
    ]


def test_a_call_that_never_ends_is_closed_at_the_end() -> None:
    """All parts are closed before the answer is."""
    assert told(
        piece("output_item.added", item=call("")),
        piece("function_call_arguments.delta", delta="{"),
    ) == [Opened(0, "tool_call", "c1", "f"), Delta(0, "{"), Closed(0)]


REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [
        {"type": "summary_text", "text": "one"},
        {"type": "summary_text", "text": "two"},
    ],
    "content": [{"type": "reasoning_text", "text": "raw"}],
    "encrypted_content": "enc",
}
PROOF = ReasoningState(kind="encrypted", value="enc", item_id="rs_1")


@pytest.mark.parametrize(
    "events",
    [
        [
            piece("reasoning_summary_text.delta", summary_index=0, delta="one"),
            piece("reasoning_summary_text.done", summary_index=0, text="one"),
            piece("reasoning_summary_text.delta", summary_index=1, delta="t"),
            piece("reasoning_summary_text.done", summary_index=1, text="two"),
            piece("reasoning_text.delta", delta="raw"),
            piece("reasoning_text.done", text="raw"),
            item_done(REASONING),
        ],
        [item_done(REASONING)],
    ],
)
def test_a_reasoning_ends_with_its_proof(events: list[dict[str, Any]]) -> None:
    """The proof of the item stands at its last part."""
    assert told(*events) == [
        Opened(0, "summary"),
        Delta(0, "one"),
        Closed(0),
        Opened(1, "summary"),
        Delta(1, "two"),
        Closed(1),
        Opened(2, "reasoning"),
        Delta(2, "raw"),
        Signed(2, PROOF),
        Closed(2),
    ]


def test_a_proof_without_a_word() -> None:
    """Most models tell nothing of what they thought, and it must come back."""
    item = {"type": "reasoning", "id": "rs_1", "encrypted_content": "enc"}

    assert told(item_done(item), item_done({"type": "reasoning"}, 1)) == [
        Opened(0, "reasoning"),
        Signed(0, PROOF),
        Closed(0),
    ]


def test_a_refusal_and_its_rest() -> None:
    """A refusal is told as one, beside a text."""
    content = [
        {"type": "output_text", "text": "a"},
        {"type": "refusal", "refusal": "never"},
    ]
    at = {"content_index": 1}

    assert told(
        piece("output_text.delta", delta="a"),
        piece("refusal.delta", delta="nev", **at),
        piece("refusal.done", refusal="never", **at),
        item_done({"type": "message", "content": content}),
    ) == [
        Opened(0, "text"),
        Delta(0, "a"),
        Closed(0),
        Opened(1, "refusal"),
        Delta(1, "never"),
        Closed(1),
    ]


def test_annotations_are_told_once() -> None:
    """Whether by themselves, with their message, or both."""
    notes = [{"type": "url_citation", "url": "a"}, {"type": "file_citation"}]
    content = [{"type": "output_text", "text": "hello", "annotations": notes}]
    name = "output_text.annotation.added"

    between = told(
        piece("output_text.delta", delta="hello"),
        piece(name, annotation=notes[0]),
        item_done({"type": "message", "content": content}),
    )

    assert between == [
        Opened(0, "text"),
        Delta(0, "hello"),
        Annotated(0, "openai-responses", Raw(json.dumps(notes[0]).encode())),
        Annotated(0, "openai-responses", Raw(json.dumps(notes[1]).encode())),
        Closed(0),
    ]
    assert told(piece(name, annotation=notes[0]))[1] == between[2]


def test_what_the_provider_did_by_itself() -> None:
    """Its items are kept for callers of this dialect, under names that are known."""
    search, strange = {"type": "web_search_call"}, {"type": "telepathy_call"}

    assert told(item_done(search), item_done(strange, 1)) == [
        OpaqueFrame(
            "openai-responses", "web_search_call", Raw(b'{"type": "web_search_call"}')
        ),
        OpaqueFrame("openai-responses", "other", Raw(b'{"type": "telepathy_call"}')),
    ]


def test_a_text_that_goes_on_after_another_began() -> None:
    """Parts do not overlap: what comes late is a part of its own."""
    assert told(
        piece("output_text.delta", delta="a"),
        piece("reasoning_text.delta", delta="b", output_index=1),
        piece("output_text.delta", delta="c"),
        item_done(message("ac")),
    ) == [
        Opened(0, "text"),
        Delta(0, "a"),
        Closed(0),
        Opened(1, "reasoning"),
        Delta(1, "b"),
        Closed(1),
        Opened(2, "text"),
        Delta(2, "c"),
        Closed(2),
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "last"),
    [
        ("completed", {}, Finished("stop")),
        ("completed", {"status": None}, Finished("stop")),
        ("incomplete", {"status": "incomplete"}, Finished("length")),
        (
            "incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            Finished("length"),
        ),
        (
            "completed",
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "content_filter"},
            },
            Finished("content_filter"),
        ),
        (
            "failed",
            {"status": "failed", "error": {"code": "x"}},
            Failed(Raw(b'{"code": "x"}')),
        ),
        (
            "completed",
            {"status": "cancelled"},
            Failed(Raw(b'{"code":"server_error","message":"no reason given"}')),
        ),
    ],
)
def test_how_an_answer_ends(kind: str, fields: dict[str, Any], last: Event) -> None:
    """The last event and what it says of itself decide."""
    end = {"type": f"response.{kind}", "response": answer(**fields)}

    assert decoded(sse(BEGUN, end))[-2:] == [USED, last]


@pytest.mark.parametrize(
    ("event", "raw"),
    [
        ({"type": "error", "code": "x"}, b'{"sequence_number": 0, '),
        ({"type": "error", "error": {"code": "x"}}, b'{"code": "x"}'),
        ({"type": "", "error": {"code": "x"}}, b'{"code": "x"}'),
    ],
)
def test_error_events(event: dict[str, Any], raw: bytes) -> None:
    """They end the answer, with the provider's own words."""
    *_, last = decoded(sse(event, BEGUN))

    assert isinstance(last, Failed)
    assert bytes(last.raw).startswith(raw)


def test_nothing_follows_the_end() -> None:
    """A second end is passed over, and so is what ends streams of Chat."""
    events = decoded(sse(completed(), completed()) + b"data: [DONE]\n\n")

    assert events == [STARTED, USED, Finished("stop")]


def test_a_cut_stream_has_no_end() -> None:
    """Cut at any byte, it is never taken for complete."""
    stream = sse(BEGUN, piece("output_text.delta", delta="h😀i"), item_done(call("{}")))
    whole = stream + sse(completed())
    bare = len(whole) - len(b"\n\n")

    assert [end for end in range(len(whole)) if ended(decoded(whole[:end]))] == [
        bare,
        bare + 1,
    ]


def test_odd_but_harmless_events() -> None:
    """Comments, CRLF, unknown kinds, other shapes of those, and no kind at all."""
    stream = (
        b": hello\n\ndata: [DONE]\n\nevent: ping\n\ndata: {}\n\n"
        b'data: {"type":"keepalive"}\n\n'
        b'data: {"type":"response.audio.delta","delta":{"x":1}}\n\n'
        b'data: {"type":"response.output_item.added"}\n\n'
        b'data: {"type":"response.output_item.done","item":null}\n\n'
        b'data: {"type":"response.created"}\n\n'
        b'data: {"type":"response.output_text.annotation.added"}\n\n'
        b'data: {"type":"response.function_call_arguments.delta"}\n\n'
    )

    assert decoded(stream.replace(b"\n", b"\r\n")) == [Started()]


@pytest.mark.parametrize(
    "event",
    [
        b'data:{"type":"response.output_text.delta",\ndata: "delta":"a"}\n\n',
        b'event: data: x\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
        b'data: {"type":"response.output_text.delta",\rdata: "delta":"a"}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"a"}\nid: 1\n\n',
    ],
)
def test_data_in_odd_places(event: bytes) -> None:
    """All lines of data are read, and no others."""
    assert decoded(event) == [Started(), Opened(0, "text"), Delta(0, "a")]


def test_half_a_pair_is_replaced() -> None:
    """A provider may cut an emoji in two."""
    delta = b'data: {"type":"response.output_text.delta","delta":"a\\ud83d"}\n\n'
    end = b'data: {"type":"response.completed","x":"\\ud83d"}\n\n'

    assert decoded(delta + end) == [
        Started(),
        Opened(0, "text"),
        Delta(0, "a\ufffd"),
        Closed(0),
        Finished("stop"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        b"data: <html>\n\n",
        b'data: {"type":"response.output_text.delta","delta":1}\n\n',
        b'data: {"type":"response.completed","response":[]}\n\n',
        b'data: {"type":"response.completed","response":1,"output_index":"x"}\n\n',
        b'data: {"type":"response.created","response":{"id":1}}\n\n',
        b'data: {"type":"response.output_item.done","item":{"type":1}}\n\n',
        b'data: {"type":"response.output_item.done","item":"\\ud83d"}\n\n',
    ],
)
def test_what_is_no_stream(event: bytes) -> None:
    """To pass over it would lose what it says."""
    with pytest.raises(NotAStream):
        decoded(event)


def test_a_plain_answer_says_the_same() -> None:
    """It is read by the same rules as the last event of a stream."""
    items = [REASONING, message("hello", id="msg_1"), call('{"a":1}')]

    plain = OPENAI_RESPONSES.read_answer(json.dumps(answer(*items)).encode())

    assert plain == decoded(sse(completed(*items)))
    assert plain[-1] == Finished("tool_calls")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"object":"response","status":"queued"}',
        b'{"output":[{"type":1}]}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    """A 200 alone is none, and one that is still made is none yet."""
    with pytest.raises(NotAnAnswer):
        OPENAI_RESPONSES.read_answer(body)


@pytest.mark.parametrize("status", ["completed", "incomplete", "queued"])
def test_usage_of_a_plain_answer(status: str) -> None:
    """It is read whether or not the answer is whole."""
    body = json.dumps(answer(status=status)).encode()

    assert OPENAI_RESPONSES.usage_of(body) == USED.usage


@pytest.mark.parametrize(
    ("told", "nusd"),
    [
        ({"cost": 0.5}, 500_000_000),
        ({"cost_in_usd_ticks": 25}, 2),
        ({"cost": {"total": 1}}, None),
    ],
)
def test_what_a_provider_says_that_an_answer_cost(
    told: dict[str, object], nusd: int | None
) -> None:
    """It is read where it is an amount, and harms no count where it is none."""
    usage = {"input_tokens": 5, "output_tokens": 6, **told}
    usage["input_tokens_details"] = {"cached_tokens": 1, "image_tokens": 3}
    body = json.dumps(answer(usage=usage)).encode()

    read = OPENAI_RESPONSES.usage_of(body)

    assert read.reported_cost_nusd == nusd
    assert (read.input_tokens, read.output_tokens) == (5, 6)
    assert (read.cached_input_tokens, read.image_tokens) == (1, 3)


def test_a_plain_answer_that_failed_is_none() -> None:
    """A 200 that says that nothing came of it counts as the failure that it is."""
    body = json.dumps(answer(status="failed", error={"code": "x"})).encode()

    with pytest.raises(NotAnAnswer):
        OPENAI_RESPONSES.usage_of(body)
