"""What a call used and cost, as its record tells it: exact or unknown, no guesses."""

from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import PRICE, caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

CHAT = "/v1/chat/completions"


async def recorded(router: Router, *, stream: bool) -> UsageRecord:
    """Make one call, and return its record."""
    said = [{"role": "user", "content": "hi"}]
    body = {"model": "chat", "messages": said, "stream": stream}
    async with router.http() as client:
        answer = await client.post(CHAT, json=body)
    assert answer.status_code == 200
    return await router.record()


def cost_nusd(tokens: int, usd_per_million: str) -> int:
    """Price tokens by hand."""
    exact = Decimal(usd_per_million) * tokens * 1000
    return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_times_price(router: Router, mock: Mock, *, stream: bool) -> None:
    """Each part is priced exactly, cached tokens once, and the total is their sum."""
    mock.will(
        Step(
            prompt_tokens=12_345,
            cached_tokens=2_049,
            completion_tokens=677,
            reasoning_tokens=600,
        )
    )

    record = await recorded(router, stream=stream)

    assert (record.input_tokens, record.cached_input_tokens) == (12_345, 2_049)
    assert (record.output_tokens, record.reasoning_tokens) == (677, 600)
    fresh = cost_nusd(12_345 - 2_049, PRICE["input_per_million"])
    cached = cost_nusd(2_049, PRICE["cached_input_per_million"])
    output = cost_nusd(677, PRICE["output_per_million"])
    assert record.input_cost_nusd == fresh
    assert record.cached_input_cost_nusd == cached
    assert record.output_cost_nusd == output
    assert record.total_cost_nusd == fresh + cached + output
    assert record.upstream_reported_cost_nusd is None
    assert record.price_fingerprint


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "step",
    [
        Step(no_usage=True),
        Step(wrong_usage="null"),
        Step(wrong_usage="absent"),
        Step(wrong_usage="partial"),
        Step(wrong_usage="strings"),
        Step(wrong_usage="negative"),
        Step(wrong_usage="absurd"),
    ],
)
async def test_unknown_stays_unknown(
    router: Router, mock: Mock, *, step: Step, stream: bool
) -> None:
    """No usage, or one that cannot be believed, is no number and costs no number."""
    mock.will(step)

    record = await recorded(router, stream=stream)

    assert (record.input_tokens, record.output_tokens) == (None, None)
    assert (record.input_cost_nusd, record.output_cost_nusd) == (None, None)
    assert record.total_cost_nusd is None
    assert record.price_fingerprint


@pytest.mark.parametrize("stream", [False, True])
async def test_zero_is_not_unknown(router: Router, mock: Mock, *, stream: bool) -> None:
    """A provider that says zero has said something."""
    mock.will(Step(wrong_usage="zero"))

    record = await recorded(router, stream=stream)

    assert (record.input_tokens, record.output_tokens) == (0, 0)
    assert record.total_cost_nusd == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("cost", "nusd"),
    [
        (b"0.00012345", 123_450),
        (b"1E-9", 1),
        (b"-1", None),
        (b'"free"', None),
        (b'{"total_cost":0.1}', None),
        (b"1e-99999999", 0),
    ],
)
async def test_what_the_provider_says_it_cost(
    router: Router, mock: Mock, *, cost: bytes, nusd: int | None, stream: bool
) -> None:
    """A reported cost stands beside ours, and harms it in no case."""
    mock.will(Step(prompt_tokens=100, completion_tokens=10, cost=msgspec.Raw(cost)))

    record = await recorded(router, stream=stream)

    assert record.upstream_reported_cost_nusd == nusd
    assert (record.input_tokens, record.output_tokens) == (100, 10)
    assert record.total_cost_nusd == 100 * 250 + 10 * 2000


@pytest.mark.parametrize(
    ("price", "parts"),
    [
        (None, (None, None, None)),
        ({"output_per_million": "1"}, (None, 10_000, None)),
        ({"input_per_million": "1"}, (100_000, None, None)),
        ({"input_per_million": "0", "output_per_million": "0"}, (0, 0, 0)),
        (
            {"input_per_million": "0.000005", "output_per_million": "0.00005"},
            (0, 0, 0),
        ),
        (
            {"input_per_million": "0.000015", "output_per_million": "0.00015"},
            (2, 2, 4),
        ),
    ],
)
async def test_prices_that_are_partly_known(
    tmp_path: Path,
    mock: Mock,
    price: dict[str, str] | None,
    parts: tuple[int | None, int | None, int | None],
) -> None:
    """A part without a price stays unknown; a half nano-dollar goes to the even one."""
    model: dict[str, Any] = {"model": "mock-mini"}
    if price is not None:
        model["price"] = price
    settings = configuration({"acme": provider(mock.base_url, models={"mini": model})})
    mock.will(Step(prompt_tokens=100, cached_tokens=0, completion_tokens=10))
    async with running_router(tmp_path, settings) as router:
        record = await recorded(router, stream=False)

    assert (
        record.input_cost_nusd,
        record.output_cost_nusd,
        record.total_cost_nusd,
    ) == parts
    assert (record.price_fingerprint is None) == (price is None)


async def test_all_that_a_record_says(tmp_path: Path, mock: Mock) -> None:
    """Who, what, where, how long and with which configuration: no field is left out."""
    settings = configuration({"acme": provider(mock.base_url)}, callers=[caller()])
    settings["groups"]["chat"]["aliases"] = ["alias"]
    async with running_router(tmp_path, settings) as router:
        async with router.http() as client:
            answer = await client.post(
                CHAT,
                json={
                    "model": "alias",
                    "stream": True,
                    "messages": [{"role": "user", "content": "canary-prompt"}],
                },
                headers={"user-agent": "curl/8.5.0 canary-agent"},
            )
        record = await router.record()

    assert record.request_id == answer.headers["x-request-id"]
    known = msgspec.structs.asdict(record)
    assert {name for name, value in known.items() if value is None} == {
        "error_code",
        "error_class",
        "upstream_reported_cost_nusd",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "cache_write_cost_nusd",
        "charged_tokens",
        "charged_cost_nusd",
        "queued_us",
        "reasoning_cost_nusd",
        "image_cost_nusd",
        "failed_attempts_cost_nusd",
        "disconnect",
        "refused_by",
        "budget_warning",
        "cache",
        "cache_reason",
    }
    assert (record.caller_user, record.caller_project) == ("alice", "search")
    assert (record.caller_environment, record.client) == ("dev", "curl")
    assert (record.inbound_dialect, record.target_dialect) == ("openai-chat",) * 2
    assert (record.requested_model, record.resolved_group) == ("alias", "chat")
    assert (record.strategy, record.target_model) == ("failover", "mini")
    assert (record.stream, record.status, record.upstream_status) == (True, 200, 200)
    assert record.ttfb_us is not None
    assert record.ttft_us is not None
    assert 0 < record.ttfb_us <= record.ttft_us <= record.latency_us
    assert "canary" not in str(known)
