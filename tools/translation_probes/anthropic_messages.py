"""Probes of Messages."""

from typing import Any, Final

from tools.translation_probes import CITY, PDF, PNG, Members, Probe

BASE: Final[Members] = {
    "model": "chat",
    "max_tokens": 8000,
    "messages": [{"role": "user", "content": "hi"}],
}
_USER: Final = {"role": "user", "content": "hi"}
_TOOL: Final = {"name": "f", "input_schema": CITY}
_MARK: Final = {"cache_control": {"type": "ephemeral"}}
_TEXT: Final = {"type": "text", "text": "a"}


def _messages(*messages: Any) -> Members:  # noqa: ANN401 - messages of all kinds
    return {"messages": [*messages]}


def _block(block: Members) -> Members:
    return _messages({"role": "user", "content": [_TEXT, block]})


def _image(**source: str) -> Members:
    return _block({"type": "image", "source": source})


def _document(source: Members, **more: object) -> Members:
    return _block({"type": "document", "source": source, **more})


def _said(*blocks: Any) -> Members:  # noqa: ANN401 - blocks of all kinds
    said = [*blocks, {"type": "text", "text": "b"}]
    return _messages(_USER, {"role": "assistant", "content": said}, _USER)


def _called(content: object = "r", **more: object) -> Members:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "x"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}
    return _messages(
        _USER,
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{**result, **more}]},
    )


def _tools(**more: object) -> Members:
    return {"tools": [{**_TOOL, **more}]}


def _offered(kind: str, name: str) -> Members:
    return {"tools": [{"type": kind, "name": name}]}


_DATA: Final = {"type": "base64", "media_type": "image/png", "data": PNG}
_PDF: Final = {"type": "base64", "media_type": "application/pdf", "data": PDF}
_WORDS: Final = {"type": "text", "media_type": "text/plain", "data": "words"}
_THOUGHT: Final = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
_FOUND: Final = {
    "type": "search_result",
    "source": "s",
    "title": "t",
    "content": [_TEXT],
}
_SEARCHED: Final = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {},
}

PROBES: Final = (
    Probe("system", {"system": "s"}),
    Probe("system: blocks", {"system": [_TEXT, {"type": "text", "text": "b"}]}),
    Probe(
        "system: billing header",
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: a=b"}]},
    ),
    Probe(
        "system.cache_control",
        {"system": [{**_TEXT, **_MARK}]},
        {"system": [_TEXT]},
    ),
    Probe("tools.cache_control", _tools(**_MARK), _tools()),
    Probe("content.cache_control", _block({**_TEXT, **_MARK}), _block(_TEXT)),
    Probe("cache_control", _MARK),
    Probe(
        "messages: system",
        _messages(_USER, {"role": "system", "content": "s"}),
        _messages(_USER),
    ),
    Probe("image: base64", _block({"type": "image", "source": _DATA})),
    Probe("image: url", _image(type="url", url="https://example.com/a.png")),
    Probe("image: file", _image(type="file", file_id="file_1")),
    Probe("document: base64", _document(_PDF, title="a.pdf")),
    Probe("document: text", _document(_WORDS)),
    Probe(
        "document: url",
        _document({"type": "url", "url": "https://example.com/a.pdf"}),
    ),
    Probe("document: file", _document({"type": "file", "file_id": "file_1"})),
    Probe(
        "document.citations",
        _document(_PDF, title="a.pdf", citations={"enabled": True}),
        _document(_PDF, title="a.pdf"),
    ),
    Probe("search_result", _block(_FOUND)),
    Probe("thinking with a signature", _said(_THOUGHT), _said()),
    Probe(
        "redacted_thinking",
        _said({"type": "redacted_thinking", "data": "cmVk"}),
        _said(),
    ),
    Probe("server_tool_use", _said(_SEARCHED), _said()),
    Probe(
        "a last message of the assistant",
        _messages(_USER, {"role": "assistant", "content": "It is"}),
    ),
    Probe("tool_use and tool_result", _called()),
    Probe("tool_result.is_error", _called(is_error=True), _called()),
    Probe(
        "tool_result: image",
        _called([_TEXT, {"type": "image", "source": _DATA}]),
        _called([_TEXT]),
    ),
    Probe(
        "tool_result: document",
        _called([_TEXT, {"type": "document", "source": _PDF}]),
        _called([_TEXT]),
    ),
    Probe(
        "tool_result: tool_reference",
        _called([{"type": "tool_reference", "tool_name": "f"}]),
        _called([]),
    ),
    Probe("max_tokens", {"max_tokens": 100}),
    Probe("temperature", {"temperature": 0.5}),
    Probe("top_p", {"top_p": 0.5}),
    Probe("top_k", {"top_k": 5}),
    Probe("stop_sequences", {"stop_sequences": ["END"]}),
    Probe("thinking: adaptive", {"thinking": {"type": "adaptive"}}),
    Probe(
        "thinking: enabled", {"thinking": {"type": "enabled", "budget_tokens": 4096}}
    ),
    Probe("thinking: disabled", {"thinking": {"type": "disabled"}}),
    Probe(
        "thinking.display: summarized",
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        {"thinking": {"type": "adaptive"}},
    ),
    Probe(
        "thinking.display: omitted",
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"thinking": {"type": "adaptive"}},
    ),
    Probe("output_config.effort", {"output_config": {"effort": "high"}}),
    Probe(
        "output_config.format",
        {"output_config": {"format": {"type": "json_schema", "schema": CITY}}},
    ),
    Probe("tools", _tools()),
    Probe("tools.strict", _tools(strict=True), _tools()),
    Probe("tools.defer_loading", _tools(defer_loading=True), _tools()),
    Probe("tools.input_examples", _tools(input_examples=[{"city": "x"}]), _tools()),
    Probe("tools: bash", _offered("bash_20250124", "bash")),
    Probe(
        "tools: text_editor",
        _offered("text_editor_20250728", "str_replace_based_edit_tool"),
    ),
    Probe("tools: memory", _offered("memory_20250818", "memory")),
    Probe("tools: web_search", _offered("web_search_20250305", "web_search")),
    Probe("tools: web_fetch", _offered("web_fetch_20250910", "web_fetch")),
    Probe(
        "tools: code_execution", _offered("code_execution_20250825", "code_execution")
    ),
    Probe("tools: computer", _offered("computer_20250124", "computer")),
    Probe("tools: mcp_toolset", {"tools": [{"type": "mcp_toolset"}]}),
    Probe("tool_choice: any", {**_tools(), "tool_choice": {"type": "any"}}, _tools()),
    Probe(
        "tool_choice: tool",
        {**_tools(), "tool_choice": {"type": "tool", "name": "f"}},
        _tools(),
    ),
    Probe("tool_choice: none", {**_tools(), "tool_choice": {"type": "none"}}, _tools()),
    Probe(
        "tool_choice.disable_parallel_tool_use",
        {
            **_tools(),
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
        {**_tools(), "tool_choice": {"type": "auto"}},
    ),
    Probe("metadata.user_id", {"metadata": {"user_id": "u-1"}}),
    Probe("service_tier: standard_only", {"service_tier": "standard_only"}),
    Probe("context_management", {"context_management": {"edits": []}}),
    Probe("container", {"container": "container_1"}),
    Probe("mcp_servers", {"mcp_servers": [{"type": "url", "name": "n"}]}),
    Probe("inference_geo", {"inference_geo": "us"}),
    Probe("speed", {"speed": "fast"}),
    Probe("stream", {"stream": True}),
)
