"""Requests of every dialect, made up: what of them a target must be able to do."""

import json
from collections.abc import Mapping
from typing import Final

from hypothesis import strategies as st

from smart_llmrouter.core.request import DialectName

Members = dict[str, object]
_DATA: Final = "data:image/png;base64,iVBORw0KGgo="
_URL: Final = "https://images.example/a.png"
# Text that speaks of what is asked for is not asking for it.
_TEXT: Final = st.sampled_from(
    (
        "hello",
        '{"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}',
        '"type":"input_image","image_url":"data:image/png;base64,AA=="',
        'the block {"type":"image","source":{"type":"url"}} is an image',
        "a \\ back\u00e9slash \U0001f600",
    )
)
_SCHEMA: Final = {"type": "object", "properties": {"image_url": {"type": "string"}}}


def _some(**members: st.SearchStrategy[object]) -> st.SearchStrategy[Members]:
    """Return objects that have some of these members."""
    return st.fixed_dictionaries({}, optional=members)


def _parts(*parts: Members) -> st.SearchStrategy[object]:
    return _TEXT | st.lists(st.sampled_from(parts), min_size=1, max_size=4)


_CHAT_PARTS: Final[tuple[Members, ...]] = (
    {"type": "text", "text": '{"type":"image_url"}'},
    {"type": "image_url", "image_url": {"url": _URL, "detail": "low"}},
    {"type": "image_url", "image_url": {"url": _DATA}},
    {"type": "image_url", "image_url": _DATA},
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
)
_CHAT_TOOLS: Final[tuple[Members, ...]] = (
    {"type": "function", "function": {"name": "f", "parameters": _SCHEMA}},
    {"function": {"name": "g"}},
    {"type": "custom", "custom": {"name": "c"}},
    {"type": "web_search"},
)
_CHAT: Final = st.builds(
    lambda some, user, result: {
        "model": "chat",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": user},
            {"role": "tool", "tool_call_id": "c1", "content": result},
        ],
        **some,
    },
    _some(
        stream=st.booleans(),
        tools=st.none() | st.lists(st.sampled_from(_CHAT_TOOLS), max_size=3),
        functions=st.just([{"name": "old", "parameters": _SCHEMA}]),
        tool_choice=st.none()
        | st.sampled_from(("auto", "none", "required", "any"))
        | st.sampled_from(
            (
                {"type": "function", "function": {"name": "f"}},
                {"type": "custom", "custom": {"name": "c"}},
                {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": []},
                },
                {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": []},
                },
            )
        ),
        function_call=st.sampled_from(("auto", "none", {"name": "old"})),
        parallel_tool_calls=st.none() | st.booleans(),
        max_tokens=st.none() | st.just(7),
        max_completion_tokens=st.none() | st.just(7),
        response_format=st.sampled_from(
            (
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
            )
        ),
        reasoning_effort=st.none() | st.sampled_from(("none", "low", "xhigh")),
        reasoning=st.sampled_from(
            ({"effort": "high"}, {"max_tokens": 2000}, {"enabled": False})
        ),
        thinking=st.sampled_from(
            ({"type": "enabled", "budget_tokens": 3000}, {"type": "disabled"})
        ),
    ),
    _parts(*_CHAT_PARTS),
    _parts(*_CHAT_PARTS[:4]),
)

_RESPONSES_PARTS: Final[tuple[Members, ...]] = (
    {"type": "input_text", "text": '{"type":"input_image"}'},
    {"type": "input_image", "image_url": _URL},
    {"type": "input_image", "image_url": _DATA, "detail": "high"},
    {"type": "input_image", "file_id": "file-1"},
    {"type": "input_file", "file_url": "https://a.example/x.pdf"},
    {"type": "input_file", "file_id": "file-2"},
    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
)
_RESPONSES_TOOLS: Final[tuple[Members, ...]] = (
    {"type": "function", "name": "f", "parameters": _SCHEMA},
    {"type": "custom", "name": "c"},
    {"type": "tool_search", "execution": "client"},
    {"type": "web_search"},
    {
        "type": "namespace",
        "name": "n",
        "tools": [
            {"type": "function", "name": "one"},
            {"type": "custom", "name": "two"},
        ],
    },
)
_RESPONSES_ITEMS: Final = st.lists(
    st.sampled_from(
        (
            {"type": "additional_tools", "tools": list(_RESPONSES_TOOLS[:2])},
            {"type": "item_reference", "id": "msg_1"},
            {"id": "msg_2"},
        )
    ),
    max_size=2,
)
_RESPONSES: Final = st.builds(
    lambda some, user, output, items: {
        "model": "chat",
        "input": [
            {"role": "user", "content": user},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": output},
            *items,
        ],
        **some,
    },
    _some(
        stream=st.booleans(),
        input=_TEXT,
        tools=st.none() | st.lists(st.sampled_from(_RESPONSES_TOOLS), max_size=4),
        tool_choice=st.none()
        | st.sampled_from(("auto", "none", "required"))
        | st.sampled_from(
            (
                {"type": "function", "name": "f"},
                {"type": "allowed_tools", "mode": "required", "tools": []},
                {"type": "allowed_tools", "mode": "auto", "tools": []},
            )
        ),
        parallel_tool_calls=st.none() | st.booleans(),
        max_output_tokens=st.none() | st.just(9),
        text=st.sampled_from(
            (
                {"format": {"type": "text"}},
                {"format": {"type": "json_object"}, "verbosity": "low"},
                {"format": {"type": "json_schema", "name": "n", "schema": {}}},
            )
        ),
        reasoning=st.none()
        | st.sampled_from(
            (
                {"effort": "medium"},
                {"effort": "none"},
                {"effort": None, "summary": "auto"},
                {"summary": "auto"},
            )
        ),
        previous_response_id=st.none() | st.just("resp_1"),
        conversation=st.none() | st.just("conv_1"),
    ),
    _parts(*_RESPONSES_PARTS),
    _parts(*_RESPONSES_PARTS[:6]),
    _RESPONSES_ITEMS,
)

_BLOCKS: Final[tuple[Members, ...]] = (
    {"type": "text", "text": '{"type":"image"}'},
    {"type": "image", "source": {"type": "url", "url": _URL}},
    {"type": "image", "source": {"type": "url", "url": _DATA}},
    {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "AA=="},
    },
    {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    {"type": "document", "source": {"type": "url", "url": "https://a.example/x.pdf"}},
    {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
    },
)
_MESSAGES_TOOLS: Final[tuple[Members, ...]] = (
    {"name": "f", "input_schema": _SCHEMA},
    {"type": "custom", "name": "g", "input_schema": _SCHEMA},
    {"type": "bash_20250124", "name": "bash"},
    {"type": "web_search_20250305", "name": "web_search"},
    {"type": "web_fetch_20250910", "name": "web_fetch"},
    {"type": "code_execution_20250825", "name": "code_execution"},
)
_MESSAGES: Final = st.builds(
    lambda some, user, result: {
        "model": "chat",
        "max_tokens": 11,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": result}
                ],
            },
            {"role": "user", "content": user},
        ],
        **some,
    },
    _some(
        stream=st.booleans(),
        tools=st.none() | st.lists(st.sampled_from(_MESSAGES_TOOLS), max_size=4),
        tool_choice=st.none()
        | st.sampled_from(
            (
                {"type": "auto"},
                {"type": "any", "disable_parallel_tool_use": True},
                {"type": "tool", "name": "f"},
                {"type": "none"},
            )
        ),
        thinking=st.none()
        | st.sampled_from(
            (
                {"type": "enabled", "budget_tokens": 2048},
                {"type": "adaptive"},
                {"type": "disabled"},
            )
        ),
        output_config=st.none()
        | _some(
            effort=st.sampled_from(("low", "max")),
            format=st.just({"type": "json_schema", "schema": {}}),
        ),
        output_format=st.none() | st.just({"type": "json_schema", "schema": {}}),
    ),
    _parts(*_BLOCKS),
    _parts(*_BLOCKS),
)

REQUESTS: Final[Mapping[DialectName, st.SearchStrategy[Members]]] = {
    "openai-chat": _CHAT,
    "openai-responses": _RESPONSES,
    "anthropic-messages": _MESSAGES,
}


@st.composite
def bodies(draw: st.DrawFn, dialect: DialectName) -> bytes:
    """Return a request as some client may write it: blanks, and escapes in strings."""
    members = draw(REQUESTS[dialect])
    text = json.dumps(
        members,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from((None, 2))),
        separators=draw(st.sampled_from((None, (",", ":"), (" ,", " : ")))),
    )
    if draw(st.booleans()):
        text = text.replace("image", r"im\u0061ge").replace("data:", r"d\u0061ta:")
    return text.encode()
