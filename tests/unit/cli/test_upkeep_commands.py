"""`smart-llmrouter usage rollup` and `usage verify`: what they refuse, and say."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.main import app
from tests.support.configuration import SMALL
from tests.support.ledger import StateDirectory, state_in
from tests.support.rollups import HOUR, MIDNIGHT, a_call, added

CALLS = [a_call(number, MIDNIGHT - 9 * HOUR + number * HOUR) for number in range(6)]


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database, and a configuration."""
    state = state_in(tmp_path)
    text = f"state:\n  directory: {json.dumps(str(state.path))}\n{SMALL}"
    (tmp_path / "router.yaml").write_text(text)
    return state


def ran(state: StateDirectory, *arguments: str) -> Result:
    """Run a command with that configuration."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app, [*arguments, "--config", str(config)], env={"ACME_API_KEY": None}
    )


@pytest.mark.parametrize(
    "interval",
    [
        ("--since", "2026-09-21", "--until", "2026-09-21"),
        ("--since", "2026-09-21", "--until", "2026-09-20"),
        ("--since", "2199-01-01"),
        ("--until", "1960-01-01"),
    ],
)
def test_nothing_is_proved_of_an_interval_that_is_none(
    state: StateDirectory, interval: tuple[str, ...]
) -> None:
    """The same is said as of a report."""
    result = ran(state, "usage", "verify", *interval)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: nothing lies between ")
    assert result.stderr.endswith(": --since must be before --until\n")


def test_an_empty_text_is_no_moment(state: StateDirectory) -> None:
    """It is not taken for the beginning of all."""
    result = ran(state, "usage", "verify", "--since", "")

    assert result.exit_code == 2
    assert "'' is no span or moment" in result.stderr


def test_where_there_are_no_calls_nothing_is_compared(state: StateDirectory) -> None:
    """That is said, and is no proof."""
    result = ran(state, "usage", "verify")

    assert result.exit_code == 0
    assert result.stdout.endswith(
        "\nthere is nothing to compare: no calls are on record\n"
    )


def test_what_waits_is_not_proved(state: StateDirectory) -> None:
    """The last line says so, and what makes it comparable; then it is compared."""
    added(state.url, CALLS)
    ran(state, "usage", "rollup")
    added(state.url, [a_call(100, MIDNIGHT - 9 * HOUR)])

    before = ran(state, "usage", "verify")
    ran(state, "usage", "rollup")
    after = ran(state, "usage", "verify")

    assert (before.exit_code, after.exit_code) == (0, 0)
    left = (
        "all that was compared is right; what waits was not, and can be when it is "
        "rolled up, an hour after its end: `smart-llmrouter usage rollup`"
    )
    assert before.stdout.splitlines()[1:] == [
        "roll-ups by hour: 5 compared, 1 waiting to be rolled up",
        "roll-ups by day: 0 compared, 1 waiting to be rolled up",
        "roll-ups by month: 0 compared, 1 waiting to be rolled up",
        left,
    ]
    assert after.stdout.endswith("\nall totals are right\n")


def test_what_is_yet_to_come_is_not_rolled_up(state: StateDirectory) -> None:
    """A moment after now is refused."""
    result = ran(state, "usage", "rollup", "--until", "2199-01-01")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: '2199-01-01' is yet to come: --until cannot be after now\n"
    )
