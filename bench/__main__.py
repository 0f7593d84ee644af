"""Measure the router: `make bench`, `make bench-quick`, or `python -m bench --help`."""

import argparse
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.budgets import judged, read_budgets
from bench.figures import derived
from bench.loads import LoadFailed
from bench.machine import Cores, find_cores, machine_facts
from bench.micro import micro_table
from bench.report import (
    aligned,
    append_history,
    other_table,
    speed_table,
    verdict_table,
)
from bench.subjects import DidNotStart
from bench.suite import FULL, QUICK, Plan, Results, Suite
from bench.toolbox import ToolMissing, open_toolbox


def main() -> int:
    """Measure, report, and return the exit status."""
    chosen = _parser().parse_args()
    plan = replace(
        QUICK if chosen.quick else FULL, ingester_apart=chosen.ingester_apart
    )
    cores = find_cores()
    try:
        results = _measured(plan, cores)
    except ToolMissing as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2
    except (LoadFailed, DidNotStart) as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return _reported(results, enforce=chosen.enforce)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds: under a minute"
    )
    parser.add_argument(
        "--enforce", action="store_true", help="exit with 1 when a budget is missed"
    )
    parser.add_argument(
        "--ingester-apart",
        action="store_true",
        help="let the ingester run on the other core, beside the load",
    )
    return parser


def _measured(plan: Plan, cores: Cores) -> Results:
    facts = ", ".join(f"{name} {value}" for name, value in machine_facts().items())
    print(f"on {facts}")
    if cores.shared:
        print("there is one core only: load and router share it, and numbers mislead")
    with tempfile.TemporaryDirectory(prog_prefix()) as directory:
        suite = Suite(
            open_toolbox(), plan, cores=cores, directory=Path(directory), say=_say
        )
        return suite.run()


def prog_prefix() -> str:
    """Return how the bench's temporary directories begin."""
    return "smart-llmrouter-bench-"


def _reported(results: Results, *, enforce: bool) -> int:
    figures = results.figures | derived(results.figures)
    judgements = list(judged(figures, read_budgets()))
    tables = {
        "medians; microseconds are CPU per answered request": speed_table(figures),
        "start, memory, records": other_table(figures),
        "the steps of a call, each alone, in microseconds": micro_table(),
        "budgets": verdict_table(judgements),
    }
    for title, rows in tables.items():
        print(f"\n{title}\n")
        print("\n".join(aligned(rows)))
    path = append_history(results, figures, facts=machine_facts(), at=datetime.now(UTC))
    print(f"\nadded to {path}")
    for fault in results.faults:
        print(f"WRONG: {fault}")
    missed = any(each.verdict == "MISSED" for each in judgements)
    return 1 if results.faults or (missed and enforce) else 0


def _say(progress: str) -> None:
    print(f"  {progress}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
