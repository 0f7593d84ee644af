"""Everything that reads rows says the same, whichever kind of database holds them."""

import time

import pytest

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.config.allowances import Allowance, Allowances, Limits
from smart_llmrouter.ledger.budget_sums import (
    Periods,
    Used,
    budget_uses,
    charged_of,
)
from smart_llmrouter.ledger.caller_usage import (
    DAY_MS,
    Amounts,
    CallerUsage,
    UsageLine,
)
from smart_llmrouter.ledger.catch_up import all_rows
from smart_llmrouter.ledger.explained import explained
from smart_llmrouter.ledger.interval import Interval, zone_of
from smart_llmrouter.ledger.minute_sums import Use, minute_uses
from smart_llmrouter.ledger.noted import list_notes
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS
from smart_llmrouter.ledger.reports.report import Circumstances, make_report
from smart_llmrouter.ledger.reports.source import Question
from smart_llmrouter.stores.budget_events import (
    BudgetReset,
    add_reset,
    events_until,
    last_resets,
    resets_after,
)
from smart_llmrouter.stores.database import check_schema, open_for_reading
from smart_llmrouter.stores.reading import connect_for_reading
from tests.support.decisions import kept_decisions, various_decision, various_line
from tests.support.ledger import NOON_MS, StateDirectory, a_record, various_record
from tests.support.reports import ingested, report_on
from tests.support.spending import flat, with_budgets

WHO = "alice-search-dev"
EACH_KIND_OF_CONDITION = (
    "caller=c0",
    "group=",
    "group=chat",
    "error=late,",
    "status=504,502",
    "status-class=5xx",
    "stream=streamed",
    "day=2026-09-24,2026-09-21",
    "month=2026-10",
    "hour=2026-09-21T16:00",
)
RESET = BudgetReset(
    scope_kind="caller",
    scope_name=WHO,
    period="day",
    at_ms=NOON_MS + 2,
    actor="operator",
    used_requests=1,
    used_tokens=2,
    used_nusd=3,
)


def a_call(number: int, **fields: object) -> UsageRecord:
    """Return the record of a call of three tokens and five nano-dollars."""
    usual: dict[str, object] = {
        "resolved_group": "chat",
        "target_provider": "acme",
        "target_model": "mini",
        "target_dialect": "openai-chat",
        "input_tokens": 1,
        "output_tokens": 2,
        "total_cost_nusd": 5,
    }
    return a_record(number, **(usual | fields))


def test_budgets_are_added_up_from_the_last_reset_on(state: StateDirectory) -> None:
    """Tokens and cost are whole numbers, and a reset holds from its moment."""
    state.journalled([a_call(number) for number in range(5)])
    add_reset(state.url, RESET, ts_ms=NOON_MS)
    allowances = Allowances(callers={WHO: with_budgets("day", "month")})

    with all_rows(
        state.path, state.url, sleep=time.sleep, monotonic=time.monotonic
    ) as rows:
        resets = last_resets(rows, at_ms=NOON_MS + 10)
        found = flat(
            budget_uses(rows, allowances, Periods(NOON_MS + 10, resets, bounds_ms))
        )
        charged = charged_of(rows, [a_call(3).request_id], since_ms=NOON_MS)
        last = events_until(rows, at_ms=NOON_MS + 10)
        again = resets_after(rows, last - 1)

    assert found == {
        (f"caller:{WHO}", "day"): Used(3, 9, 15),
        (f"caller:{WHO}", "month"): Used(5, 15, 25),
    }
    assert charged == {a_call(3).request_id: Used(1, 3, 5)}
    assert [(each.event, each.at_ms) for each in again] == [(last, NOON_MS + 2)]


def test_the_last_minute_is_found_by_when_calls_were_granted(
    state: StateDirectory,
) -> None:
    """What a call has waited is rounded up to whole milliseconds."""
    calls = [a_call(1), a_call(2, queued_us=1_001), a_call(3, ts_ms=NOON_MS - 70_000)]
    state.journalled(calls)
    state.ingester().advance()
    limited = Allowances(callers={WHO: Allowance(limits=Limits(rpm=9))})

    with connect_for_reading(state.url) as reading:
        [found] = minute_uses(reading, limited, now_ms=NOON_MS + 9)

    assert sorted(found.uses) == [Use(NOON_MS + 2, 1, 3), Use(NOON_MS + 5, 1, 3)]


def test_a_caller_is_told_what_it_has_used(state: StateDirectory) -> None:
    """By day and group; what is unknown adds nothing."""
    state.journalled([a_call(1), a_call(2, input_tokens=None, error_code="late")])
    state.ingester().advance()
    day = NOON_MS // DAY_MS
    usage = CallerUsage(
        state.url,
        settled_after_s=0,
        now=time.monotonic,
        wall=lambda: NOON_MS / 1000 + 900_000,
    )

    found = [
        usage.of(WHO, range(day, day + 1), within_s=10, complete=complete)
        for complete in (False, True, True)
    ]

    amounts = Amounts(calls=2, errors=1, input_tokens=1, output_tokens=4, cost_nusd=10)
    assert found == [[UsageLine(day, "chat", amounts)]] * 3


def test_a_report_by_every_dimension(state: StateDirectory) -> None:
    """Each one can be grouped by, and the sums are those of the rows."""
    state.journalled([various_record(number) for number in range(12)])
    state.ingester().advance()
    reader = open_for_reading(state.url)
    interval = Interval(NOON_MS, NOON_MS + 1000)
    question = Question(interval=interval, zone=zone_of("Europe/Berlin"))

    with reader.connect() as connection:
        check_schema(connection)
        reports = [
            make_report(
                connection,
                question,
                made=Circumstances(made_ms=NOON_MS, router_version="0.1.0"),
                group_by=group_by,
            )
            for group_by in [(), *([each] for each in DIMENSIONS.values())]
        ]
        noted = list_notes(
            connection, interval=interval, made_ms=NOON_MS, router_version="0.1.0"
        )

    assert {report.totals.measures.calls for report in reports} == {12}
    assert [(line[0], line[-1]) for line in noted.lines] == [("seed", 2)]


@pytest.mark.parametrize("text", EACH_KIND_OF_CONDITION)
def test_a_condition_and_its_opposite_are_all_calls(
    state: StateDirectory, text: str
) -> None:
    """What has no such thing is on one of the two sides, and costs add up."""
    ingested(
        state,
        [
            a_call(
                number,
                ts_ms=NOON_MS + number * 40_000_000,
                caller_id=f"c{number % 3}",
                resolved_group=("chat", None)[number % 2],
                error_code=("late", None, "lost")[number % 3],
                status=(504, 200, 502)[number % 3],
                stream=number % 4 == 0,
            )
            for number in range(24)
        ],
    )
    opposite = text.replace("=", "!=", 1)

    [whole, one, other] = [
        report_on(state, "caller", where=where, zone=zone_of("Europe/Berlin"))
        for where in ([], [text], [opposite])
    ]

    sums = [report.totals.measures for report in (whole, one, other)]
    assert 0 < sums[1].calls < 24
    assert sums[1].calls + sums[2].calls == sums[0].calls == 24
    assert sums[1].cost_nusd + sums[2].cost_nusd == sums[0].cost_nusd


def test_a_call_is_explained_with_all_of_its_decision(state: StateDirectory) -> None:
    """What was decided comes back as it was, scores included."""
    writer = state.writer()
    for number in range(8):
        writer.append(various_line(number))
    writer.close()
    while state.ingester().advance().more:
        pass

    found = kept_decisions(state, range(8))
    with open_for_reading(state.url).connect() as connection:
        missing = explained(connection, "req_nobody's")
        call = explained(connection, a_record(3).request_id)

    assert found == [various_decision(number) for number in range(8)]
    assert missing is None
    assert call is not None
    assert call.record["ts_ms"] == NOON_MS + 3
