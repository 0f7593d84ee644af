"""What a search for tools has found, told to models that know flat names only."""

import pytest

from smart_llmrouter.core.content import Image, ResultPart, Text, ToolResult, Turn
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import FunctionTool, Request
from smart_llmrouter.dialects.lowering import lowered
from smart_llmrouter.dialects.tool_names import ToolNames

TOOLS = (FunctionTool(name="send", namespace="mail"), FunctionTool(name="late"))
IMAGE = Image(url="https://example.com/a.png")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            Text(text='{"tools":["mail.send","late","gone"]}'),
            Text(text='{"tools":["mail__send","late","gone"]}'),
        ),
        (Text(text="nothing"), Text(text="nothing")),
        (IMAGE, IMAGE),
    ],
)
def test_tools_are_found_by_the_names_they_are_called(
    found: ResultPart, told: ResultPart
) -> None:
    """What is no list of tools stays as it is."""
    result = ToolResult(call_id="c", content=(found,), kind="tool_search")
    request = Request(
        dialect="openai-responses",
        model="m",
        turns=(Turn(role="tool", parts=(result,)),),
        tools=TOOLS,
    )

    (turn,) = lowered(request, ToolNames(TOOLS), Notes()).turns

    assert turn.parts == (ToolResult(call_id="c", content=(told,)),)
