"""`GET /metrics`: for whom it is, and that its labels stay bounded."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.tickets import ENDINGS
from smart_llmrouter.cache.memory import DROPS
from smart_llmrouter.cache.words import Reason, Status
from smart_llmrouter.config.allowances import ScopeKind
from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.engine.tally import NO_GROUP
from smart_llmrouter.mockprovider.script import Step
from tests.support.calendar import MIDDAY
from tests.support.clock import Clock
from tests.support.gateway import caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.wait import eventually
from tools.metrics_page import LABELS, documented_samples

CHAT = "/v1/chat/completions"
PACE = {
    "requests_per_second": 20,
    "burst": 1,
    "queue": {"max_wait_ms": 60_000, "max_depth": 1},
}
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
FEW = {"timezone": MIDDAY, "day": {"requests": 2}, "warn_at_percent": 50}


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the buckets: nobody has a turn before a test turns it."""
    return Clock()


@pytest.fixture
async def watched(tmp_path: Path, mock: Mock, clock: Clock) -> AsyncIterator[Router]:
    """Return a router with a caller, and with one who may read the metrics."""
    settings = configuration(
        {"acme": provider(mock.base_url)},
        callers=[
            caller("k1"),
            caller("admin", metrics_admin=True),
            caller("paced", shaping=PACE),
            caller("few", budgets=FEW),
        ],
        cache={"enabled": True},
    )
    counters = Memory(now=clock, wall=time.time)
    async with running_router(tmp_path, settings, counters) as running:
        yield running


async def metrics_of(router: Router) -> dict[str, Metric]:
    """Read and parse the metrics."""
    async with router.http("admin") as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        family.name: family for family in text_string_to_metric_families(answer.text)
    }


def value_of(metrics: dict[str, Metric], sample: str, **labels: str) -> float:
    """Return the one value of a sample with these labels."""
    (value,) = [
        each.value
        for family in metrics.values()
        for each in family.samples
        if each.name == f"smart_llmrouter_{sample}" and each.labels == labels
    ]
    return value


async def test_metrics_are_for_admins(watched: Router) -> None:
    """A caller without `metrics_admin` is refused; nobody at all is, too."""
    async with watched.http() as client, watched.http(None) as nobody:
        forbidden = await client.get("/metrics")
        unknown = await nobody.get("/metrics")

    assert forbidden.status_code == 403
    assert forbidden.json()["error"]["code"] == "metrics-forbidden"
    assert unknown.status_code == 401
    assert unknown.json()["error"]["code"] == "unauthorized"


async def test_calls_are_counted(watched: Router, mock: Mock) -> None:
    """Calls, tokens, costs, attempts, errors and times add up."""
    mock.will(Step(prompt_tokens=1000, completion_tokens=10), Step(status=500))
    async with watched.http() as client:
        await client.post(CHAT, json=BODY)
        await client.post(CHAT, json=BODY)
        await client.post(CHAT, json={**BODY, "model": "nothing"})
    async with watched.http(None) as client:
        await client.post(CHAT, json=BODY)

    metrics = await metrics_of(watched)

    def calls(group: str, status: str) -> float:
        return value_of(
            metrics, "calls_total", group=group, status=status, stream="false"
        )

    assert (calls("chat", "200"), calls("chat", "502")) == (1, 1)
    assert calls(NO_GROUP, "403") == 1
    assert value_of(metrics, "refused_requests_total", code="unauthorized") == 1
    assert value_of(metrics, "tokens_total", group="chat", kind="input") == 1000
    assert value_of(metrics, "tokens_total", group="chat", kind="output") == 10
    assert value_of(metrics, "cost_usd_total", group="chat") == pytest.approx(0.00027)
    assert value_of(metrics, "call_duration_seconds_count", group="chat") == 2
    assert value_of(metrics, "calls_in_flight") == 0


async def paced(watched: Router, clock: Clock) -> list[int]:
    """Let one call pass, one wait for its turn, and one find the queue full."""

    async def waits() -> bool:
        return value_of(await metrics_of(watched), "queued_calls") == 1

    async with watched.http("paced") as client:
        first = await client.post(CHAT, json=BODY)
        second = asyncio.create_task(client.post(CHAT, json=BODY))
        await eventually(waits, what="a call that waits")
        third = await client.post(CHAT, json=BODY)
        clock.turn(1)
        return [each.status_code for each in (first, await second, third)]


async def test_calls_that_come_too_fast_are_counted(
    watched: Router, clock: Clock
) -> None:
    """Those that wait, those that had to go, and how long a wait was."""
    began_s = time.monotonic()
    statuses = await paced(watched, clock)
    took_s = time.monotonic() - began_s

    metrics = await metrics_of(watched)

    def ended(ending: str) -> float:
        return value_of(metrics, "queue_endings_total", ending=ending)

    assert statuses == [200, 200, 429]
    assert [ended(each) for each in ("passed", "full", "late")] == [1, 1, 0]
    assert value_of(metrics, "queue_wait_seconds_count", scope="caller") == 1
    assert 0 < value_of(metrics, "queue_wait_seconds_sum", scope="caller") < took_s
    assert value_of(metrics, "queued_calls") == 0


async def test_the_cache_is_counted(watched: Router) -> None:
    """What it did with each call and why, and what it holds."""
    async with watched.http() as client:
        for temperature in (0, 0, 0, 1):
            await client.post(CHAT, json={**BODY, "temperature": temperature})

    metrics = await metrics_of(watched)

    def calls(cache: str, reason: str) -> float:
        return value_of(metrics, "cache_calls_total", cache=cache, reason=reason)

    assert (calls("miss", "stored"), calls("hit", "")) == (1, 2)
    assert calls("bypass", "not-deterministic") == 1
    assert value_of(metrics, "cached_answers") == 1
    assert 500 < value_of(metrics, "cached_bytes") < 3000
    assert value_of(metrics, "cache_drops_total", why="room") == 0


async def test_every_metric_is_documented(
    watched: Router, mock: Mock, clock: Clock
) -> None:
    """The page of metrics names each sample, and each label of it."""
    mock.will(Step(), Step(status=500))
    async with watched.http() as client:
        await client.post(CHAT, json={**BODY, "stream": True})
        await client.post(CHAT, json=BODY)
    async with watched.http(None) as client:
        await client.post(CHAT, json=BODY)
    await paced(watched, clock)
    async with watched.http("few") as client:
        for _ in range(3):
            await client.post(CHAT, json=BODY)

    families = (await metrics_of(watched)).values()

    shown = {each.name for family in families for each in family.samples}
    labels = {
        label for family in families for each in family.samples for label in each.labels
    }
    assert shown == documented_samples()
    assert labels == LABELS.keys()


async def test_labels_are_bounded(watched: Router) -> None:
    """Whatever callers send, only names of the configuration become labels."""
    async with watched.http() as client:
        for number in range(20):
            agent = {"user-agent": f"agent-{number}", "x-request-id": f"mine-{number}"}
            await client.post(
                CHAT, json={**BODY, "model": f"model-{number}"}, headers=agent
            )
            await client.get(f"/path-{number}")
            await client.post(CHAT, json={**BODY, "x": number})

    metrics = await metrics_of(watched)

    allowed: dict[str, set[str] | None] = {
        "group": {"chat", NO_GROUP},
        "status": {"200", "403"},
        "stream": {"true", "false"},
        "kind": {"input", "output", "reserved", "used"},
        "target": {"acme/mini"},
        "outcome": {"answered", "taken", "refused", "failed"},
        "code": {kind.code for kind in _kinds()},
        "worker": {"1"},
        "full": {"router", "address"},
        "reason": {"missing", "unknown", "inactive", "", *get_args(Reason)},
        "cache": {*get_args(Status)},
        "why": {*DROPS},
        "ending": {*ENDINGS},
        "scope": {*get_args(ScopeKind)},
        "state": {"closed", "half-open", "open"},
        "le": None,
        "version": None,
        "commit": None,
        "fingerprint": None,
    }
    samples = [each for family in metrics.values() for each in family.samples]
    assert len(samples) < 150
    for sample in samples:
        assert sample.name.startswith("smart_llmrouter_")
        for label, value in sample.labels.items():
            values = allowed[label]
            assert values is None or value in values


def _kinds() -> list[type[RouterError]]:
    found, queue = [], [RouterError]
    while queue:
        kind = queue.pop()
        found.append(kind)
        queue += kind.__subclasses__()
    return found


async def test_circuits_are_shown(watched: Router, mock: Mock) -> None:
    """A target that is to be left alone for a while is seen to be."""
    mock.will(Step(status=429, retry_after=40))
    async with watched.http() as client:
        await client.post(CHAT, json=BODY)

    metrics = await metrics_of(watched)

    states = {
        state: value_of(metrics, "target_circuits", target="acme/mini", state=state)
        for state in ("closed", "half-open", "open")
    }
    assert states == {"closed": 0, "half-open": 0, "open": 1}
    assert 0 < value_of(metrics, "target_resting_seconds", target="acme/mini") <= 40
    openings = value_of(metrics, "target_circuit_openings_total", target="acme/mini")
    assert openings == 1
