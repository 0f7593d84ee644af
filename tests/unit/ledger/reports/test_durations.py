"""Percentiles of what was counted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, literal, select

from smart_llmrouter.ledger.reports.durations import (
    Durations,
    Percentiles,
    bucket_of,
    middle_us,
    percentiles_of_buckets,
    percentiles_of_each,
)


def test_percentiles_are_nearest_ranks() -> None:
    """With a hundred values the p-th percentile is the p-th value."""
    found = percentiles_of_each(range(100, 0, -1))

    assert found == Percentiles(calls=100, p50_us=50, p90_us=90, p95_us=95, p99_us=99)
    assert percentiles_of_each([7]) == Percentiles(
        calls=1, p50_us=7, p90_us=7, p95_us=7, p99_us=7
    )
    assert percentiles_of_each([]) is None


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=300))
def test_percentiles_of_buckets_are_near_the_exact_ones(durations: list[int]) -> None:
    """Within five percent, and those of small durations are the same."""
    counted = Counter(
        us if us < 100 else int(str(us)[:2]) * 10 ** (len(str(us)) - 2)
        for us in durations
    )

    exact, rough = percentiles_of_each(durations), percentiles_of_buckets(counted)

    assert exact is not None
    assert rough is not None
    assert rough.calls == exact.calls == len(durations)
    for name in ("p50_us", "p90_us", "p95_us", "p99_us"):
        true, told = getattr(exact, name), getattr(rough, name)
        assert abs(told - true) <= (0.05 * true if true >= 100 else 0)
    assert percentiles_of_buckets({}) is None


@given(st.integers(0, 10**13))
def test_the_middle_of_a_bucket_is_within_five_percent(us: int) -> None:
    """Whatever lies in it: a bucket is a duration cut to two digits."""
    bucket = us if us < 100 else int(str(us)[:2]) * 10 ** (len(str(us)) - 2)

    assert abs(middle_us(bucket) - us) <= 0.05 * us


@pytest.mark.parametrize(
    ("us", "bucket"),
    [
        (0, 0),
        (99, 99),
        (100, 100),
        (109, 100),
        (123_456, 120_000),
        (999_999, 990_000),
        (1_000_000, 1_000_000),
        (98_765_432_109, 98_000_000_000),
    ],
)
def test_a_database_cuts_durations_to_two_digits(us: int, bucket: int) -> None:
    """With whole numbers, so that all databases agree."""
    with create_engine("sqlite://").connect() as connection:
        found = connection.execute(select(bucket_of(literal(us)))).scalar()

    assert found == bucket


def test_durations_of_two_sets_are_counted_together() -> None:
    """As if they had been one."""
    one, other = Durations(), Durations()
    one.count(5, 2)
    other.count(5, 1)
    other.count(9, 1)

    one.each_us, other.each_us = [7], [8, 3]

    both = one.plus([other])

    assert (both.calls_by_us, both.each_us) == ({5: 3, 9: 1}, [7, 8, 3])
    assert (one.calls_by_us, one.each_us) == ({5: 2}, [7])
