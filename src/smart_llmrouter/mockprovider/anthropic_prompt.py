"""The reader of Anthropic's Messages: what a request asks of the mock."""

from collections.abc import Iterator, Sequence

import msgspec

from smart_llmrouter.mockprovider import anthropic_schema as anthropic
from smart_llmrouter.mockprovider.asked import (
    Asked,
    CacheWish,
    Image,
    Message,
    Result,
    Tool,
    inline_image,
)
from smart_llmrouter.mockprovider.samples import Json, sample


def asked_of(request: anthropic.MessagesRequest) -> Asked:
    """Return what `request` asks."""
    structured, structure = _structure(request)
    choice, config = request.tool_choice, request.output_config
    effort = None if config is None or not request.thinks else config.effort
    return Asked(
        model=request.model,
        messages=tuple(
            part for message in request.messages for part in _messages(message)
        ),
        tools=_callable_tools(request),
        parallel=choice is None or not choice.disable_parallel_tool_use,
        structured=structured,
        structure=structure,
        thinks=request.thinks,
        effort=effort,
        max_tokens=request.max_tokens,
        stop=request.stop_sequences or (),
        size_chars=_size_chars(request),
        cache=_cache(request),
    )


def all_blocks(request: anthropic.MessagesRequest) -> Iterator[anthropic.Block]:
    """Yield every block of the request, those inside tool results too."""
    yield from anthropic.blocks_of(request.system)
    for message in request.messages:
        for block in message.blocks:
            yield block
            yield from anthropic.blocks_of(block.content)


def _messages(message: anthropic.Message) -> Iterator[Message]:
    """Yield the results of tools in `message`, then what else was said in it."""
    blocks = message.blocks
    text = _text(blocks)
    if message.role == "assistant":
        calls = sum(block.type == "tool_use" for block in blocks)
        yield Message(role="assistant", text=text, calls=calls)
        return
    if message.role != "user":
        yield Message(role="system", text=text)
        return
    results = tuple(_result(block) for block in blocks if block.type == "tool_result")
    if results:
        yield Message(role="tool", results=results)
    images = _images(blocks)
    if text or images or not results:
        yield Message(role="user", text=text, images=images)


def _result(block: anthropic.Block) -> Result:
    inside = anthropic.blocks_of(block.content)
    return Result(
        text=_text(inside), images=_images(inside), is_error=bool(block.is_error)
    )


def _text(blocks: Sequence[anthropic.Block]) -> str:
    return "\n".join(block.text for block in blocks if block.text)


def _images(blocks: Sequence[anthropic.Block]) -> tuple[Image, ...]:
    return tuple(
        inline_image(block.source.media_type, block.source.data)
        if isinstance(block.source, anthropic.Source) and block.source.data
        else Image()
        for block in blocks
        if block.type == "image"
    )


def _size_chars(request: anthropic.MessagesRequest) -> int:
    size = sum(len(block.text or "") for block in all_blocks(request))
    return size + (len(msgspec.json.encode(request.tools)) if request.tools else 0)


def _structure(request: anthropic.MessagesRequest) -> tuple[bool, Json]:
    form = None if request.output_config is None else request.output_config.format
    if form is None or form.schema is None:
        return False, None
    return True, sample(form.schema)


def _callable_tools(request: anthropic.MessagesRequest) -> tuple[Tool, ...]:
    found = {block.tool_name for block in all_blocks(request) if block.tool_name}
    tools = tuple(
        Tool(
            name=tool.name,
            schema=tool.input_schema,
            deferred=bool(tool.defer_loading) and tool.name not in found,
        )
        for tool in request.tools or ()
        if tool.type in {None, "custom"}
    )
    choice = request.tool_choice
    if choice is not None and choice.type == "none":
        return ()
    if choice is not None and choice.type == "tool":
        return tuple(tool for tool in tools if tool.name == choice.name)
    return tools


def _cache(request: anthropic.MessagesRequest) -> CacheWish:
    """Return the longest time for which anything is to be cached."""
    wishes = [block.cache_control for block in all_blocks(request)]
    wishes += [tool.cache_control for tool in request.tools or ()]
    wishes.append(request.cache_control)
    lives = {wish.ttl for wish in wishes if wish is not None}
    if not lives:
        return "never"
    return "1h" if "1h" in lives else "5m"
