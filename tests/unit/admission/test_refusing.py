"""What a caller is told when a limit refuses."""

from math import inf
from typing import get_args

import pytest

from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.refusing import exceeded, whose
from smart_llmrouter.admission.verdicts import LimitName, Refusal
from smart_llmrouter.config.allowances import (
    NO_ALLOWANCE,
    Allowance,
    Scope,
    ScopeKind,
)
from tests.support.allowances import demand, shaped

RESETS_AT_S = 1_800_000_000.0


def refusal(
    limit: LimitName,
    value: int,
    *,
    left: int = 0,
    wait_s: float = 7.0,
    resets_at_s: float | None = None,
    allowance: Allowance = NO_ALLOWANCE,
) -> Refusal:
    """Return a refusal of the caller `alice-dev`."""
    return Refusal(
        scope=Scope("caller", "caller:alice-dev", allowance),
        limit=limit,
        value=value,
        left=left,
        wait_s=wait_s,
        resets_at_s=resets_at_s,
    )


@pytest.mark.parametrize(
    ("refused", "needs", "code", "limit", "state"),
    [
        (
            refusal("rpm", 120),
            demand(),
            "rpm-exceeded",
            "the limit of 120 requests a minute",
            "is reached; try again in 7 s",
        ),
        (
            refusal("tpm", 9000, left=300, wait_s=6.2),
            demand(tokens=900),
            "tpm-exceeded",
            "the limit of 9000 tokens a minute",
            "has 300 left, and this call may use 900; try again in 7 s",
        ),
        (
            refusal("tpm", 9000, left=300, wait_s=inf),
            demand(tokens=9001),
            "tpm-exceeded",
            "the limit of 9000 tokens a minute",
            "can never be enough: this call may use 9001",
        ),
        (
            refusal("concurrent", 8, wait_s=1.0),
            demand(),
            "concurrency-exceeded",
            "the limit of 8 calls at the same time",
            "is reached; try again in 1 s",
        ),
        (
            refusal("requests_per_second", 0, wait_s=0.2, allowance=shaped(0.5)),
            demand(),
            "traffic-shaped",
            "the pace of 0.5 calls a second",
            "is reached; try again in 1 s",
        ),
        (
            refusal("day.usd", 12_500_000_000, wait_s=4000, resets_at_s=RESETS_AT_S),
            demand(nusd=1),
            "quota-exhausted",
            "the budget of $12.50 a day",
            "is reached; it begins anew at 2027-01-15 08:00:00 UTC",
        ),
        (
            refusal("day.usd", 5 * 10**9, left=1, wait_s=1, resets_at_s=RESETS_AT_S),
            demand(nusd=2_000_000),
            "quota-exhausted",
            "the budget of $5.00 a day",
            "has $0.000000001 left, and this call may use $0.002; try again in 1 s",
        ),
        (
            refusal("lifetime.tokens", 500, left=-3, wait_s=inf),
            demand(tokens=7),
            "key-exhausted",
            "the lifetime budget of 500 tokens",
            "is reached",
        ),
    ],
)
def test_what_a_refusal_says(
    refused: Refusal, needs: Demand, code: str, limit: str, state: str
) -> None:
    """It names the limit, whose it is, what is left, and what can be done."""
    error = exceeded(refused, needs)

    assert str(error) == f"{limit} of caller alice-dev {state}"
    assert error.code == code


def test_the_details_of_a_refusal() -> None:
    """They are for programs: dollars are dollars, times are times."""
    refused = refusal(
        "month.usd", 10**10, left=25_000_000, wait_s=99999, resets_at_s=RESETS_AT_S
    )

    error = exceeded(refused, demand(nusd=10**9))

    assert error.details == {
        "scope": "caller:alice-dev",
        "limit": "month.usd",
        "value": "10.00",
        "left": "0.025",
        "resets_at": "2027-01-15T08:00:00Z",
    }
    assert error.retry_after_s is None
    assert not error.permanent


@pytest.mark.parametrize("limit", get_args(LimitName))
def test_every_limit_has_an_error(limit: LimitName) -> None:
    """No limit can refuse without words for it."""
    error = exceeded(refusal(limit, 10, wait_s=inf), demand())

    assert error.limit == limit
    assert error.permanent


@pytest.mark.parametrize(
    ("kind", "key", "words"),
    [
        ("caller", "caller:alice-dev", "caller alice-dev"),
        ("owner", "owner:alice", "user alice"),
        ("project", "project:search", "project search"),
        ("environment", "environment:search/dev", "project and environment search/dev"),
        ("group", "group:chat", "group chat"),
        ("group-caller", "group-caller:chat/alice", "each caller in group chat"),
    ],
)
def test_whose_limits_they_are(kind: ScopeKind, key: str, words: str) -> None:
    """Every kind of holder has its own words."""
    assert whose(Scope(kind, key, NO_ALLOWANCE)) == words
    assert {*get_args(ScopeKind)} >= {kind}
