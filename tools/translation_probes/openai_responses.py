"""Probes of Responses."""

from typing import Any, Final

from tools.translation_probes import CITY, PDF_URL, PNG_URL, Members, Probe

BASE: Final[Members] = {
    "model": "chat",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
}
_USER: Final = {"role": "user", "content": "hi"}
_TOOL: Final = {"type": "function", "name": "f", "parameters": CITY, "strict": False}
_CUSTOM: Final = {"type": "custom", "name": "c"}
_LARK: Final = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
_SPACE: Final = {"type": "namespace", "name": "ns", "tools": [_TOOL]}
_SEARCH: Final = {"type": "tool_search", "execution": "client"}


def _input(*items: Any) -> Members:  # noqa: ANN401 - items of all kinds
    return {"input": [*items]}


def _part(part: Members) -> Members:
    text = {"type": "input_text", "text": "a"}
    return _input({"role": "user", "content": [text, part]})


def _image(**more: str) -> Members:
    return _part({"type": "input_image", **more})


def _after(*items: Any) -> Members:  # noqa: ANN401 - the same
    return _input(_USER, *items, _USER)


def _call(kind: str = "function", *, output: object = "r", **more: Any) -> Members:  # noqa: ANN401 - the same
    given = {"function": {"name": "f", "arguments": "{}"}, "custom": {"name": "c"}}
    prefix = "" if kind == "function" else "custom_tool_"
    call = {"call_id": "call_1", **given[kind], **more}
    if kind == "custom":
        call["input"] = "x"
    call_type = "function_call" if kind == "function" else "custom_tool_call"
    return _input(
        _USER,
        {"type": call_type, **call},
        {
            "type": f"{prefix}call_output" if prefix else "function_call_output",
            "call_id": "call_1",
            "output": output,
        },
    )


def _said(**more: object) -> Members:
    text = {"type": "output_text", "text": "b", "annotations": []}
    return _after({"type": "message", "role": "assistant", "content": [text], **more})


def _thought(**more: object) -> Members:
    summary = [{"type": "summary_text", "text": "hm"}]
    text = {"type": "output_text", "text": "b"}
    return _after(
        {"type": "reasoning", "summary": summary, **more},
        {"type": "message", "role": "assistant", "content": [text]},
    )


_FOUND: Final = (
    _USER,
    {
        "type": "tool_search_call",
        "call_id": "call_1",
        "execution": "client",
        "arguments": {"query": "q"},
    },
    {
        "type": "tool_search_output",
        "call_id": "call_1",
        "execution": "client",
        "tools": [_TOOL],
    },
)
_FORM: Final = {"type": "json_schema", "name": "n", "schema": CITY}
_TEXT_RESULT: Final = [{"type": "input_text", "text": "r"}]
_IMAGE_RESULT: Final = [*_TEXT_RESULT, {"type": "input_image", "image_url": PNG_URL}]
_NOTE: Final = {"type": "url_citation", "url": "https://example.com", "title": "t"}
_NOTED: Final = {"type": "output_text", "text": "b", "annotations": [_NOTE]}

PROBES: Final = (
    Probe("instructions", {"instructions": "s"}),
    Probe("input: developer", _input({"role": "developer", "content": "s"}, _USER)),
    Probe(
        "input: developer, later",
        _after({"role": "developer", "content": "s"}),
        _after(),
    ),
    Probe("input_image as data", _image(image_url=PNG_URL)),
    Probe("input_image", _image(image_url="https://example.com/a.png")),
    Probe("input_image by id", _image(file_id="file-1")),
    Probe(
        "input_image.detail",
        _image(image_url=PNG_URL, detail="high"),
        _image(image_url=PNG_URL),
    ),
    Probe(
        "input_file as data",
        _part({"type": "input_file", "filename": "a.pdf", "file_data": PDF_URL}),
    ),
    Probe(
        "input_file by URL",
        _part({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
    ),
    Probe("input_file by id", _part({"type": "input_file", "file_id": "file-1"})),
    Probe(
        "input_audio",
        _part({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
    ),
    Probe("id of an item", _said(id="msg_1"), _said()),
    Probe("status of an item", _said(status="completed"), _said()),
    Probe(
        "output_text.annotations",
        _after({"type": "message", "role": "assistant", "content": [_NOTED]}),
        _said(),
    ),
    Probe("reasoning: summary", _thought(), _said()),
    Probe("reasoning: encrypted_content", _thought(encrypted_content="gAA"), _said()),
    Probe("function_call", {**_call(), "tools": [_TOOL]}, {"tools": [_TOOL]}),
    Probe("function_call.namespace", _call(namespace="ns"), _call()),
    Probe("function_call_output: images", _call(output=_IMAGE_RESULT), _call()),
    Probe("custom_tool_call", {**_call("custom"), "tools": [_CUSTOM]}),
    Probe("tool_search_call", {**_input(*_FOUND), "tools": [_SEARCH]}),
    Probe(
        "additional_tools",
        _input(_USER, {"type": "additional_tools", "tools": [_TOOL]}),
    ),
    Probe(
        "web_search_call",
        _after({"type": "web_search_call", "id": "ws_1", "status": "completed"}),
        _after(),
    ),
    Probe("item_reference", _input({"type": "item_reference", "id": "msg_1"}, _USER)),
    Probe(
        "compaction", _input({"type": "compaction", "encrypted_content": "A"}, _USER)
    ),
    Probe("compaction_trigger", _input(_USER, {"type": "compaction_trigger"})),
    Probe(
        "computer_call",
        _after({"type": "computer_call", "call_id": "call_1", "action": {}}),
    ),
    Probe("max_output_tokens", {"max_output_tokens": 100}),
    Probe("temperature", {"temperature": 0.5}),
    Probe("top_p", {"top_p": 0.5}),
    Probe("top_logprobs", {"top_logprobs": 3}),
    Probe("tools: function", {"tools": [_TOOL]}),
    Probe("tools.strict", {"tools": [{**_TOOL, "strict": True}]}, {"tools": [_TOOL]}),
    Probe("tools: custom", {"tools": [_CUSTOM]}),
    Probe(
        "tools.format", {"tools": [{**_CUSTOM, "format": _LARK}]}, {"tools": [_CUSTOM]}
    ),
    Probe("tools: namespace", {"tools": [_SPACE]}),
    Probe(
        "tools.namespace.description",
        {"tools": [{**_SPACE, "description": "d"}]},
        {"tools": [_SPACE]},
    ),
    Probe("tools: tool_search", {"tools": [_SEARCH]}),
    Probe("tools: web_search", {"tools": [{"type": "web_search"}]}),
    Probe("tools: image_generation", {"tools": [{"type": "image_generation"}]}),
    Probe("tools: file_search", {"tools": [{"type": "file_search"}]}),
    Probe("tools: code_interpreter", {"tools": [{"type": "code_interpreter"}]}),
    Probe("tools: mcp", {"tools": [{"type": "mcp", "server_label": "x"}]}),
    Probe("tools: computer", {"tools": [{"type": "computer"}]}),
    Probe(
        "tool_choice: required",
        {"tools": [_TOOL], "tool_choice": "required"},
        {"tools": [_TOOL]},
    ),
    Probe(
        "tool_choice: function",
        {"tools": [_TOOL], "tool_choice": {"type": "function", "name": "f"}},
        {"tools": [_TOOL]},
    ),
    Probe(
        "tool_choice: allowed_tools",
        {
            "tools": [_TOOL, _CUSTOM],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            },
        },
        {"tools": [_TOOL, _CUSTOM]},
    ),
    Probe(
        "tool_choice: a hosted tool",
        {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
    ),
    Probe(
        "parallel_tool_calls: false",
        {"tools": [_TOOL], "parallel_tool_calls": False},
        {"tools": [_TOOL]},
    ),
    Probe("reasoning.effort", {"reasoning": {"effort": "high"}}),
    Probe(
        "reasoning.summary",
        {"reasoning": {"effort": "high", "summary": "detailed"}},
        {"reasoning": {"effort": "high"}},
    ),
    Probe("text.format: json_object", {"text": {"format": {"type": "json_object"}}}),
    Probe("text.format: json_schema", {"text": {"format": _FORM}}),
    Probe("text.verbosity", {"text": {"verbosity": "low"}}),
    Probe("include: logprobs", {"include": ["message.output_text.logprobs"]}),
    Probe("previous_response_id", {"previous_response_id": "resp_1"}),
    Probe("conversation", {"conversation": "conv_1"}),
    Probe("prompt", {"prompt": {"id": "pmpt_1"}}),
    Probe("background", {"background": True}),
    Probe("store", {"store": True}),
    Probe("truncation: auto", {"truncation": "auto"}),
    Probe("max_tool_calls", {"max_tool_calls": 3}),
    Probe("user", {"user": "u-1"}),
    Probe("safety_identifier", {"safety_identifier": "u-1"}),
    Probe("metadata", {"metadata": {"k": "v"}}),
    Probe("service_tier: flex", {"service_tier": "flex"}),
    Probe("prompt_cache_key", {"prompt_cache_key": "k"}),
    Probe("client_metadata", {"client_metadata": {"k": "v"}}),
    Probe("stream", {"stream": True}),
)
