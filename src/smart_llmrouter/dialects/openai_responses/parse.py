"""Reading a whole Responses request into the canon.

What other dialects can say becomes a field of the canon. What would change the answer
and only this one can say is a need: state that a provider keeps, and log probabilities.
The rest are extras. `truncation: disabled`, which is the default, says nothing.
"""

from typing import Final

import msgspec

from smart_llmrouter.core.content import Extras, Text, Turn
from smart_llmrouter.core.request import (
    NO_METADATA,
    OutputFormat,
    ReasoningAsk,
    Request,
    ToolChoice,
)
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openai_responses.fields import Fields
from smart_llmrouter.dialects.openai_responses.parse_items import (
    Conversation,
    read_item,
)
from smart_llmrouter.dialects.openai_responses.parse_tools import read_choice
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.surrogates import without_half_pairs

NEEDS: Final = (
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
    "top_logprobs",
)
"""Top-level fields that no other dialect can carry, and that change the answer."""
STATE_INCLUDE: Final = "reasoning.encrypted_content"
LOGPROBS_INCLUDE: Final = "message.output_text.logprobs"
_NEED_NAMES: Final = {"top_logprobs": "logprobs"}
_SAYS_NOTHING: Final = frozenset({b"false", b"0", b"null", b"[]", b"{}"})
_CANONICAL: Final = frozenset(
    {
        "model",
        "input",
        "instructions",
        "stream",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "text",
        "reasoning",
        "include",
        "temperature",
        "top_p",
        "user",
        "metadata",
        "service_tier",
        "prompt_cache_key",
        "store",
    }
)
_DEFAULTS: Final = {"truncation": b'"disabled"', "include": b"[]"}
_decode_includes: Final = msgspec.json.Decoder(list[str]).decode


def parse_request(peek: Peek) -> Request:
    """Read a whole request. Raises `InvalidRequest`, with the field's name."""
    request = Fields(_readable(peek.members), "")
    conversation = Conversation()
    conversation.tools.add(request.items("tools"))
    _read_input(request, conversation)
    choice, choice_extras, choice_needs = read_choice(request)
    if conversation.wants_summary:
        choice = ToolChoice(mode="none")
    output_format, verbosity, text_extras = _read_text_options(request)
    includes = _read_includes(request)
    instructions = request.text("instructions")
    return Request(
        dialect="openai-responses",
        model=peek.model,
        turns=conversation.all(),
        stream=peek.stream,
        system=() if not instructions else (Text(text=instructions),),
        tools=conversation.tools.all(),
        tool_choice=choice,
        parallel_tools=request.flag("parallel_tool_calls"),
        output_cap=request.count("max_output_tokens"),
        output_format=output_format,
        reasoning=_read_reasoning(request),
        wants_reasoning_state=STATE_INCLUDE in includes,
        verbosity=verbosity,
        temperature=request.number("temperature"),
        top_p=request.number("top_p"),
        user=request.text("user"),
        metadata=request.texts("metadata") or NO_METADATA,
        service_tier=request.text("service_tier"),
        prompt_cache_key=request.text("prompt_cache_key"),
        store=request.flag("store"),
        needs=(*_needs(request, includes), *choice_needs, *conversation.needs),
        extras={
            **_top_extras(request, includes),
            **text_extras,
            **choice_extras,
        },
    )


def _readable(members: RawMembers) -> RawMembers:
    """Return the members in a form that can be decoded: halves of pairs replaced."""
    return {
        name: (
            msgspec.Raw(without_half_pairs(bytes(raw)))
            if b"\\ud" in (text := bytes(raw)) or b"\\uD" in text
            else raw
        )
        for name, raw in members.items()
    }


def _read_input(request: Fields, conversation: Conversation) -> None:
    if request.is_text("input"):
        text = Text(text=request.needed_text("input"))
        conversation.add(Turn(role="user", parts=(text,)))
        return
    for item in request.items("input"):
        read_item(item, conversation)


def _read_includes(request: Fields) -> tuple[str, ...]:
    raw = request.raw("include")
    if raw is None:
        return ()
    try:
        return tuple(_decode_includes(raw))
    except msgspec.DecodeError:
        raise request.wrong("include", "a list of strings") from None


def _needs(request: Fields, includes: tuple[str, ...]) -> tuple[str, ...]:
    needs = [
        _NEED_NAMES.get(name, name)
        for name in NEEDS
        if bytes(request.members.get(name, b"null")) not in _SAYS_NOTHING
    ]
    if LOGPROBS_INCLUDE in includes and "logprobs" not in needs:
        needs.append("logprobs")
    return tuple(needs)


def _top_extras(request: Fields, includes: tuple[str, ...]) -> Extras:
    extras = {
        name: raw
        for name, raw in request.rest(*_CANONICAL).items()
        if bytes(raw) != _DEFAULTS.get(name)
    }
    others = [name for name in includes if name != STATE_INCLUDE]
    if others:
        extras["include"] = msgspec.Raw(msgspec.json.encode(others))
    return extras


def _read_reasoning(request: Fields) -> ReasoningAsk | None:
    ask = request.inner("reasoning")
    if ask is None or not ask.members:
        return None
    return ReasoningAsk(
        effort=ask.text("effort"),
        summary=ask.text("summary") or ask.text("generate_summary"),
        extras=ask.rest("effort", "summary", "generate_summary"),
    )


def _read_text_options(
    request: Fields,
) -> tuple[OutputFormat | None, str | None, Extras]:
    options = request.inner("text")
    if options is None:
        return None, None, {}
    extras = {
        f"text.{name}": raw for name, raw in options.rest("format", "verbosity").items()
    }
    return _read_format(options), options.text("verbosity"), extras


def _read_format(options: Fields) -> OutputFormat | None:
    wanted = options.inner("format")
    kind = None if wanted is None else wanted.needed_text("type")
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat(kind="json_object")
    if kind != "json_schema":
        raise wanted.wrong("type", "`text`, `json_object` or `json_schema`")
    return OutputFormat(
        kind="json_schema",
        name=wanted.text("name"),
        description=wanted.text("description"),
        schema=wanted.raw("schema"),
        strict=wanted.flag("strict"),
    )
