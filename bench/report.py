"""The results as a person reads them, and as a line of JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from bench.budgets import Judgement
from bench.figures import Figures
from bench.suite import Results

HISTORY: Final = Path(__file__).resolve().parent / "results" / "results.jsonl"
_SPEED_COLUMNS: Final = (
    "per second",
    "p50 ms",
    "p99 ms",
    "first p50 ms",
    "first p99 ms",
    "worker us",
    "ingester us",
    "added p50 ms",
    "of direct",
    "of bare proxy",
    "CPU of bare proxy",
)


def speed_table(figures: Figures) -> list[list[str]]:
    """Return rows of text: a subject under a load, and all that was measured of it."""
    places = dict.fromkeys(
        (load, subject) for subject, load, measure in figures if measure == "per second"
    )
    rows = [["load", "subject", *_SPEED_COLUMNS]]
    for load, subject in places:
        values = [figures.get((subject, load, column)) for column in _SPEED_COLUMNS]
        rows.append([load, subject, *(_number(value) for value in values)])
    return rows


def other_table(figures: Figures) -> list[list[str]]:
    """Return rows of text: start, memory and records."""
    told = {load for _, load, measure in figures if measure == "per second"}
    return [
        [load, measure, _number(value)]
        for (_, load, measure), value in figures.items()
        if load not in told
    ]


def verdict_table(judgements: Iterable[Judgement]) -> list[list[str]]:
    """Return rows of text: each budget and whether it was kept."""
    return [
        [
            each.budget.load,
            each.budget.measure,
            each.budget.bound,
            _number(each.value),
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
    figures: Figures,
    *,
    facts: Mapping[str, str],
    at: datetime,
    path: Path = HISTORY,
) -> Path:
    """Add one line of JSON with the medians and every sample behind them."""
    line = {
        "at": at.isoformat(timespec="seconds"),
        "machine": facts,
        "figures": _nested(figures),
        "samples": _nested(results.samples.all()),
        "faults": results.faults,
    }
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as history:
        history.write(msgspec.json.encode(line) + b"\n")
    return path


def _nested(
    flat: Mapping[tuple[str, str, str], object],
) -> dict[str, dict[str, object]]:
    nested: dict[str, dict[str, object]] = {}
    for (subject, load, measure), value in flat.items():
        nested.setdefault(f"{subject}, {load}", {})[measure] = value
    return nested


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
