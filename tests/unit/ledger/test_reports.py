"""Reports agree with the rows, computed here once more and plainly."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from smart_llmrouter.ledger.dimensions import (
    DIMENSIONS,
    UnknownDimension,
    dimensions_of,
)
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.measures import Known, Percentiles, percentiles
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.reports import Report, make_report
from smart_llmrouter.stores.database import open_for_reading
from tests.support.ledger import NOON_MS, StateDirectory, a_record, state_in

HOUR_MS = 3_600_000
EVERYTHING = Interval(0, 1 << 60)


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


def report_on(
    state: StateDirectory, *group_by: str, interval: Interval = EVERYTHING
) -> Report:
    """Make a report of what is in the database."""
    engine = open_for_reading(state.url)
    with engine.connect() as connection:
        return make_report(
            connection,
            interval=interval,
            group_by=[DIMENSIONS[name] for name in group_by],
            made_ms=0,
            router_version="9.9.9",
        )


def known(values: Iterable[int | None]) -> Known:
    """Add up plainly what is known."""
    there = [value for value in values if value is not None]
    return Known(sum(there) if there else None, len(there))


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
    state.journalled(records)
    state.ingester().advance()

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
    state.journalled(
        [
            *cachers("wasteful", 4, read=0),
            *cachers("thrifty", 4, read=1),
            *cachers("new", 2, read=0),
            *(a_record(number, caller_id="uncached") for number in range(4)),
        ]
    )
    state.ingester().advance()

    report = report_on(state)

    assert report.unread_caches is not None
    [line] = report.unread_caches.lines
    assert line.key == ("wasteful", "acme", "mini")
    assert line.measures.cache_write_cost_nusd == Known(28, 4)
    assert report_on(state, "caller").unread_caches is None


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
    state.journalled(records)
    state.ingester().advance()

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
    """Each table of a report adds up to its totals."""
    state.journalled(various_records(200))
    state.ingester().advance()

    report = report_on(state)

    titles = [section.title for section in report.sections]
    assert titles == ["By group", "By caller", "By provider and model"]
    for section in report.sections:
        parts = [line.measures for line in section.lines]
        assert sum(parts[1:], parts[0]) == report.totals.measures
    assert sum(line.calls for line in report.errors) == report.totals.measures.errors


@pytest.mark.parametrize("wide", [False, True])
def test_an_interval_includes_its_start_and_not_its_end(
    state: StateDirectory, *, wide: bool
) -> None:
    """Neighbouring intervals count nothing twice, with and without the index."""
    elsewhere = [a_record(100 + n, ts_ms=NOON_MS + 9999) for n in range(50)]
    here = [a_record(n, ts_ms=NOON_MS + n) for n in range(4)]
    state.journalled(here if wide else here + elsewhere)
    state.ingester().advance()

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
    assert [section.lines for section in report.sections] == [(), (), ()]


def test_hours_and_days_are_utc_and_in_order(state: StateDirectory) -> None:
    """Tables by time are sorted by time, others by the number of calls."""
    moments = [3 * HOUR_MS, 3 * HOUR_MS, 1, 25 * HOUR_MS, HOUR_MS - 1]
    state.journalled(a_record(n, ts_ms=ms) for n, ms in enumerate(moments))
    state.ingester().advance()

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
    state.journalled(various_records(30))
    state.ingester().advance()

    for name in DIMENSIONS:
        report = report_on(state, name)
        assert sum(line.measures.calls for line in report.sections[0].lines) == 30
        assert report.served_by_versions == ("0.1.0",)


def test_a_list_of_dimensions_keeps_its_order() -> None:
    """Spaces and repetitions do no harm."""
    found = dimensions_of("model, group,model")

    assert [dimension.name for dimension in found] == ["model", "group"]


@pytest.mark.parametrize("text", ["grop", "", ",", "group,owner"])
def test_an_unknown_dimension_is_answered_with_the_known_ones(text: str) -> None:
    """The message lists what is allowed."""
    with pytest.raises(UnknownDimension, match="requested-model"):
        dimensions_of(text)


def test_percentiles_are_nearest_ranks() -> None:
    """With a hundred values the p-th percentile is the p-th value."""
    found = percentiles(range(1, 101))

    assert found == Percentiles(calls=100, p50_us=50, p90_us=90, p95_us=95, p99_us=99)
    assert percentiles([7]) == Percentiles(
        calls=1, p50_us=7, p90_us=7, p95_us=7, p99_us=7
    )
    assert percentiles([]) is None
