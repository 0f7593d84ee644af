"""`smart-llmrouter db`: what an operator does to the usage database."""

import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.db_commands import app
from smart_llmrouter.ledger.ingester_loop import ingester_lock
from smart_llmrouter.stores.database import migrate
from smart_llmrouter.stores.sqlite import condition
from tests.support.configuration import SMALL
from tests.support.ledger import StateDirectory


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with a database of the first schema."""
    state = StateDirectory(tmp_path / "the state")
    state.path.mkdir()
    engine = create_engine("sqlite:///" + str(state.database))
    with engine.connect() as connection:
        migrate(connection, "usage_0001")
        connection.commit()
    engine.dispose()
    text = f"state:\n  directory: {json.dumps(str(state.path))}\n" + SMALL
    (tmp_path / "router.yaml").write_text(text)
    return state


def upgraded(state: StateDirectory) -> Result:
    """Run `db upgrade` with that configuration."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app, ["upgrade", "--config", str(config)], env={"ACME_API_KEY": None}
    )


def test_an_old_database_is_upgraded_once(state: StateDirectory) -> None:
    """The first run says from what to what, the second that nothing is to be done."""
    before = condition(state.url)

    first, second = upgraded(state), upgraded(state)

    assert before == "has another schema than this version's"
    assert (first.exit_code, first.stdout) == (
        0,
        "upgraded from usage_0001 to usage_0012\n",
    )
    assert (second.exit_code, second.stdout) == (
        0,
        "the schema is usage_0012 already\n",
    )
    assert condition(state.url) == "ok"


def test_a_running_router_is_not_disturbed(state: StateDirectory) -> None:
    """While an ingester holds the state directory nothing is changed."""
    with ingester_lock(state.path) as acquired:
        assert acquired()
        refused = upgraded(state)

    assert refused.exit_code == 1
    assert "stop it first" in refused.stderr
    assert condition(state.url) != "ok"


def test_no_database_and_no_configuration_are_told(state: StateDirectory) -> None:
    """Each is one line, and exits with 1."""
    state.database.unlink()
    missing = upgraded(state)
    (state.path.parent / "router.yaml").unlink()
    unconfigured = upgraded(state)

    assert (missing.exit_code, unconfigured.exit_code) == (1, 1)
    assert "there is no usage database" in missing.stderr
    assert "router.yaml" in unconfigured.stderr


def test_what_goes_wrong_names_the_cause(state: StateDirectory) -> None:
    """A file that is damaged is not made worse."""
    damaged = b"SQLite format 3\0" + b"\xff" * 4096
    state.database.write_bytes(damaged)

    failed = upgraded(state)

    assert failed.exit_code == 1
    assert "is as before" in failed.stderr
    assert state.database.read_bytes() == damaged
