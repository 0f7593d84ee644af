"""What has the usual form is read and written in one go, with the same outcome."""

import json
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.content import ReasoningState, Text, Turn
from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import FunctionTool, Request
from smart_llmrouter.dialects.anthropic_messages.dialect import ANTHROPIC_MESSAGES
from smart_llmrouter.dialects.anthropic_messages.usual import usual_request
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.openai_chat.decoder import read_answer
from smart_llmrouter.dialects.openai_chat.render_messages import (
    plain_messages,
    render_messages,
)
from smart_llmrouter.dialects.sealed import seal

SERVING: Final = Serving(label="acme/mini", model="mini")
SEALED: Final = seal(ReasoningState(kind="signature", value="s"), label="acme/mini")

HALF_A_PAIR: Final = "\ud83d"

texts = st.text(max_size=5) | st.just(HALF_A_PAIR)
odd: st.SearchStrategy[object] = st.sampled_from([None, 5, True, "", [], {}])
marks = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}]) | st.just(
    {"cache_control": None}
)


def rarely(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for values, one in some of which is of a wrong type."""
    return st.integers(0, 30).flatmap(lambda draw: value if draw else odd)


text_blocks = st.builds(
    lambda text, mark: {"type": "text", "text": text, **mark}, rarely(texts), marks
)
thinking_blocks = st.builds(
    lambda text, signature: {
        "type": "thinking",
        "thinking": text,
        "signature": signature,
    },
    rarely(texts),
    rarely(st.sampled_from(["", "sig", SEALED])),
)
calls = st.builds(
    lambda name, given, mark: {
        "type": "tool_use",
        "id": "c1",
        "name": name,
        **({} if given == "absent" else {"input": given}),
        **mark,
    },
    rarely(st.just("look")),
    st.sampled_from(["absent", None, {}, {"path": "ü"}]),
    marks,
)
results = st.builds(
    lambda content, failed, mark: {
        "type": "tool_result",
        "tool_use_id": "c1",
        "content": content,
        "is_error": failed,
        **mark,
    },
    rarely(texts | st.lists(text_blocks, max_size=2)),
    rarely(st.none() | st.booleans()),
    marks,
)
contents = texts | st.lists(text_blocks | thinking_blocks | calls | results, max_size=3)
messages = st.builds(
    lambda role, content: {"role": role, "content": content},
    rarely(st.sampled_from(["user", "assistant", "system"])),
    rarely(contents),
)
tools = st.builds(
    lambda name, about, schema, *marks: {
        "name": name,
        **about,
        **schema,
        **marks[0],
        **marks[1],
    },
    rarely(st.sampled_from(["look", "no such name!"])),
    st.sampled_from([{}, {"description": "d", "type": "custom"}, {"type": "bash_1"}]),
    st.sampled_from([{}, {"input_schema": None}, {"input_schema": {"a": 1}}]),
    marks | st.sampled_from([{"strict": True}, {"strict": None}, {"strict": 1}]),
    st.sampled_from([{}, {"defer_loading": True}, {"defer_loading": None}]),
)
requests = st.fixed_dictionaries(
    {
        "model": st.just("chat"),
        "max_tokens": rarely(st.integers(1, 5)),
        "messages": st.lists(messages, max_size=4),
    },
    optional={
        "system": rarely(texts | st.lists(text_blocks, max_size=2)),
        "temperature": rarely(st.sampled_from([0, 1, 0.5])),
        "stream": st.booleans(),
        "tools": rarely(st.lists(tools, max_size=2)),
    },
)
turns = st.builds(
    lambda role, parts: Turn(role=role, parts=tuple(parts)),
    st.sampled_from(["user", "assistant", "system", "developer"]),
    st.lists(st.builds(lambda text: Text(text=text), texts), max_size=2),
)


@given(request=requests)
def test_a_messages_request_is_read_alike_in_one_go_and_field_by_field(
    request: dict[str, Any],
) -> None:
    """A null that says nothing has the same request read in the thorough way."""
    thorough = with_nulls(request)

    read, expected = parsed(request), parsed(thorough)

    assert read == expected
    assert names_of_extras(read) == names_of_extras(expected)


@given(turns=st.lists(turns, max_size=4), system=st.lists(texts, max_size=2))
def test_a_plain_conversation_is_written_for_chat_like_any_other(
    turns: list[Turn], system: list[str]
) -> None:
    """What is written in one go needs no note, and is what the thorough way writes."""
    request = Request(
        dialect="anthropic-messages",
        model="chat",
        system=tuple(Text(text=text) for text in system),
        turns=tuple(turns),
    )

    plain = plain_messages(request)

    notes = Notes()
    assert plain in (None, render_messages(request, SERVING, notes))
    assert plain is None or not notes.all()


@given(text=texts, reason=st.sampled_from(["stop", "length", "tool_calls", "odd"]))
def test_an_answer_of_one_text_is_read_like_any_other(text: str, reason: str) -> None:
    """A text alone tells the same events as the same text in a list of one piece."""
    alone = answer(text, reason)
    listed = answer([{"type": "text", "text": text}], reason)

    told = read_answer(alone)

    assert list(told) == list(read_answer(listed))


def answer(content: object, reason: str) -> bytes:
    """Return a plain answer of a provider of Chat."""
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    return json.dumps({"id": "a", "choices": [choice], "usage": usage}).encode()


def parsed(request: dict[str, Any]) -> Request | str:
    """Return the request in the canon, or what is wrong with it."""
    body = json.dumps(request).encode()
    try:
        return ANTHROPIC_MESSAGES.parse(ANTHROPIC_MESSAGES.peek(body))
    except InvalidRequest as error:
        return str(error)


def names_of_extras(request: Request | str) -> list[list[str]]:
    """Return the extras of each tool, in the order in which notes name them."""
    if isinstance(request, str):
        return []
    return [
        list(tool.extras) for tool in request.tools if isinstance(tool, FunctionTool)
    ]


def with_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a request with a null in each object that the router reads."""
    if isinstance(value, list):
        return [with_nulls(each) for each in value]
    if isinstance(value, dict):
        raw = {"input", "input_schema", "cache_control"}
        read = {
            name: inner if name in raw else with_nulls(inner)
            for name, inner in value.items()
        }
        return {**read, "unknown": None}
    return value


def test_two_extras_of_a_tool_keep_their_order() -> None:
    """Notes name them as the caller wrote them."""
    tool = {"name": "look", "defer_loading": True, "cache_control": {}}
    body = {"model": "chat", "max_tokens": 1, "messages": [], "tools": [tool]}

    request = parsed(body)

    assert names_of_extras(request) == [["defer_loading", "cache_control"]]


def test_what_is_usual_is_read_and_written_in_one_go() -> None:
    """The laws above would say little if all took the thorough way."""
    said = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    body = json.dumps({"model": "chat", "max_tokens": 1, "messages": [said]})

    request = usual_request(ANTHROPIC_MESSAGES.peek(body.encode()))

    assert request is not None
    assert plain_messages(request) == [{"role": "user", "content": "hi"}]
