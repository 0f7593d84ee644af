"""Asking a target again: how long after, and how often at most."""

import pytest

from smart_llmrouter.engine.retries import WAIT_MAX_S, Retries, RetryBudget
from smart_llmrouter.upstream.failure_classes import MEANINGS, Failure
from tests.support.clock import Clock

AGAIN = sorted(name for name, each in MEANINGS.items() if each.then == "again")
NEVER = sorted(
    name for name, each in MEANINGS.items() if each.then not in {"again", "wait"}
)


def retries(drawn: float = 0.5) -> Retries:
    """Return retries whose chance always draws the same."""
    return Retries(["chat"], draw=lambda: drawn, now=Clock())


@pytest.mark.parametrize("error_class", AGAIN)
def test_waits_double_and_are_drawn_from_zero_up(error_class: str) -> None:
    """Full jitter: calls that failed together do not come back together."""
    failure = Failure(error_class=error_class)

    waits = [retries(1.0).wait_s(failure, turn, resting_s=0.0) for turn in range(6)]

    assert waits == [0.25, 0.5, 1.0, 2.0, WAIT_MAX_S, WAIT_MAX_S]
    assert retries(0.0).wait_s(failure, 3, resting_s=0.0) == 0.0


@pytest.mark.parametrize("error_class", NEVER)
def test_what_may_have_been_generated_is_not_asked_for_again(error_class: str) -> None:
    """Nor what would be refused again."""
    failure = Failure(error_class=error_class, retry_after_s=1)

    assert retries().wait_s(failure, 0, resting_s=0.0) is None


@pytest.mark.parametrize(
    ("error_class", "retry_after_s", "resting_s", "wait_s"),
    [
        ("upstream_rate_limited", None, 0.0, None),
        ("upstream_rate_limited", None, 1.0, None),
        ("upstream_rate_limited", 1, 0.0, 1.125),
        ("upstream_rate_limited", 1, 1.5, 1.625),
        ("upstream_rate_limited", 2, 0.0, 2.125),
        ("upstream_rate_limited", 3, 0.0, None),
        ("upstream_rate_limited", 0, 0.0, 0.125),
        ("upstream_overloaded", 2, 0.0, 2.125),
        ("upstream_overloaded", 30, 0.0, None),
        ("upstream_server_error", None, 30.0, None),
    ],
)
def test_what_the_provider_asks_for_is_waited_for_if_it_is_short(
    error_class: str,
    retry_after_s: int | None,
    resting_s: float,
    wait_s: float | None,
) -> None:
    """A rate limit without any hint is left alone, and nobody waits for long."""
    failure = Failure(error_class=error_class, retry_after_s=retry_after_s)

    assert retries().wait_s(failure, 0, resting_s=resting_s) == wait_s


def test_a_budget_is_a_share_of_the_calls_and_a_few() -> None:
    """Under a general outage the router does not make it worse."""
    budget = RetryBudget(now=Clock())
    taken = 0
    for _ in range(1000):
        budget.calls += 1
        taken += budget.take()

    assert taken == pytest.approx(10 + 1000 // 5, abs=2)


def test_a_budget_fills_with_time_but_not_without_end() -> None:
    """A group with few calls may always ask again."""
    clock = Clock()
    budget = RetryBudget(now=clock)
    spent = [budget.take() for _ in range(11)]
    clock.turn(2)
    after_two = [budget.take() for _ in range(3)]
    clock.turn(3600)
    after_an_hour = [budget.take() for _ in range(11)]

    assert spent == [True] * 10 + [False]
    assert after_two == [True, True, False]
    assert after_an_hour == [True] * 10 + [False]
