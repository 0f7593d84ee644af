"""What a database adds up, in two steps, and the measures that come of it.

First calls with the same labels are added up: very many rows become few. Then what the
labels say, such as that a call failed, is counted, and those are added up that share a
key. Until a line of a report is made of them, figures are plain lists of whole numbers,
in the order of `COUNTS`, then `SUMS` with two each (the sum, and of how many calls),
then what a comparison needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from operator import add
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Label,
    Table,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
)

from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.ledger.reports.measures import (
    COUNTS,
    PEAKS,
    SUMS,
    Compared,
    Known,
    Measures,
)
from smart_llmrouter.stores.rollup_schema import HIGHEST, KNOWN_SUFFIX
from smart_llmrouter.stores.tables import REQUEST_LABELS, REQUEST_MEASURES

_CALL: Final = REQUEST_MEASURES.c
_LABELS: Final = REQUEST_LABELS.c
_ZERO: Final[ColumnElement[int]] = literal_column("0", BigInteger)
_ONE: Final[ColumnElement[int]] = literal_column("1", BigInteger)
_NEVER: Final[ColumnElement[int]] = literal_column("-1", BigInteger)
"""Below all durations: what a peak is where there was none."""

_OF_CALLS: Final = {
    name: _CALL[column]
    for name, column in {
        "input_tokens": "input_tokens",
        "cached_input_tokens": "cached_input_tokens",
        "cache_write_5m_tokens": "cache_write_5m_tokens",
        "cache_write_1h_tokens": "cache_write_1h_tokens",
        "output_tokens": "output_tokens",
        "reasoning_tokens": "reasoning_tokens",
        "cost_nusd": "total_cost_nusd",
        "input_cost_nusd": "input_cost_nusd",
        "cached_input_cost_nusd": "cached_input_cost_nusd",
        "cache_write_cost_nusd": "cache_write_cost_nusd",
        "output_cost_nusd": "output_cost_nusd",
        "reasoning_cost_nusd": "reasoning_cost_nusd",
        "image_cost_nusd": "image_cost_nusd",
        "failed_attempts_cost_nusd": "failed_attempts_cost_nusd",
        "reported_cost_nusd": "upstream_reported_cost_nusd",
        "queued_us": "queued_us",
        "first_byte_us": "ttfb_us",
        "first_token_us": "ttft_us",
    }.items()
}
"""Measures that may be unknown, by the name of their sum."""
_PACED: Final = and_(_CALL.output_tokens.is_not(None), _CALL.latency_us > _CALL.ttft_us)
_SUMMED: Final[dict[str, ColumnElement[int]]] = {
    **_OF_CALLS,
    "latency_us": _CALL.latency_us,
    "charged_tokens": func.coalesce(
        _CALL.charged_tokens, _CALL.input_tokens + _CALL.output_tokens, _ZERO
    ),
    "charged_cost_nusd": func.coalesce(
        _CALL.charged_cost_nusd, _CALL.total_cost_nusd, _ZERO
    ),
    "paced_tokens": case((_PACED, _CALL.output_tokens)),
    "paced_us": case((_PACED, _CALL.latency_us - _CALL.ttft_us)),
}
_PEAKS: Final = dict(
    zip(PEAKS, (_CALL.latency_us, _CALL.ttft_us, _CALL.queued_us), strict=True)
)
_COMPARED: Final[dict[str, Any]] = {
    "compared_calls": _ONE,
    "compared_cost": _CALL.total_cost_nusd,
    "compared_input": _CALL.input_tokens,
    "compared_cached": _CALL.cached_input_tokens,
    "compared_write_5m": _CALL.cache_write_5m_tokens,
    "compared_write_1h": _CALL.cache_write_1h_tokens,
    "compared_output": _CALL.output_tokens,
    "compared_reasoning": _CALL.reasoning_tokens,
}
_COMPARABLE: Final = and_(
    _CALL.total_cost_nusd.is_not(None),
    _CALL.input_tokens.is_not(None),
    _CALL.output_tokens.is_not(None),
)


_UNKNOWN: Final = Known()


@dataclass(frozen=True, slots=True)
class Figures:
    """What is added up of a set of calls, before it is a line of a report."""

    sums: list[int]
    peaks: list[int]

    def plus(self, others: Sequence["Figures"], /) -> "Figures":
        """Return what they are together with those of other calls."""
        if len(others) == 1:  # as mostly, which is quicker in this way
            other = others[0]
            sums_of_two = list(map(add, self.sums, other.sums))
            return Figures(sums_of_two, list(map(max, self.peaks, other.peaks)))
        several = (self, *others)
        sums = zip(*(each.sums for each in several), strict=True)
        peaks = zip(*(each.peaks for each in several), strict=True)
        return Figures(list(map(sum, sums)), list(map(max, peaks)))


def nothing(*, compared: bool) -> Figures:
    """Return the figures of no calls."""
    width = len(COUNTS) + 2 * len(SUMS) + (len(_COMPARED) if compared else 0)
    return Figures([0] * width, [-1] * len(PEAKS))


def by_labels(*, compared: bool) -> Iterator[ColumnElement[int]]:
    """Yield what is added up of the rows of calls that share their labels."""
    yield func.count().label("calls")
    for name, value in _SUMMED.items():
        yield _total(value).label(name)
        known = func.count(value) if name in _OF_CALLS else func.count()
        yield known.label(f"{name}_calls")
    for name, value in _PEAKS.items():
        yield func.max(value).label(name)
    if compared:
        for name, value in _COMPARED.items():
            yield _total(case((_COMPARABLE, value))).label(name)


def of_each_call(*, compared: bool) -> Iterator[ColumnElement[int]]:
    """Yield the same of one row, for where adding up by labels would not pay."""
    yield _ONE.label("calls")
    for name, value in _SUMMED.items():
        yield value.label(name)
        known = case((value.is_not(None), _ONE)) if name in _OF_CALLS else _ONE
        yield known.label(f"{name}_calls")
    for name, value in _PEAKS.items():
        yield value.label(name)
    if compared:
        for name, value in _COMPARED.items():
            yield case((_COMPARABLE, value)).label(name)


def of_roll_ups(sums: Table, *, compared: bool) -> Iterator[Label[int]]:
    """Yield the same of roll-ups, which know no peaks but that of the latency.

    What one rolled-up period of some labels used is compared where all of its costs
    and tokens are known, or as many of each: then they are of the same calls, and no
    part of the tokens is known of others.
    """
    rolled = sums.c
    yield rolled.calls.label("calls")
    for name in _SUMMED:
        if name in _OF_CALLS:
            column = _OF_CALLS[name].name
            yield rolled[column].label(name)
            yield rolled[f"{column}{KNOWN_SUFFIX}"].label(f"{name}_calls")
        else:
            yield rolled[name].label(name)
            yield rolled.calls.label(f"{name}_calls")
    for name in PEAKS:
        known = name == "max_latency_us"
        yield (rolled[HIGHEST] if known else _NO_NUMBER).label(name)
    if compared:
        known_calls = rolled[f"total_cost_nusd{KNOWN_SUFFIX}"]
        same = and_(
            known_calls == rolled[f"input_tokens{KNOWN_SUFFIX}"],
            known_calls == rolled[f"output_tokens{KNOWN_SUFFIX}"],
        )
        for name, value in _COMPARED.items():
            summed = known_calls if value is _ONE else rolled[value.name]
            yield case((same, summed), else_=_ZERO).label(name)


_NO_NUMBER: Final = cast(null(), BigInteger)


def once_more(calls: FromClause) -> Iterator[ColumnElement[int]]:
    """Yield what `by_labels` gave of several sets of calls, added up."""
    for column in calls.columns:
        if column.name in PEAKS:
            yield func.max(column).label(column.name)
        elif column.name not in {"labels_id", "slot"}:
            yield func.sum(column).label(column.name)


def by_key(calls: FromClause, *, compared: bool) -> Iterator[ColumnElement[int]]:
    """Yield what is added up of what `by_labels` gave, joined with its labels."""
    values = {column.name: column for column in calls.columns}
    return _by_key(values, compared=compared)


@cache
def roll_ups_by_key(sums: Table, *, compared: bool) -> tuple[ColumnElement[int], ...]:
    """Return the same of a table of roll-ups itself, joined with its labels."""
    values = {column.name: column for column in of_roll_ups(sums, compared=compared)}
    bare = {name: column.element for name, column in values.items()}
    return tuple(_by_key(bare, compared=compared))


def _by_key(
    sums: Mapping[str, ColumnElement[int]], *, compared: bool
) -> Iterator[ColumnElement[int]]:
    yield from _counted(sums["calls"])
    yield from _summed(sums)
    for name in PEAKS:
        yield func.coalesce(func.max(sums[name]), _NEVER)
    if compared:
        for name in _COMPARED:
            yield _total(sums[name])


def _counted(calls: ColumnElement[int]) -> Iterator[ColumnElement[int]]:
    """Yield the `COUNTS`, in order."""
    held = (
        _LABELS.fallback_used,
        _LABELS.refused_by.is_not(None),
        _LABELS.disconnect.is_not(None),
        _LABELS.cache == "hit",
        _LABELS.usage_estimated,
    )
    yield _total(calls)
    yield _total(case((_LABELS.attempts > _ZERO, calls)))
    yield _total(case((_FAILED, calls)))
    yield _total(calls * _LABELS.attempts)
    for condition in held:
        yield _total(case((condition, calls)))


_FAILED: Final = _LABELS.error_code.is_not(None)
_ONE_STREAM: Final = and_(
    _LABELS.error_code.is_(None), _LABELS.attempts == _ONE, _LABELS.stream
)
_OF_SOME: Final = {
    "failed_calls_cost_nusd": ("cost_nusd", _FAILED),
    "paced_tokens": ("paced_tokens", _ONE_STREAM),
    "paced_us": ("paced_us", _ONE_STREAM),
}
"""Sums over some calls only, which their labels tell: what of, and of which."""


def _summed(sums: Mapping[str, ColumnElement[int]]) -> Iterator[ColumnElement[int]]:
    for name in SUMS:
        summed, condition = _OF_SOME.get(name, (name, None))
        for value in (sums[summed], sums[f"{summed}_calls"]):
            yield _total(value if condition is None else case((condition, value)))


def _total(value: ColumnElement[int]) -> ColumnElement[int]:
    # PostgreSQL adds whole numbers up to a decimal one.
    return func.coalesce(cast(func.sum(value), BigInteger), _ZERO)


def figures_of(answered: Sequence[int]) -> Figures:
    """Return the figures that `by_key` was answered with."""
    after = len(COUNTS) + 2 * len(SUMS)
    peaks = after + len(PEAKS)
    return Figures([*answered[:after], *answered[peaks:]], list(answered[after:peaks]))


def measures_of(
    figures: Figures, *, price: Price | None, rolled_up: bool = False
) -> Measures:
    """Return figures as measures; `price` is that of the baseline, where there is one.

    The figures of a comparison were asked for if and only if there is. With some calls
    `rolled_up`, no other peak is known than the longest latency.
    """
    counts, after = len(COUNTS), len(COUNTS) + 2 * len(SUMS)
    sums = figures.sums
    known = [
        Known(total, calls) if calls else _UNKNOWN
        for total, calls in zip(
            sums[counts:after:2], sums[counts + 1 : after : 2], strict=True
        )
    ]
    longest, *others = (None if value < 0 else value for value in figures.peaks)
    if rolled_up:
        others = [None] * len(others)
    compared = None if price is None else _compared(sums[after:], price)
    # Positions tell what is what: the fields of `Measures` are in this order.
    in_order: list[Any] = [*sums[:counts], *known, longest, *others, compared]
    return Measures(*in_order)


def _compared(sums: Sequence[int], price: Price) -> Compared | None:
    calls, cost, tokens, cached, write_5m, write_1h, output, reasoning = sums
    if price.input is None or price.output is None:
        return None
    write = price.cache_write or price.input
    parts = (
        (tokens - cached - write_5m - write_1h, price.input),
        (cached, price.cached_input or price.input),
        (write_5m, write),
        (write_1h, price.cache_write_1h or write),
        (output - reasoning, price.output),
        (reasoning, price.reasoning or price.output),
    )
    nusd = sum((_exactly(count, rate) for count, rate in parts), Fraction(0))
    return Compared(calls, cost, nusd)


def _exactly(tokens: int, rate: Rate) -> Fraction:
    return Fraction(tokens * rate.numerator, rate.denominator)
