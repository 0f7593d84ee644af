"""Reports of times whose rows have gone say what they said before."""

import pytest

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.render import figures_of
from smart_llmrouter.ledger.reports.report import Report
from tests.support.databases import change
from tests.support.ledger import StateDirectory, a_record
from tests.support.reports import report_on
from tests.support.rollups import (
    DAY,
    HOUR,
    MIDNIGHT,
    a_call,
    added,
    retained,
    rolled_up,
)

NOW = MIDNIGHT + 10 * DAY
CALLS = [
    a_call(number, MIDNIGHT + number // 8 * DAY + number % 8 // 4 * 5 * HOUR + number)
    for number in range(72)
]
WEEK = Interval(MIDNIGHT - DAY, NOW)


def told(report: Report) -> list[tuple[object, dict[str, object]]]:
    """Return what a report says in sums; of peaks less is known afterwards."""
    lines = [line for section in report.sections for line in section.lines]
    return [
        (
            line.key,
            {
                name: value
                for name, value in figures_of(line).items()
                if "max" not in name and "_p" not in name
            },
        )
        for line in [report.totals, *lines]
    ]


@pytest.mark.parametrize("by", ["caller", "day", "hour", "month", "target"])
def test_a_report_says_the_same_when_rows_have_gone(
    state: StateDirectory, by: str
) -> None:
    """To the nano-dollar, by all that labels and time tell apart; it is told so."""
    added(state.url, CALLS)
    rolled_up(state.url, now_ms=NOW, slice_rows=1000)
    before = report_on(state, by, interval=WEEK)

    did = retained(state.url, Retention(usage_detail_days=7, batch_rows=50), now_ms=NOW)
    after = report_on(state, by, interval=WEEK)

    assert did.removed > 0
    assert told(after) == told(before)
    assert (before.precision, after.precision) == ("exact", "within 5 %")
    assert after.totals.measures.calls == len(CALLS)
    assert after.totals.latency is not None
    assert before.totals.latency is not None
    assert after.totals.latency.p50_us == pytest.approx(
        before.totals.latency.p50_us, rel=0.05
    )


@pytest.mark.parametrize("by", [(), ("caller",), ("month",)], ids=str)
def test_a_month_is_read_from_its_own_roll_up(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, by: tuple[str, ...]
) -> None:
    """Also where its calls begin late and end early: nothing shorter is looked at."""
    monkeypatch.setattr("smart_llmrouter.ledger.reports.parts.FEW", 0)
    added(state.url, CALLS)
    rolled_up(state.url, now_ms=MIDNIGHT + 90 * DAY, slice_rows=1000)
    change(
        state.url,
        "UPDATE usage_rollup_daily SET calls = calls + 1000",
        "UPDATE usage_rollup_hourly SET calls = calls + 1000",
    )

    report = report_on(state, *by)

    assert report.totals.measures.calls == len(CALLS)


def test_versions_are_named_of_calls_whose_rows_have_gone(
    state: StateDirectory,
) -> None:
    """Those that served in the time that is asked for, and no others."""
    days = (("0.1.0", 0), ("0.2.0", 1), ("0.3.0", 9))
    added(
        state.url,
        [
            a_record(day, ts_ms=MIDNIGHT + day * DAY, router_version=version)
            for version, day in days
        ],
    )
    rolled_up(state.url, now_ms=NOW)
    early = Interval(MIDNIGHT, MIDNIGHT + 2 * DAY)
    before = report_on(state, interval=early).served_by_versions

    did = retained(state.url, Retention(usage_detail_days=5), now_ms=NOW)

    assert did.removed == 2
    assert report_on(state, interval=early).served_by_versions == before
    assert before == ("0.1.0", "0.2.0")
    assert report_on(state, "day", interval=early).served_by_versions == before
