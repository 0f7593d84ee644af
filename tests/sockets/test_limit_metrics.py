"""What the metrics and readiness say of the gate."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.sockets.test_metrics import metrics_of, value_of
from tests.support.calendar import MIDDAY
from tests.support.gateway import CAPABLE, caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

CHAT = "/v1/chat/completions"
BODY = {
    "model": "chat",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 50,
}
PRICE = {"input_per_million": "1", "output_per_million": "10"}


@pytest.fixture
async def watched(tmp_path: Path, mock: Mock) -> AsyncIterator[Router]:
    """Return a router whose caller has two calls a minute, and a project's budget."""
    models = {"mini": {"model": "mock-mini", "price": PRICE, **CAPABLE}}
    settings = configuration(
        {"acme": provider(mock.base_url, models=models)},
        callers=[
            caller("k1", limits={"rpm": 2}),
            caller("admin", metrics_admin=True),
        ],
        projects=[
            {
                "id": "search",
                "name": "Search",
                "status": "active",
                "budgets": {
                    "timezone": MIDDAY,
                    "day": {"tokens": 1000, "usd": "1"},
                    "warn_at_percent": 5,
                },
            }
        ],
    )
    async with running_router(tmp_path, settings) as running:
        yield running


async def test_the_gate_is_counted(watched: Router, mock: Mock) -> None:
    """Refusals by limit, warnings by budget, and what was reserved beside what is used.

    Each call reserves its cap of output and an estimate of its input.
    """
    mock.will(*[Step(prompt_tokens=20, completion_tokens=30)] * 2)
    async with watched.http() as client:
        statuses = [(await client.post(CHAT, json=BODY)).status_code for _ in range(4)]

    metrics = await metrics_of(watched)

    assert statuses == [200, 200, 429, 429]
    assert value_of(metrics, "limit_refusals_total", scope="caller", limit="rpm") == 2
    assert (
        value_of(metrics, "budget_warnings_total", scope="project", limit="day.tokens")
        == 1
    )
    assert value_of(metrics, "reservation_tokens_total", kind="used") == 100
    reserved = value_of(metrics, "reservation_tokens_total", kind="reserved")
    assert 100 < reserved < 300
    used_usd = value_of(metrics, "reservation_usd_total", kind="used")
    assert used_usd == pytest.approx(2 * (20 * 1 + 30 * 10) / 1e6)
    reserved_usd = value_of(metrics, "reservation_usd_total", kind="reserved")
    assert reserved_usd > 2 * 50 * 10 / 1e6
    assert value_of(metrics, "counters_up") == 1


async def test_what_nothing_limits_is_not_reserved(watched: Router) -> None:
    """Calls of the gate that failed give all back: nothing is used by them."""
    metrics = await metrics_of(watched)

    assert value_of(metrics, "reservation_tokens_total", kind="used") == 0
    assert value_of(metrics, "reservation_tokens_total", kind="reserved") == 0


async def test_readiness_says_how_the_counters_are(watched: Router) -> None:
    """Memory is always there."""
    async with watched.http() as client:
        report = (await client.get("/readyz")).json()

    assert report["parts"]["counters"] == "ok"
