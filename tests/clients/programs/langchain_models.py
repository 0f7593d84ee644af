"""Features of LangChain's chat models, on each surface; a line of JSON each."""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Literal

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

PROMPTS = json.loads(Path("tasks.json").read_text())["prompts"]
ROUTER = os.environ["BASE_URL"]
OPTIONS: Any = {"model": "chat", "api_key": os.environ["TOKEN"], "max_retries": 0}
MODELS: dict[str, Any] = {
    "openai-chat": ChatOpenAI(
        **OPTIONS, base_url=f"{ROUTER}/v1", use_responses_api=False, stream_usage=True
    ),
    "openai-responses": ChatOpenAI(
        **OPTIONS, base_url=f"{ROUTER}/v1", use_responses_api=True
    ),
    "anthropic-messages": ChatAnthropic(**OPTIONS, base_url=ROUTER),
}


class City(BaseModel):
    """A city."""

    kind: Literal["city"]
    name: str
    population: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def tool(model: Any) -> Any:
    with_tool = model.bind_tools([add])
    messages: list[Any] = [HumanMessage(PROMPTS["tool"])]
    first = with_tool.invoke(messages)
    messages.append(first)
    for call in first.tool_calls:
        result = str(add(**call["args"]))
        messages.append(ToolMessage(result, tool_call_id=call["id"]))
    second = with_tool.invoke(messages)
    calls = [[call["name"], call["args"]] for call in first.tool_calls]
    return {"calls": calls, "text": second.text}


def stream(model: Any) -> Any:
    pieces = list(model.stream(PROMPTS["streamed"]))
    usage = sum(pieces[1:], pieces[0]).usage_metadata
    cached = usage["input_token_details"]["cache_read"]
    return {
        "text": "".join(piece.text for piece in pieces),
        "pieces": len([piece for piece in pieces if piece.text]) > 1,
        "fresh": usage["input_tokens"] - cached,
        "cached": cached,
        "output": usage["output_tokens"],
    }


def structured(model: Any) -> Any:
    asked = model.with_structured_output(City)
    return asked.invoke(PROMPTS["structured"]).model_dump()


for surface, model in MODELS.items():
    for feature in (tool, stream, structured):
        try:
            value = feature(model)
        except Exception:
            value = {"failed": traceback.format_exc(limit=-4)}
        sys.stdout.write(json.dumps([surface, feature.__name__, value]) + "\n")
