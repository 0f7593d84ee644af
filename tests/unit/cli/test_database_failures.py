"""What commands say of a usage database that cannot be read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.bootstrap import prepared
from smart_llmrouter.bootstrap.opening import CannotStart
from smart_llmrouter.cli.main import app
from tests.support.configuration import SMALL, loaded
from tests.support.ledger import StateDirectory, a_record, state_in

READING = [
    ("usage", "report"),
    ("usage", "export"),
    ("usage", "verify"),
    ("usage", "rollup"),
    ("retention", "status"),
    ("db", "verify"),
    ("db", "status"),
    ("db", "backup", "--out", "copy"),
    ("budget", "show"),
    ("prices", "drift"),
]
"""Commands that read the database."""
BUDGET = "    budgets: {day: {requests: 3}}\n"


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with a call, and beside it a configuration."""
    state = state_in(tmp_path)
    state.journalled([a_record(1)])
    while state.ingester().advance().more:
        pass
    (tmp_path / "router.yaml").write_text(configuration(state))
    return state


def configuration(state: StateDirectory, database: str = "sqlite") -> str:
    """Return a configuration that names the directory."""
    directory = json.dumps(str(state.path))
    return f"state:\n  directory: {directory}\n  database: {database}\n{SMALL}{BUDGET}"


def ran(state: StateDirectory, *arguments: str, **environment: str) -> Result:
    """Run a command with that configuration."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app,
        [*arguments, "--config", str(config)],
        env={"ACME_API_KEY": None, **environment},
    )


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_file_that_was_cut_off_is_told_with_its_place_and_a_remedy(
    state: StateDirectory, command: tuple[str, ...]
) -> None:
    """In one line, by whichever command."""
    whole = state.database.read_bytes()
    state.database.write_bytes(whole[: len(whole) // 2])

    failed = ran(state, *command)

    assert failed.exit_code == 1
    [line] = failed.stderr.strip().splitlines()
    assert line.startswith("error: the usage database cannot be ")
    assert f": {state.database}: database disk image is malformed; " in line
    assert "put a copy in its place" in line


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_server_that_cannot_be_reached_is_told(
    state: StateDirectory, command: tuple[str, ...]
) -> None:
    """With the reason, and nothing of the URL."""
    url = "postgresql://router:hunter2@127.0.0.1:1/usage"
    text = configuration(state, "${ROUTER_DATABASE_URL}")
    (state.path.parent / "router.yaml").write_text(text)

    failed = ran(state, *command, ROUTER_DATABASE_URL=url)

    assert failed.exit_code == 1
    [line] = failed.stderr.strip().splitlines()
    assert line.startswith("error: the usage database cannot be ")
    assert line.endswith(": the server cannot be reached")


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_directory_in_its_place_is_told(
    state: StateDirectory, command: tuple[str, ...]
) -> None:
    """By its path."""
    state.database.unlink()
    state.database.mkdir()

    failed = ran(state, *command)

    assert failed.exit_code == 1
    [line] = failed.stderr.strip().splitlines()
    assert line.startswith("error: the usage database ")
    assert str(state.database) in line


def damaged(state: StateDirectory) -> str:
    """Cut the file off; return what is said of it."""
    whole = state.database.read_bytes()
    state.database.write_bytes(whole[: len(whole) // 2])
    return "the file is damaged or no database"


def a_directory(state: StateDirectory) -> str:
    """Put a directory in its place; return what is said of it."""
    state.database.unlink()
    state.database.mkdir()
    return "Is a directory"


@pytest.mark.parametrize("spoilt", [damaged, a_directory])
def test_a_router_says_why_it_does_not_start(
    state: StateDirectory, spoilt: Callable[[StateDirectory], str]
) -> None:
    """And never that it could not listen."""
    said = spoilt(state)
    snapshot = loaded(configuration(state)).snapshot
    assert snapshot is not None

    with pytest.raises(CannotStart) as refused:
        prepared(snapshot)

    assert str(state.database) in str(refused.value)
    assert said in str(refused.value)
    assert "listen" not in str(refused.value)
