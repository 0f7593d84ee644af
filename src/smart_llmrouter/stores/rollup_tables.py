"""The tables of roll-ups, retention and holds, column by column; see `stores.tables`.

A roll-up adds up all calls of a period that share their labels. What the level below
has no more, because retention removed it, stands in rows of their own (`part`), so that
at any moment rows and those parts together are all calls that there ever were.
"""

from typing import Final

from sqlalchemy import Column, PrimaryKeyConstraint, Table

from smart_llmrouter.stores.columns import METADATA, counting_id, flag, number, text
from smart_llmrouter.stores.rollup_schema import (
    ADDED,
    HIGHEST,
    KNOWN_SUFFIX,
    TABLE_OF,
    Level,
)

_MEANINGS: Final = {
    "calls": ("How many calls they are", ""),
    "latency_us": ("The sum of their latencies", "microseconds"),
    "charged_tokens": (
        "What budgets were charged, which is the usage or what it may have been",
        "tokens",
    ),
    "charged_cost_nusd": ("What budgets were charged", "nano-dollars"),
    "paced_tokens": (
        "Tokens of the answers whose first meaningful event came before the end",
        "tokens",
    ),
    "paced_us": (
        "How long these answers took from that event to their end",
        "microseconds",
    ),
}
_UNITS: Final = (
    ("_tokens", "tokens"),
    ("_nusd", "nano-dollars"),
    ("_us", "microseconds"),
)
_EACH: Final[dict[Level, str]] = {"hour": "rows", "day": "hours", "month": "days"}
_UTC: Final = "milliseconds since 1970, UTC"


def _sum(name: str) -> Column[int]:
    if name in _MEANINGS:
        meaning, unit = _MEANINGS[name]
        return number(name, meaning, unit=unit)
    if name.endswith(KNOWN_SUFFIX):
        return number(
            name, f"Of how many calls `{name.removesuffix(KNOWN_SUFFIX)}` is known"
        )
    unit = next(unit for suffix, unit in _UNITS if name.endswith(suffix))
    return number(name, f"The sum of `{name}` where it is known", unit=unit)


def _sums(level: Level) -> Table:
    source = _EACH[level]
    return Table(
        TABLE_OF[level],
        METADATA,
        number(
            "start_ms",
            f"When the {level} begins (UTC); of what is gone, also when a budget was "
            "reset within it",
            unit=_UTC,
        ),
        number(
            "part",
            f"0: made of {source} that are there, not to be read while the roll-up is "
            f"stale; 1: of {source} that retention has removed",
        ),
        number("labels_id", "The `id` of the calls' labels"),
        number(HIGHEST, "The longest latency", unit="microseconds"),
        *(_sum(name) for name in ADDED),
        PrimaryKeyConstraint("part", "start_ms", "labels_id"),
        sqlite_with_rowid=False,
        comment=f"Sums over the calls of each {level} that share their labels",
    )


SUMS_OF: Final[dict[Level, Table]] = {level: _sums(level) for level in TABLE_OF}
"""The three tables of sums."""

ROLLUP_TIMINGS: Final = Table(
    "usage_rollup_timings",
    METADATA,
    text("period", "`hour`, `day` or `month`"),
    number("start_ms", "As in the table of sums of that period", unit=_UTC),
    number("part", "As in the table of sums of that period"),
    number("labels_id", "The `id` of the calls' labels"),
    text("measure", "`latency` or `first_token`"),
    number(
        "bucket_us",
        "The durations, cut to two significant decimal digits",
        unit="microseconds",
    ),
    number("calls", "How many calls took so long"),
    PrimaryKeyConstraint(
        "period", "part", "start_ms", "labels_id", "measure", "bucket_us"
    ),
    sqlite_with_rowid=False,
    comment="How long calls took, for percentiles of longer intervals",
)

ROLLUP_PERIODS: Final = Table(
    "usage_rollup_periods",
    METADATA,
    text("period", "`hour`, `day` or `month`"),
    number("start_ms", "When it begins (UTC)", unit=_UTC),
    text(
        "status",
        "`open`: not rolled up yet; `draft`: rolled up before it was surely complete; "
        "`final`: rolled up when all of its calls had ended",
    ),
    number("changes", "How often something was added to it"),
    number(
        "rolled_up_changes",
        "How often that had been when it was rolled up; where it is another number, "
        "the roll-up is stale",
    ),
    number(
        "made_until_ms",
        "Up to where a roll-up has come that is in the making",
        unit=_UTC,
        empty="none is",
    ),
    number(
        "made_from_changes", "The number of changes when it was begun", empty="none is"
    ),
    number("calls", "How many calls the roll-up counts"),
    flag(
        "source_gone",
        "Whether retention has removed something that the roll-up counts: rows of an "
        "hour, hours of a day, days of a month",
    ),
    flag("sums_gone", "Whether the roll-up itself was removed, into the next longer"),
    number("generated_ms", "When it was rolled up last", unit=_UTC, empty="never"),
    number("finalized_ms", "When it became final", unit=_UTC, empty="it is not"),
    text("router_version", "The version that rolled it up last", empty="none did"),
    PrimaryKeyConstraint("period", "start_ms"),
    sqlite_with_rowid=False,
    comment="Which periods are rolled up",
)

RETENTION_JOBS: Final = Table(
    "retention_jobs",
    METADATA,
    counting_id(),
    number("started_ms", "When it began", unit=_UTC),
    number("ended_ms", "When it ended", unit=_UTC, empty="it has not, or was cut off"),
    text("status", "`running`, `done`, `failed` or `interrupted`"),
    flag("dry_run", "Whether it only counted (1) or removed (0)"),
    flag("automatic", "Whether the router ran it (1) or a person (0)"),
    text("actor", "Who ran it: the operating system's user, or `ingester`"),
    text("router_version", "The version that ran it"),
    comment="Each run of retention",
)

RETENTION_JOB_RESULTS: Final = Table(
    "retention_job_results",
    METADATA,
    number("job_id", "The `id` of the job"),
    text("data_class", "What was removed, as the configuration names it"),
    number("kept_days", "How many days are kept, as configured then"),
    number("before_ms", "Nothing from here on was removed", unit=_UTC),
    number("looked_at", "How many rows are older"),
    number("removed", "How many of them were removed; in a dry run, would be"),
    number("held", "How many were kept because of a legal hold"),
    number("blocked", "How many were kept because their roll-up is not final"),
    PrimaryKeyConstraint("job_id", "data_class"),
    sqlite_with_rowid=False,
    comment="What each run did, class by class",
)

LEGAL_HOLDS: Final = Table(
    "legal_holds",
    METADATA,
    counting_id(),
    text(
        "scope_kind",
        "Whose calls are kept: those of a `caller`, `user`, `project`, `environment`, "
        "`group`, or `all`",
    ),
    text("scope_name", "Its id; for `all`, nothing"),
    number("from_ms", "Calls from here on", unit=_UTC),
    number("to_ms", "Up to, without", unit=_UTC),
    text("reason", "Why, in the words of who made it"),
    number("created_ms", "When it was made", unit=_UTC),
    text("created_by", "Who did: the name of the operating system's user"),
    number("released_ms", "When it was released", unit=_UTC, empty="it holds"),
    text("released_by", "Who released it", empty="it holds"),
    text("release_reason", "Why", empty="it holds, or nobody said"),
    comment="What retention may not remove; never changed but for its release",
)
