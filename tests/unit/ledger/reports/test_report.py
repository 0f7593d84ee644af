"""Reports agree with the rows, computed here once more and plainly."""

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS
from smart_llmrouter.ledger.reports.durations import Percentiles
from smart_llmrouter.ledger.reports.measures import Known
from tests.support.ledger import NOON_MS, StateDirectory, a_record, state_in
from tests.support.reports import ingested, known, report_on, table

HOUR_MS = 3_600_000


def various_records(count: int) -> list[UsageRecord]:
    """Return records that differ in everything a report looks at."""
    chance = random.Random(count)

    def maybe(value: int) -> int | None:
        return None if chance.random() < 0.3 else value

    return [
        a_record(
            number,
            ts_ms=NOON_MS + chance.randrange(4 * HOUR_MS),
            caller_id=chance.choice(["a", "b", "c"]),
            resolved_group=chance.choice(["chat", "code", None]),
            target_provider=(provider := chance.choice(["acme", "other", None])),
            target_model=provider and chance.choice(["mini", "large"]),
            target_dialect=provider and "openai-chat",
            stream=chance.random() < 0.5,
            latency_us=chance.randrange(1, 5_000_000),
            ttft_us=maybe(chance.randrange(1, 900_000)),
            attempts=chance.randrange(4),
            input_tokens=maybe(chance.randrange(10_000)),
            cached_input_tokens=maybe(chance.randrange(1000)),
            cache_write_5m_tokens=maybe(chance.randrange(1000)),
            cache_write_1h_tokens=maybe(chance.randrange(1000)),
            cached_input_cost_nusd=maybe(chance.randrange(10**9)),
            cache_write_cost_nusd=maybe(chance.randrange(10**9)),
            usage_estimated=chance.random() < 0.2,
            lane=chance.choice(["relay", "translate"]),
            output_tokens=maybe(chance.randrange(10_000)),
            reasoning_tokens=maybe(chance.randrange(1000)),
            total_cost_nusd=maybe(chance.randrange(10**12)),
            upstream_reported_cost_nusd=maybe(chance.randrange(10**12)),
            error_code=(code := chance.choice([None, None, "upstream-timeout", "x"])),
            error_class=code and "timeout",
            status=200 if code is None else 504,
        )
        for number in range(count)
    ]


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def plainly_ranked(values: Sequence[int | None]) -> Percentiles | None:
    """Rank plainly: the smallest value that so many percent do not exceed."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    p50, p90, p95, p99 = (
        ordered[math.ceil(len(ordered) * percent / 100) - 1]
        for percent in (50, 90, 95, 99)
    )
    return Percentiles(
        calls=len(ordered), p50_us=p50, p90_us=p90, p95_us=p95, p99_us=p99
    )


KEY_OF: dict[str, Callable[[UsageRecord], str | None]] = {
    "group": lambda record: record.resolved_group,
    "caller": lambda record: record.caller_id,
    "stream": lambda record: "streamed" if record.stream else "plain",
    "status": lambda record: str(record.status),
    "dialect": lambda record: record.inbound_dialect,
    "target-dialect": lambda record: record.target_dialect,
    "lane": lambda record: record.target_dialect and record.lane,
    "target": lambda record: (
        record.target_provider and f"{record.target_provider}/{record.target_model}"
    ),
}


def test_totals_are_the_sums_of_the_rows(state: StateDirectory) -> None:
    """Every total equals the plain sum, with how many values it is a sum of."""
    records = various_records(300)
    ingested(state, records)

    totals = report_on(state).totals

    measures = totals.measures
    assert measures.calls == 300
    assert measures.errors == sum(r.error_code is not None for r in records)
    assert measures.attempts == sum(r.attempts for r in records)
    assert measures.input_tokens == known(r.input_tokens for r in records)
    assert measures.cached_input_tokens == known(r.cached_input_tokens for r in records)
    assert measures.estimated_calls == sum(r.usage_estimated for r in records)
    for name in (
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "cached_input_cost_nusd",
        "cache_write_cost_nusd",
    ):
        assert getattr(measures, name) == known(getattr(r, name) for r in records)
    assert measures.output_tokens == known(r.output_tokens for r in records)
    assert measures.reasoning_tokens == known(r.reasoning_tokens for r in records)
    assert measures.cost_nusd == known(r.total_cost_nusd for r in records)
    assert measures.reported_cost_nusd == known(
        r.upstream_reported_cost_nusd for r in records
    )
    assert measures.latency_us == known(r.latency_us for r in records)
    assert measures.max_latency_us == max(r.latency_us for r in records)
    assert measures.fallbacks == sum(r.fallback_used for r in records)
    assert measures.asked_calls == sum(r.attempts > 0 for r in records)
    assert measures.failed_calls_cost_nusd == known(
        r.total_cost_nusd for r in records if r.error_code is not None
    )
    assert totals.latency == plainly_ranked([r.latency_us for r in records])
    assert totals.first_token == plainly_ranked([r.ttft_us for r in records])


def cachers(caller: str, count: int, *, read: int) -> list[UsageRecord]:
    """Return calls that each wrote into a cache, of which the last read from it."""
    return [
        a_record(
            100 * len(caller) + number,
            caller_id=caller,
            target_provider="acme",
            target_model="mini",
            cached_input_tokens=read if number == count - 1 else 0,
            cache_write_5m_tokens=100,
            cache_write_1h_tokens=0,
            cache_write_cost_nusd=7,
        )
        for number in range(count)
    ]


def test_a_cache_that_is_written_and_never_read_is_told(state: StateDirectory) -> None:
    """Caching that costs more than none is named; one call read makes it well."""
    ingested(
        state,
        [
            *cachers("wasteful", 4, read=0),
            *cachers("thrifty", 4, read=1),
            *cachers("new", 2, read=0),
            *(a_record(number, caller_id="uncached") for number in range(4)),
        ],
    )

    [line] = table(report_on(state), "unread-caches").lines

    assert line.key == ("wasteful", "acme", "mini")
    assert line.measures.cache_write_cost_nusd == Known(28, 4)
    assert report_on(state, "caller").section("unread-caches") is None


@pytest.mark.parametrize(
    "names",
    [
        ("group",),
        ("caller", "stream"),
        ("target",),
        ("status", "group", "caller"),
        ("lane", "dialect"),
        ("target-dialect",),
    ],
)
def test_groups_are_the_sums_of_their_rows(
    state: StateDirectory, names: tuple[str, ...]
) -> None:
    """Any grouping splits the rows without rest, percentiles included."""
    records = various_records(200)
    ingested(state, records)

    [section] = report_on(state, *names).sections

    expected: dict[tuple[str | None, ...], list[UsageRecord]] = {}
    for record in records:
        key = tuple(KEY_OF[name](record) for name in names)
        expected.setdefault(key, []).append(record)
    assert {line.key for line in section.lines} == set(expected)
    for line in section.lines:
        group = expected[line.key]
        assert line.measures.calls == len(group)
        assert line.measures.cost_nusd == known(r.total_cost_nusd for r in group)
        assert line.latency == plainly_ranked([r.latency_us for r in group])
        assert line.first_token == plainly_ranked([r.ttft_us for r in group])


def test_the_usual_sections_agree_with_the_totals(state: StateDirectory) -> None:
    """Each table of all calls adds up to the totals, and so do the errors."""
    ingested(state, various_records(200))

    report = report_on(state)

    whole = report.totals.measures
    for name in ("by-group", "by-caller", "targets"):
        section = table(report, name)
        assert sum(line.measures.calls for line in section.lines) == whole.calls
        parts = [line.measures.cost_nusd for line in section.lines]
        assert sum(parts[1:], parts[0]) == whole.cost_nusd
    errors = table(report, "errors").lines
    assert sum(line.measures.calls for line in errors) == whole.errors
    assert errors[0].key[1] is not None


def test_the_usual_report_goes_through_a_day_by_hours(state: StateDirectory) -> None:
    """The steps add up to the whole, in order; a longer report goes by days."""
    records = various_records(100)
    ingested(state, records)
    day = Interval(NOON_MS, NOON_MS + 24 * HOUR_MS)

    hours = table(report_on(state, interval=day), "by-hour").lines

    expected: dict[int, int] = {}
    for record in records:
        hour = record.ts_ms // HOUR_MS
        expected[hour] = expected.get(hour, 0) + 1
    assert [line.measures.calls for line in hours] == [
        calls for _, calls in sorted(expected.items())
    ]
    assert [line.key for line in hours] == sorted(line.key for line in hours)


@pytest.mark.parametrize("wide", [False, True])
def test_an_interval_includes_its_start_and_not_its_end(
    state: StateDirectory, *, wide: bool
) -> None:
    """Neighbouring intervals count nothing twice, with and without the index."""
    elsewhere = [a_record(100 + n, ts_ms=NOON_MS + 9999) for n in range(50)]
    here = [a_record(n, ts_ms=NOON_MS + n) for n in range(4)]
    ingested(state, here if wide else here + elsewhere)

    calls = [
        report_on(state, interval=Interval(start, end)).totals.measures.calls
        for start, end in (
            (NOON_MS, NOON_MS + 2),
            (NOON_MS + 2, NOON_MS + 4),
            (NOON_MS + 4, NOON_MS + 5),
        )
    ]

    assert calls == [2, 2, 0]


def test_nothing_is_unknown_and_not_zero(state: StateDirectory) -> None:
    """A report without calls claims no sums and no percentiles."""
    report = report_on(state)

    assert report.totals.measures.calls == 0
    assert report.totals.measures.cost_nusd == Known(None, 0)
    assert report.totals.latency is None
    assert report.sections == ()
    assert report.dearest == ()


def test_hours_and_days_are_utc_and_in_order(state: StateDirectory) -> None:
    """Tables by time are sorted by time, others by the number of calls."""
    moments = [3 * HOUR_MS, 3 * HOUR_MS, 1, 25 * HOUR_MS, HOUR_MS - 1]
    ingested(state, [a_record(n, ts_ms=ms) for n, ms in enumerate(moments)])

    [hours] = report_on(state, "hour").sections
    [days] = report_on(state, "day").sections

    assert [(line.key, line.measures.calls) for line in hours.lines] == [
        (("1970-01-01T00:00Z",), 2),
        (("1970-01-01T03:00Z",), 2),
        (("1970-01-02T01:00Z",), 1),
    ]
    assert [line.key for line in days.lines] == [("1970-01-01",), ("1970-01-02",)]


def test_every_dimension_can_be_asked_for(state: StateDirectory) -> None:
    """Each one alone splits all calls; versions are named."""
    ingested(state, various_records(30))

    for name in DIMENSIONS:
        report = report_on(state, name)
        assert sum(line.measures.calls for line in report.sections[0].lines) == 30
        assert report.served_by_versions == ("0.1.0",)


def test_of_many_calls_percentiles_are_within_five_percent(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the report says so; sums, the longest call and the average stay exact."""
    chance = random.Random(4)
    records = [
        a_record(number, latency_us=int(chance.lognormvariate(12, 3)) + 1)
        for number in range(500)
    ]
    ingested(state, records)
    exact = report_on(state)
    monkeypatch.setattr("smart_llmrouter.ledger.reports.gathering.EXACT_UP_TO", 499)

    rough = report_on(state)

    assert (exact.precision, rough.precision) == ("exact", "within 5 %")
    assert exact.totals.latency is not None
    assert rough.totals.latency is not None
    for percent in (50, 90, 95, 99):
        true = getattr(exact.totals.latency, f"p{percent}_us")
        told = getattr(rough.totals.latency, f"p{percent}_us")
        assert abs(told - true) <= 0.05 * true
    assert rough.totals.measures == exact.totals.measures


def test_the_most_expensive_calls_are_listed(state: StateDirectory) -> None:
    """Dearest first; those whose cost is unknown or nothing are not among them."""
    costs = [5, None, 900, 0, 30]
    ingested(state, [a_record(n, total_cost_nusd=cost) for n, cost in enumerate(costs)])

    dearest = report_on(state).dearest

    assert [row["total_cost_nusd"] for row in dearest] == [900, 30, 5]
    assert dearest[0]["request_id"] == a_record(2).request_id


def test_throughput_is_of_streams_that_one_attempt_answered(
    state: StateDirectory,
) -> None:
    """From the first event on; what failed, was tried twice or plain is no stream."""
    served = {
        "stream": True,
        "output_tokens": 300,
        "latency_us": 3_000_000,
        "ttft_us": 1_000_000,
    }
    ingested(
        state,
        [
            a_record(1, **served),
            a_record(2, **served | {"attempts": 2}),
            a_record(3, **served | {"error_code": "cut"}),
            a_record(4, **served | {"output_tokens": None}),
            a_record(5, **served | {"stream": False}),
        ],
    )

    measures = report_on(state).totals.measures

    assert measures.tokens_per_s == 150
    assert measures.output_tokens == Known(1200, 4)


def test_only_calls_that_reached_a_target_can_lack_a_cost(
    state: StateDirectory,
) -> None:
    """A call that a limit refused used nothing: it is no gap in what is known."""
    ingested(
        state,
        [
            a_record(1, total_cost_nusd=5),
            a_record(2),
            a_record(3, attempts=0, refused_by="caller:rpm", error_code="rate-limited"),
        ],
    )

    measures = report_on(state).totals.measures

    coverage = measures.coverage(measures.cost_nusd)
    assert (coverage.known, coverage.of, coverage.is_whole) == (1, 2, False)
