"""The official Anthropic SDK against the mock's Messages."""

from collections.abc import AsyncGenerator
from typing import cast

import anthropic
import pytest
from anthropic.types import (
    Message,
    MessageParam,
    RawMessageStreamEvent,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolParam,
    ToolUseBlock,
)

from smart_llmrouter.mockprovider.provider import Settings
from smart_llmrouter.mockprovider.script import Step, StreamError
from tests.support.mock import Mock, running_mock
from tests.support.plain_clients import anthropic_without_tls

MODEL = "mock-small"
WEATHER: ToolParam = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


@pytest.fixture
async def mock() -> AsyncGenerator[Mock]:
    """A mock of its own for each test."""
    async with running_mock() as mock:
        yield mock


def sdk(
    mock: Mock,
    *,
    api_key: str = "any",
    default_headers: dict[str, str] | None = None,
) -> anthropic.AsyncAnthropic:
    """Return the SDK, pointed at a mock, without retries of its own."""
    return anthropic.AsyncAnthropic(
        base_url=mock.url,
        api_key=api_key,
        default_headers=default_headers,
        max_retries=0,
        http_client=anthropic_without_tls(),
    )


@pytest.fixture
async def client(mock: Mock) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    """The SDK, without retries of its own."""
    async with sdk(mock) as client:
        yield client


async def ask(
    client: anthropic.AsyncAnthropic, *messages: object, **fields: object
) -> Message:
    """Ask with these messages; a text is a message of the user."""
    return await client.messages.create(
        model=MODEL,
        max_tokens=4096,
        messages=[user(each) for each in messages],
        extra_body=fields,
    )


async def events_of(
    client: anthropic.AsyncAnthropic, text: str, **fields: object
) -> list[RawMessageStreamEvent]:
    """Ask for a stream and return its events."""
    stream = await client.messages.create(
        model=MODEL,
        max_tokens=4096,
        messages=[user(text)],
        stream=True,
        extra_body=fields,
    )
    return [event async for event in stream]


def user(message: object) -> MessageParam:
    """Return a message; a text becomes one of the user."""
    if isinstance(message, str):
        return {"role": "user", "content": message}
    return cast("MessageParam", message)


def again(answer: Message) -> MessageParam:
    """Return an answer as it is sent back."""
    return {"role": "assistant", "content": answer.content}


def result(call_id: str, content: object) -> MessageParam:
    """Return the result of a tool."""
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return cast("MessageParam", {"role": "user", "content": [block]})


def text_of(answer: Message) -> str:
    """Return the text of an answer."""
    return "".join(block.text for block in answer.content if block.type == "text")


def thinking_of(answer: Message) -> ThinkingBlock:
    """Return the thinking that an answer begins with."""
    block = answer.content[0]
    assert isinstance(block, ThinkingBlock)
    return block


async def test_text(client: anthropic.AsyncAnthropic) -> None:
    """A plain answer quotes what was said, and has all of its fields."""
    answer = await ask(client, "hey")

    assert '"hey"' in text_of(answer)
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0


async def test_a_stream_says_what_the_plain_answer_says(
    client: anthropic.AsyncAnthropic,
) -> None:
    """The SDK's accumulator makes the same of it, usage too."""
    plain = await ask(client, "hey")
    async with client.messages.stream(
        model=MODEL, max_tokens=4096, messages=[user("hey")]
    ) as stream:
        streamed = await stream.get_final_message()

    assert text_of(streamed) == text_of(plain)
    assert streamed.stop_reason == plain.stop_reason
    assert streamed.usage.output_tokens == plain.usage.output_tokens
    assert streamed.usage.input_tokens == plain.usage.input_tokens


async def test_a_stream_keeps_the_grammar(client: anthropic.AsyncAnthropic) -> None:
    """It begins and ends with the message, and each block is opened and closed."""
    events = await events_of(client, "hey")

    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_is_answered(
    client: anthropic.AsyncAnthropic, *, stream: bool
) -> None:
    """A whole round: call, result, final text; streamed input adds up."""
    if stream:
        async with client.messages.stream(
            model=MODEL, max_tokens=99, messages=[user("weather?")], tools=[WEATHER]
        ) as events:
            first: Message = await events.get_final_message()
    else:
        first = await ask(client, "weather?", tools=[WEATHER])
    call = first.content[0]
    assert isinstance(call, ToolUseBlock)

    final = await ask(
        client, "weather?", again(first), result(call.id, "21"), tools=[WEATHER]
    )

    assert (first.stop_reason, call.input) == ("tool_use", {"city": "Paris"})
    assert '"21"' in text_of(final)


async def test_tools_are_called_in_parallel_unless_ruled_out(
    client: anthropic.AsyncAnthropic,
) -> None:
    """Two calls with ids of their own; one where the request says so."""
    both = await ask(client, "both cities", tools=[WEATHER])
    one = await ask(
        client,
        "both cities",
        tools=[WEATHER],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )

    calls = [block for block in both.content if isinstance(block, ToolUseBlock)]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert len({call.id for call in calls}) == 2
    assert len(one.content) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_thinking_comes_back_signed(
    client: anthropic.AsyncAnthropic, *, stream: bool
) -> None:
    """A thought has a signature, with which the mock takes it again."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    if stream:
        async with client.messages.stream(
            model=MODEL,
            max_tokens=4096,
            messages=[user("hey")],
            thinking={"type": "enabled", "budget_tokens": 1024},
        ) as events:
            first: Message = await events.get_final_message()
    else:
        first = await ask(client, "hey", thinking=thinking)

    second = await ask(client, "hey", again(first), "more", thinking=thinking)

    assert thinking_of(first).thinking
    assert thinking_of(first).signature
    assert '"more"' in text_of(second)


@pytest.mark.parametrize(
    "change",
    [{"signature": ""}, {"signature": "c2lnbmVk"}, {"thinking": "I thought better."}],
)
async def test_thinking_that_is_not_its_own_is_refused(
    client: anthropic.AsyncAnthropic, change: dict[str, str]
) -> None:
    """An empty or foreign signature is a 400, and so is a thought that was changed."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    first = await ask(client, "hey", thinking=thinking)
    changed = {**thinking_of(first).model_dump(), **change}
    history = {"role": "assistant", "content": [changed, {"type": "text", "text": "x"}]}

    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        await ask(client, "hey", history, "more", thinking=thinking)


async def test_a_signature_of_another_provider_is_refused(
    client: anthropic.AsyncAnthropic,
) -> None:
    """Mocks of different names do not take each other's thoughts."""
    thinking = {"type": "adaptive"}
    first = await ask(client, "hey", thinking=thinking)

    async with running_mock(Settings(name="other")) as other:
        stranger = client.with_options(base_url=other.url)
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            await ask(stranger, "hey", again(first), "more", thinking=thinking)


async def test_thinking_may_be_omitted_or_redacted(
    client: anthropic.AsyncAnthropic,
) -> None:
    """Then there is a signature alone, or data alone, and both are taken again."""
    hidden = {"type": "adaptive", "display": "omitted"}
    omitted = await ask(client, "hey", thinking=hidden)
    redacted = await ask(client, "MOCK: redact a secret\nMOCK: say hello")

    final = await ask(
        client, "hey", again(omitted), "MOCK: say x", again(redacted), "more"
    )

    assert thinking_of(omitted).thinking == ""
    assert thinking_of(omitted).signature
    assert isinstance(redacted.content[0], RedactedThinkingBlock)
    assert isinstance(redacted.content[1], TextBlock)
    assert '"more"' in text_of(final)


async def test_images_are_seen_with_their_size(
    client: anthropic.AsyncAnthropic,
) -> None:
    """Those that the user shows and those in a tool's result, in all of the history."""
    source = {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}
    picture = {"type": "image", "source": source}
    call = {"type": "tool_use", "id": "toolu_1", "name": "view", "input": {}}
    at = {
        "type": "image",
        "source": {"type": "url", "url": "https://example.com/a.png"},
    }
    asked = [at, {"type": "text", "text": "MOCK: run ls\nMOCK: image"}]

    answer = await ask(
        client,
        {"role": "user", "content": asked},
        {"role": "assistant", "content": [call]},
        result("toolu_1", [picture]),
    )

    assert text_of(answer) == "2 images: at an address; image/png, 5 bytes."


async def test_structured_output_keeps_its_schema(
    client: anthropic.AsyncAnthropic,
) -> None:
    """The text is an object that the schema accepts."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    form = {"type": "json_schema", "schema": schema}

    answer = await ask(client, "plan", output_config={"format": form})

    assert text_of(answer) == '{"city": "Paris"}'


async def test_usage_adds_up(mock: Mock, client: anthropic.AsyncAnthropic) -> None:
    """What was read from a cache or written into one is not in `input_tokens`."""
    mock.will(
        Step(
            prompt_tokens=100,
            cached_tokens=60,
            cache_write_tokens=20,
            cache_write_1h_tokens=5,
        )
    )

    usage = (await ask(client, "hey")).usage

    assert usage.input_tokens == 15
    assert usage.cache_read_input_tokens == 60
    assert usage.cache_creation_input_tokens == 25
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_5m_input_tokens == 20
    assert usage.cache_creation.ephemeral_1h_input_tokens == 5


@pytest.mark.parametrize(
    ("control", "written"),
    [
        ({"type": "ephemeral"}, (1152, 0)),
        ({"type": "ephemeral", "ttl": "1h"}, (0, 1152)),
    ],
)
async def test_a_prompt_is_cached_when_asked(
    client: anthropic.AsyncAnthropic,
    control: dict[str, str],
    written: tuple[int, int],
) -> None:
    """The first turn writes the cache and the next one reads it; else there is none."""
    text = "word " * 1000
    system = [{"type": "text", "text": text, "cache_control": control}]

    unasked = await ask(client, text)
    first = await ask(client, "hey", system=system)
    second = await ask(client, "hey", again(first), "more", system=system)

    creation = first.usage.cache_creation
    assert creation is not None
    assert written == (
        creation.ephemeral_5m_input_tokens,
        creation.ephemeral_1h_input_tokens,
    )
    assert second.usage.cache_read_input_tokens == 1280
    assert unasked.usage.cache_read_input_tokens == 0


async def test_reasoning_is_paid_for(client: anthropic.AsyncAnthropic) -> None:
    """Thinking tokens grow with the effort, and are part of the output."""
    answer = await ask(
        client, "hey", thinking={"type": "adaptive"}, output_config={"effort": "low"}
    )

    details = answer.usage.output_tokens_details
    assert details is not None
    assert details.thinking_tokens == 64
    assert answer.usage.output_tokens > 64


async def test_stop_sequences_and_caps(client: anthropic.AsyncAnthropic) -> None:
    """The answer says which sequence ended it, or that the cap did."""
    stopped = await ask(client, "hey", stop_sequences=["You"])
    capped = await ask(client, "hey", max_tokens=5)

    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "You")
    assert text_of(stopped) == "This is mock-small, a mock. "
    assert (capped.stop_reason, capped.usage.output_tokens) == ("max_tokens", 5)


async def test_tokens_are_counted(client: anthropic.AsyncAnthropic) -> None:
    """The count is that of the usage, and needs no cap."""
    counted = await client.messages.count_tokens(
        model=MODEL, messages=[user("hey you")], tools=[WEATHER]
    )
    answer = await ask(client, "hey you", tools=[WEATHER])

    assert counted.input_tokens == answer.usage.input_tokens


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (413, "request_too_large", anthropic.RequestTooLargeError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.OverloadedError),
    ],
)
async def test_errors_have_their_classes(
    mock: Mock,
    client: anthropic.AsyncAnthropic,
    status: int,
    kind: str,
    error: type[anthropic.APIStatusError],
) -> None:
    """The SDK raises what belongs to the status, and the body names its kind."""
    mock.will(Step(status=status))

    with pytest.raises(error) as raised:
        await ask(client, "hey")

    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["type"] == kind


@pytest.mark.parametrize("place", [0, 1, 5])
async def test_a_stream_may_fail(
    mock: Mock, client: anthropic.AsyncAnthropic, place: int
) -> None:
    """An `error` event becomes an exception, wherever it comes."""
    failure = StreamError(
        after_events=place, type="overloaded_error", message="Too much."
    )
    mock.will(Step(error_in_stream=failure))

    with pytest.raises(anthropic.APIStatusError, match="Too much"):
        await events_of(client, "hey")


async def test_models_are_listed(client: anthropic.AsyncAnthropic) -> None:
    """As Anthropic lists them, and one by one."""
    models = [model.id async for model in client.models.list()]
    one = await client.models.retrieve("mock-small")

    assert models == ["mock-small", "mock-large"]
    assert one.display_name == "mock-small"


async def test_a_key_may_come_in_either_header() -> None:
    """`x-api-key` does, `Authorization` does, a wrong key is a 401 in this dialect."""
    async with running_mock(Settings(api_key="right")) as mock:
        by_key = sdk(mock, api_key="right")
        by_header = sdk(mock, api_key="wrong", default_headers={"x-api-key": "right"})
        wrong = sdk(mock, api_key="wrong")

        answers = [await ask(each, "hey") for each in (by_key, by_header)]
        with pytest.raises(anthropic.AuthenticationError):
            await ask(wrong, "hey")
        for each in (by_key, by_header, wrong):
            await each.close()

    assert [answer.model for answer in answers] == [MODEL, MODEL]
