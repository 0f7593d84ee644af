"""What is used and left of limits and budgets: for people, and for programs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from typing import Final, Literal

import msgspec

from smart_llmrouter.config.allowances import Cap, PeriodName, Scope
from smart_llmrouter.core.money import usd_text
from smart_llmrouter.ledger.budget_sums import Periods, PeriodUse, ScopeUse, Used
from smart_llmrouter.ledger.interval import utc_text

BudgetFormat = Literal["table", "json"]
_HEAD: Final = ("scope", "limit", "cap", "used", "in flight", "left", "resets at")
_TEXTS: Final = 2
_USD: Final = "usd"
_UNKNOWN: Final = "-"
_NOBODY: Final = "Nothing is limited.\n"
Source = Literal["records", "store"]
_TOLD: Final[Mapping[Source, str]] = {
    "records": (
        "Of {at}, by the usage records: calls in flight are not in it. What is in use\n"
        "of limits of a minute only the router knows (`GET /v1/usage`).\n"
    ),
    "store": "Of {at}, by the store that the routers share.\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """One limit of one scope. Dollars are nano-dollars; `None` is unknown.

    `limit` is the limit as the configuration spells it, such as `rpm` or `day.usd`.
    `reserved` is what calls in flight hold of it, beside what is used.
    `since_ms` is from when on calls count, and `resets_at_ms` until when, where there
    is such a moment.
    """

    scope: str
    limit: str
    cap: int
    used: int | None = None
    reserved: int | None = None
    since_ms: int | None = None
    resets_at_ms: int | None = None

    @property
    def left(self) -> int | None:
        """Return what may still be used."""
        if self.used is None:
            return None
        return max(0, self.cap - self.used - (self.reserved or 0))


def budget_lines(
    scopes: Iterable[Scope], periods: Periods, uses: Mapping[str, ScopeUse]
) -> tuple[BudgetLine, ...]:
    """Return a line for each limit and budget of these scopes."""
    return tuple(
        line
        for scope in scopes
        for line in _lines_of(scope, uses.get(scope.key) or periods.unused(scope))
    )


def _lines_of(scope: Scope, use: ScopeUse) -> Iterator[BudgetLine]:
    limits = scope.allowance.limits
    for name, value in (
        ("rpm", limits.rpm),
        ("tpm", limits.tpm),
        ("concurrent", limits.concurrent),
    ):
        if value is not None:
            yield BudgetLine(scope=scope.key, limit=name, cap=value)
    for period, cap in scope.allowance.budgets.caps.items():
        yield from _lines_of_period(scope.key, period, cap, use.periods[period])


def _lines_of_period(
    key: str, period: PeriodName, cap: Cap, use: PeriodUse
) -> Iterator[BudgetLine]:
    for unit, value, used in _units(cap, use.used):
        yield BudgetLine(
            scope=key,
            limit=f"{period}.{unit}",
            cap=value,
            used=used,
            since_ms=_moment(use.since_ms),
            resets_at_ms=_moment(use.until_ms),
        )


def _units(cap: Cap, used: Used) -> Iterator[tuple[str, int, int]]:
    """Yield each unit that is limited, its cap, and what is used of it."""
    for unit, value, spent in (
        ("requests", cap.requests, used.requests),
        ("tokens", cap.tokens, used.tokens),
        (_USD, cap.nusd, used.nusd),
    ):
        if value is not None:
            yield unit, value, spent


def _moment(ms: float) -> int | None:
    return None if isinf(ms) else int(ms)


def used_text(cap: Cap, used: Used) -> str:
    """Return what was used of one budget as a part of a sentence."""
    names = {"requests": " calls", "tokens": " tokens", _USD: ""}
    return ", ".join(
        f"{_amount(unit, spent)} of {_amount(unit, value)}{names[unit]}"
        for unit, value, spent in _units(cap, used)
    )


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """The lines of one moment, and who has said what is used."""

    lines: Sequence[BudgetLine]
    at_ms: int
    source: Source


def render_budgets(report: BudgetReport, *, to: BudgetFormat) -> str:
    """Return the report as text that ends with a newline."""
    return _RENDERERS[to](report)


def _table(report: BudgetReport) -> str:
    lines = report.lines
    if not lines:
        return _NOBODY
    rows = [_HEAD, *map(_cells, lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = "".join(
        "  ".join(
            cell.ljust(width) if at < _TEXTS else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in rows
    )
    return text + "\n" + _TOLD[report.source].format(at=utc_text(report.at_ms))


def _cells(line: BudgetLine) -> tuple[str, ...]:
    unit = line.limit.rpartition(".")[2]
    return (
        line.scope,
        line.limit,
        _amount(unit, line.cap),
        *(
            _UNKNOWN if amount is None else _amount(unit, amount)
            for amount in (line.used, line.reserved, line.left)
        ),
        _utc(line.resets_at_ms) or _UNKNOWN,
    )


def _amount(unit: str, amount: int) -> str:
    return f"${usd_text(amount)}" if unit == _USD else f"{amount:,}"


def _json(report: BudgetReport) -> str:
    document = {
        "at_utc": utc_text(report.at_ms),
        "source": report.source,
        "limits": [_fields(line) for line in report.lines],
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def _fields(line: BudgetLine) -> dict[str, object]:
    unit = "nano-dollars" if line.limit.endswith(_USD) else "count"
    return {
        "scope": line.scope,
        "limit": line.limit,
        "unit": unit,
        "cap": line.cap,
        "used": line.used,
        "reserved": line.reserved,
        "left": line.left,
        "since_utc": _utc(line.since_ms),
        "resets_at_utc": _utc(line.resets_at_ms),
    }


def _utc(ms: int | None) -> str | None:
    return None if ms is None else utc_text(ms)


_RENDERERS: Final[Mapping[BudgetFormat, Callable[[BudgetReport], str]]] = {
    "table": _table,
    "json": _json,
}
