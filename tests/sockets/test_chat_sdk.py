"""The official OpenAI SDK through the router: what it asks for, it gets."""

import json
from typing import Literal

import pytest
from openai import AsyncOpenAI
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from pydantic import BaseModel

from smart_llmrouter.mockprovider.script import Step
from tests.support.mock import Mock
from tests.support.router import Router

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Holiday(BaseModel):
    """A structure to be answered in."""

    city: str
    nights: int
    board: Literal["none", "half"]


def user(text: str) -> ChatCompletionMessageParam:
    """Return a user message."""
    return {"role": "user", "content": text}


async def called(
    client: AsyncOpenAI, text: str, *, stream: bool
) -> list[ChatCompletionMessageFunctionToolCall]:
    """Ask with a tool; a stream is put together by the SDK's own accumulator."""
    if stream:
        async with client.chat.completions.stream(
            model="chat", messages=[user(text)], tools=[WEATHER]
        ) as events:
            answer: ChatCompletion = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(
            model="chat", messages=[user(text)], tools=[WEATHER]
        )
    assert answer.choices[0].finish_reason == "tool_calls"
    return [
        call
        for call in answer.choices[0].message.tool_calls or []
        if isinstance(call, ChatCompletionMessageFunctionToolCall)
    ]


async def test_text(router: Router) -> None:
    """A plain answer, its request id and its record belong together."""
    client = router.openai()

    answer = await client.chat.completions.create(model="chat", messages=[user("hey")])
    record = await router.record()

    assert '"hey"' in (answer.choices[0].message.content or "")
    assert answer._request_id == record.request_id
    assert record.request_id.startswith("req_")
    assert len(record.request_id) == len("req_") + 32
    assert answer.usage is not None
    assert record.input_tokens == answer.usage.prompt_tokens
    assert record.output_tokens == answer.usage.completion_tokens
    assert record.client == "openai-python"


async def test_a_stream_says_what_the_plain_answer_says(router: Router) -> None:
    """Text is equal, streamed or not, and a stream shows its request id, too."""
    client = router.openai()
    plain = await client.chat.completions.create(model="chat", messages=[user("hey")])

    stream = await client.chat.completions.create(
        model="chat", messages=[user("hey")], stream=True
    )
    chunks = [chunk async for chunk in stream]

    records = await router.recorded(2)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == plain.choices[0].message.content
    assert stream.response.headers["x-request-id"] in {
        record.request_id for record in records if record.stream
    }
    assert stream.response.headers["x-router-target"] == "acme/mini"


async def test_usage_is_streamed_to_whom_asks_for_it(router: Router) -> None:
    """With `include_usage` the last chunk has the usage, and the record has it too."""
    stream = await router.openai().chat.completions.create(
        model="chat",
        messages=[user("hey")],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    record = await router.record()

    usage = chunks[-1].usage
    assert chunks[-1].choices == []
    assert usage is not None
    assert (record.input_tokens, record.output_tokens) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called(router: Router, *, stream: bool) -> None:
    """A tool call arrives with its name, its id and valid arguments."""
    (call,) = await called(router.openai(), "What is the weather?", stream=stream)

    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert call.id


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_called_in_parallel(router: Router, *, stream: bool) -> None:
    """Two calls in one turn keep their order, ids and arguments."""
    calls = await called(router.openai(), "both cities, please", stream=stream)

    assert [json.loads(call.function.arguments)["city"] for call in calls] == [
        "Paris",
        "Oslo",
    ]
    assert len({call.id for call in calls}) == 2


async def test_tool_results_are_answered(router: Router) -> None:
    """The second round, with the tool's result, comes to an end in text."""
    client = router.openai()
    (call,) = await called(client, "What is the weather?", stream=False)

    final = await client.chat.completions.create(
        model="chat",
        messages=[
            user("What is the weather?"),
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {
                            "name": call.function.name,
                            "arguments": call.function.arguments,
                        },
                    }
                ],
            },
            {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"},
        ],
        tools=[WEATHER],
    )

    assert "21 degrees" in (final.choices[0].message.content or "")
    assert final.choices[0].finish_reason == "stop"


async def test_image_parts(router: Router, mock: Mock) -> None:
    """Image parts reach the provider as they were sent."""
    url = "data:image/png;base64,iVBORw0KGgo="
    answer = await router.openai().chat.completions.create(
        model="chat",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": url}},
                ],
            }
        ],
    )

    sent = json.loads(mock.received[0].raw_body)
    assert "1 image" in (answer.choices[0].message.content or "")
    assert sent["messages"][0]["content"][1]["image_url"] == {"url": url}


async def test_structured_output(router: Router) -> None:
    """The SDK's parser takes the answer as the model that was asked for."""
    answer = await router.openai().chat.completions.parse(
        model="chat", messages=[user("plan")], response_format=Holiday
    )

    assert answer.choices[0].message.parsed == Holiday(
        city="Paris", nights=1, board="none"
    )


async def test_structured_output_is_streamed(router: Router) -> None:
    """The same, from the pieces of a stream."""
    async with router.openai().chat.completions.stream(
        model="chat", messages=[user("plan")], response_format=Holiday
    ) as events:
        answer = await events.get_final_completion()

    assert answer.choices[0].message.parsed == Holiday(
        city="Paris", nights=1, board="none"
    )


async def test_logprobs(router: Router) -> None:
    """Log probabilities come through, plain and streamed."""
    client = router.openai()

    plain = await client.chat.completions.create(
        model="chat", messages=[user("hi")], logprobs=True, top_logprobs=2
    )
    stream = await client.chat.completions.create(
        model="chat",
        messages=[user("hi")],
        logprobs=True,
        top_logprobs=2,
        stream=True,
    )
    streamed = [
        token
        async for chunk in stream
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content or []
    ]

    assert plain.choices[0].logprobs is not None
    assert plain.choices[0].logprobs.content == streamed
    assert {len(token.top_logprobs) for token in streamed} == {2}


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices(router: Router, *, stream: bool) -> None:
    """`n` choices come whole, numbered from 0."""
    client = router.openai()
    if stream:
        async with client.chat.completions.stream(
            model="chat", messages=[user("hi")], n=3
        ) as events:
            answer: ChatCompletion = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(
            model="chat", messages=[user("hi")], n=3
        )

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 1
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}


async def test_cached_and_reasoning_tokens_are_on_record(
    router: Router, mock: Mock
) -> None:
    """The finer counts of the usage reach the record."""
    mock.will(
        Step(
            prompt_tokens=1000,
            cached_tokens=600,
            completion_tokens=50,
            reasoning_tokens=20,
        )
    )

    await router.openai().chat.completions.create(model="chat", messages=[user("hi")])
    record = await router.record()

    assert record.cached_input_tokens == 600
    assert record.reasoning_tokens == 20


async def test_models_are_listed_and_found(router: Router) -> None:
    """The SDK reads every field of a model that OpenAI's own list has."""
    client = router.openai()

    models = [model async for model in client.models.list()]
    model = await client.models.retrieve("chat")

    assert models == [model]
    assert (model.id, model.object) == ("chat", "model")
    assert isinstance(model.created, int)
    assert model.owned_by


async def test_raw_responses_have_the_headers(router: Router) -> None:
    """Content type, request id and target can be read from the raw answer."""
    raw = await router.openai().chat.completions.with_raw_response.create(
        model="chat", messages=[user("hi")]
    )

    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.headers["x-router-target"] == "acme/mini"
