"""Writes the numbers of `docs/performance.md`: tables between its marks, and plots.

    python -m bench.page              from what was published last
    python -m bench.page --publish    publish the last full run first

No number of that page is typed by hand: it shows `bench/published.json`, which is one
run of the bench, with the memory of one long run beside it.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from bench.charts import Bar, bar_chart, line_chart
from bench.page_tables import (
    budgets_table,
    ingester_table,
    machine_text,
    peers_table,
    speed_table,
    steps_table,
)
from bench.peers import read_peers
from bench.report import HISTORY, Run, number
from bench.toolbox import ROOT

PUBLISHED: Final = ROOT / "bench" / "published.json"
SOAK_FILE: Final = ROOT / "bench" / "results" / "soak.json"
PAGE: Final = ROOT / "docs" / "performance.md"
IMAGES: Final = ROOT / "docs" / "images"
_MARKED: Final = "(<!-- begin {0} -->\n).*?(<!-- end {0} -->)"
_OTHERS: Final = ("bare proxy",)


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of a long run: seconds since its start, and MiB of each process."""

    at: str
    calls: int
    memory: dict[str, list[tuple[float, float]]]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows."""

    run: Run
    soak: Soak | None = None


def main() -> int:
    """Write the page and its plots; return the exit status."""
    parser = argparse.ArgumentParser(prog="bench.page", description=__doc__)
    parser.add_argument("--publish", action="store_true", help="take the last full run")
    if parser.parse_args().publish:
        run = last_full_run(HISTORY)
        if run is None:
            print("there is no full run yet: make bench", file=sys.stderr)
            return 1
        publish(run)
    published = read_published()
    PAGE.write_text(page_with(published, PAGE.read_text("utf-8")), "utf-8")
    IMAGES.mkdir(exist_ok=True)
    for name, drawing in plots(published).items():
        (IMAGES / name).write_text(drawing, "utf-8")
    return 0


def last_full_run(path: Path) -> Run | None:
    """Return the last full run of a history; lines of older forms are passed over."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    for line in reversed(lines):
        try:
            run = msgspec.json.decode(line, type=Run)
        except msgspec.ValidationError:
            continue
        if run.kind == "full":
            return run
    return None


def publish(run: Run) -> None:
    """Keep a run as what the page shows, and the long run if there is one."""
    soak = read_published().soak if PUBLISHED.exists() else None
    if SOAK_FILE.exists():
        soak = msgspec.json.decode(SOAK_FILE.read_bytes(), type=Soak)
    kept = Published(run=msgspec.structs.replace(run, samples={}), soak=soak)
    encoded = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    PUBLISHED.write_bytes(encoded + b"\n")


def read_published(path: Path = PUBLISHED) -> Published:
    """Read what the page shows."""
    return msgspec.json.decode(path.read_bytes(), type=Published)


def page_with(published: Published, page: str) -> str:
    """Return the page with every table between its marks made anew."""
    sections = {name: section(published.run) for name, section in SECTIONS.items()}
    for name, section in (sections | {"memory": soak_text(published.soak)}).items():
        mark = re.compile(_MARKED.format(name), re.DOTALL)
        found = mark.search(page)
        if found is None:
            raise ValueError(f"the page has no mark for {name!r}")
        text = f"{found[1]}\n{section}\n{found[2]}"
        page = page[: found.start()] + text + page[found.end() :]
    return page


SECTIONS: Final[Mapping[str, Callable[[Run], str]]] = {
    "machine": machine_text,
    "budgets": budgets_table,
    "speed": speed_table,
    "ingester": ingester_table,
    "peers": peers_table,
    "steps": steps_table,
}


def soak_text(soak: Soak | None) -> str:
    """Say what the long run showed, with its plot."""
    if soak is None:
        return "No long run has been published yet.\n"
    day = datetime.fromisoformat(soak.at)
    minutes = max(at for line in soak.memory.values() for at, _ in line) / 60
    return (
        "![Resident memory of worker and ingester](images/performance-memory.svg)\n\n"
        f"{soak.calls:,} calls in {minutes:.0f} minutes, on {day.day} {day:%B %Y}.\n"
    )


def plots(published: Published) -> dict[str, str]:
    """Return each plot by the name of its file."""
    figures = published.run.flat()
    subjects = [peer.title for peer in read_peers().values()]
    subjects = ["router", *_OTHERS, *subjects]
    drawn = {
        "performance-throughput.svg": _throughput(figures, subjects),
        "performance-latency.svg": _latency(figures, subjects),
    }
    if published.soak is not None:
        drawn["performance-memory.svg"] = line_chart(
            "Resident memory under mixed load with faults",
            {
                name: [(seconds / 60, mib) for seconds, mib in samples]
                for name, samples in published.soak.memory.items()
            },
            x_label="minutes",
            y_label="MiB",
        )
    return drawn


def _throughput(figures: Mapping[tuple[str, str, str], float], of: list[str]) -> str:
    bars = [
        Bar(_label(subject), rate, number(rate), ours=subject == "router")
        for subject in of
        if (rate := figures.get((subject, "plain 64", "per second"))) is not None
    ]
    bars.sort(key=lambda bar: -bar.value)
    return bar_chart("Calls a second on one core, 64 connections", bars)


def _latency(figures: Mapping[tuple[str, str, str], float], of: list[str]) -> str:
    bars = []
    for subject in of:
        p50 = figures.get((subject, "plain 64", "p50 ms"))
        p99 = figures.get((subject, "plain 64", "p99 ms"))
        if p50 is not None and p99 is not None:
            text = f"{number(p50)} / {number(p99)} ms"
            ours = subject == "router"
            bars.append(Bar(_label(subject), p50, text, ours=ours, reach=p99))
    bars.sort(key=lambda bar: bar.value)
    title = "Median and 99th percentile, 64 connections (logarithmic)"
    return bar_chart(title, bars, logarithmic=True)


def _label(subject: str) -> str:
    return "smart-llmrouter" if subject == "router" else subject


if __name__ == "__main__":
    sys.exit(main())
