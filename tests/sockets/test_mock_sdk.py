"""The official OpenAI SDK against the mock: it must take every answer for real."""

import json
from collections.abc import AsyncGenerator
from typing import Literal

import openai
import pytest
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionCustomToolParam,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)
from pydantic import BaseModel

from smart_llmrouter.mockprovider.provider import Settings
from smart_llmrouter.mockprovider.script import Step, StreamError
from tests.support.mock import Mock, running_mock
from tests.support.plain_clients import openai_without_tls

MODEL = "mock-small"

WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
        },
    },
}


def user(text: str) -> ChatCompletionMessageParam:
    """Return a user message."""
    return {"role": "user", "content": text}


async def calls_of(
    client: openai.AsyncOpenAI,
    messages: list[ChatCompletionMessageParam],
    *,
    stream: bool,
) -> ChatCompletion:
    """Ask with a tool; a stream is put together by the SDK's own accumulator."""
    if not stream:
        return await client.chat.completions.create(
            model=MODEL, messages=messages, tools=[WEATHER]
        )
    async with client.chat.completions.stream(
        model=MODEL, messages=messages, tools=[WEATHER]
    ) as events:
        return await events.get_final_completion()


def function_calls(answer: ChatCompletion) -> list[tuple[str, dict[str, str]]]:
    """Return names and arguments of the functions that were called."""
    return [
        (call.function.name, json.loads(call.function.arguments))
        for call in answer.choices[0].message.tool_calls or []
        if isinstance(call, ChatCompletionMessageFunctionToolCall)
    ]


class Holiday(BaseModel):
    """A structure to be answered in."""

    city: str
    nights: int
    board: Literal["none", "half"]
    stops: list[str]


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


async def test_text(client: openai.AsyncOpenAI) -> None:
    """A plain answer quotes what was said, with usage that adds up."""
    answer = await client.chat.completions.create(model=MODEL, messages=[user("hey")])

    assert '"hey"' in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == (
        answer.usage.prompt_tokens + answer.usage.completion_tokens
    )


async def test_a_stream_says_what_the_plain_answer_says(
    client: openai.AsyncOpenAI,
) -> None:
    """Text and usage are equal, streamed or not."""
    plain = await client.chat.completions.create(model=MODEL, messages=[user("hey")])
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[user("hey")],
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = [chunk async for chunk in stream]

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage == plain.usage


async def test_a_stream_has_no_usage_unasked(client: openai.AsyncOpenAI) -> None:
    """Without `include_usage` there is no usage chunk."""
    stream = await client.chat.completions.create(
        model=MODEL, messages=[user("hey")], stream=True
    )

    chunks = [chunk async for chunk in stream]

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_is_answered(
    client: openai.AsyncOpenAI, *, stream: bool
) -> None:
    """A whole round: call, result, final text; the SDK's own accumulator agrees."""
    messages = [user("What is the weather?")]

    called = (await calls_of(client, messages, stream=stream)).choices[0]
    assert called.message.tool_calls is not None
    call = called.message.tool_calls[0]
    assert call.type == "function"
    final = await client.chat.completions.create(
        model=MODEL,
        messages=[
            *messages,
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

    assert called.finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == {"city": "Paris", "unit": "celsius"}
    assert "21 degrees" in (final.choices[0].message.content or "")


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_are_called_in_parallel_when_asked(
    client: openai.AsyncOpenAI, *, stream: bool
) -> None:
    """Two calls with ids and arguments of their own, in one turn."""
    answer = await calls_of(client, [user("both cities, please")], stream=stream)

    assert [arguments["city"] for _, arguments in function_calls(answer)] == [
        "Paris",
        "Oslo",
    ]
    calls = answer.choices[0].message.tool_calls or []
    assert len({call.id for call in calls}) == 2


async def test_parallel_calls_can_be_ruled_out(client: openai.AsyncOpenAI) -> None:
    """`parallel_tool_calls: false` leaves one call."""
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[user("both cities, please")],
        tools=[WEATHER],
        parallel_tool_calls=False,
    )

    assert len(answer.choices[0].message.tool_calls or []) == 1


async def test_tool_choice_none_gives_text(client: openai.AsyncOpenAI) -> None:
    """Tools that may not be called are not."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user("hi")], tools=[WEATHER], tool_choice="none"
    )

    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"


async def test_the_named_tool_is_called(client: openai.AsyncOpenAI) -> None:
    """A forced choice goes before the order of the tools; two tools go in parallel."""
    second: ChatCompletionToolParam = {"type": "function", "function": {"name": "now"}}

    forced = await client.chat.completions.create(
        model=MODEL,
        messages=[user("hi")],
        tools=[WEATHER, second],
        tool_choice={"type": "function", "function": {"name": "now"}},
    )
    parallel = await client.chat.completions.create(
        model=MODEL, messages=[user("in parallel")], tools=[WEATHER, second]
    )

    assert function_calls(forced) == [("now", {})]
    assert [name for name, _ in function_calls(parallel)] == ["get_weather", "now"]


async def test_a_custom_tool_gets_text(client: openai.AsyncOpenAI) -> None:
    """Its input is what the user said, whole or in pieces."""
    shell: ChatCompletionCustomToolParam = {
        "type": "custom",
        "custom": {"name": "shell"},
    }

    plain = await client.chat.completions.create(
        model=MODEL, messages=[user("list all of the files")], tools=[shell]
    )
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[user("list all of the files")],
        tools=[shell],
        stream=True,
    )
    pieces = [
        (piece.model_extra or {})["custom"]["input"]
        async for chunk in stream
        for piece in chunk.choices[0].delta.tool_calls or []
    ]

    call = (plain.choices[0].message.tool_calls or [])[0]
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("shell", "list all of the files")
    assert pieces == ["", "list all of ", "the files"]


async def test_reasoning_may_be_shown(mock: Mock, client: openai.AsyncOpenAI) -> None:
    """A scripted reasoning text comes before the answer, in both shapes."""
    mock.will(Step(reasoning_text="hmm", times=2))

    plain = await client.chat.completions.create(model=MODEL, messages=[user("hi")])
    stream = await client.chat.completions.create(
        model=MODEL, messages=[user("hi")], stream=True
    )
    deltas = [chunk.choices[0].delta async for chunk in stream]

    assert (plain.choices[0].message.model_extra or {})["reasoning_content"] == "hmm"
    assert (deltas[1].model_extra or {})["reasoning_content"] == "hmm"


async def test_images_are_counted_and_cost_tokens(client: openai.AsyncOpenAI) -> None:
    """Two image parts are mentioned, and the prompt is dearer for them."""
    picture = {"url": "data:image/png;base64,iVBORw0KGgo="}
    with_images: ChatCompletionMessageParam = {
        "role": "user",
        "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": picture["url"]}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ],
    }

    seen = await client.chat.completions.create(model=MODEL, messages=[with_images])
    bare = await client.chat.completions.create(model=MODEL, messages=[user("look")])

    assert "2 images" in (seen.choices[0].message.content or "")
    assert seen.usage is not None
    assert bare.usage is not None
    assert seen.usage.prompt_tokens == bare.usage.prompt_tokens + 2 * 85


async def test_structured_output_keeps_its_schema(client: openai.AsyncOpenAI) -> None:
    """The SDK's parser takes the answer as the model that was asked for."""
    answer = await client.chat.completions.parse(
        model=MODEL, messages=[user("plan")], response_format=Holiday
    )

    assert answer.choices[0].message.parsed == Holiday(
        city="Paris", nights=1, board="none", stops=["a plausible stops"]
    )


async def test_structured_output_is_streamed(client: openai.AsyncOpenAI) -> None:
    """The same, from the pieces of a stream."""
    async with client.chat.completions.stream(
        model=MODEL, messages=[user("plan")], response_format=Holiday
    ) as events:
        answer = await events.get_final_completion()

    assert answer.choices[0].message.parsed is not None
    assert answer.choices[0].message.parsed.board == "none"


async def test_json_mode_gives_an_object(client: openai.AsyncOpenAI) -> None:
    """`json_object` is answered with some object."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user("x")], response_format={"type": "json_object"}
    )

    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


async def test_logprobs(client: openai.AsyncOpenAI) -> None:
    """Each token has its log probability, its bytes and the asked-for alternatives."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user("hi")], logprobs=True, top_logprobs=3
    )

    choice = answer.choices[0]
    assert choice.logprobs is not None
    tokens = choice.logprobs.content or []
    assert "".join(token.token for token in tokens) == choice.message.content
    assert {len(token.top_logprobs) for token in tokens} == {3}
    assert bytes(tokens[0].bytes or []).decode() == tokens[0].token


async def test_streamed_logprobs(client: openai.AsyncOpenAI) -> None:
    """A stream carries them with each delta."""
    stream = await client.chat.completions.create(
        model=MODEL, messages=[user("hi")], logprobs=True, stream=True
    )

    spoken = [
        chunk.choices[0] async for chunk in stream if chunk.choices[0].delta.content
    ]

    assert all(
        choice.logprobs
        and choice.logprobs.content
        and choice.logprobs.content[0].token == choice.delta.content
        for choice in spoken
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices(client: openai.AsyncOpenAI, *, stream: bool) -> None:
    """`n` choices come, numbered from 0, and all are paid for."""
    one = await client.chat.completions.create(model=MODEL, messages=[user("hi")])
    if stream:
        async with client.chat.completions.stream(
            model=MODEL,
            messages=[user("hi")],
            n=3,
            stream_options={"include_usage": True},
        ) as events:
            answer: object = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[user("hi")], n=3
        )

    assert isinstance(answer, openai.types.chat.ChatCompletion)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 1
    assert one.usage is not None
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3 * one.usage.completion_tokens


async def test_an_output_cap_is_kept(client: openai.AsyncOpenAI) -> None:
    """No more tokens than allowed, and `length` says so."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user("hi")], max_completion_tokens=5
    )

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


async def test_reasoning_is_paid_for(client: openai.AsyncOpenAI) -> None:
    """Reasoning tokens grow with the effort, and are part of the output."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user("hi")], reasoning_effort="low"
    )

    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 64
    assert answer.usage.completion_tokens > 64


async def test_a_long_prompt_is_partly_cached(client: openai.AsyncOpenAI) -> None:
    """From 1,024 tokens on, whole steps of 128 count as cached."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user("word " * 1000)]
    )

    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 1152
    assert answer.usage.prompt_tokens > 1152


async def test_stop_and_seed(client: openai.AsyncOpenAI) -> None:
    """Text ends before a stop string; the fingerprint shows the seed."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user("hi")], stop=["You"], seed=7
    )

    assert answer.choices[0].message.content == "This is mock-small, a mock. "
    assert answer.system_fingerprint == "fp_mock_7"


async def test_the_same_request_has_the_same_answer(
    client: openai.AsyncOpenAI,
) -> None:
    """Everything is equal, ids included; another request differs."""
    answers = [
        await client.chat.completions.create(model=MODEL, messages=[user(text)])
        for text in ("a", "a", "b")
    ]

    assert answers[0] == answers[1]
    assert answers[0].id != answers[2].id


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_errors_have_their_classes(
    mock: Mock,
    client: openai.AsyncOpenAI,
    status: int,
    error: type[openai.APIStatusError],
) -> None:
    """The SDK raises what belongs to the status, with our message in it."""
    mock.will(Step(status=status))

    with pytest.raises(error) as raised:
        await client.chat.completions.create(model=MODEL, messages=[user("hi")])

    assert raised.value.status_code == status
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["message"]


async def test_the_sdk_sees_an_error_inside_a_stream(
    mock: Mock, client: openai.AsyncOpenAI
) -> None:
    """An error event in a 200 becomes an exception."""
    mock.will(Step(error_in_stream=StreamError(after_events=2)))

    with pytest.raises(openai.APIError, match="error while processing"):
        async for _ in await client.chat.completions.create(
            model=MODEL, messages=[user("hi")], stream=True
        ):
            pass


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    """The list has the usual names."""
    models = [model.id async for model in client.models.list()]

    assert models == ["mock-small", "mock-large"]


async def test_a_key_and_models_can_be_demanded() -> None:
    """Another key is a 401, another model a 404; the right ones are served."""
    settings = Settings(api_key="right", models=("only",))
    async with running_mock(settings) as mock:
        wrong = openai.AsyncOpenAI(
            base_url=mock.base_url,
            api_key="w",
            max_retries=0,
            http_client=openai_without_tls(),
        )
        right = wrong.with_options(api_key="right")

        with pytest.raises(openai.AuthenticationError):
            await wrong.models.list()
        with pytest.raises(openai.NotFoundError, match="nobody"):
            await right.chat.completions.create(model="nobody", messages=[user("x")])
        answer = await right.chat.completions.create(model="only", messages=[user("x")])
        await wrong.close()
        await right.close()

    assert answer.model == "only"
    assert [entry.header("authorization") for entry in mock.received] == [
        "Bearer w",
        "Bearer right",
        "Bearer right",
    ]
