"""The pages about routing: what they show and promise is tried here."""

import random
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

import pytest
from typer.testing import CliRunner

from smart_llmrouter.cli.main import app
from smart_llmrouter.config.load import Loaded, load_reading
from smart_llmrouter.config.policies import Backoffs, Dynamic
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.snapshot import Snapshot, StrategyName
from smart_llmrouter.core import requirements
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.affinity import Affinities
from smart_llmrouter.routing.capacity import Capacity
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.routing.observations import JUDGED, SCORED, Observations, Seen
from smart_llmrouter.routing.ordering import AsListed
from smart_llmrouter.routing.planner import Planner
from smart_llmrouter.routing.scores import Known, score_all
from smart_llmrouter.routing.shares import FADE, shares_of
from smart_llmrouter.routing.thresholds import ThresholdCheck
from smart_llmrouter.routing.weighted import Weighted
from tests.support.clock import Clock
from tests.support.repository import ROOT
from tests.support.targets import needs

EXAMPLE: Final = ROOT / "examples" / "strategies" / "router.yaml"
ENVIRONMENT: Final = {"ACME_API_KEY": "a", "OTHER_API_KEY": "b"}
MINI, OTHER, LARGE = "acme/mini", "other/mini", "acme/large"
DRAWS: Final = 20_000
TIMES: Final = "\N{MULTIPLICATION SIGN}"


def page(name: str) -> str:
    """Return the text of a page."""
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def example() -> Loaded:
    """Load the example as the router would."""
    return load_reading(
        read_bytes(EXAMPLE.read_bytes(), file="router.yaml"),
        environment=ENVIRONMENT,
        beside=EXAMPLE.parent,
    )


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """Return the example, compiled."""
    loaded = example()
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


def test_the_example_is_without_findings() -> None:
    """It loads as it stands on the page, and nothing in it is without effect."""
    assert example().findings == ()
    assert "examples/strategies/router.yaml" in page("routing")


def test_every_part_of_the_example_is_shown() -> None:
    """Each of its groups is on the page of its strategy."""
    parts = set(re.findall(r"\[start:(\w+)\]", EXAMPLE.read_text("utf-8")))
    pages = [path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")]

    shown = {
        part
        for text in pages
        for part in re.findall(r'"examples/strategies/router.yaml:(\w+)"', text)
    }

    assert shown == parts


def test_every_strategy_is_in_the_table_and_in_the_tree() -> None:
    """Whoever chooses sees all of them."""
    text = page("routing")
    tree = text[text.index("Which one to take") :]

    for strategy in get_args(StrategyName):
        assert f"[`{strategy}`](routing-{strategy}.md)" in text
        assert f"─ {strategy}" in tree


def test_every_requirement_is_on_the_page() -> None:
    """Each code that a target may miss is told, and no other one."""
    codes = {
        value
        for name, value in vars(requirements).items()
        if name.isupper() and isinstance(value, str)
    }
    told = set(re.findall(r"`([a-z-]+)`(?=[^\n]*\|)", page("routing")))

    assert len(codes) > 15
    assert codes <= told


def planned(
    snapshot: Snapshot, wanted: Requirements, *, resting: Sequence[str] = ()
) -> list[str]:
    """Return whom the group `chat` tries, one after another."""
    group, clock = snapshot.groups["chat"], Clock()
    labels = [target.label for target in group.targets]
    health = HealthBook(dict.fromkeys(labels, Backoffs()), now=clock)
    for label in resting:
        for _ in range(Backoffs().on_failure.after):
            begun = health.begin(label)
            health.note(label, "upstream_server_error", begun=begun)
    planner = Planner(
        group,
        fetches_images=False,
        strategy=AsListed(),
        health=health,
        room=Capacity(snapshot, now=clock),
        lately=ThresholdCheck(group.dynamic, Observations(clock, {}), lambda: 0.5),
        affinities=Affinities(clock),
    )
    plan = planner.ordered(planner.found(wanted), wanted)
    return [target.label for target in plan.targets]


def test_failover_tries_whom_its_page_says(snapshot: Snapshot) -> None:
    """The rows of its table, one by one."""
    large = needs(b'{"messages":[{"role":"user","content":"' + b"7" * 300_000 + b'"}]}')

    assert planned(snapshot, needs()) == [MINI, OTHER, LARGE]
    assert planned(snapshot, needs(), resting=[MINI]) == [OTHER, LARGE]
    assert 190_000 < large.estimated_input_tokens < 250_000
    assert planned(snapshot, large) == [LARGE]


def test_the_explanation_is_that_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request of the page with its example prints what stands there."""
    text = page("routing")
    (request,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (shown,) = re.findall(r"```console\n\$ (.*?)```", text, re.DOTALL)
    command, _, printed = shown.partition("\n")
    (tmp_path / "request.json").write_text(request, encoding="utf-8")
    (tmp_path / "router.yaml").write_bytes(EXAMPLE.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    result = CliRunner().invoke(app, shlex.split(command)[1:])

    assert result.exit_code == 0, result.output
    assert lines_of(result.output) == lines_of(printed)


def lines_of(text: str) -> list[str]:
    """Return the lines, without what nobody sees."""
    return [line.rstrip() for line in text.strip().splitlines()]


def test_weights_give_the_shares_of_the_page(snapshot: Snapshot) -> None:
    """90 and 10 of 100, and each order as it is written."""
    group = snapshot.groups["canary"]
    strategy = Weighted(random.Random(1).random)

    orders = Counter(
        tuple(each.label for each in strategy.order(group.targets, needs()).targets)
        for _ in range(DRAWS)
    )

    assert orders.keys() == {(MINI, OTHER, LARGE), (OTHER, MINI, LARGE)}
    assert orders[MINI, OTHER, LARGE] / DRAWS == pytest.approx(0.9, abs=0.01)
    for order in orders:
        assert ", ".join(f"`{label}`" for label in order) in page("routing-weighted")


def test_the_scores_of_the_page_are_those_of_the_strategy(snapshot: Snapshot) -> None:
    """Each number of its example comes out of the code."""
    group, text = snapshot.groups["quick"], page("routing-dynamic")
    mini, other = group.targets[:2]
    known = [
        Known(mini, Seen(60, 0, 0, 2.0, 0.5, 80.0, 200.0)),
        Known(other, Seen(60, 3, 0, 2.5, 0.5, 80.0, 200.0)),
    ]

    scores = score_all(known, group.dynamic.weights, input_share=0.5)
    shares = shares_of(
        [1, 1],
        [score.value for score in scores],
        [True, True],
        settings=group.dynamic,
    )

    for terms in zip(*(score.terms for score in scores), strict=True):
        cells = " | ".join(
            f"{term.value:.3f} → {term.contribution:.3f}" for term in terms
        )
        row = f"| `{terms[0].name}` {TIMES} {terms[0].weight:.1f} | {cells} |"
        assert row in text
    assert " | ".join(f"**{score.value:.3f}**" for score in scores) in text
    assert " | ".join(f"**{100 * share:.1f} %**" for share in shares) in text


def test_the_numbers_of_the_page_are_those_of_the_strategy(snapshot: Snapshot) -> None:
    """How much is looked at, and what the settings are without a section of theirs."""
    text = page("routing-dynamic")

    assert f"the last {SCORED} attempts" in text
    assert f"the last {JUDGED:,} attempts" in text
    assert f"`d` / {FADE})" in text
    assert snapshot.groups["quick"].dynamic == Dynamic()
    assert snapshot.groups["steady"].thresholds is not None


def test_what_is_cheap_is_chosen_where_only_that_is_known(snapshot: Snapshot) -> None:
    """Before anything was observed, prices and quality alone make the scores differ."""
    group = snapshot.groups["cheap"]

    scores = score_all(
        [Known(target, Seen()) for target in group.targets],
        group.dynamic.weights,
        input_share=0.9,
    )

    assert [term.name for term in scores[0].terms] == ["price", "quality"]
    assert scores[0].value > scores[1].value > scores[2].value
