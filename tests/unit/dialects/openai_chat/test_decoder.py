"""What providers of many kinds stream, and what it tells."""

import json
from typing import Any

import pytest

from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    OpaqueFrame,
    Opened,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import NotAnAnswer, NotAStream
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT

DONE = b"data: [DONE]\n\n"


def event_of(document: object) -> bytes:
    """Return a document as one event."""
    return f"data: {json.dumps(document)}\n\n".encode()


def chunk(
    delta: dict[str, Any] | None, finish: str | None = None, **more: object
) -> bytes:
    """Return one chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event_of({"id": "gen-1", "model": "real", "choices": [choice], **more})


def call(index: int | None, **fields: object) -> dict[str, Any]:
    """Return a delta with one piece of a call."""
    function = {k: fields.pop(k) for k in ("name", "arguments") if k in fields}
    piece: dict[str, Any] = {"function": function, **fields}
    if index is not None:
        piece["index"] = index
    return {"tool_calls": [piece]}


def read(*chunks: bytes) -> list[Event]:
    """Return what a stream tells, fed at once."""
    decoder = OPENAI_CHAT.decoder()
    return [*decoder.feed(b"".join(chunks)), *decoder.end()]


def answer(events: list[Event]) -> tuple[list[tuple[str, str, str, str]], str | None]:
    """Return parts as (kind, call id, name, text), and why the answer ended."""
    parts = {
        event.index: (event.kind, event.call_id, event.name)
        for event in events
        if isinstance(event, Opened)
    }
    texts = dict.fromkeys(parts, "")
    for event in events:
        if isinstance(event, Delta):
            texts[event.index] += event.text
    assert sorted(parts) == list(range(len(parts)))
    assert [e.index for e in events if isinstance(e, Opened)] == sorted(parts)
    reasons = [event.reason for event in events if isinstance(event, Finished)]
    if reasons:
        closed = [event.index for event in events if isinstance(event, Closed)]
        assert sorted(closed) == sorted(parts)
    told: list[tuple[str, str, str, str]] = [
        (kind, call_id, name, texts[index])
        for index, (kind, call_id, name) in parts.items()
    ]
    return told, reasons[0] if reasons else None


def test_a_usual_stream() -> None:
    """A role chunk, text, a reason, usage after it and the end are told in order."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}

    events = read(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        event_of({"id": "gen-1", "choices": [], "usage": usage}),
        DONE,
    )

    assert events == [
        Started("gen-1", "real"),
        Opened(0, "text"),
        Delta(0, "Hel"),
        Delta(0, "lo"),
        Closed(0),
        UsageSeen(Usage(input_tokens=3, output_tokens=2)),
        Finished("stop"),
    ]


def test_content_and_reason_in_one_chunk() -> None:
    """The last text may come with the reason."""
    events = read(chunk({"content": "all"}, "length"), DONE)

    assert answer(events) == ([("text", "", "", "all")], "length")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_have_several_names(field: str) -> None:
    """What a model thinks is reasoning, whatever the provider calls it."""
    events = read(
        chunk({field: "hm"}), chunk({field: "!"}), chunk({"content": "a"}, "stop"), DONE
    )

    assert answer(events)[0] == [("reasoning", "", "", "hm!"), ("text", "", "", "a")]


def test_thoughts_told_twice_are_told_once() -> None:
    """A thought that stands under two names in one chunk is one thought."""
    detail = {"type": "reasoning.text", "text": "hm"}
    both = {"reasoning": "hm", "reasoning_content": "hm", "reasoning_details": [detail]}

    events = read(chunk(both), chunk({}, "stop"), DONE)

    assert answer(events)[0] == [("reasoning", "", "", "hm")]


def test_thoughts_in_details_only() -> None:
    """A thought that stands in a list of details alone is told."""
    details = [{"type": "reasoning.summary", "summary": "s"}, {"text": "t"}]

    events = read(chunk({"reasoning_details": details}), chunk({}, "stop"), DONE)

    assert answer(events)[0] == [("reasoning", "", "", "st")]


def test_content_as_a_list_of_parts() -> None:
    """Text, thoughts and refusals in a content that is a list are told."""
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "yes"},
        {"type": "refusal", "refusal": "no"},
    ]

    events = read(chunk({"content": content}), chunk({}, "stop"), DONE)

    assert [(kind, text) for kind, _, _, text in answer(events)[0]] == [
        ("reasoning", "hm"),
        ("text", "yes"),
        ("refusal", "no"),
    ]


def test_a_refusal() -> None:
    """A refusal is a part of its own."""
    events = read(chunk({"refusal": "I "}), chunk({"refusal": "won't"}, "stop"), DONE)

    assert answer(events) == ([("refusal", "", "", "I won't")], "stop")


def test_interleaved_parallel_calls() -> None:
    """The pieces of two calls may alternate."""
    events = read(
        chunk(call(0, id="a", name="f", arguments="")),
        chunk(call(1, id="b", name="g", arguments="")),
        chunk(call(0, arguments='{"x"')),
        chunk(call(1, arguments="{}")),
        chunk(call(0, arguments=":1}")),
        chunk({}, "tool_calls"),
        DONE,
    )

    told = [("tool_call", "a", "f", '{"x":1}'), ("tool_call", "b", "g", "{}")]
    assert answer(events) == (told, "tool_calls")


def test_a_whole_call_in_one_chunk() -> None:
    """Name and arguments may come together: none of them is lost."""
    events = read(chunk(call(0, id="a", name="f", arguments='{"x":1}'), "stop"), DONE)

    assert answer(events) == ([("tool_call", "a", "f", '{"x":1}')], "tool_calls")


def test_calls_without_numbers_or_ids() -> None:
    """Each name begins a call; ids are made of the answer's."""
    events = read(
        chunk(call(None, name="f", arguments='{"x":')),
        chunk(call(None, arguments="1}")),
        chunk(call(None, name="f", arguments="{}")),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert answer(events)[0] == [
        ("tool_call", "call_gen-1_0", "f", '{"x":1}'),
        ("tool_call", "call_gen-1_1", "f", "{}"),
    ]


def test_calls_that_are_all_numbered_zero() -> None:
    """Another id and name under the same number is another call."""
    events = read(
        chunk(call(0, id="a", name="f", arguments="{}")),
        chunk(call(0, id="b", name="f", arguments="{}")),
        chunk({}, "stop"),
        DONE,
    )

    assert [part[1] for part in answer(events)[0]] == ["a", "b"]


def test_id_and_name_in_every_chunk() -> None:
    """A call that repeats its id and name is still one call."""
    events = read(
        chunk(call(0, id="a", name="f", arguments='{"x"')),
        chunk(call(0, id="a", name="f", arguments=":1}")),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert answer(events)[0] == [("tool_call", "a", "f", '{"x":1}')]


def test_arguments_before_the_name() -> None:
    """What comes before the name of a call is held until then."""
    events = read(
        chunk(call(0, id="a", arguments="{")),
        chunk(call(0, name="f", arguments="}")),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert answer(events)[0] == [("tool_call", "a", "f", "{}")]


def test_arguments_that_are_an_object() -> None:
    """Arguments that are not text become text."""
    events = read(chunk(call(0, id="a", name="f", arguments={"x": 1}), "stop"), DONE)

    assert answer(events)[0] == [("tool_call", "a", "f", '{"x":1}')]


def test_a_custom_call() -> None:
    """The input of a custom tool is free text."""
    piece = {"index": 0, "id": "a", "type": "custom"}
    first = {"tool_calls": [{**piece, "custom": {"name": "patch", "input": "*** "}}]}
    second = {"tool_calls": [{"index": 0, "custom": {"input": "End"}}]}

    events = read(chunk(first), chunk(second), chunk({}, "tool_calls"), DONE)

    assert events[1] == Opened(0, "tool_call", "a", "patch", None, "custom")
    assert answer(events)[0] == [("tool_call", "a", "patch", "*** End")]


def test_a_legacy_function_call() -> None:
    """The single call of before there were tools is a call as any."""
    events = read(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
        DONE,
    )

    told = ("tool_call", "call_gen-1_0", "f", "{}")
    assert answer(events) == ([told], "tool_calls")


def test_text_beside_open_calls_waits() -> None:
    """Text that comes between the pieces of a call is told after the calls."""
    events = read(
        chunk(call(0, id="a", name="f", arguments="{")),
        chunk({"content": "aside"}),
        chunk(call(0, arguments="}")),
        chunk({}, "tool_calls"),
        DONE,
    )

    told = [("tool_call", "a", "f", "{}"), ("text", "", "", "aside")]
    assert answer(events) == (told, "tool_calls")


def test_calls_are_announced_but_none_was_made() -> None:
    """A reason of `tool_calls` without calls is `stop`."""
    assert answer(read(chunk({"content": "a"}, "tool_calls"), DONE))[1] == "stop"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("content_filter", "content_filter"),
        ("model_length", "context"),
        ("max_tokens", "length"),
        ("eos", "stop"),
    ],
)
def test_reasons(told: str, reason: str) -> None:
    """Reasons of the wild are those that are meant."""
    assert answer(read(chunk({"content": "a"}, told), DONE))[1] == reason


def test_usage_in_every_chunk() -> None:
    """Usage that grows is told as it grows, so that a cut stream is counted."""
    first = {"prompt_tokens": 3, "completion_tokens": 1}
    second = {"prompt_tokens": 3, "completion_tokens": 2}
    decoder = OPENAI_CHAT.decoder()

    events = decoder.feed(chunk({"content": "a"}, usage=first))
    events += decoder.feed(chunk({"content": "b"}, usage=second))

    assert [event.usage for event in events if isinstance(event, UsageSeen)] == [
        Usage(input_tokens=3, output_tokens=1),
        Usage(input_tokens=3, output_tokens=2),
    ]


@pytest.mark.parametrize("place", ["x_groq", "choice"])
def test_usage_in_odd_places(place: str) -> None:
    """Usage may stand beside the chunk's own, or in its choice."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    last = chunk({}, "stop", x_groq={"usage": usage})
    if place == "choice":
        last = event_of(
            {
                "id": "i",
                "choices": [{"delta": {}, "finish_reason": "stop", "usage": usage}],
            }
        )

    events = read(chunk({"content": "a"}), last, DONE)

    assert UsageSeen(Usage(input_tokens=3, output_tokens=2)) in events


def test_usage_of_a_cache() -> None:
    """Reads and writes of a cache are told, under the names of several providers."""
    details = {"cached_tokens": 4, "cache_write_tokens": 2}
    usages = [
        {"prompt_tokens": 9, "prompt_tokens_details": details},
        {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4},
        {"prompt_tokens": 9, "cached_tokens": 4},
    ]

    told = [read(chunk({}, "stop", usage=usage), DONE)[-2] for usage in usages]

    read_only = UsageSeen(Usage(input_tokens=9, cached_input_tokens=4))
    both = Usage(input_tokens=9, cached_input_tokens=4, cache_write_5m_tokens=2)
    assert told == [UsageSeen(both), read_only, read_only]


def test_no_done_at_the_end() -> None:
    """A reason is enough: some providers never say `[DONE]`."""
    assert answer(read(chunk({"content": "a"}), chunk({}, "stop")))[1] == "stop"


def test_done_without_a_reason() -> None:
    """`[DONE]` is enough: some providers give no reason."""
    assert answer(read(chunk({"content": "a"}), DONE))[1] == "stop"


def test_neither_reason_nor_done() -> None:
    """A stream that was cut has no end."""
    assert answer(read(chunk({"content": "a"})))[1] is None


def test_no_blank_line_at_the_end() -> None:
    """The last event counts, also without the blank line that ends it."""
    last = chunk({}, "stop").rstrip(b"\n")

    assert answer(read(chunk({"content": "a"}), last))[1] == "stop"


def test_done_alone_is_no_answer() -> None:
    """A stream that says nothing at all is none."""
    with pytest.raises(NotAStream):
        read(DONE)


def test_broken_json() -> None:
    """What is no JSON is no stream, also in the middle."""
    with pytest.raises(NotAStream):
        read(chunk({"content": "a"}), b'data: {"choices": [}\n\n')


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"no"}}\n\n',
        b'event: error\ndata: {"message":"no"}\n\n',
        b'data: {"object":"error","message":"no"}\n\n',
    ],
)
def test_an_error_inside_the_stream(event: bytes) -> None:
    """An error ends what is told, and is passed on as it was written."""
    events = read(chunk({"content": "a"}), event, chunk({}, "stop"), DONE)

    last = events[-1]
    assert isinstance(last, Failed)
    assert json.loads(bytes(last.raw))["message"] == "no"
    assert answer(events)[1] is None


def test_a_reason_that_is_a_failure() -> None:
    """A provider may break off with nothing but a reason."""
    last = read(chunk({"content": "a"}), chunk({}, "error"), DONE)[-1]

    assert isinstance(last, Failed)
    assert json.loads(bytes(last.raw))["code"] == "error"


def test_null_errors_are_none() -> None:
    """`error: null` in each chunk says nothing."""
    events = read(chunk({"content": "a"}, error=None), chunk({}, "stop"), DONE)

    assert answer(events) == ([("text", "", "", "a")], "stop")


def test_crlf_comments_and_odd_line_ends() -> None:
    """Heartbeats, event names, CRLF and two lines of data are read as SSE has it."""
    data = (
        b": ping\r\n\r\nevent: message\r\n"
        + chunk({"content": "a"}).replace(b"\n", b"\r\n")
        + b'data: {"choices": [{"delta": {}, \ndata: "finish_reason": "stop"}]}\n\n'
        + b"data:[DONE]\n\n"
    )

    assert answer(read(data)) == ([("text", "", "", "a")], "stop")


def test_other_choices_are_not_mixed_in() -> None:
    """Only the first choice is told."""
    two = [
        {"index": 0, "delta": {"content": "a"}, "finish_reason": None},
        {"index": 1, "delta": {"content": "b"}, "finish_reason": None},
    ]

    events = read(event_of({"id": "i", "choices": two}), chunk({}, "stop"), DONE)

    assert answer(events)[0] == [("text", "", "", "a")]


def test_fields_of_wrong_types_do_not_hide_the_others() -> None:
    """Of a chunk that is not as it should be, what can be read is told."""
    odd = {
        "id": 7,
        "choices": [
            {
                "index": "0",
                "delta": {"content": "a", "refusal": 5, "reasoning": {"x": 1}},
                "finish_reason": None,
            }
        ],
        "usage": "none",
    }

    events = read(event_of(odd), chunk({}, "stop"), DONE)

    assert answer(events) == ([("text", "", "", "a")], "stop")


def test_half_a_surrogate_pair() -> None:
    """Half a surrogate pair is no reason to break off: it is read as U+FFFD."""
    odd = b'data: {"id":"i","choices":[{"delta":{"content":"a\\ud83d"}}]}\n\n'

    events = read(odd, chunk({}, "stop"), DONE)

    assert answer(events)[0] == [("text", "", "", "a\ufffd")]


def test_annotations_belong_to_the_text() -> None:
    """Notes on the text are told with it, also if they come before it."""
    note = {"type": "url_citation", "url_citation": {"url": "https://example.com"}}
    raw = json.dumps(note).encode()

    events = read(
        chunk({"annotations": [note]}),
        chunk({"content": "a"}),
        chunk({"annotations": [note]}, "stop"),
        DONE,
    )

    noted = [event for event in events if isinstance(event, Annotated)]
    assert [(event.index, bytes(event.raw)) for event in noted] == [(0, raw), (0, raw)]


def test_images_are_frames_of_this_dialect() -> None:
    """What only some providers of this dialect give is passed on as such."""
    events = read(chunk({"images": [1], "annotations": [2]}), chunk({}, "stop"), DONE)

    frames = [event for event in events if isinstance(event, OpaqueFrame)]
    assert [(frame.kind, bytes(frame.raw)) for frame in frames] == [
        ("images", b"[1]"),
        ("annotations", b"2"),
    ]


def test_a_plain_answer() -> None:
    """A plain answer tells what the same answer tells when it is streamed."""
    message = {
        "role": "assistant",
        "reasoning_content": "hm",
        "content": "yes",
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
            }
        ],
    }
    body = {
        "id": "gen-1",
        "model": "real",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }

    events = OPENAI_CHAT.read_answer(json.dumps(body).encode())

    assert events == [
        Started("gen-1", "real"),
        Opened(0, "reasoning"),
        Delta(0, "hm"),
        Closed(0),
        Opened(1, "text"),
        Delta(1, "yes"),
        Closed(1),
        Opened(2, "tool_call", "a", "f"),
        Delta(2, "{}"),
        Closed(2),
        UsageSeen(Usage(input_tokens=1, output_tokens=2)),
        Finished("tool_calls"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"error":{"message":"no"}}',
        b'{"choices":[]}',
        b'{"choices":[{"index":0}]}',
        b'{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}',
        b'{"choices":[{"message":{"content":"a',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    """A 200 alone is not an answer."""
    with pytest.raises(NotAnAnswer):
        OPENAI_CHAT.read_answer(body)


def test_a_stream_cut_at_any_byte_has_no_end() -> None:
    """Only with a whole reason is an answer complete, wherever its stream is cut."""
    stream = (
        chunk({"role": "assistant", "content": "é"}).replace(b"\\u00e9", "é".encode())
        + b": ping\n\n"
        + chunk({"reasoning_content": "finish_reason: stop"})
        + chunk(call(0, id="a", name="f", arguments='{"x": "[DONE]"'))
        + chunk(call(0, arguments="}"))
    )
    whole = stream + chunk({}, "tool_calls") + DONE
    complete = whole.index(b"}\n\n", len(stream))

    ends = [
        bool([e for e in read(whole[:cut]) if isinstance(e, Finished)])
        for cut in range(len(whole) + 1)
    ]

    assert not any(ends[: complete + 1])
    assert all(ends[complete + 1 :])


def test_any_two_cuts_tell_the_same() -> None:
    """A stream that arrives in three pieces tells what it tells in one."""
    stream = (
        chunk({"content": "é😀"}).replace(b"\n", b"\r\n")
        + chunk(call(0, id="a", name="f", arguments="{}"), "stop")
        + DONE
    )
    told = read(stream)

    for first in range(0, len(stream), 3):
        for second in range(first, len(stream), 5):
            decoder = OPENAI_CHAT.decoder()
            pieces = stream[:first], stream[first:second], stream[second:]
            events = [event for piece in pieces for event in decoder.feed(piece)]
            assert [*events, *decoder.end()] == told


def test_thoughts_that_are_a_text_in_a_list() -> None:
    """A part of thoughts may hold its text in either of two ways."""
    content = [
        {"type": "thinking", "thinking": "h"},
        {"type": "reasoning", "text": "m"},
        {"type": "text", "text": ""},
    ]

    events = read(chunk({"content": content}), chunk({}, "stop"), DONE)

    assert answer(events)[0] == [("reasoning", "", "", "hm")]


def test_a_call_without_a_name_is_told_at_the_end() -> None:
    """Nothing that came of a call is lost, even its name never came."""
    events = read(chunk(call(0, id="a", arguments="{}")), chunk({}, "stop"), DONE)

    assert answer(events) == ([("tool_call", "a", "", "{}")], "tool_calls")


def test_pieces_with_an_id_and_no_number() -> None:
    """A piece may be told from others by its id alone."""
    events = read(
        chunk(call(None, id="a", name="f", arguments="{")),
        chunk(call(None, id="b", name="g", arguments="{}")),
        chunk(call(None, id="a", arguments="}")),
        chunk({}, "tool_calls"),
        DONE,
    )

    assert answer(events)[0] == [
        ("tool_call", "a", "f", "{}"),
        ("tool_call", "b", "g", "{}"),
    ]


def test_a_list_of_calls_with_one_that_cannot_be_read() -> None:
    """One wrong field hides neither its call nor the others."""
    pieces = [
        {"index": 0, "id": 5, "function": {"name": "f", "arguments": "{}"}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": 7}},
    ]
    odd = b'{"index":0,"delta":{"content":"a\\ud83d"},"logprobs":"\\ud83d","index":"0"}'

    events = read(
        b'data: {"id":"i","choices":[' + odd + b"]}\n\n",
        chunk({"tool_calls": pieces}),
        chunk({"tool_calls": "none"}, "stop"),
        DONE,
    )

    assert answer(events)[0] == [
        ("text", "", "", "a\ufffd"),
        ("tool_call", "call_i_0", "f", "{}"),
        ("tool_call", "b", "g", ""),
    ]


def test_usage_that_is_no_object() -> None:
    """Usage that cannot be usage is none."""
    events = read(chunk({"content": "a"}, usage=5), chunk({}, "stop", usage=None), DONE)

    assert not [event for event in events if isinstance(event, UsageSeen)]


def test_nothing_is_told_after_a_failure() -> None:
    """A failure is the last event, also if its own chunk says more."""
    choices = [
        {"delta": {"content": "a"}, "finish_reason": "error"},
        {"delta": {"content": "b"}, "finish_reason": "stop"},
    ]

    events = read(event_of({"id": "i", "choices": choices}), DONE)

    assert isinstance(events[-1], Failed)
    assert answer(events)[0] == [("text", "", "", "a")]


def test_calls_of_a_plain_answer_are_whole() -> None:
    """Each call of a plain answer is one, also if two have the same id or number."""
    function = {"name": "f", "arguments": "{}"}
    pieces = [{"id": "a", "index": 0, "function": function} for _ in range(2)]
    choice = {"message": {"tool_calls": pieces}, "finish_reason": "tool_calls"}

    events = OPENAI_CHAT.read_answer(json.dumps({"choices": [choice]}).encode())

    assert answer(list(events))[0] == [("tool_call", "a", "f", "{}")] * 2
