"""Reports on a long history are quick: a small one always, the large one on demand."""

import pytest

from bench.reports import filled, measured, rolled_up
from smart_llmrouter.stores.sqlite import sqlite_url
from tests.conftest import SOAK

CALLS = 1_000_000 if SOAK else 24_000
MONTH_S, DAY_S = (2.0, 0.1) if SOAK else (2.0, 1.0)
"""The small history has few calls in a month, and machines of tests are busy."""


@pytest.mark.timeout(1800 if SOAK else 300)
def test_reports_of_a_month_and_of_a_day_are_quick(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """From rows a month, from roll-ups both; nothing is lost by rolling up."""
    url = sqlite_url(tmp_path_factory.mktemp("history") / "usage.sqlite")
    filled(url, calls=CALLS)

    of_rows = list(measured(url, times=1))
    if SOAK:
        rolled_up(url)
    of_roll_ups = list(measured(url, times=1))

    slow = [
        each
        for each in of_rows + of_roll_ups
        if each.cpu_s > (MONTH_S if each.span == "month" else DAY_S)
        and not (each.span == "day" and SOAK and each in of_rows)
    ]
    assert slow == []
    calls = [each.calls for each in of_rows]
    assert calls == [each.calls for each in of_roll_ups]
    assert min(calls) > CALLS // 100
