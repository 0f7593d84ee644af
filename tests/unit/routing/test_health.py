"""What is known of a target's health, from traffic alone."""

import pytest

from smart_llmrouter.config.policies import Backoffs
from smart_llmrouter.routing.health import RECENT_ATTEMPTS, Condition, HealthBook
from tests.support.clock import Clock

BROKEN = "upstream_server_error"
TARGETS = {"acme/mini": Backoffs(), "other/mini": Backoffs()}


def book(*outcomes: str | None) -> HealthBook:
    """Return a book in which these attempts at one target are noted."""
    health = HealthBook(TARGETS, now=Clock())
    for outcome in outcomes:
        health.note("acme/mini", outcome, begun=health.begin("acme/mini"))
    return health


@pytest.mark.parametrize(
    ("outcomes", "condition", "last_error"),
    [
        ([], "unknown", None),
        ([None], "healthy", None),
        (["a"], "failing", "a"),
        (["a", "b", "c"], "failing", "c"),
        ([None, "a"], "degraded", "a"),
        (["a", None], "degraded", "a"),
        (["a", "b", None], "degraded", "b"),
        (["a", None, None, None], "healthy", "a"),
        ([None, "a", "b", "c"], "failing", "c"),
        ([*["a"] * 3, *[None] * RECENT_ATTEMPTS], "healthy", None),
        (["upstream_bad_request"], "healthy", None),
    ],
)
def test_the_last_attempts_decide(
    outcomes: list[str | None], condition: Condition, last_error: str | None
) -> None:
    """The last three say how it is now; an old error is forgotten in time."""
    target = book(*outcomes).of("acme/mini")

    assert (target.condition, target.last_error) == (condition, last_error)


def test_targets_are_judged_apart() -> None:
    """One target's failures say nothing of another."""
    health = book(*[BROKEN] * 5)

    assert health.of("other/mini").condition == "unknown"
    assert (health.circuit("acme/mini"), health.circuit("other/mini")) == (
        "open",
        "closed",
    )
    assert health.resting_s("other/mini") == 0.0


def test_of_several_targets_one_may_not_be_closed() -> None:
    """Of many it is asked at once whether any has to be looked at."""
    health = book(*[BROKEN] * 5)

    assert health.are_closed(frozenset({"other/mini"}))
    assert not health.are_closed(frozenset(TARGETS))


def test_openings_are_counted() -> None:
    """Also of the targets whose circuit never opened: nothing is missing, it is 0."""
    health = book(*[BROKEN] * 5)

    assert health.openings == {"acme/mini": 1, "other/mini": 0}
