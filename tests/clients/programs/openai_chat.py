"""Every feature of Chat as the OpenAI SDK has it, a line of JSON each."""

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
    "function": {
        "name": TASKS["tool"]["name"],
        "description": TASKS["tool"]["description"],
        "parameters": TASKS["tool"]["schema"],
    },
}
IMAGE = {
    "type": "image_url",
    "image_url": {"url": f"data:image/png;base64,{TASKS['image']}"},
}

client = openai.OpenAI(base_url=BASE_URL, api_key=os.environ["TOKEN"], max_retries=0)


class City(BaseModel):
    kind: Literal["city"]
    name: str
    population: int


def user(task: str, *parts: dict[str, Any]) -> dict[str, Any]:
    prompt = TASKS["prompts"][task]
    return {
        "role": "user",
        "content": [{"type": "text", "text": prompt}, *parts] if parts else prompt,
    }


def create(*messages: Any, **options: Any) -> Any:
    return client.chat.completions.create(model="chat", messages=messages, **options)


def stream(*messages: Any, **options: Any) -> Any:
    return client.chat.completions.stream(model="chat", messages=messages, **options)


def usage(answer: Any) -> dict[str, int]:
    details = answer.usage.prompt_tokens_details
    return {
        "fresh": answer.usage.prompt_tokens - details.cached_tokens,
        "cached": details.cached_tokens,
        "output": answer.usage.completion_tokens,
    }


def spoken(answer: Any) -> dict[str, Any]:
    [choice] = answer.choices
    return {"text": choice.message.content, "stop": choice.finish_reason}


def calls(message: Any) -> list[Any]:
    return [
        [call.function.name, json.loads(call.function.arguments)]
        for call in message.tool_calls
    ]


def answered(message: Any) -> list[Any]:
    """Return a message as it goes back, and the sums that it called for."""
    return [
        message.model_dump(exclude_none=True),
        *(
            {"role": "tool", "tool_call_id": call.id, "content": added(call)}
            for call in message.tool_calls
        ),
    ]


def added(call: Any) -> str:
    arguments = json.loads(call.function.arguments)
    return str(arguments["a"] + arguments["b"])


def text() -> Any:
    answer = create({"role": "system", "content": "Be brief."}, user("text"))
    return {**spoken(answer), "usage": usage(answer), "model": answer.model}


def streamed_text() -> Any:
    chunks = list(
        create(user("text"), stream=True, stream_options={"include_usage": True})
    )
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    pieces = [delta.delta.content for delta in deltas if delta.delta.content]
    return {
        "text": "".join(pieces),
        "stop": [delta.finish_reason for delta in deltas if delta.finish_reason][-1],
        "usage": usage(chunks[-1]),
        "model": chunks[0].model,
    }


def capped() -> Any:
    return spoken(create(user("capped"), max_completion_tokens=20))


def tool() -> Any:
    messages = [user("tool")]
    first = create(*messages, tools=[TOOL])
    messages += answered(first.choices[0].message)
    second = create(*messages, tools=[TOOL])
    return {
        "first": spoken(first),
        "calls": calls(first.choices[0].message),
        "second": spoken(second),
    }


def streamed_tool() -> Any:
    messages = [user("tool")]
    finals = []
    for _ in range(2):
        with stream(*messages, tools=[TOOL]) as events:
            for _ in events:
                pass
            finals.append(events.get_final_completion())
        if finals[-1].choices[0].message.tool_calls:
            messages += answered(finals[-1].choices[0].message)
    return {
        "first": spoken(finals[0]),
        "calls": calls(finals[0].choices[0].message),
        "second": spoken(finals[1]),
    }


def parallel() -> Any:
    first = create(user("parallel"), tools=[TOOL])
    message = first.choices[0].message
    second = create(user("parallel"), *answered(message), tools=[TOOL])
    return {"calls": calls(message), "second": spoken(second)}


def image() -> Any:
    return spoken(create(user("image", IMAGE)))


def structured() -> Any:
    answer = client.chat.completions.parse(
        model="chat", messages=[user("structured")], response_format=City
    )
    return answer.choices[0].message.parsed.model_dump()


def streamed_structured() -> Any:
    with stream(user("structured"), response_format=City) as events:
        return events.get_final_completion().choices[0].message.parsed.model_dump()


def reasoning() -> Any:
    options = {"tools": [TOOL], "reasoning_effort": "medium"}
    messages = [user("reasoning")]
    first = create(*messages, **options)
    messages += answered(first.choices[0].message)
    second = create(*messages, **options)
    messages += [second.choices[0].message, user("after")]
    third = create(*messages, **options)
    return {
        "thoughts": [thought(first), thought(second)],
        "tokens": first.usage.completion_tokens_details.reasoning_tokens > 0,
        "second": spoken(second),
        "third": spoken(third),
    }


def thought(answer: Any) -> str | None:
    return getattr(answer.choices[0].message, "reasoning_content", None)


def models() -> Any:
    return [model.id for model in client.models.list()]


def errors() -> Any:
    stranger = openai.OpenAI(base_url=BASE_URL, api_key="rtr_no", max_retries=0)
    message = [user("after")]
    asked: dict[str, Callable[[], Any]] = {
        "token": lambda: stranger.chat.completions.create(
            model="chat", messages=message
        ),
        "model": lambda: client.chat.completions.create(
            model="other", messages=message
        ),
        "missing": lambda: client.models.retrieve("missing"),
        "rejected": lambda: create(user("rejected")),
        "limited": lambda: create(user("limited")),
        "failing": lambda: drain(create(user("failing"), stream=True)),
        "cut": lambda: drain(create(user("cut"), stream=True)),
    }
    return {name: raised(ask) for name, ask in asked.items()}


def drain(chunks: Iterable[Any]) -> None:
    for _ in chunks:
        pass


def raised(ask: Callable[[], Any]) -> Any:
    try:
        ask()
    except openai.APIError as error:
        return told(error)
    return None


def told(error: openai.APIError) -> list[Any]:
    body: Any = error.body
    if not isinstance(error, openai.APIStatusError):
        return [type(error).__name__, None, body["code"], body["message"], None]
    after = error.response.headers.get("retry-after")
    kind = type(error).__name__
    return [kind, error.status_code, body["code"], body["message"], after]


FEATURES = (
    *(text, streamed_text, capped, tool, streamed_tool, parallel, image),
    *(structured, streamed_structured, reasoning, models, errors),
)

for feature in FEATURES:
    try:
        value = feature()
    except Exception:
        value = {"failed": traceback.format_exc(limit=-4)}
    sys.stdout.write(json.dumps([feature.__name__, value]) + "\n")
