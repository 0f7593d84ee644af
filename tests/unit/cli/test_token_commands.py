"""`smart-llmrouter token new`: the command line as a person meets it."""

import hashlib
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smart_llmrouter.config.load import load_snapshot
from tests.support.configuration import ENVIRONMENT, SMALL
from tests.support.wait import PATIENCE_S

PROGRAM = Path(sys.executable).with_name("smart-llmrouter")
TOKEN = re.compile(r"rtr_alice_search_prod_k1_[0-9a-f]{64}")
ALICE = ("--user", "alice", "--project", "search", "--environment", "prod")


def token_new(
    *arguments: str | Path, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run `smart-llmrouter token new`, without the secrets of any provider."""
    return subprocess.run(
        [PROGRAM, "token", "new", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], **more},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a small, right configuration."""
    path = tmp_path / "router.yaml"
    path.write_text(SMALL)
    return path


def test_a_token_is_printed_once_with_its_entry(path: Path) -> None:
    """The entry holds the hash; the file is only read."""
    done = token_new(*ALICE, "--allow", "chat", "--config", path)

    (token,) = TOKEN.findall(done.stdout)
    assert done.returncode == 0
    assert f"token_sha256: {hashlib.sha256(token.encode()).hexdigest()}" in done.stdout
    assert "  - id: alice-search-prod\n" in done.stdout
    assert path.read_text() == SMALL


def test_write_adds_the_entry(path: Path) -> None:
    """The printed token is let in by the file afterwards."""
    done = token_new(
        *ALICE, "--allow", "chat", "--expires", "2031-05-01", "--id", "searcher",
        "--config", path, "--write",
    )  # fmt: skip

    (token,) = TOKEN.findall(done.stdout)
    snapshot = load_snapshot(path, environment=ENVIRONMENT)
    caller = snapshot.callers_by_digest[hashlib.sha256(token.encode()).digest()]
    assert done.returncode == 0
    assert (caller.id, str(caller.expires_on)) == ("searcher", "2031-05-01")
    assert path.read_text().startswith(SMALL)
    assert token not in path.read_text()
    assert list(path.parent.glob("state/backups/router-*.yaml"))


def test_each_token_is_another(path: Path) -> None:
    """Chance is real: two runs share nothing but the prefix."""
    runs = [token_new(*ALICE, "--allow", "chat", "--config", path) for _ in range(2)]

    first, second = (TOKEN.findall(done.stdout)[0] for done in runs)
    assert first != second


def test_a_refused_write_prints_findings_and_no_token(path: Path) -> None:
    """An unknown group leaves the file as it was."""
    done = token_new(*ALICE, "--allow", "chat,chta", "--config", path, "--write")

    assert (done.returncode, done.stdout) == (1, "")
    assert "callers[1].allow[1]: no group is called `chta`" in done.stderr
    assert "did you mean `chat`?" in done.stderr
    assert path.read_text() == SMALL


def test_without_write_the_same_is_a_note(path: Path) -> None:
    """The entry may be meant for a later state of the file."""
    done = token_new(*ALICE, "--allow", "chta", "--config", path)

    assert done.returncode == 0
    assert len(TOKEN.findall(done.stdout)) == 1
    assert "no group is called `chta`" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--user", "Alice"),
        ("--project", "a_b"),
        ("--environment", ""),
        ("--key", "K1"),
        ("--id", "x" * 64),
        ("--allow", "chat,,fast"),
        ("--expires", "tomorrow"),
    ],
)
def test_what_is_no_id_is_a_usage_error(path: Path, wrong: tuple[str, str]) -> None:
    """Exit code 2, before anything is made."""
    done = token_new(*ALICE, "--allow", "chat", "--config", path, *wrong)

    assert (done.returncode, done.stdout) == (2, "")


def test_a_missing_file_cannot_be_written_to(tmp_path: Path) -> None:
    """One line says so, and no token is shown that nothing would let in."""
    done = token_new(*ALICE, "--allow", "chat", "--config", tmp_path / "x", "--write")

    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A mistyped name is told, whether the option or the variable holds it."""
    option = token_new(*ALICE, "--allow", "chat", "--config", "typo.yaml", cwd=tmp_path)
    variable = token_new(
        *ALICE, "--allow", "chat", cwd=tmp_path, SMART_LLMROUTER_CONFIG="typo.yaml"
    )

    for done in (option, variable):
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "error: typo.yaml: there is no such file\n"


def test_without_any_file_it_is_said_that_nothing_was_checked(tmp_path: Path) -> None:
    """An entry for a file that is still to be written is made all the same."""
    done = token_new(*ALICE, "--allow", "chat", cwd=tmp_path)

    assert (done.returncode, len(TOKEN.findall(done.stdout))) == (0, 1)
    assert "note: there is no router.yaml here; nothing was checked" in done.stderr


@pytest.mark.parametrize("day", ["2026-01-01", "today"])
def test_a_token_that_would_never_work_is_not_made(path: Path, day: str) -> None:
    """The first day on which it does not work lies ahead."""
    today = datetime.now(UTC).date().isoformat()
    day = today if day == "today" else day
    done = token_new(*ALICE, "--allow", "chat", "--config", path, "--expires", day)

    assert (done.returncode, done.stdout) == (2, "")
    assert "after today" in done.stderr
