"""Features of pydantic-ai's agents, on each surface; a line of JSON each."""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_ai import Agent, ToolCallPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

PROMPTS = json.loads(Path("tasks.json").read_text())["prompts"]
ROUTER, TOKEN = os.environ["BASE_URL"], os.environ["TOKEN"]
OPENAI = OpenAIProvider(base_url=f"{ROUTER}/v1", api_key=TOKEN)
ANTHROPIC = AnthropicProvider(base_url=ROUTER, api_key=TOKEN)
MODELS: dict[str, Any] = {
    "openai-chat": OpenAIChatModel("chat", provider=OPENAI),
    "openai-responses": OpenAIResponsesModel("chat", provider=OPENAI),
    "anthropic-messages": AnthropicModel("chat", provider=ANTHROPIC),
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
    ran = Agent(model, tools=[add]).run_sync(PROMPTS["tool"])
    calls = [
        [part.tool_name, part.args_as_dict()]
        for message in ran.all_messages()
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    return {"calls": calls, "text": ran.output}


def stream(model: Any) -> Any:
    ran = Agent(model).run_stream_sync(PROMPTS["streamed"])
    pieces = list(ran.stream_text(delta=True, debounce_by=None))
    usage = ran.usage
    return {
        "text": "".join(pieces),
        "pieces": len(pieces) > 1,
        "fresh": usage.input_tokens - usage.cache_read_tokens,
        "cached": usage.cache_read_tokens,
        "output": usage.output_tokens,
    }


def structured(model: Any) -> Any:
    # By default a tool takes the answer.
    agent: Any = Agent(model, output_type=City)
    return agent.run_sync(PROMPTS["structured"]).output.model_dump()


for surface, model in MODELS.items():
    for feature in (tool, stream, structured):
        try:
            value = feature(model)
        except Exception:
            value = {"failed": traceback.format_exc(limit=-4)}
        sys.stdout.write(json.dumps([surface, feature.__name__, value]) + "\n")
