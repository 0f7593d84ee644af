"""Whole answers as the SDKs parse them, on all surfaces; a line of JSON each.

What differs from call to call is left out: identifiers, times and sealed states. So are
the model, which has another name behind each router, and the status of what is next.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai

TASKS = json.loads(Path("tasks.json").read_text())
PROMPTS = TASKS["prompts"]
ADD = TASKS["tool"]
ROUTER = os.environ["BASE_URL"]
OPTIONS: Any = {"api_key": os.environ["TOKEN"], "max_retries": 0}
CHANGING = frozenset(
    {"id", "call_id", "item_id", "tool_use_id", "created", "created_at", "completed_at"}
    | {"encrypted_content", "signature", "request_id", "_request_id", "obfuscation"}
    | {"model", "upstream_status"}
)
REQUEST = re.compile(r" \(request req_[0-9a-f]{32}\)$")

oai = openai.OpenAI(base_url=f"{ROUTER}/v1", **OPTIONS)
claude = anthropic.Anthropic(base_url=ROUTER, **OPTIONS)


def bare(value: Any) -> Any:
    """Return a parsed value without what changes from call to call."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, dict):
        kept = value.keys() - CHANGING
        return {name: bare(each) for name, each in value.items() if name in kept}
    if isinstance(value, list | tuple):
        return [bare(each) for each in value]
    return REQUEST.sub("", value) if isinstance(value, str) else value


class Surface(NamedTuple):
    """How one surface is asked, and how an answer goes back into a conversation."""

    name: str
    tool: Any
    thinking: Any
    asked: Callable[..., Any]
    streamed: Callable[..., Any]
    answered: Callable[[Any], Iterable[Any]]


def ask_chat(messages: Any, **options: Any) -> Any:
    return oai.chat.completions.create(model="chat", messages=messages, **options)


def stream_chat(messages: Any, **options: Any) -> Any:
    options["stream_options"] = {"include_usage": True}
    with oai.chat.completions.stream(
        model="chat", messages=messages, **options
    ) as events:
        return events.get_final_completion()


def chat_answered(answer: Any) -> Iterator[Any]:
    message = answer.choices[0].message
    yield message.model_dump(exclude_none=True)
    for call in message.tool_calls or ():
        yield {"role": "tool", "tool_call_id": call.id, "content": "42"}


def ask_responses(items: Any, **options: Any) -> Any:
    return oai.responses.create(model="chat", input=items, **options)


def stream_responses(items: Any, **options: Any) -> Any:
    with oai.responses.stream(model="chat", input=items, **options) as events:
        *_, last = events
    return last.response


def responses_answered(answer: Any) -> Iterator[Any]:
    for item in answer.output:
        yield item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
        if item.type == "function_call":
            kind = "function_call_output"
            yield {"type": kind, "call_id": item.call_id, "output": "42"}


def ask_messages(messages: Any, **options: Any) -> Any:
    return claude.messages.create(
        model="chat", max_tokens=4096, messages=messages, **options
    )


def stream_messages(messages: Any, **options: Any) -> Any:
    with claude.messages.stream(
        model="chat", max_tokens=4096, messages=messages, **options
    ) as events:
        return events.get_final_message()


def messages_answered(answer: Any) -> Iterator[Any]:
    yield {"role": "assistant", "content": answer.content}
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "42"}
        for block in answer.content
        if block.type == "tool_use"
    ]
    if results:
        yield {"role": "user", "content": results}


NAMED = {"name": ADD["name"], "description": ADD["description"]}
SURFACES = (
    Surface(
        name="openai-chat",
        tool={"type": "function", "function": NAMED | {"parameters": ADD["schema"]}},
        thinking={"reasoning_effort": "medium"},
        asked=ask_chat,
        streamed=stream_chat,
        answered=chat_answered,
    ),
    Surface(
        name="openai-responses",
        tool=NAMED | {"type": "function", "parameters": ADD["schema"], "strict": True},
        thinking={
            "reasoning": {"effort": "medium", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        },
        asked=ask_responses,
        streamed=stream_responses,
        answered=responses_answered,
    ),
    Surface(
        name="anthropic-messages",
        tool=NAMED | {"input_schema": ADD["schema"]},
        thinking={"thinking": {"type": "enabled", "budget_tokens": 2048}},
        asked=ask_messages,
        streamed=stream_messages,
        answered=messages_answered,
    ),
)


def user(task: str) -> dict[str, str]:
    return {"role": "user", "content": PROMPTS[task]}


def conversation(surface: Surface, ask: Callable[..., Any]) -> Any:
    """Return three answers: thoughts with a call of a tool, thoughts, a text."""
    options = {"tools": [surface.tool], **surface.thinking}
    said: list[Any] = [user("reasoning")]
    first = ask(said, **options)
    said += surface.answered(first)
    second = ask(said, **options)
    said += [*surface.answered(second), user("after")]
    return [first, second, ask(said, **options)]


def plain(surface: Surface) -> Any:
    return conversation(surface, surface.asked)


def streamed(surface: Surface) -> Any:
    return conversation(surface, surface.streamed)


def text(surface: Surface) -> Any:
    return [surface.asked([user("text")]), surface.streamed([user("text")])]


def parallel(surface: Surface) -> Any:
    return surface.asked([user("parallel")], tools=[surface.tool])


def errors(surface: Surface) -> Any:
    return [
        raised(surface.asked, "rejected"),
        raised(surface.asked, "limited"),
        raised(surface.streamed, "failing"),
        raised(surface.streamed, "cut"),
    ]


def raised(ask: Callable[..., Any], task: str) -> Any:
    try:
        answer = ask([user(task)])
    except (openai.APIError, anthropic.APIError) as error:
        return [type(error).__name__, getattr(error, "status_code", None), error.body]
    return answer


for surface in SURFACES:
    for feature in (plain, streamed, text, parallel, errors):
        try:
            value = bare(feature(surface))
        except Exception:
            value = {"failed": traceback.format_exc(limit=-4)}
        told = [surface.name, feature.__name__, value]
        sys.stdout.write(json.dumps(told) + "\n")
