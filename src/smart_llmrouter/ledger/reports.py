"""The one query layer of all reports: an interval in, frozen results out.

All figures of a report come from one read transaction, so they agree with each other
and with the rows, whatever is being written meanwhile. Nothing here renders.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    String,
    and_,
    cast,
    func,
    select,
)

from smart_llmrouter.ledger.dimensions import DIMENSIONS, Dimension
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.measures import Known, Measures, Percentiles, percentiles
from smart_llmrouter.stores.tables import REQUEST_USAGE

Key = tuple[str | None, ...]
"""One text a dimension; `None` where the calls have no such thing."""

_USAGE = REQUEST_USAGE.c
_SUMS: Final = (
    ("input_tokens", _USAGE.input_tokens),
    ("cached_input_tokens", _USAGE.cached_input_tokens),
    ("cache_write_5m_tokens", _USAGE.cache_write_5m_tokens),
    ("cache_write_1h_tokens", _USAGE.cache_write_1h_tokens),
    ("output_tokens", _USAGE.output_tokens),
    ("reasoning_tokens", _USAGE.reasoning_tokens),
    ("cost_nusd", _USAGE.total_cost_nusd),
    ("cached_input_cost_nusd", _USAGE.cached_input_cost_nusd),
    ("cache_write_cost_nusd", _USAGE.cache_write_cost_nusd),
    ("reported_cost_nusd", _USAGE.upstream_reported_cost_nusd),
)
_MEASURED: Final = (
    func.count(),
    func.count(_USAGE.error_code),
    func.sum(_USAGE.attempts),
    func.sum(cast(_USAGE.usage_estimated, Integer)),
    *(
        figure
        for _, column in _SUMS
        for figure in (func.sum(column), func.count(column))
    ),
)
_UNREAD: Final = "Caches written and never read"
_UNREAD_BY: Final = ("caller", "provider", "model")
_FEWEST_CALLS: Final = 3
"""Of fewer none can be expected to have read what another one wrote."""

_SECTIONS: Final = (
    ("By group", ("group",)),
    ("By caller", ("caller",)),
    ("By provider and model", ("provider", "model")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The figures of the calls that share one key."""

    key: Key
    measures: Measures
    latency: Percentiles | None = None
    first_token: Percentiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table of a report: the dimensions that make its keys, and its lines."""

    title: str
    dimensions: tuple[Dimension, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLine:
    """How often calls ended in one way."""

    status: int
    code: str
    error_class: str | None
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one report says. Times are milliseconds since 1970, UTC.

    `unread_bytes` is what the journal held when the report began and the database
    did not yet when it was made: 0 means that the report is complete. `unread_caches`
    are callers who paid a provider for caching what no call of theirs read from there.
    """

    interval: Interval
    made_ms: int
    router_version: str
    served_by_versions: tuple[str, ...]
    unread_bytes: int
    totals: Line
    sections: tuple[Section, ...]
    unread_caches: Section | None
    errors: tuple[ErrorLine, ...]


def make_report(
    connection: Connection,
    *,
    interval: Interval,
    group_by: Sequence[Dimension],
    made_ms: int,
    router_version: str,
    unread_bytes: int = 0,
) -> Report:
    """Read the interval and return the report; `group_by` replaces the usual tables."""
    within = and_(_USAGE.ts_ms >= interval.from_ms, _USAGE.ts_ms < interval.to_ms)
    unread_caches = None
    if group_by:
        sections, totals = _asked_for(connection, within, tuple(group_by))
    else:
        sections, unread_caches, totals = _usual(connection, within)
    return Report(
        interval=interval,
        made_ms=made_ms,
        router_version=router_version,
        served_by_versions=_versions(connection, within),
        unread_bytes=unread_bytes,
        totals=totals,
        sections=sections,
        unread_caches=unread_caches,
        errors=_errors(connection, within),
    )


def _usual(
    connection: Connection, within: ColumnElement[bool]
) -> tuple[tuple[Section, ...], Section | None, Line]:
    names = tuple(dict.fromkeys(name for _, wanted in _SECTIONS for name in wanted))
    cells = _cells(connection, within, _named(names))
    timings: Timings = {}
    sections = []
    for title, wanted in _SECTIONS:
        at = [names.index(name) for name in wanted]
        gathered = _gathered(cells, at=at)
        # One table with percentiles is enough: sorting is what a report waits for.
        timings = _timings(gathered) if wanted == ("provider", "model") else {}
        sections.append(_section(title, _named(wanted), gathered, timings))
    unread = _unread_caches(_gathered(cells, at=[names.index(n) for n in _UNREAD_BY]))
    return tuple(sections), unread, _totals(cells, timings)


def _unread_caches(gathered: "Gathered") -> Section | None:
    """Return where caching costs more than none would, if it does anywhere."""
    found = {
        key: cells
        for key, cells in gathered.items()
        if _is_unread(sum((cell.measures for cell in cells), Measures()))
    }
    return _section(_UNREAD, _named(_UNREAD_BY), found, {}) if found else None


def _is_unread(measures: Measures) -> bool:
    writes = (measures.cache_write_5m_tokens, measures.cache_write_1h_tokens)
    return (
        measures.calls >= _FEWEST_CALLS
        and any(known.total for known in writes)
        and not measures.cached_input_tokens.total
    )


def _asked_for(
    connection: Connection,
    within: ColumnElement[bool],
    dimensions: tuple[Dimension, ...],
) -> tuple[tuple[Section, ...], Line]:
    cells = _cells(connection, within, dimensions)
    gathered = _gathered(cells, at=range(len(dimensions)))
    timings = _timings(gathered)
    title = "By " + ", ".join(dimension.name for dimension in dimensions)
    section = _section(title, dimensions, gathered, timings)
    return (section,), _totals(cells, timings)


def _named(names: Iterable[str]) -> tuple[Dimension, ...]:
    return tuple(DIMENSIONS[name] for name in names)


@dataclass(frozen=True, slots=True)
class _Cell:
    """The figures of the finest grouping; durations as the database lists them."""

    key: Key
    measures: Measures
    latencies_us: str
    first_tokens_us: str


Gathered = dict[Key, list[_Cell]]
Timings = dict[Key, tuple[list[int], list[int]]]
"""Sorted latencies and times to the first token of each key, in microseconds."""


def _cells(
    connection: Connection,
    within: ColumnElement[bool],
    dimensions: tuple[Dimension, ...],
) -> list[_Cell]:
    keys = [dimension.expression for dimension in dimensions]
    # The durations come as one text a cell: a million rows of them would take longer
    # to fetch than all sums together, and no aggregate of SQLite's ranks exactly.
    durations = [
        func.aggregate_strings(cast(column, String), ",")
        for column in (_USAGE.latency_us, _USAGE.ttft_us)
    ]
    query = select(*keys, *durations, *_MEASURED).where(within).group_by(*keys)
    rows: Iterable[Sequence[Any]] = connection.execute(query)
    width = len(dimensions)
    return [
        _Cell(
            key=_key(row[:width], dimensions),
            measures=_measures(row[width + 2 :]),
            latencies_us=row[width] or "",
            first_tokens_us=row[width + 1] or "",
        )
        for row in rows
    ]


def _measures(figures: Sequence[Any]) -> Measures:
    calls, errors, attempts, estimated, *sums = figures
    known = {
        name: Known(sums[2 * at], sums[2 * at + 1] or 0)
        for at, (name, _) in enumerate(_SUMS)
    }
    return Measures(
        calls=calls or 0,
        errors=errors or 0,
        attempts=attempts or 0,
        estimated_calls=estimated or 0,
        **known,
    )


def _key(values: Sequence[object], dimensions: Sequence[Dimension]) -> Key:
    return tuple(
        None if value is None else dimension.text_of(value)
        for value, dimension in zip(values, dimensions, strict=True)
    )


def _gathered(cells: Iterable[_Cell], *, at: Sequence[int]) -> Gathered:
    """Return the cells by those parts of their keys that stand at `at`."""
    gathered: Gathered = {}
    for cell in cells:
        gathered.setdefault(tuple(cell.key[index] for index in at), []).append(cell)
    return gathered


def _timings(gathered: Gathered) -> Timings:
    return {
        key: (
            _sorted_numbers(cell.latencies_us for cell in cells),
            _sorted_numbers(cell.first_tokens_us for cell in cells),
        )
        for key, cells in gathered.items()
    }


def _sorted_numbers(lists: Iterable[str]) -> list[int]:
    return sorted(int(number) for text in lists if text for number in text.split(","))


def _section(
    title: str, dimensions: tuple[Dimension, ...], gathered: Gathered, timings: Timings
) -> Section:
    lines = [
        _line(key, cells, timings.get(key, ([], []))) for key, cells in gathered.items()
    ]
    lines.sort(key=lambda line: tuple(part or "" for part in line.key))
    if not any(dimension.in_time for dimension in dimensions):
        lines.sort(key=lambda line: -line.measures.calls)
    return Section(title=title, dimensions=dimensions, lines=tuple(lines))


def _totals(cells: Sequence[_Cell], timings: Timings) -> Line:
    latencies = list(chain.from_iterable(timed[0] for timed in timings.values()))
    first_tokens = list(chain.from_iterable(timed[1] for timed in timings.values()))
    return _line((), cells, (latencies, first_tokens))


def _line(key: Key, cells: Sequence[_Cell], timed: tuple[list[int], list[int]]) -> Line:
    return Line(
        key=key,
        measures=sum((cell.measures for cell in cells), Measures()),
        latency=percentiles(timed[0]),
        first_token=percentiles(timed[1]),
    )


def _errors(
    connection: Connection, within: ColumnElement[bool]
) -> tuple[ErrorLine, ...]:
    kinds = (_USAGE.status, _USAGE.error_code, _USAGE.error_class)
    rows = connection.execute(
        select(*kinds, func.count())
        .where(within, _USAGE.error_code.is_not(None))
        .group_by(*kinds)
    )
    lines = [
        ErrorLine(status=status, code=code, error_class=error_class, calls=calls)
        for status, code, error_class, calls in rows
    ]
    return tuple(sorted(lines, key=lambda line: (-line.calls, line.status, line.code)))


def _versions(connection: Connection, within: ColumnElement[bool]) -> tuple[str, ...]:
    rows = connection.execute(select(_USAGE.router_version).where(within).distinct())
    return tuple(sorted(map(itemgetter(0), rows)))
