"""The tables of the page on performance, each made of one run."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from bench.budgets import judged, read_budgets
from bench.figures import SCALED_STEPS, STEPS, Figures
from bench.peers import Peer, read_peers
from bench.report import Run, number

_APART = "router"
_BESIDE = "router, ingester beside"


def machine_text(run: Run) -> str:
    """Say when and on what a run was made."""
    day = datetime.fromisoformat(run.at)
    facts = "; ".join(f"{name}: {value}" for name, value in run.machine.items())
    text = f"Measured on {day.day} {day:%B %Y}. {facts[0].upper()}{facts[1:]}.\n"
    notes = "".join(f"\n- {note}" for note in [*run.faults, *run.notes])
    return f"{text}{notes}\n" if notes else text


def budgets_table(run: Run) -> str:
    """Show what is promised and what was measured; the steps have their own table."""
    rows = [["what", "promised", "measured", ""]]
    rows += [
        [
            each.budget.about or f"{each.budget.load}: {each.budget.measure}",
            each.budget.bound,
            number(each.value),
            each.verdict,
        ]
        for each in judged(run.flat(), read_budgets())
        if each.budget.load != SCALED_STEPS
    ]
    return _table(rows, text_columns=2)


def speed_table(run: Run) -> str:
    """Show what each subject reached under each load, and what the router used."""
    figures = run.flat()
    rows = [
        [
            "load",
            "direct",
            "bare proxy",
            "router",
            "p50 / p99 ms",
            "CPU for a call: worker + ingester, µs",
            "the load's core busy",
        ]
    ]
    for load in _loads(figures, _APART):
        rates = [
            _per_second(figures, each, load)
            for each in ("direct", "bare proxy", _APART)
        ]
        rows.append(
            [
                load,
                *rates,
                _pair(figures, _APART, load, ("p50 ms", "p99 ms"), " / "),
                _pair(figures, _APART, load, ("worker us", "ingester us"), " + "),
                _percent(figures.get((_APART, load, "load core %"))),
            ]
        )
    return _table(rows)


def ingester_table(run: Run) -> str:
    """Show what it costs when the ingester has the worker's core, too."""
    figures = run.flat()
    rows = [["load", "ingester on", "a second", "worker, µs a call", "ingester, µs"]]
    places = {_APART: "the other core", _BESIDE: "the worker's core"}
    for load in _loads(figures, _BESIDE):
        rows += [
            [
                load,
                where,
                _per_second(figures, subject, load),
                number(figures.get((subject, load, "worker us"))),
                number(figures.get((subject, load, "ingester us"))),
            ]
            for subject, where in places.items()
        ]
    return _table(rows, text_columns=2)


def peers_table(run: Run) -> str:
    """Show the router beside the gateways that were measured in the same run."""
    figures = run.flat()
    measured = [
        peer for peer in read_peers().values() if _rate(figures, peer.title) is not None
    ]
    measured.sort(key=lambda peer: -(_rate(figures, peer.title) or 0))
    rows = [
        [
            "gateway",
            "what it is",
            "calls/s, 64",
            "router's multiple",
            "p50 / p99 ms, 64",
            "p50 ms, 1",
            "streams/s, 64",
            "CPU for a call, µs",
            "idle, MiB",
            "cold start, s",
        ],
        _peer_row(figures, _APART, "**smart-llmrouter**", "everything on"),
    ]
    rows += [
        _peer_row(figures, peer.title, _name(peer), peer.about) for peer in measured
    ]
    return _table(rows, text_columns=2)


def _peer_row(figures: Figures, subject: str, name: str, about: str) -> list[str]:
    ours, theirs = _rate(figures, _APART), _rate(figures, subject)
    multiple = ours / theirs if ours and theirs else None
    idle = [
        value
        for role in ("worker", "ingester")
        if (value := figures.get((subject, "idle", f"{role} PSS MiB"))) is not None
    ]
    return [
        name,
        about,
        number(theirs),
        f"{number(multiple)} &times;" if subject != _APART else "",
        _pair(figures, subject, "plain 64", ("p50 ms", "p99 ms"), " / "),
        number(figures.get((subject, "plain 1", "p50 ms"))),
        _per_second(figures, subject, "stream 64"),
        number(figures.get((subject, "plain 64", "worker us"))),
        number(sum(idle)) if idle else "-",
        number(figures.get((subject, "start", "cold start s"))),
    ]


def _name(peer: Peer) -> str:
    return f"{peer.title} {peer.version}".strip()


def _rate(figures: Figures, subject: str) -> float | None:
    return figures.get((subject, "plain 64", "per second"))


def steps_table(run: Run) -> str:
    """Show the steps of a call, as measured and against their budgets."""
    figures = run.flat()
    budgets = {
        budget.measure: budget.at_most
        for budget in read_budgets()
        if budget.load == SCALED_STEPS
    }
    rows = [["step", "µs", "µs at reference speed", "budget"]]
    rows += [
        [
            step,
            number(us),
            number(figures.get((_APART, SCALED_STEPS, step))),
            number(budgets.get(step)),
        ]
        for (_, load, step), us in figures.items()
        if load == STEPS
    ]
    return _table(rows)


def _loads(figures: Figures, of: str) -> list[str]:
    return [
        load
        for subject, load, measure in figures
        if subject == of and measure == "per second"
    ]


def _per_second(figures: Figures, subject: str, load: str) -> str:
    rate = figures.get((subject, load, "per second"))
    return "" if rate is None else f"{number(rate)}/s"


def _pair(
    figures: Figures, subject: str, load: str, measures: tuple[str, str], between: str
) -> str:
    found = [figures.get((subject, load, measure)) for measure in measures]
    return between.join(number(value) for value in found)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def _table(rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> str:
    """Return rows as Markdown; the columns after the text ones hold numbers."""
    head, *body = rows
    rule = ["---"] * text_columns + ["---:"] * (len(head) - text_columns)
    return "\n".join(_line(row) for row in (head, rule, *body)) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
