"""What OpenAI refuses in a Responses request, so that a wrong translation is seen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from smart_llmrouter.mockprovider import openai_responses_schema as responses
from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.openai_responses_prompt import CALLS
from smart_llmrouter.mockprovider.openai_rules import (
    check_foreign,
    check_length,
    check_name,
    check_parameters,
    check_value,
)
from smart_llmrouter.mockprovider.seal import ForeignBlob, Seal

_FEWEST_TOKENS: Final = 16
_LONGEST_ID_CHARS: Final = 64
_ID_BEGINS: Final[Mapping[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}
_ITEMS: Final = frozenset(
    {
        "message", "reasoning", "item_reference", "additional_tools", "compaction",
        "compaction_trigger", "web_search_call", "file_search_call",
        "code_interpreter_call", "image_generation_call", "computer_call",
        "computer_call_output", "local_shell_call", "local_shell_call_output",
        "shell_call", "shell_call_output", "apply_patch_call",
        "apply_patch_call_output", "mcp_call", "mcp_list_tools",
        "mcp_approval_request", "mcp_approval_response",
        *CALLS, *CALLS.values(),
    }
)  # fmt: skip
_TOOLS: Final = frozenset(
    {
        "function", "custom", "namespace", "tool_search", "web_search",
        "web_search_preview", "file_search", "code_interpreter", "mcp",
        "computer_use_preview", "image_generation", "local_shell", "shell",
        "apply_patch",
    }
)  # fmt: skip
_CHOICES: Final = _TOOLS | {"allowed_tools"}
_INPUT_PARTS: Final = frozenset(
    {"input_text", "input_image", "input_file", "input_audio"}
)
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "assistant": frozenset({"output_text", "refusal"}),
    "developer": _INPUT_PARTS,
    "system": _INPUT_PARTS,
    "user": _INPUT_PARTS,
}
_FOREIGN: Final = {
    "functions": "",
    "logprobs": "",
    "max_completion_tokens": "Use 'max_output_tokens' instead.",
    "max_tokens": "Use 'max_output_tokens' instead.",
    "messages": "In the Responses API, this parameter has moved to 'input'.",
    "n": "",
    "reasoning_effort": "This parameter has moved to 'reasoning.effort'.",
    "response_format": "This parameter has moved to 'text.format'.",
    "seed": "",
    "stop": "",
    "stop_sequences": "",
    "system": "Use 'instructions' instead.",
    "thinking": "",
}


def check(
    request: responses.ResponsesRequest,
    items: Sequence[responses.Item],
    *,
    body: bytes,
    seal: Seal,
) -> None:
    """Raise `Refused` for what is wrong; `items` are all that the request stands on."""
    check_foreign(body, _FOREIGN)
    if not request.items and request.previous_response_id is None:
        raise Refused(
            "Missing required parameter: 'input'.",
            code="missing_required_parameter",
            param="input",
        )
    if (most := request.max_output_tokens) is not None and most < _FEWEST_TOKENS:
        raise Refused(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a "
            f"value >= {_FEWEST_TOKENS}, but got {most} instead.",
            code="integer_below_min_value",
            param="max_output_tokens",
        )
    for tool, param in _tools(request.tools or (), "tools"):
        _check_tool(tool, param)
    _check_choice(request, items)
    for index, item in enumerate(request.items):
        _check_item(item, f"input[{index}]", seal)
    if any(item.type == "compaction_trigger" for item in items[:-1]):
        raise Refused("A 'compaction_trigger' must be the last item.", param="input")
    _check_answered(items)


def _tools(
    tools: Sequence[responses.Tool], param: str
) -> Iterator[tuple[responses.Tool, str]]:
    for index, tool in enumerate(tools):
        yield tool, f"{param}[{index}]"
        yield from _tools(tool.tools or (), f"{param}[{index}].tools")


def _check_tool(tool: responses.Tool, param: str) -> None:
    if not tool.type.startswith("web_search"):
        check_value(tool.type, _TOOLS, f"{param}.type")
    if tool.type not in {"function", "custom", "namespace"}:
        return
    if not tool.name:
        raise Refused(
            f"Missing required parameter: '{param}.name'.",
            code="missing_required_parameter",
            param=f"{param}.name",
        )
    check_name(tool.name, f"{param}.name")
    check_parameters(tool.name, tool.parameters or {}, f"{param}.parameters")


def _check_choice(
    request: responses.ResponsesRequest, items: Sequence[responses.Item]
) -> None:
    choice = request.tool_choice
    if not isinstance(choice, responses.ToolChoice):
        return
    check_value(choice.type, _CHOICES, "tool_choice.type")
    brought = [tool for item in items for tool in item.tools or ()]
    offered = [*(request.tools or ()), *brought]
    names = {tool.name for tool, _ in _tools(offered, "tools")}
    if choice.type in {"function", "custom"} and choice.name not in names:
        raise Refused(
            f"Tool choice '{choice.name}' not found in 'tools' parameter.",
            param="tool_choice",
        )


def _check_item(item: responses.Item, param: str, seal: Seal) -> None:
    check_value(item.type, _ITEMS, f"{param}.type")
    begin = _ID_BEGINS.get(item.type)
    if item.id is not None and begin and not item.id.startswith(begin):
        raise Refused(
            f"Invalid '{param}.id': '{item.id}'. Expected an ID that begins with "
            f"'{begin}'.",
            code="invalid_value",
            param=f"{param}.id",
        )
    if item.type == "message":
        _check_message(item, param)
    if item.type in CALLS or item.type in CALLS.values():
        _check_call(item, param)
    for part in item.given_back if isinstance(item.output, tuple) else ():
        check_value(part.type, _INPUT_PARTS, f"{param}.output")
    for tool, place in _tools(item.tools or (), f"{param}.tools"):
        _check_tool(tool, place)
    if item.encrypted_content is not None:
        _check_sealed(item, seal)


def _check_message(item: responses.Item, param: str) -> None:
    check_value(item.role or "", _PARTS, f"{param}.role")
    if item.content is None:
        raise Refused(
            f"Missing required parameter: '{param}.content'.",
            code="missing_required_parameter",
            param=f"{param}.content",
        )
    if isinstance(item.content, str):
        return
    for index, part in enumerate(item.content):
        known = _PARTS[item.role or "user"]
        check_value(part.type, known, f"{param}.content[{index}]")


def _check_call(item: responses.Item, param: str) -> None:
    if item.call_id is None:
        raise Refused(
            f"Missing required parameter: '{param}.call_id'.",
            code="missing_required_parameter",
            param=f"{param}.call_id",
        )
    check_length(item.call_id, _LONGEST_ID_CHARS, f"{param}.call_id")
    if item.type in {"function_call", "custom_tool_call"}:
        check_name(item.name or "", f"{param}.name")


def _check_sealed(item: responses.Item, seal: Seal) -> None:
    kind: Final = "compaction" if item.type == "compaction" else "reasoning"
    try:
        seal.opened(kind, item.encrypted_content or "")
    except ForeignBlob as error:
        raise Refused(
            f"The encrypted content for item {item.id} could not be verified. "
            "Reason: Encrypted content could not be decrypted or parsed.",
            code="invalid_encrypted_content",
        ) from error


def _check_answered(items: Sequence[responses.Item]) -> None:
    """Refuse results without a call before them, and calls without a result."""
    called: dict[str, str] = {}
    answers = {answer: call for call, answer in CALLS.items()}
    for item in items:
        call_id = item.call_id or ""
        if item.type in CALLS:
            called[call_id] = item.type
        elif item.type in answers and called.pop(call_id, None) != answers[item.type]:
            kind = item.type.removesuffix("_output").replace("_", " ")
            raise Refused(
                f"No tool call found for {kind} output with call_id {call_id}.",
                param="input",
            )
    for call_id, kind in called.items():
        raise Refused(
            f"No tool output found for {kind.replace('_', ' ')} {call_id}.",
            param="input",
        )
