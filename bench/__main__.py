"""Measure the router: `make bench`, `make bench-quick`, or `python -m bench --help`."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.budgets import judged, read_budgets
from bench.figures import Results
from bench.growth import measure_growth
from bench.isolation import leave_the_network
from bench.loads import LoadFailed
from bench.machine import find_cores, machine_facts, raise_file_limit
from bench.micro import measure_steps
from bench.peers import Peer, installed, measure_peers
from bench.plans import FULL, QUICK, Plan
from bench.report import aligned, append_history, report_tables
from bench.subjects import DidNotStart
from bench.suite import (
    Workshop,
    measure_endurance,
    measure_memory_of_bodies,
    measure_one_core,
    measure_shared_counters,
    measure_speed,
    measure_starts,
)
from bench.toolbox import ToolMissing, open_toolbox

PREFIX: Final = "smart-llmrouter-bench-"
_BEGAN: Final = time.monotonic()


def main() -> int:
    """Measure, report, and return the exit status."""
    # What was started is ended, too, when the bench is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = _parser().parse_args()
    plan = QUICK if chosen.quick else FULL
    results = Results()
    names = [name.strip() for name in chosen.peers.split(",") if name.strip()]
    try:
        tools = open_toolbox()
        peers = installed(names, refused=results.notes)
        facts = machine_facts() | {"network": leave_the_network()}
        print("\n".join(f"{name}: {value}" for name, value in facts.items()))
        with tempfile.TemporaryDirectory(prefix=PREFIX) as directory:
            shop = Workshop(
                tools=tools,
                plan=plan,
                cores=find_cores(),
                directory=Path(directory),
                say=_say,
                results=results,
            )
            _measure(shop, peers)
    except ToolMissing as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2
    except (LoadFailed, DidNotStart) as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return _reported(results, facts, enforce=chosen.enforce, quick=chosen.quick)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds: under a minute"
    )
    parser.add_argument(
        "--peers",
        default="",
        help="measure these, too: names out of bench/peers.toml, with commas between",
    )
    parser.add_argument(
        "--enforce", action="store_true", help="exit with 1 when a budget is missed"
    )
    return parser


def _measure(shop: Workshop, peers: Mapping[str, tuple[Peer, Path]]) -> None:
    raise_file_limit()
    if shop.cores.shared:
        shop.note("there is one core only: load and router share it: numbers mislead")
    plan: Plan = shop.plan
    with shop.upstream() as upstream:
        measure_speed(shop, upstream)
        if plan.one_core:
            measure_one_core(shop, upstream)
        measure_starts(shop, upstream)
        if plan.memory_of_bodies:
            measure_memory_of_bodies(shop, upstream)
        if plan.growth_rounds:
            measure_growth(shop, upstream)
        measure_endurance(shop, upstream)
        if plan.two_workers:
            measure_shared_counters(shop, upstream)
        measure_peers(shop, upstream, peers)
    shop.say("the steps of a call, each alone")
    measure_steps(shop.results)


def _reported(
    results: Results, facts: Mapping[str, str], *, enforce: bool, quick: bool
) -> int:
    figures = results.all_figures()
    judgements = list(judged(figures, read_budgets()))
    for title, rows in report_tables(figures, judgements).items():
        print(f"\n{title}\n")
        print("\n".join(aligned(rows)))
    path = append_history(
        results, facts=facts, at=datetime.now(UTC), kind="quick" if quick else "full"
    )
    print(f"\nadded to {path}")
    for note in results.notes:
        print(f"note: {note}")
    for fault in results.faults:
        print(f"WRONG: {fault}")
    missed = any(each.verdict == "MISSED" for each in judgements)
    return 1 if results.faults or (missed and enforce) else 0


def _say(progress: str) -> None:
    print(f"  {time.monotonic() - _BEGAN:4.0f} s  {progress}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
