"""One governed endpoint for OpenAI Chat: the main job, end to end."""

from pathlib import Path

from tests.support.gateway import configuration, provider, running_gateway
from tests.support.mock import running_mock


async def test_the_sdk_gets_an_answer_and_the_call_is_on_record(tmp_path: Path) -> None:
    """A plain call through the official SDK leaves one priced row."""
    async with (
        running_mock() as mock,
        running_gateway(
            tmp_path, configuration({"acme": provider(mock.base_url)})
        ) as gw,
    ):
        raw = await gw.openai().chat.completions.with_raw_response.create(
            model="chat", messages=[{"role": "user", "content": "hello"}]
        )
        rows = await gw.recorded(1)

    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert raw.headers["x-router-target"] == "acme/mini"
    assert [row["request_id"] for row in rows] == [raw.headers["x-request-id"]]
    assert rows[0]["input_tokens"] == answer.usage.prompt_tokens
    assert rows[0]["output_tokens"] == answer.usage.completion_tokens
    assert rows[0]["status"] == 200


async def test_a_stream_ends_without_the_usage_that_nobody_asked_for(
    tmp_path: Path,
) -> None:
    """Usage is asked for on the caller's behalf, recorded, and taken out again."""
    async with (
        running_mock() as mock,
        running_gateway(
            tmp_path, configuration({"acme": provider(mock.base_url)})
        ) as gw,
    ):
        stream = await gw.openai().chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        chunks = [chunk async for chunk in stream]
        rows = await gw.recorded(1)

    assert all(chunk.choices for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert rows[0]["stream"]
    assert rows[0]["output_tokens"] > 0
    assert rows[0]["ttft_us"] > 0
