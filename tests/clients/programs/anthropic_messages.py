"""Every feature of Messages as the Anthropic SDK has it, a line of JSON each."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import anthropic
from pydantic import BaseModel

TASKS = json.loads(Path("tasks.json").read_text())
TOOL = {
    "name": TASKS["tool"]["name"],
    "description": TASKS["tool"]["description"],
    "input_schema": TASKS["tool"]["schema"],
}
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": TASKS["image"]},
}

client = anthropic.Anthropic(
    base_url=os.environ["BASE_URL"], api_key=os.environ["TOKEN"], max_retries=0
)


class City(BaseModel):
    kind: Literal["city"]
    name: str
    population: int


def user(task: str, *parts: dict[str, Any]) -> dict[str, Any]:
    prompt = TASKS["prompts"][task]
    text = {"type": "text", "text": prompt}
    return {"role": "user", "content": [text, *parts] if parts else prompt}


def create(*messages: Any, **options: Any) -> Any:
    return client.messages.create(**with_defaults(messages, options))


def stream(*messages: Any, **options: Any) -> Any:
    return client.messages.stream(**with_defaults(messages, options))


def with_defaults(messages: Any, options: dict[str, Any]) -> dict[str, Any]:
    return {"model": "chat", "max_tokens": 4096, "messages": messages, **options}


def usage(answer: Any) -> dict[str, int]:
    return {
        "fresh": answer.usage.input_tokens,
        "cached": answer.usage.cache_read_input_tokens,
        "output": answer.usage.output_tokens,
    }


def spoken(answer: Any) -> dict[str, Any]:
    text = "".join(block.text for block in of_type(answer, "text"))
    return {"text": text, "stop": answer.stop_reason}


def of_type(answer: Any, type_: str) -> list[Any]:
    return [block for block in answer.content if block.type == type_]


def calls(answer: Any) -> list[Any]:
    return [[call.name, call.input] for call in of_type(answer, "tool_use")]


def answered(answer: Any, content: Any = None) -> list[Any]:
    """Return an answer as it goes back, and the sums that it called for."""
    results = [
        {
            "type": "tool_result",
            "tool_use_id": call.id,
            "content": content or str(call.input["a"] + call.input["b"]),
        }
        for call in of_type(answer, "tool_use")
    ]
    return [said(answer), {"role": "user", "content": results}]


def said(answer: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": answer.content}


def text() -> Any:
    answer = create(user("text"), system="Be brief.")
    return {**spoken(answer), "usage": usage(answer), "model": answer.model}


def streamed_text() -> Any:
    events = list(create(user("text"), stream=True))
    [delta] = [event for event in events if event.type == "message_delta"]
    return {
        "text": "".join(
            event.delta.text for event in events if event.type == "content_block_delta"
        ),
        "stop": delta.delta.stop_reason,
        "usage": usage(delta),
        "model": events[0].message.model,
    }


def capped() -> Any:
    return spoken(create(user("capped"), max_tokens=20))


def tool() -> Any:
    first = create(user("tool"), tools=[TOOL])
    second = create(user("tool"), *answered(first), tools=[TOOL])
    return {"first": spoken(first), "calls": calls(first), "second": spoken(second)}


def streamed_tool() -> Any:
    messages = [user("tool")]
    finals = []
    for _ in range(2):
        with stream(*messages, tools=[TOOL]) as events:
            finals.append(events.get_final_message())
        messages += answered(finals[-1])
    return {
        "first": spoken(finals[0]),
        "calls": calls(finals[0]),
        "second": spoken(finals[1]),
    }


def parallel() -> Any:
    first = create(user("parallel"), tools=[TOOL])
    second = create(user("parallel"), *answered(first), tools=[TOOL])
    return {"calls": calls(first), "second": spoken(second)}


def image() -> Any:
    return spoken(create(user("image", IMAGE)))


def tool_image() -> Any:
    first = create(user("tool-image"), tools=[TOOL])
    seen = [{"type": "text", "text": "Here it is."}, IMAGE]
    return spoken(create(user("tool-image"), *answered(first, seen), tools=[TOOL]))


def structured() -> Any:
    options = with_defaults([user("structured")], {"output_format": City})
    return client.messages.parse(**options).parsed_output.model_dump()


def streamed_structured() -> Any:
    with stream(user("structured"), output_format=City) as events:
        return events.get_final_message().parsed_output.model_dump()


def reasoning() -> Any:
    options = {
        "tools": [TOOL],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }
    messages = [user("reasoning")]
    first = create(*messages, **options)
    messages += answered(first)
    with stream(*messages, **options) as events:
        second = events.get_final_message()
    messages += [said(second), user("after")]
    third = create(*messages, **options)
    return {
        "thoughts": [thought(first), thought(second)],
        "second": spoken(second),
        "third": spoken(third),
    }


def thought(answer: Any) -> str:
    return "".join(block.thinking for block in of_type(answer, "thinking"))


def count() -> Any:
    counted = client.messages.count_tokens(model="chat", messages=[user("count")])
    return {
        "tokens": counted.input_tokens,
        "estimate": getattr(counted, "estimate", False),
    }


def models() -> Any:
    return [model.id for model in client.models.list()]


def errors() -> Any:
    stranger = anthropic.Anthropic(
        base_url=os.environ["BASE_URL"], api_key="rtr_no", max_retries=0
    )
    options = with_defaults([user("after")], {})
    asked: dict[str, Callable[[], Any]] = {
        "token": lambda: stranger.messages.create(**options),
        "model": lambda: create(user("after"), model="other"),
        "missing": lambda: client.models.retrieve("missing"),
        "rejected": lambda: create(user("rejected")),
        "limited": lambda: create(user("limited")),
        "failing": lambda: drain(create(user("failing"), stream=True)),
        "cut": lambda: drain(create(user("cut"), stream=True)),
    }
    return {name: raised(ask) for name, ask in asked.items()}


def drain(events: Iterable[Any]) -> None:
    for _ in events:
        pass


def raised(ask: Callable[[], Any]) -> Any:
    try:
        ask()
    except anthropic.APIStatusError as error:
        body: Any = error.body
        return [
            type(error).__name__,
            error.status_code,
            body["error"]["type"],
            body["error"]["message"],
            error.response.headers.get("retry-after"),
        ]
    return None


FEATURES = (
    *(text, streamed_text, capped, tool, streamed_tool, parallel, image, tool_image),
    *(structured, streamed_structured, reasoning, count, models, errors),
)

for feature in FEATURES:
    try:
        value = feature()
    except Exception:
        value = {"failed": traceback.format_exc(limit=-4)}
    sys.stdout.write(json.dumps([feature.__name__, value]) + "\n")
