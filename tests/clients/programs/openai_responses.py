"""Every feature of Responses as the OpenAI SDK has it, a line of JSON each."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import openai
from pydantic import BaseModel

TASKS = json.loads(Path("tasks.json").read_text())
BASE_URL = f"{os.environ['BASE_URL']}/v1"
TOOL = {
    "type": "function",
    "name": TASKS["tool"]["name"],
    "description": TASKS["tool"]["description"],
    "parameters": TASKS["tool"]["schema"],
    "strict": True,
}
IMAGE = {
    "type": "input_image",
    "image_url": f"data:image/png;base64,{TASKS['image']}",
    "detail": "auto",
}

client = openai.OpenAI(base_url=BASE_URL, api_key=os.environ["TOKEN"], max_retries=0)


class City(BaseModel):
    kind: Literal["city"]
    name: str
    population: int


def user(task: str, *parts: dict[str, Any]) -> dict[str, Any]:
    prompt = TASKS["prompts"][task]
    text = {"type": "input_text", "text": prompt}
    return {"role": "user", "content": [text, *parts] if parts else prompt}


def create(*items: Any, **options: Any) -> Any:
    return client.responses.create(model="chat", input=items, **options)


def stream(*items: Any, **options: Any) -> Any:
    return client.responses.stream(model="chat", input=items, **options)


def usage(answer: Any) -> dict[str, int]:
    cached = answer.usage.input_tokens_details.cached_tokens
    return {
        "fresh": answer.usage.input_tokens - cached,
        "cached": cached,
        "output": answer.usage.output_tokens,
    }


def spoken(answer: Any) -> dict[str, Any]:
    stop = answer.incomplete_details and answer.incomplete_details.reason
    return {"text": answer.output_text, "stop": stop or answer.status}


def of_type(answer: Any, type_: str) -> list[Any]:
    return [item for item in answer.output if item.type == type_]


def calls(answer: Any) -> list[Any]:
    return [
        [call.name, json.loads(call.arguments)]
        for call in of_type(answer, "function_call")
    ]


def answered(answer: Any, output: Any = None) -> list[Any]:
    """Return an answer as it goes back, and the sums that it called for."""
    return [
        *answer.output,
        *(
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": output or added(call),
            }
            for call in of_type(answer, "function_call")
        ),
    ]


def added(call: Any) -> str:
    arguments = json.loads(call.arguments)
    return str(arguments["a"] + arguments["b"])


def text() -> Any:
    answer = create(user("text"), instructions="Be brief.")
    return {**spoken(answer), "usage": usage(answer), "model": answer.model}


def streamed_text() -> Any:
    events = list(create(user("text"), stream=True))
    deltas = [
        event.delta for event in events if event.type == "response.output_text.delta"
    ]
    last = events[-1].response
    assert last.output_text == "".join(deltas)
    return {**spoken(last), "usage": usage(last), "model": last.model}


def capped() -> Any:
    return spoken(create(user("capped"), max_output_tokens=20))


def tool() -> Any:
    first = create(user("tool"), tools=[TOOL])
    second = create(user("tool"), *answered(first), tools=[TOOL])
    return {"first": spoken(first), "calls": calls(first), "second": spoken(second)}


def streamed_tool() -> Any:
    items = [user("tool")]
    finals = []
    for _ in range(2):
        with stream(*items, tools=[TOOL]) as events:
            finals.append(events.get_final_response())
        # What the helper parsed out of arguments is nothing that the API knows.
        items += [
            item
            if isinstance(item, dict)
            else item.model_dump(exclude={"parsed_arguments"})
            for item in answered(finals[-1])
        ]
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
    seen = [{"type": "input_text", "text": "Here it is."}, IMAGE]
    return spoken(create(user("tool-image"), *answered(first, seen), tools=[TOOL]))


def structured() -> Any:
    answer = client.responses.parse(
        model="chat", input=[user("structured")], text_format=City
    )
    return answer.output_parsed.model_dump()


def streamed_structured() -> Any:
    with stream(user("structured"), text_format=City) as events:
        return events.get_final_response().output_parsed.model_dump()


def reasoning() -> Any:
    options = {
        "tools": [TOOL],
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    items = [user("reasoning")]
    first = create(*items, **options)
    items += answered(first)
    second = create(*items, **options)
    items += [*second.output, user("after")]
    third = create(*items, **options)
    return {
        "thoughts": [thought(first), thought(second)],
        "tokens": first.usage.output_tokens_details.reasoning_tokens > 0,
        "second": spoken(second),
        "third": spoken(third),
    }


def thought(answer: Any) -> str:
    """Return what was thought: in full, or a summary of it."""
    return "".join(
        part.text
        for item in of_type(answer, "reasoning")
        for part in (*item.summary, *(item.content or ()))
    )


def count() -> Any:
    counted = client.responses.input_tokens.count(model="chat", input=[user("count")])
    return {
        "tokens": counted.input_tokens,
        "estimate": getattr(counted, "estimate", False),
    }


def models() -> Any:
    return [model.id for model in client.models.list()]


def errors() -> Any:
    stranger = openai.OpenAI(base_url=BASE_URL, api_key="rtr_no", max_retries=0)
    asked: dict[str, Callable[[], Any]] = {
        "token": lambda: stranger.responses.create(model="chat", input="Hm."),
        "model": lambda: client.responses.create(model="other", input="Hm."),
        "missing": lambda: client.models.retrieve("missing"),
        "rejected": lambda: create(user("rejected")),
        "limited": lambda: create(user("limited")),
        "failing": lambda: ended(create(user("failing"), stream=True)),
        "cut": lambda: ended(create(user("cut"), stream=True)),
    }
    return {name: raised(ask) for name, ask in asked.items()}


def ended(events: Iterable[Any]) -> Any:
    """Return how a stream ended: `response.failed` is an event and no exception."""
    *_, last = events
    return [
        last.type,
        None,
        last.response.error.code,
        last.response.error.message,
        None,
    ]


def raised(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except openai.APIError as error:
        return told(error)


def told(error: openai.APIError) -> list[Any]:
    body: Any = error.body
    if not isinstance(error, openai.APIStatusError):
        return [type(error).__name__, None, body["code"], body["message"], None]
    after = error.response.headers.get("retry-after")
    kind = type(error).__name__
    return [kind, error.status_code, body["code"], body["message"], after]


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
