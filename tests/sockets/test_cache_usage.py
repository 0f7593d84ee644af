"""Reads from and writes into a provider's cache: counted and paid once, in any dialect.

The provider counts its input apart from its cache, or together with it; the record
holds one model of tokens, whatever the dialect of caller and provider.
"""

from pathlib import Path
from typing import Any, Final

import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import running_router

PRICE: Final = {
    "input_per_million": "3",
    "cached_input_per_million": "0.3",
    "cache_write_per_million": "3.75",
    "cache_write_1h_per_million": "6",
    "output_per_million": "15",
}
CACHED: Final = Step(
    prompt_tokens=10_000,
    cached_tokens=6_000,
    cache_write_tokens=1_000,
    cache_write_1h_tokens=500,
    completion_tokens=200,
)
SAID: Final = [{"role": "user", "content": "hi"}]
REQUESTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "openai-chat": ("/v1/chat/completions", {"messages": SAID}),
    "openai-responses": ("/v1/responses", {"input": "hi"}),
    "anthropic-messages": ("/v1/messages", {"messages": SAID, "max_tokens": 500}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("spoken", REQUESTS)
@pytest.mark.parametrize(
    ("target", "short", "long", "write_nusd"),
    [
        ("anthropic-messages", 1_000, 500, 3_750_000 + 3_000_000),
        # This dialect does not tell for how long.
        ("openai-responses", 1_500, None, 5_625_000),
    ],
)
async def test_each_token_of_the_input_is_paid_once(
    tmp_path: Path,
    mock: Mock,
    target: str,
    short: int,
    long: int | None,
    write_nusd: int,
    spoken: str,
    *,
    stream: bool,
) -> None:
    """The input is uncached, read and written tokens, whichever of them were told."""
    path, body = REQUESTS[spoken]
    model = {"mini": {"model": "mock-mini", "price": PRICE}}
    settings = configuration(
        {"acme": provider(mock.base_url, dialect=target, models=model)}
    )
    mock.will(CACHED)
    async with running_router(tmp_path, settings) as router:
        async with router.http() as client:
            answer = await client.post(
                path, json={"model": "chat", "stream": stream, **body}
            )
            assert answer.status_code == 200, answer.text
        record = await router.record()

    assert (record.input_tokens, record.cached_input_tokens) == (10_000, 6_000)
    assert (record.cache_write_5m_tokens, record.cache_write_1h_tokens) == (short, long)
    assert record.input_cost_nusd == 2_500 * 3_000
    assert record.cached_input_cost_nusd == 6_000 * 300
    assert record.cache_write_cost_nusd == write_nusd
    assert record.output_tokens == 200
    assert record.total_cost_nusd == 7_500_000 + 1_800_000 + write_nusd + 3_000_000
    assert (record.inbound_dialect, record.target_dialect) == (spoken, target)
    assert record.lane == ("relay" if spoken == target else "translate")
