"""The tables of a report that asks for nothing in particular.

Only those with something in them: who shares all calls with nobody needs no table by
caller, and where no limit refused anything there is none of refusals.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.reports.columns import SPEED, USAGE
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS, Dimension
from smart_llmrouter.ledger.reports.lines import Gathered, Line, Section
from smart_llmrouter.ledger.reports.measures import Measures
from smart_llmrouter.ledger.reports.periods import DAY_MS

_TWO: Final = 2
_FEWEST_CALLS: Final = 3
"""Of fewer none can be expected to have read what another one wrote."""

TIMED: Final = ("provider", "model", "client")
"""By what percentiles are read: two tables, and the whole, come of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualTable:
    """One of the usual tables.

    It is there where at least `fewest` lines are, and shows those that `keeps` does,
    which are none unless the line of all calls is as `needs` says.
    """

    name: str
    title: str
    by: tuple[str, ...]
    columns: tuple[str, ...] = USAGE
    fewest: int = 1
    timed: bool = False
    keeps: Callable[[Line], bool] = lambda line: line.measures.calls > 0
    needs: Callable[[Line], bool] = lambda line: line.measures.calls > 0
    note: str = ""


def _has(at: int) -> Callable[[Line], bool]:
    return lambda line: line.key[at] is not None


def _waited(line: Line) -> bool:
    return line.measures.queued_us.calls > 0


def _fell_back(line: Line) -> bool:
    return line.measures.fallbacks > 0


def _lost(line: Line) -> bool:
    measures = line.measures
    costs = (measures.failed_calls_cost_nusd, measures.failed_attempts_cost_nusd)
    return measures.abandoned_calls > 0 or any(each.total for each in costs)


def _wrote(line: Line) -> bool:
    return _writes(line.measures)


def _read(line: Line) -> bool:
    return bool(line.measures.cached_input_tokens.total)


def _refused(line: Line) -> bool:
    return line.measures.refused_calls > 0


def _writes(measures: Measures) -> bool:
    writes = (measures.cache_write_5m_tokens, measures.cache_write_1h_tokens)
    return any(known.total for known in writes)


def is_unread(measures: Measures) -> bool:
    """Say whether caching costs more than none would: written, and never read."""
    return (
        measures.calls >= _FEWEST_CALLS
        and _writes(measures)
        and not measures.cached_input_tokens.total
    )


TABLES: Final = (
    UsualTable(name="by-group", title="By group", by=("group",)),
    UsualTable(name="by-caller", title="By caller", by=("caller",)),
    UsualTable(name="by-user", title="By user", by=("user",), fewest=_TWO),
    UsualTable(name="by-project", title="By project", by=("project",), fewest=_TWO),
    UsualTable(
        name="by-environment", title="By environment", by=("environment",), fewest=_TWO
    ),
    UsualTable(name="by-token", title="By token", by=("token",), fewest=_TWO),
    UsualTable(
        name="by-requested-model",
        title="By requested model",
        by=("requested-model", "group"),
        fewest=_TWO,
    ),
    UsualTable(
        name="targets",
        title="By provider and model",
        by=("provider", "model"),
        columns=(
            "calls", "share", "errors", "cost", "savings", "fallbacks", "input",
            "cached", "output", "reported-cost",
        ),
    ),
    UsualTable(
        name="targets-speed",
        title="How fast targets are",
        by=("provider", "model"),
        columns=SPEED,
        timed=True,
        keeps=_has(0),
    ),
    UsualTable(
        name="clients",
        title="How clients are served",
        by=("client",),
        columns=("calls", "success", "p50", "p95", "p99", "first-token-p50", "cost"),
        fewest=_TWO,
        timed=True,
    ),
    UsualTable(
        name="bridges",
        title="Between dialects",
        by=("dialect", "target-dialect"),
        columns=("calls", "share", "errors", "avg", "first-token-avg"),
        fewest=_TWO,
        keeps=_has(1),
    ),
    UsualTable(
        name="cost-parts",
        title="What the cost is made of",
        by=("group",),
        columns=(
            "cost", "input-cost", "cached-cost", "write-cost", "output-cost",
            "reasoning-cost", "image-cost", "reported-cost",
        ),
        keeps=lambda line: line.measures.cost_nusd.total is not None,
    ),
    UsualTable(
        name="provider-caches",
        title="Providers' prompt caches",
        by=("caller", "provider", "model"),
        columns=("calls", "input", "cached", "cached-share", "written", "write-cost"),
        keeps=_read,
        needs=_read,
    ),
    UsualTable(
        name="unread-caches",
        title="Caches written and never read",
        by=("caller", "provider", "model"),
        columns=("calls", "written", "write-cost", "cost"),
        keeps=lambda line: is_unread(line.measures),
        needs=_wrote,
        note=(
            "No call read what these paid for writing: without caching they would cost "
            "less. Look for what changes at the start of each prompt, such as a time "
            "or an id."
        ),
    ),
    UsualTable(
        name="response-cache",
        title="Response cache",
        by=("cache", "cache-reason"),
        columns=("calls", "share", "avg"),
        keeps=_has(0),
    ),
    UsualTable(
        name="errors",
        title="Errors",
        by=("status", "error", "error-class"),
        columns=("calls", "share", "failed-calls-cost"),
        keeps=_has(1),
    ),
    UsualTable(
        name="limits",
        title="Refused by limits",
        by=("refused-by", "caller"),
        columns=("calls", "share"),
        keeps=_has(0),
        needs=_refused,
    ),
    UsualTable(
        name="queues",
        title="Waiting for their turn",
        by=("group", "caller"),
        columns=("queued", "wait-avg", "wait-max", "calls"),
        keeps=_waited,
        needs=_waited,
    ),
    UsualTable(
        name="fallbacks",
        title="Answered by another target than the first",
        by=("group", "provider", "model"),
        columns=("fallbacks", "calls", "attempts", "failed-attempts-cost"),
        keeps=_fell_back,
        needs=_fell_back,
    ),
    UsualTable(
        name="losses",
        title="Paid for nothing",
        by=("caller", "provider", "model"),
        columns=(
            "errors", "abandoned", "failed-calls-cost", "failed-attempts-cost", "cost",
        ),
        keeps=_lost,
        needs=_lost,
        note=(
            "What calls cost that ended in an error, and what attempts cost before the "
            "one that counted."
        ),
    ),
)  # fmt: skip
_IN_TIME: Final = {"hour": "By hour", "day": "By day"}


_SAME: Final = {
    "by-user": "by-caller",
    "by-token": "by-caller",
    "by-requested-model": "by-group",
}
"""What would say the same once more, where it has as many lines as the other one."""


STEPS: Final = (
    ("caller", "user", "project", "environment", "token", "refused-by"),
    ("caller", "group", "requested-model", "provider", "model"),
    (
        "client", "dialect", "target-dialect", "cache", "cache-reason", "status",
        "error", "error-class",
    ),
)  # fmt: skip
"""By what all calls are added up first: each table is made of one of these."""


def usual_dimensions() -> tuple[Dimension, ...]:
    """Return all dimensions that the usual tables need, but that in time."""
    names = dict.fromkeys(name for table in TABLES for name in table.by)
    return tuple(DIMENSIONS[name] for name in names)


def usual_period(interval: Interval) -> Dimension:
    """Return in which steps the usual report goes through an interval."""
    length_ms = interval.to_ms - interval.from_ms
    return DIMENSIONS["day" if length_ms > _TWO * DAY_MS else "hour"]


def usual_sections(gathered: Gathered) -> Iterator[Section]:
    """Yield those of the usual tables that have something to say."""
    if len(gathered.in_time) > 1 and gathered.period is not None:
        yield Section(
            name=f"by-{gathered.period.name}",
            title=f"By {gathered.period.name}",
            dimensions=(gathered.period,),
            lines=gathered.in_time,
            columns=USAGE,
        )
    for step in STEPS:
        gathered.figures.by([DIMENSIONS[name] for name in step])
    lines_of: dict[str, int] = {}
    whole = gathered.totals()
    for table in TABLES:
        if not table.needs(whole):
            continue
        dimensions = tuple(DIMENSIONS[name] for name in table.by)
        found = gathered.lines(dimensions, timed=table.timed)
        lines = tuple(line for line in found if table.keeps(line))
        lines_of[table.name] = len(lines)
        same = _SAME.get(table.name)
        if len(lines) < table.fewest or (same and lines_of[same] == len(lines)):
            continue
        yield Section(
            name=table.name,
            title=table.title,
            dimensions=dimensions,
            lines=lines,
            columns=table.columns,
            note=table.note,
        )
