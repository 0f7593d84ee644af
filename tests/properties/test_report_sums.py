"""Reports add up, whatever is grouped, chosen or rolled up, and where clocks move."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.ledger.interval import Interval, zone_of
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.reports.baselines import Baseline
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS
from smart_llmrouter.ledger.reports.lines import Line
from smart_llmrouter.ledger.reports.measures import Compared, Known, Measures
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.reports import ingested, known, report_on
from tests.support.rollups import rolled_up

CALLS = 150
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BASELINE = Baseline(
    "acme/large",
    Price(
        input=Rate(2345, 7),
        cached_input=Rate(11, 3),
        output=Rate(10_001, 1),
        fingerprint="p",
    ),
)

SOME = [name for name, each in DIMENSIONS.items() if each.unit is None]

MOVED_CLOCKS = {
    "UTC": "2026-10-25",
    "Europe/Berlin": "2026-10-25",
    "America/New_York": "2026-11-01",
    "Australia/Lord_Howe": "2026-10-04",
    "Asia/Kolkata": "2026-10-25",
    "Africa/Cairo": "2026-04-24",
}
"""Zones, and days on which their clocks are moved, by half an hour in one of them."""


def begins_ms(day: str, zone: str) -> int:
    """Return the first moment of a day in a zone."""
    local = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    return round(local.timestamp() * 1000)


def traffic(count: int, *, from_ms: int, seed: int) -> list[UsageRecord]:
    """Return calls of five days that differ in everything, much of it unknown."""
    chance = random.Random(seed)

    def maybe(most: int) -> int | None:
        return None if chance.random() < 0.3 else chance.randrange(most)

    return [
        a_record(
            number,
            ts_ms=from_ms - 2 * DAY_MS + chance.randrange(5 * DAY_MS),
            caller_id=chance.choice("abc"),
            caller_project=chance.choice("xy"),
            resolved_group=chance.choice(["chat", None]),
            target_provider=(provider := chance.choice(["acme", "other", None])),
            target_model=provider and chance.choice(["mini", "large"]),
            target_dialect=provider and "openai-chat",
            stream=chance.random() < 0.5,
            latency_us=chance.randrange(1, 9_000_000),
            ttft_us=maybe(900_000),
            queued_us=maybe(10_000),
            attempts=chance.randrange(3),
            input_tokens=(given := maybe(10_000)),
            # What was cached is a part of what was given.
            cached_input_tokens=None if given is None else maybe(500),
            output_tokens=(made := None if given is None else chance.randrange(900)),
            # Where there is a price, a cost is known where the tokens are.
            total_cost_nusd=made and chance.randrange(10**12) if provider else None,
            input_cost_nusd=maybe(10**12),
            upstream_reported_cost_nusd=maybe(10**9),
            failed_attempts_cost_nusd=maybe(10**9),
            error_code=(code := chance.choice([None, None, "late", "lost"])),
            error_class=code and "timeout",
            status=200 if code is None else 504,
            fallback_used=chance.random() < 0.2,
        )
        for number in range(count)
    ]


def plain_sums(records: Sequence[UsageRecord]) -> dict[str, object]:
    """Add up calls one by one."""
    return {
        "calls": len(records),
        "errors": sum(each.error_code is not None for each in records),
        "attempts": sum(each.attempts for each in records),
        "fallbacks": sum(each.fallback_used for each in records),
        "input_tokens": known(each.input_tokens for each in records),
        "output_tokens": known(each.output_tokens for each in records),
        "cost_nusd": known(each.total_cost_nusd for each in records),
        "input_cost_nusd": known(each.input_cost_nusd for each in records),
        "reported_cost_nusd": known(
            each.upstream_reported_cost_nusd for each in records
        ),
        "failed_attempts_cost_nusd": known(
            each.failed_attempts_cost_nusd for each in records
        ),
        "failed_calls_cost_nusd": known(
            each.total_cost_nusd for each in records if each.error_code is not None
        ),
        "queued_us": known(each.queued_us for each in records),
        "latency_us": known(each.latency_us for each in records),
    }


def added(lines: Sequence[Line]) -> dict[str, object]:
    """Add up the lines of a table."""
    sums: dict[str, object] = {}
    for field in msgspec.structs.fields(Measures):
        values = [getattr(line.measures, field.name) for line in lines]
        if isinstance(values[0], int | Known | Compared) and "max_" not in field.name:
            sums[field.name] = sum(values[1:], values[0])
    return sums


LOCAL: dict[str, Callable[[datetime], str]] = {
    "hour": lambda local: local.strftime("%Y-%m-%dT%H:00") + _offset(local),
    "day": lambda local: local.date().isoformat(),
    "month": lambda local: local.strftime("%Y-%m"),
}


def _offset(local: datetime) -> str:
    return local.isoformat()[-6:]


@pytest.fixture(params=[0.2, 1], ids=["some rolled up", "all rolled up"])
def rolled(request: pytest.FixtureRequest) -> float:
    """Return which part of the calls comes before the roll-ups are made."""
    found: float = request.param
    return found


@pytest.mark.parametrize("zone", MOVED_CLOCKS)
def test_lines_add_up_to_the_calls(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    rolled: float,
) -> None:
    """By each dimension, to the nano-dollar, and by each hour and day of the zone."""
    state = state_in(tmp_path)
    records = filled(state, zone, rolled, monkeypatch)
    from_ms = begins_ms(MOVED_CLOCKS[zone], zone) - DAY_MS
    # The edges are no edges of any period.
    interval = Interval(from_ms + 1234, from_ms + 3 * DAY_MS - 777)
    inside = [
        each for each in records if interval.from_ms <= each.ts_ms < interval.to_ms
    ]

    for name in ("hour", "day", "month", *random.Random(zone).sample(SOME, 3)):
        report = report_on(
            state, name, interval=interval, zone=zone_of(zone), baseline=BASELINE
        )
        totals = report.totals.measures
        [section] = report.sections
        sums = added(section.lines)
        expected = plain_sums(inside)
        assert {each: getattr(totals, each) for each in expected} == expected
        assert sums == {each: getattr(totals, each) for each in sums}
        if name in {"day", "month"} or (zone == "Europe/Berlin" and name == "hour"):
            counted: dict[str, int] = {}
            for each in inside:
                local = datetime.fromtimestamp(each.ts_ms / 1000, tz=ZoneInfo(zone))
                key = LOCAL[name](local)
                counted[key] = counted.get(key, 0) + 1
            found = {line.key[0]: line.measures.calls for line in section.lines}
            assert found == counted


def filled(
    state: StateDirectory, zone: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> list[UsageRecord]:
    """Bring traffic into the database, and roll some of it up."""
    monkeypatch.setattr("smart_llmrouter.ledger.reports.parts.FEW", 10)
    records = traffic(
        CALLS, from_ms=begins_ms(MOVED_CLOCKS[zone], zone), seed=len(zone)
    )
    first = round(CALLS * part)
    ingested(state, records[:first])
    rolled_up(state.url, now_ms=records[0].ts_ms + 90 * DAY_MS, slice_rows=1000)
    ingested(state, records[first:])
    return records


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_a_condition_and_its_opposite_part_all_calls(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    rolled: float,
) -> None:
    """With nothing left over and nothing counted twice, costs and savings included."""
    state = state_in(tmp_path)
    filled(state, zone, rolled, monkeypatch)
    day = MOVED_CLOCKS[zone]
    report = report_on(state, "caller", zone=zone_of(zone), baseline=BASELINE)
    whole = report.totals

    for left, right in (
        (["caller=a,b"], ["caller!=a,b"]),
        (["group="], ["group!="]),
        (["error=late"], ["error!=late"]),
        (["target=acme/mini,"], ["target!=acme/mini,"]),
        ([f"day={day}"], [f"day!={day}"]),
        ([f"hour={day}T02:00"], [f"hour!={day}T02:00"]),
        ([f"day={day}", "stream=plain"], [f"day={day}", "stream!=plain"]),
    ):
        parts = [
            report_on(
                state, "caller", zone=zone_of(zone), baseline=BASELINE, where=where
            ).totals
            for where in (left, right)
        ]
        sums = added(parts)
        if len(left) == 1:
            assert sums == {each: getattr(whole.measures, each) for each in sums}
        else:
            [of_the_day] = [
                report_on(
                    state,
                    "caller",
                    zone=zone_of(zone),
                    baseline=BASELINE,
                    where=[left[0]],
                ).totals
            ]
            assert sums == {each: getattr(of_the_day.measures, each) for each in sums}


def test_savings_are_of_calls_whose_both_costs_are_known(tmp_path: Path) -> None:
    """Exactly, as one computes it by hand; the rounded figure is told with coverage."""
    state = state_in(tmp_path)
    ingested(
        state,
        [
            a_record(1, input_tokens=10, output_tokens=2, total_cost_nusd=9),
            a_record(
                2, input_tokens=10, cached_input_tokens=4, output_tokens=1,
                total_cost_nusd=50_000,
            ),
            a_record(3, input_tokens=10, output_tokens=2),
            a_record(4, input_tokens=10, total_cost_nusd=7),
        ],
    )  # fmt: skip

    compared = report_on(state, baseline=BASELINE).totals.measures.compared

    assert compared is not None
    expected = Fraction(2345, 7) * 16 + Fraction(11, 3) * 4 + 10_001 * 3
    assert compared.baseline_nusd == expected
    assert compared.baseline == Known(round(expected), 2)
    assert compared.savings == Known(round(expected - 50_009), 2)
