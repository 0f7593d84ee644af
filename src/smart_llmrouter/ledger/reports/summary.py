"""What one would tell somebody of a report who reads no tables."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from smart_llmrouter.ledger.interval import Zone, clock_text
from smart_llmrouter.ledger.reports.durations import Percentiles
from smart_llmrouter.ledger.reports.emptiness import Emptiness
from smart_llmrouter.ledger.reports.lines import Line, Section
from smart_llmrouter.ledger.reports.measures import Known, Measures
from smart_llmrouter.ledger.reports.report import Report
from smart_llmrouter.ledger.reports.wording import (
    UNKNOWN,
    count_of,
    decimals_for,
    percent,
    seconds,
    usd,
)

NONE: Final = "(none)"
_NAMED: Final = 3
_FEWEST_CALLS: Final = 10
"""Who served fewer than this is not called slow."""

Fact = tuple[str, str]


def facts_of(report: Report) -> Iterator[Fact]:
    """Yield what is to be said first, each under a word or two."""
    if report.empty is not None:
        yield from _why_empty(report, report.empty)
        return
    measures = report.totals.measures
    yield "Calls", _calls(measures)
    yield "Cost", _cost(measures)
    yield from _saved(report)
    yield "Tokens", _tokens(measures)
    yield from _speed(report.totals)
    for title, name in (("Callers", "by-caller"), ("Groups", "by-group")):
        section = report.section(name)
        if section is not None:
            yield f"Top {title.lower()}", _most(section, report)
    yield from _targets(report)
    yield from _troubles(report)


def _calls(measures: Measures) -> str:
    good = percent(100 * (measures.calls - measures.errors) / measures.calls)
    text = f"{measures.calls:,}; {good} succeeded"
    if not measures.errors:
        return text
    return f"{text}, {count_of(measures.errors, 'error', 'errors')}"


def _cost(measures: Measures) -> str:
    return _covered(measures.cost_nusd, measures, usd)


def _covered(known: Known, measures: Measures, text_of: Callable[[int], str]) -> str:
    coverage = measures.coverage(known)
    if known.total is None:
        return UNKNOWN if measures.asked_calls else "none: no target was asked"
    text = text_of(known.total)
    if coverage.is_whole:
        return text
    return f"{text}, known for {coverage.known:,} of {coverage.of:,} calls"


def _saved(report: Report) -> Iterator[Fact]:
    measures = report.totals.measures
    if report.question.baseline is None:
        return
    compared = measures.compared
    if compared is None or not compared.calls:
        yield "Savings", f"{UNKNOWN}: of no call both costs are known"
        return
    saved, whole = compared.savings.total or 0, compared.baseline.total or 0
    part = f" ({percent(100 * saved / whole)})" if saved > 0 and whole else ""
    more = "less" if saved >= 0 else "more"
    compare = (
        f"{usd(abs(saved))}{part} {more} than with {report.question.baseline.name}"
    )
    calls = count_of(compared.calls, "call", "calls")
    yield "Savings", f"{compare} ({usd(whole)}), over {calls}"


def _tokens(measures: Measures) -> str:
    read, cached = measures.input_tokens, measures.cached_input_tokens.total
    written = measures.output_tokens.total
    if read.total is None:
        return _covered(read, measures, str)
    text = f"{read.total:,} in"
    if cached and read.total:
        text += f" ({percent(100 * cached / read.total)} from providers' caches)"
    text += f", {UNKNOWN if written is None else f'{written:,}'} out"
    return _covered(read, measures, lambda _: text)


def _speed(totals: Line) -> Iterator[Fact]:
    def text(timed: Percentiles) -> str:
        return (
            f"half within {seconds(timed.p50_us)}, 95 % within {seconds(timed.p95_us)}"
        )

    if totals.latency is not None:
        yield "Whole call", text(totals.latency)
    if totals.first_token is not None:
        yield "First token", text(totals.first_token)


def _most(section: Section, report: Report) -> str:
    """Return who made up most of the cost, or of the calls where that is unknown."""
    whole = report.totals.measures.cost_nusd.total
    if whole:
        lines = [line for line in section.lines if _cost_of(line)]
        lines.sort(key=_cost_of, reverse=True)
        places = decimals_for([_cost_of(lines[0])])
        return _listed(
            [
                f"{_name(line)} {usd(_cost_of(line), decimals=places)} "
                f"({percent(100 * _cost_of(line) / whole)})"
                for line in lines[:_NAMED]
            ],
            len(lines),
        )
    return _listed(_by_calls(section.lines, report), len(section.lines))


def _cost_of(line: Line) -> int:
    return line.measures.cost_nusd.total or 0


def _by_calls(lines: Sequence[Line], report: Report) -> list[str]:
    calls = report.totals.measures.calls
    return [
        f"{_name(line)} {percent(100 * line.measures.calls / calls)} of the calls"
        for line in lines[:_NAMED]
    ]


def _listed(texts: list[str], all_of_them: int) -> str:
    more = all_of_them - len(texts)
    return ", ".join(texts) + (f", and {more:,} more" if more > 0 else "")


def _name(line: Line) -> str:
    if all(part is None for part in line.key):
        return NONE
    return "/".join(NONE if part is None else part for part in line.key)


def _targets(report: Report) -> Iterator[Fact]:
    targets, speed = report.section("targets"), report.section("targets-speed")
    if targets is not None:
        served = [line for line in targets.lines if line.key[0] is not None]
        if served:
            yield "Targets", _listed(_by_calls(served, report), len(served))
    timed = (
        []
        if speed is None
        else [
            (line.latency.p95_us, line)
            for line in speed.lines
            if line.latency is not None and line.measures.calls >= _FEWEST_CALLS
        ]
    )
    if len(timed) > 1:
        p95_us, slowest = max(timed, key=lambda each: each[0])
        yield "Slowest target", f"{_name(slowest)}: 95 % within {seconds(p95_us)}"


def _troubles(report: Report) -> Iterator[Fact]:
    measures = report.totals.measures
    errors, limits = report.section("errors"), report.section("limits")
    if errors is not None:
        most = [
            f"{line.key[1]} {line.measures.calls:,}" for line in errors.lines[:_NAMED]
        ]
        yield "Errors", _listed(most, len(errors.lines))
    if limits is not None:
        refused = count_of(measures.refused_calls, "call", "calls")
        first = limits.lines[0]
        yield "Limits", f"{refused} refused, most by {first.key[0]} of {first.key[1]}"
    if measures.queued_us.calls:
        waited = count_of(measures.queued_us.calls, "call", "calls")
        longest = measures.max_queued_us
        at_most = "" if longest is None else f", {seconds(longest)} at most"
        yield "Queues", f"{waited} waited{at_most}"
    if measures.fallbacks:
        fell_back = count_of(measures.fallbacks, "call", "calls")
        yield "Fallbacks", f"{fell_back} went on to another target"
    yield from _cache(report)
    lost = measures.failed_calls_cost_nusd.total or 0
    lost += measures.failed_attempts_cost_nusd.total or 0
    if lost:
        yield "Paid for nothing", f"{usd(lost)} in calls and attempts that failed"


def _cache(report: Report) -> Iterator[Fact]:
    section = report.section("response-cache")
    if section is None:
        return
    asked = sum(line.measures.calls for line in section.lines)
    hits = report.totals.measures.cache_hits
    part = percent(100 * hits / asked) if asked else UNKNOWN
    yield (
        "Response cache",
        f"{count_of(hits, 'hit', 'hits')} in {asked:,} calls ({part})",
    )


def _why_empty(report: Report, empty: Emptiness) -> Iterator[Fact]:
    zone: Zone = report.question.zone
    yield "Calls", "none"
    yield "Why", _reason(empty, zone)


def _reason(empty: Emptiness, zone: Zone) -> str:
    if empty.others:
        others = count_of(empty.others, "call", "calls")
        return (
            f"{others} began in this interval, but not one that the conditions ask "
            "for: look at --where"
        )
    if empty.last_before_ms is not None:
        return (
            "nothing began in this interval; the last call before it began at "
            f"{clock_text(empty.last_before_ms, zone)}: ask with an earlier --since"
        )
    if empty.first_after_ms is not None:
        return (
            "nothing began in this interval; the first call after it began at "
            f"{clock_text(empty.first_after_ms, zone)}: ask with a later --until"
        )
    return (
        "no call is on record at all: is this the configuration of the router that was "
        "called (--config), and has it been called?"
    )
