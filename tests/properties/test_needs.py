"""What a request is seen to need is what the whole of it says."""

from collections.abc import Iterator
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.content import Audio, Document, Image, Part, ToolResult
from smart_llmrouter.core.request import (
    CustomTool,
    DialectName,
    FunctionTool,
    ReasoningAsk,
    Request,
    SearchTool,
)
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.glancing import MOST_TOKENS
from smart_llmrouter.dialects.registry import DIALECTS
from tests.support.asking import bodies
from tests.support.captures import Captured, captured

dialects = pytest.mark.parametrize("dialect", DIALECTS)
PATHS: Final[dict[str, DialectName]] = {
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
    "/messages": "anthropic-messages",
}
CAPTURES: Final = [
    pytest.param(dialect, request, id=request.name)
    for path, dialect in PATHS.items()
    for request in captured(path)
    if "count_tokens" not in request.path
]


def needed(dialect: DialectName, body: bytes) -> tuple[Requirements, Request]:
    """Return what a request is seen to need, and the request itself."""
    spoken = DIALECTS[dialect]
    peek = spoken.peek(body)
    return spoken.requirements_of(peek, body=body), spoken.parse(peek)


def everything(request: Request) -> Iterator[Part]:
    """Go through all parts, also those in results."""
    for turn in request.turns:
        for part in turn.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.content


def kinds_of(request: Request) -> set[str]:
    """Return the kinds of tools that the model is to call."""
    kinds = set()
    for tool in request.tools:
        if isinstance(tool, FunctionTool | CustomTool) and tool.namespace is not None:
            kinds.add("namespace")
        elif isinstance(tool, FunctionTool):
            kinds.add("function")
        elif isinstance(tool, CustomTool):
            kinds.add("custom")
        elif isinstance(tool, SearchTool):
            kinds.add("tool_search")
    return kinds


def is_forced(request: Request) -> bool:
    """Say whether a call is asked for."""
    choice = request.tool_choice
    if choice is None:
        return False
    return choice.mode in ("required", "named") or (
        choice.mode == "allowed" and choice.required
    )


STATE: Final = {"previous_response_id", "conversation", "item_reference"}


def agree(needs: Requirements, request: Request) -> None:
    """Compare all that both know of."""
    parts = list(everything(request))
    images = [part for part in parts if isinstance(part, Image)]
    form = request.output_format
    assert needs.tools == kinds_of(request)
    assert needs.forced_choice == is_forced(request)
    assert needs.parallel_tools <= (request.parallel_tools is not False)
    assert needs.output_cap == request.output_cap
    assert needs.output_format == (None if form is None else form.kind)
    assert needs.stream == request.stream
    assert needs.image_urls == sum(image.url is not None for image in images)
    assert needs.image_data == sum(image.data is not None for image in images)
    assert needs.image_files == sum(image.file_id is not None for image in images)
    assert needs.documents == sum(isinstance(part, Document) for part in parts)
    assert needs.audio == any(isinstance(part, Audio) for part in parts)
    assert needs.goes_on == (not STATE.isdisjoint(request.needs))
    agree_on_reasoning(needs, request.reasoning)


def agree_on_reasoning(needs: Requirements, asked: ReasoningAsk | None) -> None:
    """Compare how much is to be thought; none is asked for in several ways."""
    if asked is None or asked.off or asked.effort == "none":
        asked = ReasoningAsk()
    wanted = asked.adaptive or asked.effort or asked.budget_tokens
    assert (needs.reasoning is not None) == bool(wanted)
    assert (needs.reasoning == "adaptive") == asked.adaptive
    assert needs.reasoning_level == asked.effort
    assert needs.reasoning_budget == asked.budget_tokens


@dialects
@given(data=st.data())
def test_what_is_needed_is_what_the_request_says(
    dialect: DialectName, data: st.DataObject
) -> None:
    """The look at raw values and the reading of the whole request agree."""
    body = data.draw(bodies(dialect))

    needs, request = needed(dialect, body)

    agree(needs, request)
    assert needs.request_bytes == len(body)


@pytest.mark.parametrize(("dialect", "request_"), CAPTURES)
def test_what_real_clients_need_is_what_they_say(
    dialect: DialectName, request_: Captured
) -> None:
    """So they do for the requests of real clients."""
    needs, request = needed(dialect, request_.raw)

    agree(needs, request)
    assert needs.tool_count >= len(needs.tools)


_ODD: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("type", "content", "image_url", "source", "url", "tools", "effort")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_NAMES: Final = (
    *("messages", "input", "tools", "functions", "tool_choice", "function_call"),
    *("max_tokens", "max_completion_tokens", "max_output_tokens", "response_format"),
    *("text", "output_config", "output_format", "reasoning", "reasoning_effort"),
    *("thinking", "modalities", "audio", "parallel_tool_calls", "conversation"),
)


@dialects
@given(members=st.dictionaries(st.sampled_from(_NAMES), _ODD))
def test_what_cannot_be_understood_is_no_fault(
    dialect: DialectName, members: dict[str, object]
) -> None:
    """Whatever stands in a request, its provider is to judge it."""
    body = msgspec.json.encode(
        {"messages": [], "previous_response_id": "resp_1", **members}
    )
    spoken = DIALECTS[dialect]

    needs = spoken.requirements_of(spoken.peek(body), body=body)

    assert needs.output_cap is None or 0 < needs.output_cap <= MOST_TOKENS
    assert needs.images == 0 or b"url" in body
