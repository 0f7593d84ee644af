"""Commands whose standard output cannot be written: a full disk, a closed pipe."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.configuration import SMALL
from tests.support.ledger import state_in
from tests.support.wait import PATIENCE_S

PROGRAM = Path(sys.executable).with_name("smart-llmrouter")
TOKEN_NEW = (
    "token", "new", "--user", "alice", "--project", "search", "--environment", "prod",
    "--allow", "chat", "--config", "router.yaml",
)  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory with a small, right `router.yaml`."""
    (tmp_path / "router.yaml").write_text(SMALL)
    return tmp_path


def run_into(
    output: int, directory: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run the program with this file descriptor as its standard output."""
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"]},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def run_into_full(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program where nothing that it prints can be kept."""
    with Path("/dev/full").open("wb") as full:
        return run_into(full.fileno(), directory, *arguments)


def run_into_nobody(
    directory: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run the program where whoever read what it prints has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return run_into(writing, directory, *arguments)
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "schema"),
        ("config", "check"),
        ("config", "check", "--format", "json"),
        TOKEN_NEW,
        ("mock", "--port", "0"),
        ("--version",),
        ("--help",),
    ],
    ids=" ".join,
)
def test_a_full_disk_is_told_in_one_line(
    directory: Path, arguments: tuple[str, ...]
) -> None:
    """What printed nothing has failed, and a closed pipe is failed quietly."""
    full = run_into_full(directory, *arguments)
    left = run_into_nobody(directory, *arguments)

    assert full.returncode == 1
    assert full.stderr == "error: standard output: No space left on device\n"
    assert (left.returncode, left.stderr) == (1, "")


@pytest.mark.parametrize("run", [run_into_full, run_into_nobody])
def test_lost_output_is_no_fault_of_the_database(
    directory: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A command that prints while it reads says the same as one that prints after."""
    state = state_in(directory / "here")
    where = f"state: {{directory: {json.dumps(str(state.path))}}}\n"
    (directory / "router.yaml").write_text(where + SMALL)
    told = {run_into_full: "error: standard output: No space left on device\n"}

    done = run(directory, "db", "verify")

    assert (done.returncode, done.stderr) == (1, told.get(run, ""))


@pytest.mark.parametrize("run", [run_into_full, run_into_nobody])
def test_an_entry_whose_token_nobody_saw_is_named(
    directory: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The file has changed, so the line says what is to be done about it."""
    done = run(directory, *TOKEN_NEW, "--write")

    assert done.returncode == 1
    assert done.stderr == (
        "error: the entry alice-search-prod was added to router.yaml, but its token"
        " could not be shown: remove that entry and make a new one\n"
    )
    assert "id: alice-search-prod" in (directory / "router.yaml").read_text()


def test_nothing_is_written_where_no_token_can_be_shown(directory: Path) -> None:
    """A closed standard output is seen before the file is touched."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" "$@" >&-', PROGRAM, *TOKEN_NEW, "--write"],
        cwd=directory,
        env={"PATH": os.environ["PATH"]},
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == (
        "error: the standard output is closed: the token could not be shown\n"
    )
    assert (directory / "router.yaml").read_text() == SMALL


@pytest.mark.parametrize("command", [("serve",), ("usage", "report")], ids=" ".join)
def test_a_missing_configuration_is_told_with_one_prefix(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Place, severity, what is wrong and what to do: as `config check` says it."""
    done = run_into(subprocess.PIPE, tmp_path, *command)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("router.yaml:1:1: error: the file cannot be read:")
