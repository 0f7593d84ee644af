"""What `smart-llmrouter db` says and does, whichever kind of database there is."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.db_commands import app
from smart_llmrouter.stores import postgres
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.sqlite import sqlite_url
from tests.support.configuration import SMALL
from tests.support.databases import change
from tests.support.decisions import various_line
from tests.support.ledger import NOON_MS, StateDirectory, a_record
from tests.support.postgres import empty_database, postgres_or_skip

URL = "ROUTER_DATABASE_URL"


def db(state: StateDirectory, *arguments: str, **environment: str) -> Result:
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
        [*arguments, "--config", str(config)],
        env={"ACME_API_KEY": None, URL: state.url, **environment},
    )


def filled(state: StateDirectory, calls: int = 8) -> None:
    """Bring some calls with their decisions into the database."""
    writer = state.writer()
    for number in range(calls):
        writer.append(various_line(number))
    writer.close()
    while state.ingester().advance().more:
        pass


def test_the_status_says_how_much_there_is(state: StateDirectory) -> None:
    """Also what the journal holds beyond it; and nothing of the URL but its kind."""
    filled(state)
    state.journalled([a_record(9)])

    shown = db(state, "status")
    found = json.loads(db(state, "status", "--format", "json").stdout)

    assert shown.exit_code == 0
    assert "127.0.0.1" not in shown.output + json.dumps(found)
    assert found["backend"] == backend_of(state.url)
    assert found["revision"] == found["this_version_needs"]
    assert (found["calls"], found["decisions"]) == (8, 6)
    assert (found["oldest_ms"], found["newest_ms"]) == (NOON_MS, NOON_MS + 7)
    assert found["unread_bytes"] > 100
    assert found["bytes_on_disk"] > 10_000
    assert "oldest call        2026-09-21T" in shown.stdout


def test_an_empty_database_has_a_status(state: StateDirectory) -> None:
    """Where there is no call, none is the oldest."""
    shown = db(state, "status")

    assert shown.exit_code == 0
    assert "newest call        none" in shown.stdout


def test_a_sound_database_is_verified(state: StateDirectory) -> None:
    """Every check finds nothing."""
    filled(state)

    checked = db(state, "verify")

    assert checked.exit_code == 0, checked.output
    assert "as it should be" in checked.stdout
    assert "           0  calls without labels" in checked.stdout


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM request_labels WHERE notes_count = 0", "calls without labels"),
        ("DELETE FROM label_notes", "another number of notes"),
        ("DELETE FROM request_measures WHERE ts_ms % 2 = 0", "without their call"),
        ("DELETE FROM decision_kinds", "of no known kind"),
        ("DELETE FROM request_decisions", "attempts without their decision"),
        ("UPDATE journal_positions SET end_offset = 1000000", "beyond the end"),
    ],
)
def test_what_does_not_agree_is_found(
    state: StateDirectory, statement: str, said: str
) -> None:
    """It is said what and how often, and the command fails; nothing is mended."""
    filled(state)
    writer = state.writer()
    writer.append(various_line(8))
    state.ingester().advance()
    change(state.url, statement)

    checked = db(state, "verify")
    writer.close()

    [line] = [line for line in checked.stdout.splitlines() if said in line]
    assert checked.exit_code == 1
    assert int(line.split()[0]) > 0


def test_a_copy_is_a_database_of_one_moment(
    state: StateDirectory, tmp_path: Path
) -> None:
    """With all rows that were there, readable by nobody else, and complete."""
    filled(state)
    copy = tmp_path / "copy"

    made = db(state, "backup", "--out", str(copy), PATH=_path())

    assert made.exit_code == 0, made.output
    assert copy.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.glob(".copy*")] == []
    assert _restored(state, copy).request_ids() == state.request_ids()


def _path() -> str:
    """Return where programs are looked for, those of the test's server first."""
    return f"{postgres_or_skip().programs}:{os.environ['PATH']}"


def _restored(state: StateDirectory, copy: Path) -> StateDirectory:
    if backend_of(state.url) == "sqlite":
        elsewhere = StateDirectory(copy.parent / "elsewhere")
        elsewhere.path.mkdir()
        copy.rename(elsewhere.database)
        return elsewhere
    url = empty_database()
    change(url, "DROP SCHEMA public")
    program = postgres_or_skip().programs / "pg_restore"
    subprocess.run([program, f"--dbname={url}", str(copy)], check=True)
    return StateDirectory(copy.parent / "elsewhere", url)


def test_a_copy_that_cannot_be_written_leaves_nothing(
    state: StateDirectory, tmp_path: Path
) -> None:
    """One line says why."""
    copy = tmp_path / "no" / "such" / "copy"

    made = db(state, "backup", "--out", str(copy))

    assert made.exit_code == 1
    assert made.stderr == f"error: {copy}: No such file or directory\n"


def test_a_copy_replaces_nothing_unless_it_is_told_to(
    state: StateDirectory, tmp_path: Path
) -> None:
    """A file that is there stays, and with `--force` becomes the copy."""
    filled(state)
    copy = tmp_path / "copy"
    copy.write_text("something dear")

    refused = db(state, "backup", "--out", str(copy), PATH=_path())
    before = copy.read_text()
    made = db(state, "backup", "--out", str(copy), "--force", PATH=_path())

    assert (refused.exit_code, before) == (1, "something dear")
    assert refused.stderr == (
        f"error: {copy} is there already: choose another, or add --force\n"
    )
    assert made.exit_code == 0, made.output
    assert _restored(state, copy).request_ids() == state.request_ids()


@pytest.mark.parametrize(
    "name", ["usage.sqlite", "../link", "ingester.lock", "journal/x"]
)
def test_a_copy_never_replaces_what_the_router_keeps(
    state: StateDirectory, name: str
) -> None:
    """Neither by another name nor with `--force`."""
    filled(state)
    kept = state.path / "usage.sqlite"
    (state.path / "ingester.lock").touch()
    kept.touch()
    (state.path / ".." / "link").symlink_to(kept)
    before = kept.read_bytes()
    out = state.path / name

    refused = db(state, "backup", "--out", str(out), "--force", PATH=_path())

    assert refused.exit_code == 1
    assert refused.stderr == (
        f"error: {out} is among the files that the router works with: choose another\n"
    )
    assert kept.read_bytes() == before
    assert not (state.path / "journal" / "x").exists()


def test_a_directory_is_no_place_for_a_copy(
    state: StateDirectory, tmp_path: Path
) -> None:
    """What is said of it is what was written."""
    refused = db(state, "backup", "--out", str(tmp_path), "--force")

    assert refused.exit_code == 1
    assert refused.stderr == (f"error: {tmp_path} is a directory: name a file in it\n")


def test_without_pg_dump_it_is_said_what_to_run(
    state: StateDirectory, tmp_path: Path
) -> None:
    """A copy of SQLite needs no program."""
    made = db(state, "backup", "--out", str(tmp_path / "copy"), PATH=str(tmp_path))

    if backend_of(state.url) == "sqlite":
        assert made.exit_code == 0
        return
    assert made.exit_code == 1
    assert "pg_dump --format=custom --schema=public" in made.stderr
    assert "postgresql://" not in made.stderr
    assert not (tmp_path / "copy").exists()


def test_a_database_of_this_version_needs_no_upgrade(state: StateDirectory) -> None:
    """Also while a router runs, where it is a server's."""
    done = db(state, "upgrade")

    assert done.exit_code == 0, done.output
    assert "already" in done.stdout


@pytest.mark.parametrize("command", ["status", "verify", "backup", "upgrade"])
def test_a_server_that_is_away_is_told_in_one_line(
    tmp_path: Path, command: str
) -> None:
    """Without what the URL holds."""
    url = "postgresql://router:hunter2@127.0.0.1:1/usage"
    state = StateDirectory(tmp_path / "state", url)
    state.path.mkdir()

    done = db(state, command)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert "hunter2" not in done.output
    assert "the server cannot be reached" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["status", "verify", "backup"])
def test_a_file_that_is_not_there_is_not_made(tmp_path: Path, command: str) -> None:
    """A database is made by the router alone."""
    state = StateDirectory(tmp_path / "state")
    state.path.mkdir()

    done = db(state, command)

    assert done.exit_code == 1
    assert "no usage database" in done.stderr
    assert not state.database.exists()


def test_the_password_is_not_among_what_others_may_see() -> None:
    """The command line of `pg_dump` holds none of it."""
    url = "postgresql://router:hunter2@db.example:5433/usage?sslmode=verify-full"

    visible, secret = postgres.dumping_parameters(url)

    assert "hunter2" not in visible
    assert "sslmode=verify-full" in visible
    assert secret == {"PGPASSWORD": "hunter2"}


def test_a_copy_of_a_file_goes_on_while_rows_come(tmp_path: Path) -> None:
    """It is not begun anew by each of them."""
    from smart_llmrouter.stores.copying import copy_database  # noqa: PLC0415
    from tests.support.ledger import state_in  # noqa: PLC0415

    state = state_in(tmp_path)
    state.journalled(a_record(number) for number in range(3000))
    while state.ingester().advance().more:
        pass
    told: list[tuple[int, int]] = []

    def one_more(done: int, of: int) -> None:
        told.append((done, of))
        state.journalled([a_record(4000 + len(told))])
        state.ingester().advance()

    copy_database(sqlite_url(state.database), tmp_path / "copy", told=one_more)
    copied = StateDirectory(tmp_path / "there")
    copied.path.mkdir()
    (tmp_path / "copy").rename(copied.database)

    assert len(copied.request_ids()) == 3000
    assert len(state.request_ids()) > 3000
    assert [done for done, _ in told] == sorted({done for done, _ in told})
