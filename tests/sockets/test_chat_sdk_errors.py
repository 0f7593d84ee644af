"""The official OpenAI SDK through the router: every failure as its proper exception."""

from pathlib import Path

import msgspec
import openai
import pytest
from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from smart_llmrouter.mockprovider.script import Step, StreamError
from tests.support.gateway import caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


async def failed(
    client: openai.AsyncOpenAI, *, model: str = "chat", stream: bool = False
) -> openai.APIStatusError:
    """Return the exception that a call raises before its first chunk."""
    with pytest.raises(openai.APIStatusError) as raised:
        await client.chat.completions.create(model=model, messages=HI, stream=stream)
    return raised.value


async def hear(stream: AsyncStream[ChatCompletionChunk], said: list[str]) -> None:
    """Add the text of a stream to `said`, for as long as it goes well."""
    async for chunk in stream:
        said += [chunk.choices[0].delta.content or ""]


async def test_a_wrong_token(router: Router) -> None:
    """An unknown token is an `AuthenticationError` with our code and the request id."""
    error = await failed(router.openai("unknown"))

    assert type(error) is openai.AuthenticationError
    assert error.code == "unauthorized"
    assert error.type == "authentication_error"
    assert error.request_id is not None
    assert error.request_id in error.message


async def test_a_model_that_is_not_allowed(router: Router) -> None:
    """Any model that the token may not use is a `PermissionDeniedError`."""
    error = await failed(router.openai(), model="nothing-of-the-kind")

    assert type(error) is openai.PermissionDeniedError
    assert error.code == "model-not-allowed"
    assert error.request_id is not None


async def test_a_model_that_is_not_found(router: Router) -> None:
    """`models.retrieve` of an unknown model is a `NotFoundError`."""
    with pytest.raises(openai.NotFoundError) as raised:
        await router.openai().models.retrieve("nothing-of-the-kind")

    assert raised.value.code == "model-not-found"
    assert raised.value.request_id is not None


async def test_an_unknown_path(router: Router) -> None:
    """An endpoint that is not served is a `NotFoundError`."""
    with pytest.raises(openai.NotFoundError) as raised:
        await router.openai().embeddings.create(model="chat", input="x")

    assert raised.value.code == "unknown-path"


async def test_a_request_that_is_too_large(tmp_path: Path, mock: Mock) -> None:
    """A body above the limit is an `APIStatusError` with status 413."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, server={"max_request_bytes": 4096}
    )
    async with running_router(tmp_path, settings) as router:
        with pytest.raises(openai.APIStatusError) as raised:
            await router.openai().chat.completions.create(
                model="chat", messages=[{"role": "user", "content": "x" * 5000}]
            )

    assert raised.value.status_code == 413
    assert raised.value.code == "request-too-large"
    assert mock.received == []


async def test_a_rejection_keeps_the_providers_own_words(
    router: Router, mock: Mock
) -> None:
    """The caller reads the provider's message, type, param and code, and our id."""
    mock.will(
        Step(
            status=400,
            body=msgspec.Raw(
                b'{"error":{"message":"too long","type":"invalid_request_error",'
                b'"param":"messages","code":"context_length_exceeded","x":1.00}}'
            ),
        )
    )

    error = await failed(router.openai())
    record = await router.record()

    assert type(error) is openai.BadRequestError
    assert isinstance(error.body, dict)
    assert error.body["message"] == "too long"
    assert error.body["x"] == 1.0
    assert (error.param, error.code) == ("messages", "context_length_exceeded")
    assert error.body["request_id"] == error.request_id == record.request_id
    assert error.response.headers["x-router-target"] == "acme/mini"
    assert error.response.headers["x-should-retry"] == "false"
    assert (record.status, record.error_code) == (400, "upstream-rejected-request")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"the prompt is too long"}',
        b'{"object":"error","message":"the prompt is too long","code":40303}',
        b'{"detail":"the prompt is too long"}',
    ],
)
async def test_a_rejection_in_another_shape_keeps_its_message(
    router: Router, mock: Mock, body: bytes
) -> None:
    """Providers that only resemble OpenAI are quoted in OpenAI's shape all the same."""
    mock.will(Step(status=400, body=msgspec.Raw(body)))

    error = await failed(router.openai())

    assert isinstance(error.body, dict)
    assert "the prompt is too long" in error.body["message"]
    assert error.body["request_id"] == error.request_id


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
    ],
)
async def test_other_rejections_keep_their_status(
    router: Router, mock: Mock, status: int, kind: type[openai.APIStatusError]
) -> None:
    """The provider's 413 and 422 arrive as what they are."""
    mock.will(Step(status=status))

    error = await failed(router.openai())

    assert type(error) is kind
    assert error.status_code == status


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        (Step(status=500), 502, "upstream-failed"),
        (Step(status=529), 529, "upstream-overloaded"),
        (Step(status=504), 504, "upstream-timeout"),
        (Step(status=429), 503, "upstream-rate-limited"),
        (Step(status=402), 503, "upstream-quota-exhausted"),
        (Step(status=401), 503, "upstream-access-denied"),
        (Step(status=403), 503, "upstream-access-denied"),
        (Step(status=404), 503, "upstream-access-denied"),
    ],
)
async def test_what_providers_do_wrong_is_a_server_error(
    router: Router, mock: Mock, *, step: Step, status: int, code: str, stream: bool
) -> None:
    """The caller's token and rate are fine, so it is told of a server's failure."""
    mock.will(step)

    error = await failed(router.openai(), stream=stream)

    assert type(error) is openai.InternalServerError
    assert (error.status_code, error.code) == (status, code)
    assert error.type == "server_error"
    assert error.request_id is not None


async def test_the_sdk_retries_what_may_pass(router: Router, mock: Mock) -> None:
    """After a 502 of ours the SDK tries again by itself, and gets its answer."""
    mock.will(Step(status=500))

    answer = await router.openai(max_retries=1).chat.completions.create(
        model="chat", messages=HI
    )
    records = await router.recorded(2)

    assert answer.choices[0].message.content
    assert sorted(record.status for record in records) == [200, 502]


async def test_the_sdk_does_not_retry_what_cannot_pass(
    router: Router, mock: Mock
) -> None:
    """`x-should-retry: false` stops the SDK where it would have repeated the call."""
    mock.will(Step(status=400, times=3))

    error = await failed(router.openai(max_retries=2))

    assert type(error) is openai.BadRequestError
    assert len(mock.received) == 1


async def test_an_error_in_mid_stream(router: Router, mock: Mock) -> None:
    """What was said comes first, then an `APIError` with our code, and no `[DONE]`."""
    error_in_stream = StreamError(after_events=3)
    mock.will(Step(content="one two three", error_in_stream=error_in_stream))
    said: list[str] = []

    stream = await router.openai().chat.completions.create(
        model="chat", messages=HI, stream=True
    )
    with pytest.raises(openai.APIError) as raised:
        await hear(stream, said)
    record = await router.record()

    assert "".join(said) == "one two"
    assert type(raised.value) is openai.APIError
    assert raised.value.code == "upstream-failed"
    assert record.request_id in raised.value.message
    assert (record.status, record.error_class) == (502, "upstream_error_in_stream")


async def test_no_target_can_serve(tmp_path: Path, mock: Mock) -> None:
    """A group of another dialect refuses by name, and calls nobody."""
    settings = configuration(
        {"acme": provider(mock.base_url, dialect="anthropic-messages")}
    )
    settings["groups"]["chat"]["bridges"] = "off"
    async with running_router(tmp_path, settings) as router:
        error = await failed(router.openai(max_retries=2))
        record = await router.record()

    assert (error.status_code, error.code) == (502, "no-eligible-target")
    assert isinstance(error.body, dict)
    assert error.body["details"] == {
        "model": "chat",
        "dialect": "openai-chat",
        "requirements": ["dialect"],
        "targets": {"acme/mini": ["dialect"]},
        "hint": "add a target to the group that speaks the dialect of the request, or"
        " let others serve it (`bridges`)",
    }
    assert mock.received == []
    assert (record.attempts, record.resolved_group) == (0, "chat")


async def test_a_disabled_key(tmp_path: Path, mock: Mock) -> None:
    """A known key that may not be used is a `PermissionDeniedError` that names it."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, callers=[caller(status="disabled")]
    )
    async with running_router(tmp_path, settings) as router:
        error = await failed(router.openai())
        record = await router.record()

    assert type(error) is openai.PermissionDeniedError
    assert error.code == "key-disabled"
    assert isinstance(error.body, dict)
    assert error.body["details"] == {"token_id": "rtr_alice_search_dev_k1"}
    assert (record.status, record.error_code) == (403, "key-disabled")
