"""Reports of times whose rows have gone say what they said before."""

import pytest

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.render import figures_of
from smart_llmrouter.ledger.reports.report import Report
from tests.support.ledger import StateDirectory
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
