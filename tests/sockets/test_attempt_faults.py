"""Each fault that a provider can have: its code, its attempts, and one row for all."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.core.decisions import AttemptRun
from smart_llmrouter.mockprovider.script import Raw, Step, StreamError
from tests.support.gateway import configuration, provider
from tests.support.line import chat, line_to
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.wait import eventually

# The one that a fault is about is short, and no other: else it would be a race.
SHORT_S = {
    "upstream_first_event_timeout": {"first_event_timeout_s": 1.0},
    "upstream_idle_timeout": {"idle_timeout_s": 1.0},
    "upstream_total_timeout": {"total_timeout_s": 2.0},
}
EVENTS = {"content-type": "text/event-stream"}


@dataclass(frozen=True)
class Fault:
    """A fault, and what becomes of a call whose only target has it.

    `passed_on` says that another target, where there is one, answers instead.
    """

    step: Step
    status: int
    code: str
    error_class: str
    stream: bool = False
    passed_on: bool = True
    inside: bool = False


PLAIN = {
    "nothing for the first event": Fault(
        Step(stall_at_byte=0), 504, "upstream-timeout", "upstream_first_event_timeout"
    ),
    "a body that stalls": Fault(
        Step(stall_at_byte=20, count_from="body"),
        504,
        "upstream-timeout",
        "upstream_first_event_timeout",
    ),
    "a rate limit": Fault(
        Step(status=429), 503, "upstream-rate-limited", "upstream_rate_limited"
    ),
    "a rate limit with a time": Fault(
        Step(status=429, retry_after=9),
        503,
        "upstream-rate-limited",
        "upstream_rate_limited",
    ),
    "an empty account": Fault(
        Step(status=402), 503, "upstream-quota-exhausted", "upstream_quota_exhausted"
    ),
    "a reset before the head": Fault(
        Step(hang_up_at_byte=0, rst=True), 502, "upstream-failed", "upstream_unanswered"
    ),
    "a reset behind the head": Fault(
        Step(hang_up_at_byte=0, count_from="body", rst=True),
        502,
        "upstream-failed",
        "upstream_connection_cut",
    ),
    "malformed JSON": Fault(
        Step(malformed_json=True), 502, "upstream-failed", "upstream_malformed_answer"
    ),
    "a wrong request": Fault(
        Step(status=400),
        400,
        "upstream-rejected-request",
        "upstream_bad_request",
        passed_on=False,
    ),
}
STREAMED = {
    "a stream of nothing": Fault(
        Step(stall_after_events=0),
        504,
        "upstream-timeout",
        "upstream_first_event_timeout",
        stream=True,
    ),
    "a stream that stalls before its first token": Fault(
        Step(stall_after_events=1),
        504,
        "upstream-timeout",
        "upstream_first_event_timeout",
        stream=True,
    ),
    "an error before the first token": Fault(
        Step(error_in_stream=StreamError(after_events=1)),
        502,
        "upstream-failed",
        "upstream_error_in_stream",
        stream=True,
    ),
    "a full provider before the first token": Fault(
        Step(error_in_stream=StreamError(code="rate_limit_exceeded")),
        503,
        "upstream-rate-limited",
        "upstream_rate_limited",
        stream=True,
    ),
    "an event that is none": Fault(
        Step(raw=Raw(headers=EVENTS, body="data: <html>\n\n")),
        502,
        "upstream-failed",
        "upstream_malformed_answer",
        stream=True,
    ),
    "a reset before the first token": Fault(
        Step(hang_up_after_events=1, rst=True),
        502,
        "upstream-failed",
        "upstream_connection_cut",
        stream=True,
    ),
    "an error behind the first token": Fault(
        Step(error_in_stream=StreamError(after_events=3)),
        502,
        "upstream-failed",
        "upstream_error_in_stream",
        stream=True,
        passed_on=False,
        inside=True,
    ),
    "a reset behind the first token": Fault(
        Step(hang_up_after_events=3, rst=True),
        502,
        "upstream-failed",
        "upstream_connection_cut",
        stream=True,
        passed_on=False,
        inside=True,
    ),
    "a stream that stalls behind its first token": Fault(
        Step(stall_after_events=3),
        504,
        "upstream-timeout",
        "upstream_idle_timeout",
        stream=True,
        passed_on=False,
        inside=True,
    ),
    "a stream without an end": Fault(
        Step(words=500, delay_between_ms=100),
        504,
        "upstream-timeout",
        "upstream_total_timeout",
        stream=True,
        passed_on=False,
        inside=True,
    ),
}
FAULTS = PLAIN | STREAMED


@asynccontextmanager
async def routed(
    tmp_path: Path, *mocks: Mock, error_class: str = ""
) -> AsyncGenerator[Router]:
    """Run a router that soon ends what has this error; it writes every attempt down."""
    providers = {f"p{at}": provider(each.base_url) for at, each in enumerate(mocks)}
    settings = configuration(
        providers,
        upstream=SHORT_S.get(error_class, {}),
        diagnostics={"decisions": "all"},
    )
    async with running_router(tmp_path, settings) as router:
        yield router


async def ask(router: Router, fault: Fault) -> httpx2.Response:
    """Ask once, and read to the end."""
    body: dict[str, Any] = {
        "model": "chat",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": fault.stream,
    }
    async with router.http() as client:
        return await client.post("/v1/chat/completions", json=body)


def attempts_of(router: Router) -> tuple[AttemptRun, ...]:
    """Return the attempts of the one call on record."""
    (kept,) = router.decisions()
    return kept.decision.attempts


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_only_target(
    tmp_path: Path, mock: Mock, fault: Fault
) -> None:
    """It has the documented code; one request was made, and one row and run written."""
    mock.will(fault.step)
    async with routed(tmp_path, mock, error_class=fault.error_class) as router:
        answer = await ask(router, fault)
        record = await router.record()
        (run,) = attempts_of(router)

    assert answer.status_code == (200 if fault.inside else fault.status)
    told = 0 if fault.code == "upstream-rejected-request" else 1
    assert answer.text.count(fault.code) == told
    assert answer.headers["x-router-attempts"] == "1"
    assert (record.status, record.error_code) == (fault.status, fault.code)
    assert record.error_class == fault.error_class
    assert len(mock.received) == record.attempts == 1
    assert answer.text.count("[DONE]") == 0
    assert (run.error_class, run.then) == (fault.error_class, "stop")
    assert run.label == "p0/mini"
    assert 0 < run.duration_us <= record.latency_us
    assert (run.first_event_us is not None) == fault.inside


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_where_there_is_another_target(
    tmp_path: Path, mock: Mock, other: Mock, fault: Fault
) -> None:
    """The caller sees one answer or one error, and pays for what it got only."""
    mock.will(fault.step)
    async with routed(tmp_path, mock, other, error_class=fault.error_class) as router:
        answer = await ask(router, fault)
        record = await router.record()
        runs = attempts_of(router)

    assert len(mock.received) == 1
    assert len(other.received) == int(fault.passed_on)
    assert record.attempts == len(runs) == 1 + int(fault.passed_on)
    assert record.fallback_used == fault.passed_on
    if fault.passed_on:
        assert (answer.status_code, record.status) == (200, 200)
        assert [run.error_class for run in runs] == [fault.error_class, None]
        assert [run.then for run in runs] == ["next-target", "answered"]
        assert runs[1].began_us >= runs[0].began_us + runs[0].duration_us
        assert answer.text.count("[DONE]") == int(fault.stream)
        assert answer.headers["x-router-target"] == "p1/mini"
        assert record.output_tokens is not None
        assert record.target_provider == "p1"
    else:
        assert (record.status, record.error_code) == (fault.status, fault.code)
        assert record.target_provider == "p0"


async def test_an_attempt_that_its_caller_has_ended(tmp_path: Path, mock: Mock) -> None:
    """It is written down as such, and says nothing of its target."""
    mock.will(Step(stall_at_byte=0))
    async with routed(tmp_path, mock) as router:
        async with line_to(router) as line:
            line.send(chat())
            await eventually(lambda: mock.received)
            line.leave()
        record = await router.record()
        (run,) = attempts_of(router)
        async with router.http() as client:
            health = (await client.get("/readyz")).json()["groups"]["chat"]["p0/mini"]

    assert (record.status, record.attempts) == (499, 1)
    assert (run.error_class, run.then, run.status) == ("caller_left", "stop", None)
    assert health["condition"] == "unknown"
