"""The official OpenAI SDK against the mock's Responses API."""

import json
from collections.abc import AsyncGenerator
from typing import cast

import openai
import pytest
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseInputParam,
    ResponseReasoningItem,
    ResponseStreamEvent,
    ToolParam,
)
from pydantic import BaseModel

from smart_llmrouter.mockprovider.script import Step, StreamError
from tests.support.mock import Mock, running_mock
from tests.support.plain_clients import openai_without_tls

MODEL = "mock-small"
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


class Holiday(BaseModel):
    """A structure to be answered in."""

    city: str
    nights: int


@pytest.fixture
async def mock() -> AsyncGenerator[Mock]:
    """A mock of its own for each test."""
    async with running_mock() as mock:
        yield mock


@pytest.fixture
async def client(mock: Mock) -> AsyncGenerator[openai.AsyncOpenAI]:
    """The SDK, without retries of its own."""
    async with openai.AsyncOpenAI(
        base_url=mock.base_url,
        api_key="any",
        max_retries=0,
        http_client=openai_without_tls(),
    ) as client:
        yield client


def inputs(*items: object) -> ResponseInputParam:
    """Return items of any type as an input; the SDK's own type knows too few."""
    return cast("ResponseInputParam", list(items))


async def events_of(
    client: openai.AsyncOpenAI, text: str, **fields: object
) -> list[ResponseStreamEvent]:
    """Ask for a stream and return its events."""
    stream = await client.responses.create(
        model=MODEL, input=text, stream=True, extra_body=fields
    )
    return [event async for event in stream]


async def test_text(client: openai.AsyncOpenAI) -> None:
    """A plain answer quotes what was said, with usage that adds up."""
    answer = await client.responses.create(model=MODEL, input="hey")

    assert '"hey"' in answer.output_text
    assert (answer.status, answer.error) == ("completed", None)
    assert answer.usage is not None
    assert answer.usage.total_tokens == (
        answer.usage.input_tokens + answer.usage.output_tokens
    )


async def test_a_stream_ends_with_what_the_plain_answer_is(
    client: openai.AsyncOpenAI,
) -> None:
    """The last event holds the whole response, ids of its own request aside."""
    plain = await client.responses.create(model=MODEL, input="hey")
    events = await events_of(client, "hey")

    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == plain.output_text
    assert last.response.usage == plain.usage


async def test_a_stream_keeps_the_grammar(client: openai.AsyncOpenAI) -> None:
    """Events are numbered from 0, and each item and part is opened, fed and closed."""
    events = await events_of(client, "hey")

    kinds = [event.type for event in events]
    opening = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    closing = [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert kinds[:4] == opening
    assert kinds[-4:] == closing
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_is_answered(
    client: openai.AsyncOpenAI, *, stream: bool
) -> None:
    """A whole round: call, result, final text; streamed arguments add up."""
    asked: ResponseInputParam = [{"role": "user", "content": "What is the weather?"}]
    if stream:
        async with client.responses.stream(
            model=MODEL, input=asked, tools=[WEATHER]
        ) as events:
            first: Response = await events.get_final_response()
    else:
        first = await client.responses.create(model=MODEL, input=asked, tools=[WEATHER])
    call = first.output[0]
    assert call.type == "function_call"

    final = await client.responses.create(
        model=MODEL,
        input=inputs(
            *asked,
            call.to_dict(mode="json"),
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": "21 degrees",
            },
        ),
        tools=[WEATHER],
    )

    assert json.loads(call.arguments) == {"city": "Paris"}
    assert "21 degrees" in final.output_text


async def test_a_custom_tool_gets_text_in_pieces(client: openai.AsyncOpenAI) -> None:
    """Its input comes in deltas and once more at the end, and is no JSON."""
    events = await events_of(
        client, "list all of the files", tools=[{"type": "custom", "name": "shell"}]
    )

    pieces = [
        event.delta
        for event in events
        if event.type == "response.custom_tool_call_input.delta"
    ]
    done = [e for e in events if e.type == "response.custom_tool_call_input.done"]
    assert "".join(pieces) == "list all of the files"
    assert [event.input for event in done] == ["list all of the files"]


async def test_a_tool_in_a_namespace_is_called_with_both_names(
    client: openai.AsyncOpenAI,
) -> None:
    """The call repeats the namespace beside the name, also for tools from an item."""
    namespace = {
        "type": "namespace",
        "name": "toy",
        "description": "Toys.",
        "tools": [{**WEATHER, "name": "add"}],
    }
    item = {"type": "additional_tools", "role": "developer", "tools": [namespace]}
    answer = await client.responses.create(
        model=MODEL,
        input=inputs(
            item, {"role": "user", "content": 'MOCK: call add {"city": "Oslo"}'}
        ),
    )

    call = answer.output[0]
    assert call.type == "function_call"
    assert (call.namespace, call.name) == ("toy", "add")
    assert json.loads(call.arguments) == {"city": "Oslo"}


async def test_tools_are_searched_by_the_client(client: openai.AsyncOpenAI) -> None:
    """A search is an item of its own; what it found can be called afterwards."""
    search = {"type": "tool_search", "execution": "client", "parameters": {}}
    plan = "MOCK: search weather\nMOCK: call get_weather {}"
    asked = {"role": "user", "content": plan}
    first = await client.responses.create(
        model=MODEL,
        input=inputs(asked),
        tools=[cast("ToolParam", search)],
    )
    call = first.output[0]
    assert call.type == "tool_search_call"
    found = {
        "type": "tool_search_output",
        "call_id": call.call_id,
        "execution": "client",
        "status": "completed",
        "tools": [WEATHER],
    }

    second = await client.responses.create(
        model=MODEL,
        input=inputs(asked, call.to_dict(mode="json"), found),
        tools=[cast("ToolParam", search)],
    )

    assert call.arguments == {"query": "weather"}
    assert [item.type for item in second.output] == ["function_call"]


async def test_reasoning_comes_back_sealed(client: openai.AsyncOpenAI) -> None:
    """The summary is shown, and the blob is taken again by the mock that made it."""
    first = await client.responses.create(
        model=MODEL,
        input="think",
        store=False,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    )
    thought = first.output[0]
    assert isinstance(thought, ResponseReasoningItem)

    again = await client.responses.create(
        model=MODEL,
        input=inputs(
            {"role": "user", "content": "think"},
            *(item.to_dict(mode="json") for item in first.output),
            {"role": "user", "content": "more"},
        ),
        store=False,
    )

    assert thought.summary[0].text
    assert thought.encrypted_content
    assert first.usage is not None
    assert first.usage.output_tokens_details.reasoning_tokens == 64
    assert '"more"' in again.output_text


async def test_a_reasoning_summary_is_streamed(client: openai.AsyncOpenAI) -> None:
    """Its deltas add up to the text of the part, which is in the item."""
    events = await events_of(
        client, "x", reasoning={"effort": "low", "summary": "auto"}
    )

    deltas = [
        event.delta
        for event in events
        if event.type == "response.reasoning_summary_text.delta"
    ]
    done = [
        event.item
        for event in events
        if event.type == "response.output_item.done" and event.item.type == "reasoning"
    ]
    assert isinstance(done[0], ResponseReasoningItem)
    assert "".join(deltas) == done[0].summary[0].text


async def test_a_stored_response_can_be_gone_on_from(
    client: openai.AsyncOpenAI,
) -> None:
    """The next request brings a tool's result only; the response can be read again."""
    first = await client.responses.create(
        model=MODEL, input="What is the weather?", tools=[WEATHER]
    )
    call = first.output[0]
    assert call.type == "function_call"

    second = await client.responses.create(
        model=MODEL,
        previous_response_id=first.id,
        input=inputs(
            {"type": "function_call_output", "call_id": call.call_id, "output": "21"}
        ),
        tools=[WEATHER],
    )
    read = await client.responses.retrieve(first.id)
    await client.responses.delete(first.id)

    assert '"21"' in second.output_text
    assert second.previous_response_id == first.id
    assert read.output == first.output
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id)


async def test_a_stored_item_can_be_referred_to(client: openai.AsyncOpenAI) -> None:
    """Its id stands for it; an unknown one is a 404 that says so."""
    first = await client.responses.create(
        model=MODEL, input="What is the weather?", tools=[WEATHER]
    )
    call = first.output[0]
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21"}

    second = await client.responses.create(
        model=MODEL,
        input=inputs({"type": "item_reference", "id": call.id or ""}, result),
    )

    assert '"21"' in second.output_text
    with pytest.raises(openai.NotFoundError, match="not persisted"):
        await client.responses.create(
            model=MODEL, input=[{"type": "item_reference", "id": "fc_gone"}]
        )


async def test_what_is_not_stored_cannot_be_gone_on_from(
    client: openai.AsyncOpenAI,
) -> None:
    """An unknown id is a 400 with OpenAI's code; so is one that was not to be kept."""
    first = await client.responses.create(model=MODEL, input="x", store=False)

    with pytest.raises(openai.BadRequestError) as raised:
        await client.responses.create(
            model=MODEL, input="y", previous_response_id=first.id
        )

    assert raised.value.code == "previous_response_not_found"


async def test_a_conversation_is_compacted(client: openai.AsyncOpenAI) -> None:
    """Exactly one item of compaction comes, and is taken back."""
    asked = {"role": "user", "content": "a long story"}
    first = await client.responses.create(
        model=MODEL,
        input=inputs(asked, {"type": "compaction_trigger"}),
        store=False,
    )
    compaction = first.output[0]

    second = await client.responses.create(
        model=MODEL,
        input=inputs(
            compaction.to_dict(mode="json"), {"role": "user", "content": "go on"}
        ),
    )

    assert [item.type for item in first.output] == ["compaction"]
    assert '"go on"' in second.output_text


async def test_structured_output_keeps_its_schema(client: openai.AsyncOpenAI) -> None:
    """The SDK's parser takes the answer as the model that was asked for."""
    answer = await client.responses.parse(
        model=MODEL, input="plan", text_format=Holiday
    )

    assert answer.output_parsed == Holiday(city="Paris", nights=1)


async def test_images_are_seen(client: openai.AsyncOpenAI) -> None:
    """Their number, types and sizes are told, those in a tool's result too."""
    picture = {"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="}
    call = {"type": "function_call", "call_id": "c1", "name": "view", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": [picture]}
    text = {"type": "input_text", "text": "MOCK: image"}

    answer = await client.responses.create(
        model=MODEL,
        input=inputs(call, output, {"role": "user", "content": [picture, text]}),
    )

    assert answer.output_text == "2 images: image/png, 5 bytes; image/png, 5 bytes."


async def test_an_output_cap_leaves_it_incomplete(client: openai.AsyncOpenAI) -> None:
    """The response says why, plain and in the last event."""
    answer = await client.responses.create(
        model=MODEL, input="hey", max_output_tokens=16
    )
    events = await events_of(client, "hey", max_output_tokens=16)

    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert events[-1].type == "response.incomplete"


async def test_tokens_of_the_input_are_counted(client: openai.AsyncOpenAI) -> None:
    """The count is that of the usage."""
    counted = await client.responses.input_tokens.count(model=MODEL, input="hey you")
    answer = await client.responses.create(model=MODEL, input="hey you")

    assert answer.usage is not None
    assert counted.input_tokens == answer.usage.input_tokens


async def test_cached_tokens_are_part_of_the_input(
    mock: Mock, client: openai.AsyncOpenAI
) -> None:
    """A script may set every count."""
    mock.will(Step(prompt_tokens=50, cached_tokens=20, cache_write_tokens=10))

    answer = await client.responses.create(model=MODEL, input="hey")

    assert answer.usage is not None
    assert answer.usage.input_tokens == 50
    assert answer.usage.input_tokens_details.cached_tokens == 20
    assert answer.usage.input_tokens_details.cache_write_tokens == 10


@pytest.mark.parametrize("place", [0, 1, 5])
async def test_a_stream_may_fail(
    mock: Mock, client: openai.AsyncOpenAI, place: int
) -> None:
    """The error is the last event, with the next number, and Codex's code in it."""
    mock.will(
        Step(
            error_in_stream=StreamError(after_events=place, code="rate_limit_exceeded")
        )
    )

    events = await events_of(client, "hey")

    last = events[-1]
    assert last.type == "response.failed"
    assert (len(events), last.sequence_number) == (place + 1, place)
    assert last.response.error is not None
    assert last.response.error.code == "rate_limit_exceeded"


async def test_a_stream_may_end_in_an_error_event(
    mock: Mock, client: openai.AsyncOpenAI
) -> None:
    """The other way in which OpenAI breaks off is an event of its own."""
    mock.will(Step(error_in_stream=StreamError(after_events=2, event="error")))

    events = await events_of(client, "hey")

    last = events[-1]
    assert last.type == "error"
    assert (last.code, last.sequence_number) == ("server_error", 2)


async def test_errors_are_those_of_openai(
    mock: Mock, client: openai.AsyncOpenAI
) -> None:
    """A scripted status has its class and a code."""
    mock.will(Step(status=429, retry_after=1))

    with pytest.raises(openai.RateLimitError) as raised:
        await client.responses.create(model=MODEL, input="x")

    assert raised.value.code == "rate_limit_exceeded"


async def test_the_choice_of_tools_is_kept(client: openai.AsyncOpenAI) -> None:
    """None, a named one, or one of those that are allowed."""
    now: FunctionToolParam = {**WEATHER, "name": "now"}
    choices: list[object] = [
        "none",
        {"type": "function", "name": "now"},
        {"type": "allowed_tools", "mode": "auto", "tools": [now]},
    ]

    answers = [
        await client.responses.create(
            model=MODEL,
            input="hey",
            tools=[WEATHER, now],
            extra_body={"tool_choice": c},
        )
        for c in choices
    ]

    called = [
        [item.name for item in answer.output if item.type == "function_call"]
        for answer in answers
    ]
    assert called == [[], ["now"], ["now"]]


async def test_tools_of_the_provider_are_never_called(
    client: openai.AsyncOpenAI,
) -> None:
    """A search of the web is declared, and the answer is a text; JSON mode works."""
    answer = await client.responses.create(
        model=MODEL,
        input="hey",
        tools=[{"type": "web_search"}],
        text={"format": {"type": "json_object"}},
    )

    assert json.loads(answer.output_text)["mock"] is True


async def test_a_plan_goes_on_after_a_compaction(client: openai.AsyncOpenAI) -> None:
    """The item knows how far it had come."""
    asked = {"role": "user", "content": "MOCK: call a {}\nMOCK: say {results}"}
    call = {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "x"}
    first = await client.responses.create(
        model=MODEL, input=inputs(asked, call, output, {"type": "compaction_trigger"})
    )

    second = await client.responses.create(
        model=MODEL, input=inputs(asked, first.output[0].to_dict(mode="json"))
    )

    assert second.output_text == "1"
