"""The reader of the Responses API: what a request asks of the mock."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from smart_llmrouter.mockprovider import openai_responses_schema as responses
from smart_llmrouter.mockprovider.asked import (
    Asked,
    Image,
    Message,
    Result,
    Tool,
    image_at,
)
from smart_llmrouter.mockprovider.plan import Progress, progress
from smart_llmrouter.mockprovider.samples import Json, sample
from smart_llmrouter.mockprovider.seal import ForeignBlob, Seal

CALLS: Final = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "tool_search_call": "tool_search_output",
}
"""The items that call a tool of the client, and those that answer them."""

_RESULTS: Final = frozenset(CALLS.values())
_QUIET: Final = frozenset({"none", "minimal"})


def asked_of(
    request: responses.ResponsesRequest, items: Sequence[responses.Item], seal: Seal
) -> Asked:
    """Return what `request` asks; `items` are all, those of earlier answers first.

    `seal` opens what stands for a conversation that was compacted.
    """
    structured, structure = _structure(request)
    effort = None if request.reasoning is None else request.reasoning.effort
    return Asked(
        model=request.model,
        messages=tuple(_messages(items, seal)),
        tools=tuple(_chosen(request, tuple(_offered(request, items)))),
        parallel=request.parallel_tool_calls is not False,
        structured=structured,
        structure=structure,
        thinks=effort is not None and effort not in _QUIET,
        effort=effort,
        max_tokens=request.max_output_tokens,
        size_chars=_size_chars(request, items),
    )


def text_of(parts: Sequence[responses.Part]) -> str:
    """Return the text in `parts`."""
    texts = (part.text or part.refusal for part in parts)
    return "\n".join(text for text in texts if text)


def compacted(asked: Asked, seal: Seal) -> str:
    """Return a blob that stands for the conversation in `asked`."""
    return seal.closed("compaction", msgspec.json.encode(progress(asked)).decode())


def _messages(items: Sequence[responses.Item], seal: Seal) -> Iterator[Message]:
    """Yield messages; what the assistant did without a break is one of them."""
    answer: Message | None = None
    for item in items:
        if item.role == "assistant" or item.type in CALLS or item.type == "reasoning":
            answer = _added(answer, item)
            continue
        messages = tuple(_other_messages(item, seal))
        if answer is not None and messages:
            yield answer
            answer = None
        yield from messages
    if answer is not None:
        yield answer


def _other_messages(item: responses.Item, seal: Seal) -> Iterator[Message]:
    if item.type == "compaction":
        yield from _before(item, seal)
    elif (message := _message(item)) is not None:
        yield message


def _before(item: responses.Item, seal: Seal) -> Iterator[Message]:
    """Yield as many turns and results as were compacted into `item`."""
    try:
        content = seal.opened("compaction", item.encrypted_content or "")
    except ForeignBlob:
        return
    done = msgspec.json.decode(content, type=Progress)
    yield from (Message(role="assistant", calls=1) for _ in range(done.turns))
    yield Message(role="tool", results=(Result(text=""),) * done.results)


def _added(answer: Message | None, item: responses.Item) -> Message:
    answer = answer or Message(role="assistant")
    if item.type in CALLS:
        return replace(answer, calls=answer.calls + 1)
    return replace(answer, text=answer.text + text_of(item.parts))


def _message(item: responses.Item) -> Message | None:
    if item.type in _RESULTS:
        parts = item.given_back
        result = Result(text=text_of(parts), images=_images(parts))
        return Message(role="tool", results=(result,))
    if item.type != "message":
        return None
    role = item.role
    if role == "user":
        return Message(
            role="user", text=text_of(item.parts), images=_images(item.parts)
        )
    return Message(role="system", text=text_of(item.parts))


def _images(parts: Sequence[responses.Part]) -> tuple[Image, ...]:
    return tuple(
        image_at(part.image_url or "") for part in parts if part.type == "input_image"
    )


def _offered(
    request: responses.ResponsesRequest, items: Sequence[responses.Item]
) -> Iterator[Tool]:
    """Yield the tools of the request, and those that items brought."""
    yield from _tools(request.tools or ())
    for item in items:
        for tool in _tools(item.tools or ()):
            # What a search has found may be called from then on.
            yield replace(tool, deferred=False)


def _tools(
    tools: Sequence[responses.Tool], namespace: str | None = None
) -> Iterator[Tool]:
    for tool in tools:
        deferred = bool(tool.defer_loading)
        match tool.type:
            case "function":
                yield Tool(
                    name=tool.name,
                    schema=tool.parameters,
                    namespace=namespace,
                    deferred=deferred,
                )
            case "custom":
                yield Tool(
                    name=tool.name,
                    kind="custom",
                    namespace=namespace,
                    deferred=deferred,
                )
            case "namespace":
                yield from _tools(tool.tools or (), tool.name)
            case "tool_search" if tool.execution == "client":
                # It is called when there is a plan to, never as the first best tool.
                yield Tool(
                    name="tool_search",
                    kind="search",
                    schema=tool.parameters,
                    deferred=True,
                )
            case _:
                pass


def _chosen(
    request: responses.ResponsesRequest, tools: Sequence[Tool]
) -> Sequence[Tool]:
    choice = request.tool_choice
    if choice == "none":
        return ()
    if not isinstance(choice, responses.ToolChoice):
        return tools
    if choice.type == "allowed_tools":
        names = {tool.name for tool in choice.tools or ()}
        return tuple(tool for tool in tools if tool.name in names)
    return tuple(tool for tool in tools if tool.name == choice.name)


def _structure(request: responses.ResponsesRequest) -> tuple[bool, Json]:
    form = None if request.text is None else request.text.format
    if form is None or form.type == "text":
        return False, None
    if form.schema is not None:
        return True, sample(form.schema)
    return True, {"answer": "This is an object, as asked for.", "mock": True}


def _size_chars(
    request: responses.ResponsesRequest, items: Sequence[responses.Item]
) -> int:
    size = len(request.instructions or "") + sum(
        len(text_of(item.parts)) + len(text_of(item.given_back)) for item in items
    )
    tools = [tool for item in items for tool in item.tools or ()]
    tools += request.tools or ()
    return size + (len(msgspec.json.encode(tools)) if tools else 0)
