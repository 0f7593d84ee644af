"""Buckets that fill at a steady rate."""

import pytest

from smart_llmrouter.core.buckets import Bucket


def test_a_bucket_begins_full_and_fills_steadily() -> None:
    """What it lacks is there when the wait that was told is over."""
    bucket = Bucket(rate=2, size=4, at_s=100)
    bucket.take(4, 100)

    wait_s = bucket.wait_s(3, 100.5)
    levels = [bucket.level(at_s) for at_s in (100, 101, 102, 103)]

    assert wait_s == 1.0
    assert bucket.wait_s(3, 101.5) == 0.0
    assert levels == [0, 2, 4, 4]


def test_more_than_a_whole_bucket_passes_when_it_is_full() -> None:
    """It leaves a debt, which is paid before anybody else passes."""
    bucket = Bucket(rate=10, size=10, at_s=0)

    first_s = bucket.wait_s(50, 0)
    bucket.take(50, 0)

    assert first_s == 0.0
    assert bucket.level(0) == -40
    assert bucket.wait_s(1, 0) == pytest.approx(4.1)


@pytest.mark.parametrize(
    ("taken", "level"), [(0, 20), (5, 10), (10, 0), (30, -20)], ids=str
)
def test_a_bucket_of_another_size_is_as_full(taken: int, level: float) -> None:
    """A debt stays what it is."""
    bucket = Bucket(rate=1, size=10, at_s=0)
    bucket.take(taken, 0)

    resized = bucket.resized(rate=5, size=20, at_s=0)

    assert resized.level(0) == pytest.approx(level)
