"""Probes of Chat Completions."""

from typing import Any, Final

from tools.translation_probes import CITY, PDF_URL, PNG_URL, Members, Probe

BASE: Final[Members] = {
    "model": "chat",
    "messages": [{"role": "user", "content": "hi"}],
}
_TOOL: Final = {"type": "function", "function": {"name": "f", "parameters": CITY}}
_STRICT: Final = {
    "type": "function",
    "function": {"name": "f", "parameters": CITY, "strict": True},
}
_LARK: Final = {"syntax": "lark", "definition": "start: /.+/"}
_CUSTOM: Final = {"type": "custom", "custom": {"name": "c"}}
_GRAMMAR: Final = {
    "type": "custom",
    "custom": {"name": "c", "format": {"type": "grammar", "grammar": _LARK}},
}
_USER: Final = {"role": "user", "content": "hi"}
_CALL: Final = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": '{"city":"Oslo"}'},
}
_FORM: Final = {"name": "n", "schema": CITY}


def _messages(*messages: Any) -> Members:  # noqa: ANN401 - messages of all kinds
    return {"messages": [*messages]}


def _part(part: Members) -> Members:
    return _messages({"role": "user", "content": [{"type": "text", "text": "a"}, part]})


def _said(**members: object) -> Members:
    said = {"role": "assistant", "content": "b", **members}
    return _messages(_USER, said, _USER)


def _called(result: object, *calls: object) -> Members:
    return _messages(
        _USER,
        {"role": "assistant", "content": None, "tool_calls": [*calls] or [_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    )


def _image(**more: str) -> Members:
    url = {"url": "https://example.com/a.png", **more}
    return _part({"type": "image_url", "image_url": url})


_CUSTOM_CALL: Final = {
    "id": "call_1",
    "type": "custom",
    "custom": {"name": "c", "input": "x"},
}
_TEXT_RESULT: Final = [{"type": "text", "text": "r"}]
_IMAGE_RESULT: Final = [
    *_TEXT_RESULT,
    {"type": "image_url", "image_url": {"url": PNG_URL}},
]
_PROOF: Final = [{"type": "reasoning.encrypted", "data": "AAAA"}]

PROBES: Final = (
    Probe("messages: system", _messages({"role": "system", "content": "s"}, _USER)),
    Probe(
        "messages: developer", _messages({"role": "developer", "content": "s"}, _USER)
    ),
    Probe(
        "messages: system, later",
        _messages(_USER, {"role": "system", "content": "s"}, _USER),
        _messages(_USER, _USER),
    ),
    Probe("messages.name", _messages({**_USER, "name": "ann"}), _messages(_USER)),
    Probe(
        "content: image_url as data",
        _part({"type": "image_url", "image_url": {"url": PNG_URL}}),
    ),
    Probe("content: image_url", _image()),
    Probe("content.image_url.detail", _image(detail="high"), _image()),
    Probe(
        "content: input_audio",
        _part({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
    ),
    Probe(
        "content: file as data",
        _part({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF_URL}}),
    ),
    Probe(
        "content: file by id", _part({"type": "file", "file": {"file_id": "file-1"}})
    ),
    Probe(
        "content.cache_control",
        _part({"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}),
        _part({"type": "text", "text": "b"}),
    ),
    Probe("refusal", _said(refusal="no"), _said()),
    Probe("reasoning_content", _said(reasoning_content="hm"), _said()),
    Probe("reasoning_details", _said(reasoning_details=_PROOF), _said()),
    Probe("tool_calls", {**_called("r"), "tools": [_TOOL]}, {"tools": [_TOOL]}),
    Probe("tool_calls: custom", {**_called("r", _CUSTOM_CALL), "tools": [_CUSTOM]}),
    Probe("tool results: images", _called(_IMAGE_RESULT), _called(_TEXT_RESULT)),
    Probe("max_tokens", {"max_tokens": 100}),
    Probe("max_completion_tokens", {"max_completion_tokens": 100}),
    Probe("temperature", {"temperature": 0.5}),
    Probe("temperature above 1", {"temperature": 1.5}),
    Probe("top_p", {"top_p": 0.5}),
    Probe("temperature and top_p", {"temperature": 0.5, "top_p": 0.5}),
    Probe("stop", {"stop": ["END"]}),
    Probe("n", {"n": 2}),
    Probe("logprobs", {"logprobs": True}),
    Probe("logit_bias", {"logit_bias": {"1": 5}}),
    Probe("presence_penalty", {"presence_penalty": 0.5}),
    Probe("frequency_penalty", {"frequency_penalty": 0.5}),
    Probe("seed", {"seed": 7}),
    Probe("top_k", {"top_k": 5}),
    Probe("min_p", {"min_p": 0.1}),
    Probe("repetition_penalty", {"repetition_penalty": 1.1}),
    Probe("response_format: json_object", {"response_format": {"type": "json_object"}}),
    Probe(
        "response_format: json_schema",
        {"response_format": {"type": "json_schema", "json_schema": _FORM}},
    ),
    Probe(
        "response_format.json_schema.strict",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {**_FORM, "strict": True},
            }
        },
        {"response_format": {"type": "json_schema", "json_schema": _FORM}},
    ),
    Probe("tools: function", {"tools": [_TOOL]}),
    Probe("tools.function.strict", {"tools": [_STRICT]}, {"tools": [_TOOL]}),
    Probe("tools: custom", {"tools": [_CUSTOM]}),
    Probe("tools.custom.format", {"tools": [_GRAMMAR]}, {"tools": [_CUSTOM]}),
    Probe(
        "tool_choice: required",
        {"tools": [_TOOL], "tool_choice": "required"},
        {"tools": [_TOOL]},
    ),
    Probe(
        "tool_choice: function",
        {
            "tools": [_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
        {"tools": [_TOOL]},
    ),
    Probe(
        "tool_choice: none",
        {"tools": [_TOOL], "tool_choice": "none"},
        {"tools": [_TOOL]},
    ),
    Probe(
        "tool_choice: allowed_tools",
        {
            "tools": [_TOOL, _CUSTOM],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        },
        {"tools": [_TOOL, _CUSTOM]},
    ),
    Probe(
        "parallel_tool_calls: false",
        {"tools": [_TOOL], "parallel_tool_calls": False},
        {"tools": [_TOOL]},
    ),
    Probe("functions", {"functions": [{"name": "f", "parameters": CITY}]}),
    Probe("web_search_options", {"web_search_options": {}}),
    Probe("reasoning_effort", {"reasoning_effort": "high"}),
    Probe("reasoning_effort: minimal", {"reasoning_effort": "minimal"}),
    Probe(
        "thinking.budget_tokens",
        {"thinking": {"type": "enabled", "budget_tokens": 4096}},
    ),
    Probe("verbosity", {"verbosity": "low"}),
    Probe("modalities: audio", {"modalities": ["text", "audio"]}),
    Probe("prediction", {"prediction": {"type": "content", "content": "x"}}),
    Probe("user", {"user": "u-1"}),
    Probe("safety_identifier", {"safety_identifier": "u-1"}),
    Probe("metadata", {"metadata": {"k": "v"}}),
    Probe("store", {"store": True}),
    Probe("service_tier: flex", {"service_tier": "flex"}),
    Probe("prompt_cache_key", {"prompt_cache_key": "k"}),
    Probe("prompt_cache_retention", {"prompt_cache_retention": "24h"}),
    Probe("stream", {"stream": True}),
)
