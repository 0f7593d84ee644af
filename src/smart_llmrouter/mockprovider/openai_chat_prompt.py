"""The reader of OpenAI Chat: what a request asks of the mock."""

import msgspec

from smart_llmrouter.mockprovider import openai_chat_schema as chat
from smart_llmrouter.mockprovider.asked import Asked, Message, Result, Tool, image_at
from smart_llmrouter.mockprovider.samples import Json, sample


def asked_of(request: chat.ChatRequest) -> Asked:
    """Return what `request` asks."""
    structured, structure = _structure(request)
    return Asked(
        model=request.model,
        messages=tuple(_message(message) for message in request.messages),
        tools=_callable_tools(request),
        parallel=request.parallel_tool_calls is not False,
        structured=structured,
        structure=structure,
        effort=request.reasoning_effort,
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=_stops(request),
        size_chars=_size_chars(request),
    )


def _message(message: chat.Message) -> Message:
    text = _text(message)
    match message.role:
        case "user":
            images = tuple(
                image_at(part.image_url.url)
                for part in message.parts
                if part.image_url is not None
            )
            return Message(role="user", text=text, images=images)
        case "assistant":
            calls = len(message.tool_calls or ()) + (message.function_call is not None)
            return Message(role="assistant", text=text, calls=calls)
        case "tool" | "function":
            return Message(role="tool", results=(Result(text=text),))
        case _:
            return Message(role="system", text=text)


def _text(message: chat.Message) -> str:
    return "\n".join(part.text for part in message.parts if part.text)


def _size_chars(request: chat.ChatRequest) -> int:
    size = sum(len(_text(message)) for message in request.messages)
    return size + (len(msgspec.json.encode(request.tools)) if request.tools else 0)


def _stops(request: chat.ChatRequest) -> tuple[str, ...]:
    if request.stop is None:
        return ()
    return (request.stop,) if isinstance(request.stop, str) else request.stop


def _structure(request: chat.ChatRequest) -> tuple[bool, Json]:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return False, None
    if wanted.json_schema is not None and wanted.json_schema.schema is not None:
        return True, sample(wanted.json_schema.schema)
    return True, {"answer": "This is an object, as asked for.", "mock": True}


def _callable_tools(request: chat.ChatRequest) -> tuple[Tool, ...]:
    tools = tuple(_tool(tool) for tool in request.tools or () if tool.name)
    choice = request.tool_choice
    if choice == "none":
        return ()
    if isinstance(choice, chat.ToolChoice):
        named = choice.function or choice.custom
        return tuple(tool for tool in tools if named and tool.name == named.name)
    return tools


def _tool(tool: chat.Tool) -> Tool:
    if tool.function is None:
        return Tool(name=tool.name, kind="custom")
    return Tool(name=tool.name, schema=tool.function.parameters)
