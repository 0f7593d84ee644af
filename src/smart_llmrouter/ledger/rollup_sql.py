"""The statements that add rows up into hours, and those into days and months.

They run in the database, so that no row is ever fetched to be added up, and both kinds
of databases understand them. `where` is a condition with `?` for its parameters, of
which those of a statement come first: when the period starts, and which part it is.
"""

from collections.abc import Iterable
from typing import Final

from smart_llmrouter.ledger.periods import below
from smart_llmrouter.stores.rollup_schema import (
    ADDED,
    CHARGED_NUSD,
    CHARGED_TOKENS,
    HIGHEST,
    KNOWN,
    KNOWN_SUFFIX,
    TABLE_OF,
    TIMED,
    Level,
)

_PACED: Final = "output_tokens IS NOT NULL AND latency_us > ttft_us"
_OF_ROWS: Final = {
    "calls": "count(*)",
    "latency_us": "sum(latency_us)",
    "charged_tokens": f"sum({CHARGED_TOKENS})",
    "charged_cost_nusd": f"sum({CHARGED_NUSD})",
    "paced_tokens": f"sum(CASE WHEN {_PACED} THEN output_tokens ELSE 0 END)",
    "paced_us": f"sum(CASE WHEN {_PACED} THEN latency_us - ttft_us ELSE 0 END)",
    **{name: f"coalesce(sum({name}), 0)" for name in KNOWN},
    **{name + KNOWN_SUFFIX: f"count({name})" for name in KNOWN},
}
_OF_SUMS: Final = {name: f"sum({name})" for name in ADDED}
_COLUMNS: Final = f"start_ms, part, labels_id, {HIGHEST}, {', '.join(ADDED)}"
_MOST_DIGITS: Final = 16


def add_rows(where: str, *, back: bool = False) -> str:
    """Add rows of `request_measures` to an hour; `back` takes them out of it."""
    highest = "0" if back else "max(latency_us)"
    return _adding(
        TABLE_OF["hour"],
        f"{highest}, {_listed(_OF_ROWS, back=back)} FROM request_measures",
        where,
    )


def add_sums(level: Level, where: str, *, back: bool = False) -> str:
    """Add what is rolled up on the level below to a day or month."""
    highest = "0" if back else f"max({HIGHEST})"
    return _adding(
        TABLE_OF[level],
        f"{highest}, {_listed(_OF_SUMS, back=back)} FROM {TABLE_OF[below(level)]}",
        where,
    )


def add_timed_rows(measure: str, column: str, where: str, *, back: bool = False) -> str:
    """Add one duration of rows to the histogram of an hour."""
    bucket, sign = bucket_of(column), "-" if back else ""
    return (
        "INSERT INTO usage_rollup_timings SELECT 'hour', CAST(? AS BIGINT), "  # noqa: S608 - of our own words; values are bound
        f"CAST(? AS BIGINT), labels_id, '{measure}', {bucket}, {sign}count(*) "
        f"FROM request_measures WHERE {column} IS NOT NULL AND {where} "
        f"GROUP BY labels_id, {bucket} {_ADD_TIMED}"
    )


def add_timings(level: Level, where: str, *, back: bool = False) -> str:
    """Add the histograms of the level below to those of a day or month."""
    sign = "-" if back else ""
    return (
        f"INSERT INTO usage_rollup_timings SELECT '{level}', CAST(? AS BIGINT), "  # noqa: S608 - of our own words; values are bound
        f"CAST(? AS BIGINT), labels_id, measure, bucket_us, {sign}sum(calls) "
        f"FROM usage_rollup_timings WHERE period = '{below(level)}' AND {where} "
        f"GROUP BY labels_id, measure, bucket_us {_ADD_TIMED}"
    )


_ADD_TIMED: Final = (
    "ON CONFLICT (period, part, start_ms, labels_id, measure, bucket_us) "
    "DO UPDATE SET calls = usage_rollup_timings.calls + excluded.calls"
)


def wrong_sums(level: Level) -> str:
    """Count the labels of a period whose sums are not those of what it is made of.

    Parameters: where the period begins and ends, and where it begins.
    """
    if level == "hour":
        made_of = (
            f"SELECT labels_id, {_named(_OF_ROWS)} FROM request_measures "  # noqa: S608 - of our own words; values are bound
            "WHERE ts_ms >= ? AND ts_ms < ? GROUP BY labels_id"
        )
    else:
        made_of = (
            f"SELECT labels_id, {', '.join(ADDED)} FROM {TABLE_OF[below(level)]} "  # noqa: S608 - of our own words; values are bound
            "WHERE part IN (0, 1) AND start_ms >= ? AND start_ms < ?"
        )
    return _differing(
        "labels_id",
        ADDED,
        made_of,
        f"FROM {TABLE_OF[level]} WHERE part = 0 AND start_ms = ?",
    )


def wrong_timings(level: Level) -> str:
    """Count the buckets of a period that hold not as many calls as they should.

    Parameters as those of `wrong_sums`, but once for each duration of an hour.
    """
    keys = "labels_id, measure, bucket_us"
    if level == "hour":
        made_of = " UNION ALL ".join(
            f"SELECT labels_id, '{measure}' AS measure, "  # noqa: S608 - of our own words; values are bound
            f"{bucket_of(column)} AS bucket_us, 1 AS calls FROM request_measures "
            f"WHERE {column} IS NOT NULL AND ts_ms >= ? AND ts_ms < ?"
            for measure, column in TIMED.items()
        )
    else:
        made_of = (
            f"SELECT {keys}, calls FROM usage_rollup_timings WHERE "  # noqa: S608 - of our own words; values are bound
            f"period = '{below(level)}' AND part IN (0, 1) "
            "AND start_ms >= ? AND start_ms < ?"
        )
    return _differing(
        keys,
        ("calls",),
        made_of,
        f"FROM usage_rollup_timings WHERE period = '{level}' AND part = 0 "
        "AND start_ms = ?",
    )


def _differing(keys: str, names: Iterable[str], made_of: str, made: str) -> str:
    names = tuple(names)
    return (
        f"SELECT count(*) FROM (SELECT {keys} FROM ({made_of} "  # noqa: S608 - of our own words; values are bound
        f"UNION ALL SELECT {keys}, {', '.join(f'-{name}' for name in names)} {made}"
        f") AS compared GROUP BY {keys} "
        f"HAVING {' OR '.join(f'sum({name}) <> 0' for name in names)}) AS wrong"
    )


def _named(figures: dict[str, str]) -> str:
    return ", ".join(f"{figures[name]} AS {name}" for name in ADDED)


def bucket_of(column: str) -> str:
    """Return a duration of two significant digits, so that its bucket is a number."""
    steps = " ".join(
        f"WHEN {column} < {10 ** (digits + 1)} "
        f"THEN {column} / {10 ** (digits - 1)} * {10 ** (digits - 1)}"
        for digits in range(2, _MOST_DIGITS)
    )
    coarsest = 10 ** (_MOST_DIGITS - 2)
    return (
        f"CASE WHEN {column} < 100 THEN {column} {steps} "
        f"ELSE {column} / {coarsest} * {coarsest} END"
    )


def _adding(table: str, selected: str, where: str) -> str:
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in ADDED)
    return (
        f"INSERT INTO {table} ({_COLUMNS}) "
        f"SELECT CAST(? AS BIGINT), CAST(? AS BIGINT), labels_id, {selected} "
        f"WHERE {where} GROUP BY labels_id "
        f"ON CONFLICT (part, start_ms, labels_id) DO UPDATE SET {added}, "
        f"{HIGHEST} = CASE WHEN excluded.{HIGHEST} > {table}.{HIGHEST} "
        f"THEN excluded.{HIGHEST} ELSE {table}.{HIGHEST} END"
    )


def _listed(figures: dict[str, str], *, back: bool) -> str:
    sign = "-" if back else ""
    return ", ".join(f"{sign}{figures[name]}" for name in ADDED)
