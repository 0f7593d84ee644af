"""What commands do with a database that is not one of this version: they refuse it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.main import app
from smart_llmrouter.stores.database_url import backend_of
from tests.support.configuration import SMALL
from tests.support.databases import change
from tests.support.ledger import StateDirectory

URL = "ROUTER_DATABASE_URL"
NUMBERED = "UPDATE alembic_version SET version_num = 'usage_' || "
READING = (
    "usage verify",
    "usage rollup",
    "usage report",
    "retention status",
    "budget show",
    "prices drift",
    "db verify",
    "db status",
)


def ran(state: StateDirectory, command: str, *more: str) -> Result:
    """Run a command beside a router with this state."""
    on_server = backend_of(state.url) == "postgresql"
    database = "${" + URL + "}" if on_server else "sqlite"
    config = state.path.parent / "router.yaml"
    config.write_text(
        f"state:\n  directory: {json.dumps(str(state.path))}\n"
        f"  database: {database}\n{SMALL}"
    )
    return CliRunner().invoke(
        app,
        [*command.split(), *more, "--config", str(config)],
        env={"ACME_API_KEY": None, URL: state.url},
    )


def refusals(state: StateDirectory) -> set[str]:
    """Return what all commands say that read the database, and that they fail."""
    results = [ran(state, command) for command in READING]
    assert [result.exit_code for result in results] == [1] * len(READING)
    assert not [
        said
        for said in ("all totals are right", "as it should be", "no calls")
        if any(said in result.stdout for result in results)
    ]
    return {result.stderr for result in results}


@pytest.mark.parametrize("revision", ["usage_0099", "usage_0011"])
def test_another_version_is_refused_by_all(
    state: StateDirectory, revision: str
) -> None:
    """In the same words, with which one it is and what to do."""
    number = revision.removeprefix("usage_")
    change(state.url, NUMBERED + f"'{number}'")

    [refusal] = refusals(state)
    shown = ran(state, "db status", "--format", "json")

    assert f"the usage database has schema {revision}, this version needs " in refusal
    assert json.loads(shown.stdout)["revision"] == revision
    assert json.loads(shown.stdout)["problem"] in refusal


def test_a_table_that_is_missing_is_told_by_all(state: StateDirectory) -> None:
    """Though it is one that most of them would not look into."""
    change(state.url, "DROP TABLE legal_holds")

    [refusal] = refusals(state)

    assert " with tables or columns missing, this version needs " in refusal


def test_another_programs_database_is_left_alone(
    state: StateDirectory, tmp_path: Path
) -> None:
    """Nobody takes it for an empty one, and no copy of it is made."""
    change(state.url, "DROP TABLE alembic_version")
    copy = tmp_path / "copy"

    [refusal] = refusals(state)
    copied = ran(state, "db backup", "--out", str(copy))

    assert "the usage database has schema of another program, this version" in refusal
    assert (copied.exit_code, copied.stderr) == (1, refusal)
    assert not copy.exists()


def test_an_older_database_can_be_copied(tmp_path: Path, state: StateDirectory) -> None:
    """Before it is upgraded: a file of SQLite, without any program beside."""
    if backend_of(state.url) != "sqlite":
        pytest.skip("pg_dump is tested where it is needed")
    change(state.url, NUMBERED + "'0011'")

    copied = ran(state, "db backup", "--out", str(tmp_path / "copy"))

    assert copied.exit_code == 0, copied.output
    assert (tmp_path / "copy").stat().st_size > 0
