"""What OpenAI refuses in a Chat request, so that a wrong translation is seen."""

from collections.abc import Mapping, Sequence
from typing import Final

from smart_llmrouter.mockprovider import openai_chat_schema as chat
from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.openai_rules import (
    check_foreign,
    check_length,
    check_name,
    check_parameters,
    check_value,
    reasons,
)

_LONGEST_ID_CHARS: Final = 40
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "developer": frozenset({"text"}),
    "system": frozenset({"text"}),
    "user": frozenset({"text", "image_url", "input_audio", "file"}),
    "assistant": frozenset({"text", "refusal"}),
    "tool": frozenset({"text"}),
    "function": frozenset({"text"}),
}
_TOOLS: Final = frozenset({"function", "custom"})
_FOREIGN: Final = {
    "include": "",
    "input": "In Chat this is 'messages'.",
    "instructions": "In Chat this is a message of the role 'developer'.",
    "max_output_tokens": "In Chat this is 'max_completion_tokens'.",
    "previous_response_id": "",
    "stop_sequences": "In Chat this is 'stop'.",
    "system": "In Chat this is a message of the role 'system'.",
}


def check(request: chat.ChatRequest, body: bytes) -> None:
    """Raise `Refused` for what is wrong with `request`, which was read from `body`."""
    check_foreign(body, _FOREIGN)
    _check_limits(request)
    _check_tools(request)
    for index, message in enumerate(request.messages):
        _check_message(message, f"messages.[{index}]")
    _check_answered(request.messages)


def _check_limits(request: chat.ChatRequest) -> None:
    if request.stream_options is not None and not request.stream:
        raise Refused(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    if request.max_tokens is None:
        return
    if request.max_completion_tokens is not None:
        raise Refused(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
            "supported.",
            code="invalid_parameter_combination",
            param="max_tokens",
        )
    if reasons(request.model):
        raise Refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            code="unsupported_parameter",
            param="max_tokens",
        )


def _check_tools(request: chat.ChatRequest) -> None:
    tools = request.tools or ()
    for index, tool in enumerate(tools):
        param = f"tools[{index}]"
        check_value(tool.type, _TOOLS, f"{param}.type")
        if (tool.function if tool.type == "function" else tool.custom) is None:
            missing = f"{param}.{tool.type}"
            raise Refused(
                f"Missing required parameter: '{missing}'.",
                code="missing_required_parameter",
                param=missing,
            )
        check_name(tool.name, f"{param}.{tool.type}.name")
        if tool.function is not None and tool.function.parameters is not None:
            check_parameters(
                tool.name, tool.function.parameters, f"{param}.function.parameters"
            )
    _check_choice(request, {tool.name for tool in tools})


def _check_choice(request: chat.ChatRequest, names: set[str]) -> None:
    choice = request.tool_choice
    if not names and choice not in {None, "none"}:
        raise Refused(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when "
            "'tools' are specified.",
            param="tool_choice",
        )
    if not isinstance(choice, chat.ToolChoice):
        return
    named = choice.function or choice.custom
    if named is not None and named.name not in names:
        raise Refused(
            f"Invalid value for 'tool_choice': no tool is called '{named.name}'.",
            param="tool_choice",
        )


def _check_message(message: chat.Message, param: str) -> None:
    check_value(message.role, _PARTS, f"{param}.role")
    for part in message.parts:
        check_value(part.type, _PARTS[message.role], f"{param}.content")
    said_otherwise = (
        message.tool_calls or message.function_call or message.refusal or message.audio
    )
    silent = message.role == "assistant" and said_otherwise
    if message.content is None and not silent:
        raise Refused(
            "Invalid value for 'content': expected a string, got null.",
            param=f"{param}.content",
        )
    if message.tool_calls is not None and not message.tool_calls:
        raise Refused(
            f"Invalid '{param}.tool_calls': empty array. Expected an array with "
            "minimum length 1.",
            code="empty_array",
            param=f"{param}.tool_calls",
        )
    for index, call in enumerate(message.tool_calls or ()):
        place = f"{param}.tool_calls[{index}]"
        check_value(call.type, _TOOLS, f"{place}.type")
        check_name(call.name, f"{place}.{call.type}.name")
        check_length(call.id, _LONGEST_ID_CHARS, f"{place}.id")


def _check_answered(messages: Sequence[chat.Message]) -> None:
    """Refuse results without a call, and calls without a result."""
    open_ids: set[str] = set()
    for index, message in enumerate(messages):
        if message.role != "tool":
            _check_none_open(open_ids, index)
            open_ids = {call.id for call in message.tool_calls or ()}
        elif message.tool_call_id in open_ids:
            open_ids.discard(message.tool_call_id)
        else:
            raise Refused(
                "Invalid parameter: messages with role 'tool' must be a response to a "
                "preceding message with 'tool_calls'.",
                param=f"messages.[{index}].role",
            )
    _check_none_open(open_ids, len(messages))


def _check_none_open(open_ids: set[str], index: int) -> None:
    if open_ids:
        raise Refused(
            "An assistant message with 'tool_calls' must be followed by tool messages "
            "responding to each 'tool_call_id'. The following tool_call_ids did not "
            f"have response messages: {', '.join(sorted(open_ids))}",
            param=f"messages.[{index}].role",
        )
