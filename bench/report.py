"""The results as a person reads them, and as a line of JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.budgets import Judgement
from bench.figures import SCALED_STEPS, STEPS, Figures, Results

HISTORY: Final = Path(__file__).resolve().parent / "results" / "results.jsonl"
_SPEED_COLUMNS: Final = (
    "per second",
    "p50 ms",
    "p99 ms",
    "first p50 ms",
    "jitter p99 ms",
    "worker us",
    "worker us per event",
    "ingester us",
    "load core %",
    "added p50 ms",
    "times direct",
    "CPU of bare proxy",
)
Rows = list[list[str]]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench, as it is kept.

    `figures` and `samples` are nested: subject, load, measure.
    """

    at: str
    kind: str
    machine: dict[str, str]
    figures: dict[str, dict[str, dict[str, float]]]
    samples: dict[str, dict[str, dict[str, list[float]]]]
    faults: list[str]
    notes: list[str]

    def flat(self) -> Figures:
        """Return the figures as they were measured."""
        return {
            (subject, load, measure): value
            for subject, loads in self.figures.items()
            for load, measures in loads.items()
            for measure, value in measures.items()
        }


def report_tables(
    figures: Figures, judgements: Iterable[Judgement]
) -> Mapping[str, Rows]:
    """Return each table of the report, by its title."""
    return {
        "medians; us are CPU per answered request": speed_table(figures),
        "start, memory, records, growth": other_table(figures),
        "the steps of a call, each alone, in us": steps_table(figures),
        "budgets": verdict_table(judgements),
    }


def speed_table(figures: Figures) -> Rows:
    """Return rows of text: a subject under a load, and all that was measured of it."""
    places = dict.fromkeys(
        (load, subject) for subject, load, measure in figures if measure == "per second"
    )
    rows = [["load", "subject", *_SPEED_COLUMNS]]
    for load, subject in places:
        values = [figures.get((subject, load, column)) for column in _SPEED_COLUMNS]
        rows.append([load, subject, *(number(value) for value in values)])
    return rows


def other_table(figures: Figures) -> Rows:
    """Return rows of text: start, memory and records."""
    told = {load for _, load, measure in figures if measure == "per second"}
    told |= {STEPS, SCALED_STEPS}
    rows = [
        [subject, load, measure, number(value)]
        for (subject, load, measure), value in figures.items()
        if load not in told
    ]
    kept = "memory, times the body"
    return rows + [
        [subject, load, measure, number(value)]
        for (subject, load, measure), value in figures.items()
        if measure == kept and load in told
    ]


def steps_table(figures: Figures) -> Rows:
    """Return rows of text: each step, what it took, and at the reference's speed."""
    return [
        [measure, number(value), number(figures.get(("router", SCALED_STEPS, measure)))]
        for (_, load, measure), value in figures.items()
        if load == STEPS
    ]


def verdict_table(judgements: Iterable[Judgement]) -> Rows:
    """Return rows of text: each budget and whether it was kept."""
    return [
        [
            each.budget.load,
            each.budget.measure,
            each.budget.bound,
            number(each.value),
            each.verdict,
        ]
        for each in judgements
    ]


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows as lines whose columns stand below each other."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(wide) for cell, wide in rest)]
        yield "  ".join(cells).rstrip()


def append_history(
    results: Results,
    *,
    facts: Mapping[str, str],
    at: datetime,
    kind: str,
    path: Path = HISTORY,
) -> Path:
    """Add one line of JSON with the medians and every sample behind them."""
    run = Run(
        at=at.isoformat(timespec="seconds"),
        kind=kind,
        machine=dict(facts),
        figures=_nested(results.all_figures()),
        samples=_nested(results.samples.all()),
        faults=results.faults,
        notes=results.notes,
    )
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as history:
        history.write(msgspec.json.encode(run) + b"\n")
    return path


def _nested(flat: Mapping[tuple[str, str, str], Any]) -> dict[str, Any]:
    nested: dict[str, dict[str, dict[str, Any]]] = {}
    for (subject, load, measure), value in flat.items():
        nested.setdefault(subject, {}).setdefault(load, {})[measure] = value
    return nested


def number(value: float | None) -> str:
    """Return a figure with as many digits as say something."""
    if value is None:
        return "-"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
