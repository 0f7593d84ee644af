"""The bench: it judges rightly, and its tools count what they say they count."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from bench.budgets import judged, read_budgets
from bench.charts import Bar, bar_chart, line_chart
from bench.figures import (
    SCALED_STEPS,
    Figures,
    Results,
    Samples,
    derived,
    growth_per_100k,
)
from bench.loads import LoadClient
from bench.machine import find_cores
from bench.micro import measure_steps
from bench.page import (
    IMAGES,
    PAGE,
    last_full_run,
    page_with,
    plots,
    read_published,
)
from bench.peers import read_peers
from bench.plans import FULL, HUGE_MANY, LARGE, PACED, TLS
from bench.report import (
    aligned,
    append_history,
    other_table,
    speed_table,
    verdict_table,
)
from bench.subjects import Mock, running_mock, running_router
from bench.toolbox import Toolbox, ToolMissing, compiled, open_toolbox
from bench.workload import Scale, chat_body, write_configuration
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
def upstream(tools: Toolbox, tmp_path: Path) -> Iterator[Mock]:
    """Return the mock provider of the bench, running."""
    with running_mock(tools, core=find_cores().load, directory=tmp_path) as mock:
        yield mock


def test_every_budget_can_be_measured() -> None:
    """A full run measures each figure that a budget bounds."""
    loads = {load.name for load in (*FULL.loads, HUGE_MANY)}
    loads |= {"start", "idle", "endurance", "10,000 callers", "200 groups"}
    loads |= {SCALED_STEPS, "limited 64, Valkey", "plain 64, two workers"}

    budgets = read_budgets()

    assert budgets
    assert {budget.load for budget in budgets} <= loads
    assert all(budget.about for budget in budgets if budget.load != SCALED_STEPS)


@pytest.mark.parametrize(
    ("per_second", "verdict"), [(15000.0, "kept"), (14999.0, "MISSED")]
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
    path.write_text(
        '[reference]\nus = 1.0\n[steps]\n[[budget]]\nload = "a"\nmeasure = "b"\n'
    )

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
        ("router", "plain 64", "per second"): 15432.1,
        ("router", "idle", "PSS MiB"): 61.25,
    }

    speed, other = speed_table(figures), other_table(figures)
    verdicts = verdict_table(judged(figures, read_budgets()))

    assert [row[:3] for row in speed[1:]] == [["plain 64", "router", "15,432"]]
    assert other == [["router", "idle", "PSS MiB", "61.2"]]
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


def test_ten_thousand_callers_and_two_hundred_groups_are_valid(tmp_path: Path) -> None:
    """The large routers of the bench have the callers and groups that it names."""
    path = tmp_path / "router.yaml"
    write_configuration(
        path, port=8080, upstream_port=8081, scale=Scale(callers=300, groups=200)
    )

    snapshot = load_snapshot(path, environment={})

    assert (len(snapshot.callers_by_digest), len(snapshot.groups)) == (300, 200)


@pytest.mark.parametrize("size_bytes", [64 * 1024, 1024 * 1024])
def test_a_large_request_is_as_large_as_it_is_called(size_bytes: int) -> None:
    """Bodies of 64 KB and 1 MB are that within one percent."""
    body = chat_body(stream=False, size_bytes=size_bytes)

    assert len(body) == pytest.approx(size_bytes, rel=0.01)
    assert json.loads(body)["model"] == "chat"


def test_every_peer_has_what_it_needs_to_be_started() -> None:
    """Each is installed from a registry, by a version, and told its port."""
    peers = read_peers()

    ways = {name: (peer.pip or peer.npm or peer.apt) for name, peer in peers.items()}
    texts = {
        name: " ".join((*peer.command, *peer.files.values()))
        for name, peer in peers.items()
    }

    assert {"litellm", "portkey", "nginx"} <= set(peers)
    assert all(ways.values())
    assert [
        name for name, peer in peers.items() if not (peer.apt or peer.version)
    ] == []
    assert [name for name, text in texts.items() if "$port" not in text] == []


def test_the_page_shows_what_was_published() -> None:
    """No number of the page, and no plot, is older or newer than the published run."""
    published = read_published()
    page = PAGE.read_text("utf-8")

    drawn = {name: (IMAGES / name).read_text("utf-8") for name in plots(published)}

    assert page_with(published, page) == page
    assert drawn == plots(published)
    assert all(f"images/{name}" in page for name in drawn)


def test_the_last_full_run_is_the_one_that_is_published(tmp_path: Path) -> None:
    """Quick runs and lines of an older form are passed over."""
    path = tmp_path / "results.jsonl"
    results = Results(figures={("router", "plain 64", "per second"): 15000.0})
    for day, kind in ((1, "full"), (2, "full"), (3, "quick")):
        at = datetime(2026, 1, day, tzinfo=UTC)
        append_history(results, facts={"cores": "2"}, at=at, kind=kind, path=path)
    with path.open("a") as history:
        history.write('{"at": "of an older form"}\n')

    run = last_full_run(path)

    assert run is not None
    assert run.at.startswith("2026-01-02")
    assert run.flat() == results.figures


def test_a_chart_is_well_formed_and_shows_its_labels() -> None:
    """What is drawn can be read by any reader of SVG, whatever stands in a label."""
    bars = [Bar("a < b & c", 10, "10"), Bar("ours", 90.5, "90.5", ours=True)]

    drawn = [
        bar_chart("bars", bars, logarithmic=True),
        line_chart("lines", {"one": [(0, 1), (2, 3)]}, x_label="x", y_label="y"),
    ]

    texts = ["".join(ET.fromstring(svg).itertext()) for svg in drawn]  # noqa: S314 - drawn here
    assert "a < b & c" in texts[0]
    assert "90.5" in texts[0]
    assert "one" in texts[1]


@pytest.mark.slow
def test_every_step_of_a_call_is_timed_and_has_a_budget() -> None:
    """The micro benchmark still fits the code that it measures."""
    results = Results()
    budgets = {each.measure for each in read_budgets() if each.load == SCALED_STEPS}

    measure_steps(results)

    steps = {
        step: us for (_, load, step), us in results.figures.items() if load == "steps"
    }
    assert {"authenticate a token", "append a record to the journal"} <= set(steps)
    assert all(us > 0 for us in steps.values())
    assert set(steps) == budgets


@needs_tools
def test_the_provider_delays_sizes_and_paces_as_a_request_asks(
    tools: Toolbox, upstream: Mock, tmp_path: Path
) -> None:
    """A large answer is as large as asked, and paced events keep their distance."""
    client = LoadClient(tools, tmp_path, core=find_cores().load)
    paced = replace(PACED, connections=3, spread_ms=10)

    status, answer = upstream.ask(LARGE.body())
    outcome = client.run(paced, upstream, seconds=1)

    assert (status, len(answer)) == (200, 64 * 1024)
    assert outcome.gap_p99_us is not None
    assert outcome.gap_p99_us >= 20_000
    assert outcome.failed == 0


@needs_tools
def test_the_router_trusts_the_provider_over_tls(tmp_path: Path) -> None:
    """The certificate that the mock provider makes is good for the router."""
    try:
        tools = open_toolbox()
    except ToolMissing as missing:
        pytest.skip(str(missing))
    if not tools.tls:
        pytest.skip("OpenSSL's headers are missing")
    with (
        running_mock(tools, core=find_cores().load, directory=tmp_path) as upstream,
        running_router(
            upstream,
            cores=find_cores(),
            directory=tmp_path / "router",
            scale=Scale(tls_port=upstream.tls_port),
        ) as router,
    ):
        status, _ = router.ask(TLS.body())

    assert status == 200


@needs_tools
def test_counted_requests_are_all_on_record(
    tools: Toolbox, upstream: Mock, tmp_path: Path
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
