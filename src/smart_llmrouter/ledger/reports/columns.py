"""Columns of a table: figures of a line, each under a name and with a unit.

A column says what it shows as a number, and what stands beside it where that is known
of some calls only. How a number is written is the business of those who write.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from smart_llmrouter.ledger.reports.durations import Percentiles
from smart_llmrouter.ledger.reports.lines import Line
from smart_llmrouter.ledger.reports.measures import Coverage, Known, Measures

Unit = Literal["count", "nusd", "us", "percent", "per_second"]
Number = int | float | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A number, `None` where unknown, and of how many calls it is known."""

    number: Number
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One figure of each line; `of` is given the line, and that of all calls.

    What is `rare` is left out of tables where it is unknown or nothing in every line.
    Of how many calls it is known need not be said again where that is as of the column
    that it is `like`, which stands before it.
    """

    name: str
    title: str
    meaning: str
    unit: Unit
    of: Callable[[Line, Line], Shown]
    rare: bool = False
    like: str | None = None
    timed: bool = False


class UnknownMeasure(ValueError):
    """A report was asked for a figure that there is none of."""


def _count(
    name: str,
    title: str,
    meaning: str,
    of: Callable[[Measures], int],
    *,
    rare: bool = False,
) -> Column:
    return Column(
        name=name,
        title=title,
        meaning=meaning,
        unit="count",
        of=lambda line, _: Shown(of(line.measures)),
        rare=rare,
    )


def _sum(
    name: str,
    title: str,
    meaning: str,
    of: Callable[[Measures], Known],
    *,
    unit: Unit = "count",
    rare: bool = False,
    covered: bool = True,
    like: str | None = None,
) -> Column:
    """Return a sum; not `covered` where unknown is mostly that there was nothing."""

    def shown(line: Line, _: Line) -> Shown:
        known = of(line.measures)
        return Shown(known.total, line.measures.coverage(known) if covered else None)

    return Column(
        name=name,
        title=title,
        meaning=meaning,
        unit=unit,
        of=shown,
        rare=rare,
        like=like,
    )


def _number(
    name: str,
    title: str,
    meaning: str,
    of: Callable[[Measures], Number],
    *,
    unit: Unit,
    rare: bool = False,
) -> Column:
    return Column(
        name=name,
        title=title,
        meaning=meaning,
        unit=unit,
        of=lambda line, _: Shown(of(line.measures)),
        rare=rare,
    )


def _percentile(title: str, percent: int, *, first: bool) -> Column:
    def shown(line: Line, _: Line) -> Shown:
        timed = line.first_token if first else line.latency
        return Shown(None if timed is None else _at(timed, percent))

    what = "first-token-" if first else ""
    of = "the first meaningful event" if first else "the whole call"
    return Column(
        name=f"{what}p{percent}",
        title=title,
        meaning=f"{percent} % of the calls had {of} within this time",
        unit="us",
        of=shown,
        timed=True,
    )


def _at(timed: Percentiles, percent: int) -> int:
    found: int = getattr(timed, f"p{percent}_us")
    return found


def _percent(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def _saved(measures: Measures) -> Known:
    return measures.compared.savings if measures.compared else Known()


def _baseline(measures: Measures) -> Known:
    return measures.compared.baseline if measures.compared else Known()


def _writes(measures: Measures) -> Known:
    return measures.cache_write_5m_tokens + measures.cache_write_1h_tokens


def _cached_share(measures: Measures) -> float | None:
    if not measures.cached_input_tokens.total:
        return None if measures.cached_input_tokens.total is None else 0.0
    return _percent(measures.cached_input_tokens.total, measures.input_tokens.total)


def _share_of_calls(line: Line, totals: Line) -> Shown:
    return Shown(_percent(line.measures.calls, totals.measures.calls))


def _share_of_cost(line: Line, totals: Line) -> Shown:
    ours, whole = line.measures.cost_nusd.total, totals.measures.cost_nusd.total
    return Shown(_percent(ours, whole))


_IN_ORDER: Final = (
    _count("calls", "Calls", "How many calls", lambda m: m.calls),
    Column(
        name="share",
        title="Share",
        meaning="Which part of all calls of the report that is",
        unit="percent",
        of=_share_of_calls,
    ),
    _count("errors", "Errors", "Calls that ended in an error", lambda m: m.errors),
    _number(
        "success",
        "Success",
        "Which part of the calls ended in none",
        lambda m: _percent(m.calls - m.errors, m.calls),
        unit="percent",
    ),
    _sum(
        "input",
        "Input tokens",
        "Tokens of prompts, cached ones among them",
        lambda m: m.input_tokens,
    ),
    _sum(
        "cached",
        "Cached",
        "Those of them that were read from providers' caches",
        lambda m: m.cached_input_tokens,
        rare=True,
        like="input",
    ),
    _number(
        "cached-share",
        "Cached %",
        "Which part of the input was read from providers' caches",
        _cached_share,
        unit="percent",
        rare=True,
    ),
    _sum(
        "written",
        "Written",
        "Input tokens that were written into providers' caches",
        _writes,
        unit="count",
        rare=True,
        covered=False,
    ),
    _sum(
        "output",
        "Output tokens",
        "Tokens of answers, reasoning among them",
        lambda m: m.output_tokens,
        like="input",
    ),
    _sum(
        "reasoning",
        "Reasoning",
        "Those of them spent on reasoning",
        lambda m: m.reasoning_tokens,
        rare=True,
        like="input",
    ),
    _sum(
        "cost",
        "Cost",
        "What the calls cost, by the prices of the configuration",
        lambda m: m.cost_nusd,
        unit="nusd",
    ),
    Column(
        name="cost-share",
        title="Cost %",
        meaning="Which part of the cost of the report that is",
        unit="percent",
        of=_share_of_cost,
        rare=True,
    ),
    _sum(
        "input-cost",
        "Input cost",
        "What of that is for input that was not cached",
        lambda m: m.input_cost_nusd,
        unit="nusd",
    ),
    _sum(
        "cached-cost",
        "Cached cost",
        "What of that is for input from caches",
        lambda m: m.cached_input_cost_nusd,
        unit="nusd",
        rare=True,
        like="input-cost",
    ),
    _sum(
        "write-cost",
        "Write cost",
        "What of that is for writing into caches",
        lambda m: m.cache_write_cost_nusd,
        unit="nusd",
        rare=True,
        covered=False,
    ),
    _sum(
        "output-cost",
        "Output cost",
        "What of that is for output",
        lambda m: m.output_cost_nusd,
        unit="nusd",
        like="input-cost",
    ),
    _sum(
        "reasoning-cost",
        "Reasoning cost",
        "What of the output's cost is for reasoning",
        lambda m: m.reasoning_cost_nusd,
        unit="nusd",
        rare=True,
        covered=False,
    ),
    _sum(
        "image-cost",
        "Image cost",
        "What of the cost is for images",
        lambda m: m.image_cost_nusd,
        unit="nusd",
        rare=True,
        covered=False,
    ),
    _sum(
        "failed-attempts-cost",
        "Failed attempts",
        "What attempts before the last one cost, beside the cost of the call",
        lambda m: m.failed_attempts_cost_nusd,
        unit="nusd",
        rare=True,
        covered=False,
    ),
    _sum(
        "failed-calls-cost",
        "Failed calls",
        "What of the cost is of calls that ended in an error",
        lambda m: m.failed_calls_cost_nusd,
        unit="nusd",
        rare=True,
        covered=False,
    ),
    _sum(
        "reported-cost",
        "Billed",
        "What the providers themselves say that the calls cost",
        lambda m: m.reported_cost_nusd,
        unit="nusd",
        rare=True,
    ),
    _sum(
        "baseline",
        "Baseline",
        "What the same tokens would have cost at the baseline",
        _baseline,
        unit="nusd",
        rare=True,
    ),
    _sum(
        "savings",
        "Savings",
        "How much less the calls cost than that",
        _saved,
        unit="nusd",
        rare=True,
    ),
    _number(
        "avg",
        "Average ms",
        "How long a call took on average",
        lambda m: m.latency_us.mean,
        unit="us",
    ),
    *(
        _percentile(f"p{percent} ms", percent, first=False)
        for percent in (50, 90, 95, 99)
    ),
    _number(
        "max",
        "Max ms",
        "How long the longest call took",
        lambda m: m.max_latency_us,
        unit="us",
    ),
    _number(
        "first-token-avg",
        "First token ms",
        "How long the first meaningful event took on average",
        lambda m: m.first_token_us.mean,
        unit="us",
    ),
    *(
        _percentile(f"First token p{percent} ms", percent, first=True)
        for percent in (50, 90, 95, 99)
    ),
    _number(
        "tokens-per-second",
        "Tokens/s",
        "Output tokens a second after the first, of streams that one attempt answered",
        lambda m: m.tokens_per_s,
        unit="per_second",
    ),
    _count("attempts", "Attempts", "Attempts on all targets", lambda m: m.attempts),
    _count(
        "fallbacks",
        "Fallbacks",
        "Calls for which more than one target was tried",
        lambda m: m.fallbacks,
        rare=True,
    ),
    _count(
        "refused",
        "Refused",
        "Calls that a limit refused",
        lambda m: m.refused_calls,
        rare=True,
    ),
    _count(
        "abandoned",
        "Caller left",
        "Calls whose caller left before the end",
        lambda m: m.abandoned_calls,
        rare=True,
    ),
    _count(
        "cache-hits",
        "Cache hits",
        "Calls answered from the response cache",
        lambda m: m.cache_hits,
        rare=True,
    ),
    _count(
        "estimated",
        "Estimated",
        "Calls whose tokens the router counted itself",
        lambda m: m.estimated_calls,
        rare=True,
    ),
    _count(
        "queued",
        "Waited",
        "Calls that waited for their turn",
        lambda m: m.queued_us.calls,
    ),
    _number(
        "wait-avg",
        "Average wait ms",
        "How long those waited on average",
        lambda m: m.queued_us.mean,
        unit="us",
    ),
    _number(
        "wait-max",
        "Longest wait ms",
        "How long the longest wait was",
        lambda m: m.max_queued_us,
        unit="us",
    ),
)
COLUMNS: Final = {column.name: column for column in _IN_ORDER}

USAGE: Final = (
    "calls", "errors", "cost", "cost-share", "savings", "input", "cached", "output",
)  # fmt: skip
SPEED: Final = (
    "calls", "p50", "p95", "p99", "max", "first-token-p50", "first-token-p95",
    "tokens-per-second",
)  # fmt: skip
ASKED_FOR: Final = (
    "calls", "errors", "cost", "savings", "input", "cached", "output", "p50", "p95",
    "first-token-p50", "tokens-per-second", "p99", "reasoning", "reported-cost",
    "fallbacks", "refused", "cache-hits",
)  # fmt: skip


def columns_of(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list of measures, in its order.

    Raise `UnknownMeasure`, which names the allowed ones, for anything else.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    allowed = ", ".join(COLUMNS)
    for name in names:
        if name not in COLUMNS:
            close = get_close_matches(name, COLUMNS, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise UnknownMeasure(
                f"there is no measure {name[:40]!r}{hint}; there are: {allowed}"
            )
    if not names:
        raise UnknownMeasure(f"which measures? There are: {allowed}")
    return tuple(dict.fromkeys(names))
