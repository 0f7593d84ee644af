"""What an OpenAI Chat request asks of the mock, in words of no dialect."""

import json
from typing import Final

import msgspec

from smart_llmrouter.mockprovider import openai_chat_schema as chat
from smart_llmrouter.mockprovider.samples import Json, sample
from smart_llmrouter.mockprovider.script import without_marker
from smart_llmrouter.mockprovider.speech import Prompt, ToolCall

_PARALLEL_WORDS: Final = ("parallel", "both", "each of")


def prompt_of(request: chat.ChatRequest, digest: str) -> Prompt:
    """Return what `request` asks; ids of tool calls are made from `digest`."""
    said = last_said(request)
    structured, structure = _structure(request)
    return Prompt(
        model=request.model,
        said=without_marker(said),
        tool_results=_tool_results(request),
        messages=len(request.messages),
        size_chars=_size_chars(request),
        images=sum(_images(message) for message in request.messages),
        tool_calls=_tool_calls(request, said, digest),
        structure=structure,
        structured=structured,
        effort=request.reasoning_effort,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=_stops(request),
    )


def last_said(request: chat.ChatRequest) -> str:
    """Return the text of the last user message."""
    for message in reversed(request.messages):
        if message.role == "user":
            return _text(message)
    return ""


def _text(message: chat.Message) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "\n".join(part.text for part in message.content if part.text)


def _images(message: chat.Message) -> int:
    if message.content is None or isinstance(message.content, str):
        return 0
    return sum(part.type == "image_url" for part in message.content)


def _size_chars(request: chat.ChatRequest) -> int:
    size = sum(len(_text(message)) for message in request.messages)
    return size + (len(msgspec.json.encode(request.tools)) if request.tools else 0)


def _stops(request: chat.ChatRequest) -> tuple[str, ...]:
    if request.stop is None:
        return ()
    return (request.stop,) if isinstance(request.stop, str) else request.stop


def _tool_results(request: chat.ChatRequest) -> tuple[str, ...]:
    results: list[str] = []
    for message in reversed(request.messages):
        if message.role != "tool":
            break
        results.append(_text(message))
    return tuple(reversed(results))


def _structure(request: chat.ChatRequest) -> tuple[bool, Json]:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return False, None
    if wanted.json_schema is not None and wanted.json_schema.schema is not None:
        return True, sample(wanted.json_schema.schema)
    return True, {"answer": "This is an object, as asked for.", "mock": True}


def _tool_calls(
    request: chat.ChatRequest, said: str, digest: str
) -> tuple[ToolCall, ...]:
    """Call a tool, or two at once where that is allowed and asked for."""
    tools = _callable_tools(request)
    if not tools or request.messages[-1].role == "tool":
        return ()
    asked = any(word in said.lower() for word in _PARALLEL_WORDS)
    parallel = request.parallel_tool_calls is not False and asked
    called = tools[:2] if len(tools) > 1 else tools * 2
    return tuple(
        ToolCall(
            id=f"call_{digest[32:54]}{index:02d}",
            name=tool.name,
            arguments=_arguments(tool, said, index),
            custom=tool.custom is not None,
        )
        for index, tool in enumerate(called[: 2 if parallel else 1])
    )


def _callable_tools(request: chat.ChatRequest) -> tuple[chat.Tool, ...]:
    tools = tuple(tool for tool in request.tools or () if tool.name)
    choice = request.tool_choice
    if choice == "none":
        return ()
    if isinstance(choice, chat.ToolChoice):
        named = choice.function or choice.custom
        return tuple(tool for tool in tools if named and tool.name == named.name)
    return tools


def _arguments(tool: chat.Tool, said: str, variant: int) -> str:
    if tool.function is None:
        return without_marker(said)
    schema = tool.function.parameters or {"type": "object", "properties": {}}
    return json.dumps(sample(schema, variant=variant), ensure_ascii=False)
