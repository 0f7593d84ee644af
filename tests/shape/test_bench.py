"""The bench: it judges rightly, and its tools count what they say they count."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.budgets import judged, read_budgets
from bench.figures import Figures, Samples, derived, growth_per_100k
from bench.loads import LoadClient
from bench.machine import find_cores
from bench.micro import micro_table
from bench.report import aligned, other_table, speed_table, verdict_table
from bench.subjects import Subject, running_mock, running_router
from bench.suite import FULL
from bench.toolbox import Toolbox, compiled
from bench.workload import write_configuration
from smart_llmrouter.config.load import load_snapshot

needs_tools = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("taskset")),
    reason="the load tools need `cc` and `taskset`",
)


@pytest.fixture
def tools() -> Toolbox:
    """Return the tools that are built here; wrk is not needed for counted requests."""
    return Toolbox(
        mock_upstream=compiled("mock_upstream"),
        sse_load=compiled("sse_load"),
        wrk=Path("wrk"),
        post_script=Path("post.lua"),
    )


@pytest.fixture
def upstream(tools: Toolbox, tmp_path: Path) -> Iterator[Subject]:
    """Return the mock provider of the bench, running."""
    with running_mock(tools, core=find_cores().load, directory=tmp_path) as mock:
        yield mock


def test_every_budget_can_be_measured() -> None:
    """A full run measures each figure that a budget bounds."""
    loads = {load.name for load in FULL.loads} | {"endurance"}

    budgets = read_budgets()

    assert budgets
    assert {budget.load for budget in budgets} <= loads


@pytest.mark.parametrize(
    ("per_second", "verdict"), [(5000.0, "kept"), (4999.0, "MISSED")]
)
def test_a_budget_is_missed_below_its_bound(per_second: float, verdict: str) -> None:
    """The bound itself is kept; what no round has measured is said to be missing."""
    figures: Figures = {("router", "plain 64", "per second"): per_second}

    judgements = {
        (each.budget.load, each.budget.measure): each.verdict
        for each in judged(figures, read_budgets())
    }

    assert judgements["plain 64", "per second"] == verdict
    assert judgements["endurance", "RSS growth MiB"] == "not measured"


def test_a_budget_without_a_bound_is_refused(tmp_path: Path) -> None:
    """A budget says at least or at most, and not both."""
    path = tmp_path / "budgets.toml"
    path.write_text('[[budget]]\nload = "plain 1"\nmeasure = "p50 ms"\n')

    with pytest.raises(msgspec.ValidationError, match="either"):
        read_budgets(path)


def test_the_router_is_compared_under_the_same_load() -> None:
    """What is added and what is kept follow from the medians of one load."""
    samples = Samples()
    for subject, p50_ms in (("direct", 0.1), ("bare proxy", 0.3), ("router", 0.4)):
        for off in (0.0, 0.5, 0.0):
            samples.add((subject, "plain 1"), "p50 ms", p50_ms + off)
            samples.add((subject, "plain 1"), "per second", 1 / p50_ms)

    found = derived(samples.medians())

    assert found["router", "plain 1", "added p50 ms"] == pytest.approx(0.3)
    assert found["router", "plain 1", "of direct"] == pytest.approx(0.25)
    assert found["router", "plain 1", "of bare proxy"] == pytest.approx(0.75)


def test_growth_is_the_slope_of_all_samples() -> None:
    """Memory that grows by 2 MiB in 50,000 requests grows by 4 in 100,000."""
    resident = [
        (requests, 50 + requests / 25_000) for requests in range(0, 200_000, 20_000)
    ]

    assert growth_per_100k(resident) == pytest.approx(4)


def test_the_report_shows_every_figure_once() -> None:
    """Speed stands in one table, everything else in the other."""
    figures: Figures = {
        ("router", "plain 64", "per second"): 5432.1,
        ("router", "idle", "PSS MiB"): 61.25,
    }

    speed, other = speed_table(figures), other_table(figures)
    verdicts = verdict_table(judged(figures, read_budgets()))

    assert [row[:3] for row in speed[1:]] == [["plain 64", "router", "5,432"]]
    assert other == [["idle", "PSS MiB", "61.2"]]
    assert [row[-1] for row in verdicts].count("kept") == 1
    assert [line.split()[:3] for line in aligned(speed)][1] == ["plain", "64", "router"]


def test_the_configuration_of_the_bench_is_valid(tmp_path: Path) -> None:
    """The router that is measured has a priced target and one caller."""
    path = tmp_path / "router.yaml"
    write_configuration(path, port=8080, upstream_port=8081)

    snapshot = load_snapshot(path, environment={})

    assert len(snapshot.callers_by_digest) == 1
    assert all(
        target.price is not None
        for group in snapshot.groups.values()
        for target in group.targets
    )


@pytest.mark.slow
def test_every_step_of_a_call_is_timed() -> None:
    """The micro benchmark still fits the code that it measures."""
    steps = {name: float(us) for name, us in micro_table()}

    assert {"authenticate a token", "append a record to the journal"} <= set(steps)
    assert all(us > 0 for us in steps.values())


@needs_tools
def test_counted_requests_are_all_on_record(
    tools: Toolbox, upstream: Subject, tmp_path: Path
) -> None:
    """As many rows are in the database as answers were read to their end."""
    client = LoadClient(tools, tmp_path, core=find_cores().load)

    with running_router(
        upstream, cores=find_cores(), directory=tmp_path / "router"
    ) as router:
        outcome = client.send_exactly(300, router, connections=8)
        router.settle()
        rows = router.rows(answered_only=False)

    assert (outcome.answered, outcome.failed, rows) == (300, 0, 300)
