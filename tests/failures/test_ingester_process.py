"""The ingester as a process: kills, locks, signals, and a database that goes away."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from smart_llmrouter.ledger.ingester_loop import (
    INGESTER_ARGUMENTS,
    read_status,
    unread_bytes,
)
from smart_llmrouter.ledger.record import encode_record
from tests.support.decisions import kept_decisions, various_decision, various_line
from tests.support.ledger import (
    StateDirectory,
    a_record,
    kept_of,
    state_in,
    various_record,
)
from tests.support.wait import PATIENCE_S, eventually_sync

eventually = eventually_sync


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


@contextmanager
def ingesting(
    state: StateDirectory, *, cpus: Iterable[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an ingester for the length of a block, and never longer."""
    process = state.ingester_process(cpus=cpus)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_what_is_left_is_ingested_when_the_parent_goes(state: StateDirectory) -> None:
    """The end of its input tells the process to finish, say nothing and exit 0."""
    state.journalled(a_record(number) for number in range(500))

    with ingesting(state) as process:
        out, err = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, out, err) == (0, b"", b"")
    assert len(state.request_ids()) == 500
    assert state.segments() == []


def test_sigterm_means_finish_and_go_and_sigint_means_nothing(
    state: StateDirectory,
) -> None:
    """Ctrl-C reaches the whole group; only the router decides what it means."""
    with ingesting(state) as process:
        eventually(lambda: read_status(state.path))
        process.send_signal(signal.SIGINT)
        state.journalled([a_record(1)])
        eventually(lambda: state.request_ids() == [a_record(1).request_id])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_kills_at_any_moment_neither_lose_nor_double_a_record(
    state: StateDirectory,
) -> None:
    """However often the ingester is killed under load, each record is one row.

    So is each decision, with all that belongs to it.
    """
    chance = random.Random(4711)
    writer = state.writer(segment_bytes=50_000)
    written = 0
    for _ in range(8):
        with ingesting(state) as process:
            eventually(
                lambda pid=process.pid: (  # type: ignore[misc]  # a bound default
                    (status := read_status(state.path)) is not None
                    and status.pid == pid
                )
            )
            for _ in range(chance.randrange(300, 1500)):
                writer.append(various_line(written))
                written += 1
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_S)
    writer.close()

    with ingesting(state) as process:
        process.communicate(timeout=PATIENCE_S)

    assert state.kept() == [kept_of(various_record(n)) for n in range(written)]
    decisions = [various_decision(n) for n in range(written)]
    assert state.decided_ids() == [
        a_record(n).request_id for n, each in enumerate(decisions) if each is not None
    ]
    sampled = range(0, written, 25)
    assert kept_decisions(state, sampled) == [decisions[n] for n in sampled]
    assert state.count("request_attempts") == sum(
        len(each.attempts) for each in decisions if each is not None
    )
    assert state.segments() == []
    assert state.rejected() == []


def test_a_second_ingester_waits_for_the_first(state: StateDirectory) -> None:
    """Two never write at once; when the first goes the second takes over."""
    with ingesting(state) as first:
        eventually(lambda: read_status(state.path))
        with ingesting(state) as second:
            state.journalled([a_record(1)])
            eventually(lambda: len(state.request_ids()) == 1)
            owner = read_status(state.path)
            first.kill()
            first.wait(PATIENCE_S)
            state.journalled([a_record(2)])
            eventually(lambda: len(state.request_ids()) == 2)
            heir = read_status(state.path)

    assert owner is not None
    assert heir is not None
    assert (owner.pid, heir.pid) == (first.pid, second.pid)


def test_an_ingester_that_waits_goes_when_its_parent_does(
    state: StateDirectory,
) -> None:
    """Waiting for the lock does not outlive the router."""
    with ingesting(state):
        eventually(lambda: read_status(state.path))
        with ingesting(state) as second:
            second.communicate(timeout=PATIENCE_S)

    assert second.returncode == 0


def test_a_locked_database_is_waited_for_and_told_once(state: StateDirectory) -> None:
    """The journal grows, the status says why, and everything arrives later."""
    with ingesting(state) as process:
        eventually(lambda: read_status(state.path))
        with closing(
            sqlite3.connect(state.database, isolation_level=None, timeout=PATIENCE_S)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            state.journalled([a_record(1)])
            away = eventually(
                lambda: (
                    (status := read_status(state.path)) is not None
                    and status.database == "away"
                    and status
                )
            )
            other.execute("ROLLBACK")
        eventually(lambda: len(state.request_ids()) == 1)
        eventually(
            lambda: (
                (status := read_status(state.path)) is not None
                and status.database == "ok"
            )
        )
        _, err = process.communicate(timeout=PATIENCE_S)

    assert away
    assert away.reason == "database is locked"
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert events == ["database_away", "database_back"]


def test_rejected_lines_are_told_without_their_content(state: StateDirectory) -> None:
    """The log says how many; the line itself stays in the private file."""
    writer = state.writer()
    writer.append(b"a canary in a poisoned line")
    writer.close()

    with ingesting(state) as process:
        _, err = process.communicate(timeout=PATIENCE_S)

    entry = json.loads(err)
    assert (entry["event"], entry["lines"]) == ("journal_lines_rejected", 1)
    assert b"canary" not in err
    assert len(state.rejected()) == 1


def test_started_by_hand_it_says_who_starts_it() -> None:
    """Without settings the process explains itself and exits 2."""
    done = subprocess.run(
        [sys.executable, *INGESTER_ARGUMENTS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 2
    assert b"started by `smart-llmrouter serve`" in done.stderr


def test_it_lets_others_go_first_and_stays_where_it_is_wanted(
    state: StateDirectory,
) -> None:
    """Its priority is below the router's, and its processor the one that was named."""
    wanted = max(os.sched_getaffinity(0))

    with ingesting(state, cpus=[wanted]) as process:
        eventually(lambda: read_status(state.path))
        niceness = os.getpriority(os.PRIO_PROCESS, process.pid)
        cpus = os.sched_getaffinity(process.pid)

    assert niceness == os.getpriority(os.PRIO_PROCESS, 0) + 7
    assert cpus == {wanted}


def test_where_it_cannot_stay_it_works_all_the_same(state: StateDirectory) -> None:
    """A processor that went away since the start costs a log line, not records."""
    state.journalled([a_record(1)])

    with ingesting(state, cpus=[4095]) as process:
        _, err = process.communicate(timeout=PATIENCE_S)

    assert json.loads(err)["event"] == "not_pinned"
    assert len(state.request_ids()) == 1


def test_what_it_has_not_read_is_told(state: StateDirectory) -> None:
    """The journal's unread bytes grow while it cannot work, and fall to nothing."""
    with ingesting(state):
        eventually(lambda: read_status(state.path))
        with closing(
            sqlite3.connect(state.database, isolation_level=None, timeout=PATIENCE_S)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            writer = state.writer()
            writer.append(encode_record(a_record(1)))
            behind = unread_bytes(state.path)
            other.execute("ROLLBACK")
        eventually(lambda: unread_bytes(state.path) == 0)
        writer.append(encode_record(a_record(2)))
        eventually(lambda: unread_bytes(state.path) == 0)
        writer.close()

    assert behind == len(encode_record(a_record(1))) + 1


def test_the_process_loads_little() -> None:
    """What the ingester does not need it does not load: it runs beside the router."""
    heavy = (
        "alembic|sqlalchemy|pydantic|starlette|aiohttp|httptools|uvloop|typer|rich|"
        "structlog|yaml|asyncio|logging|ssl|http"
    )
    script = (
        "import sys, smart_llmrouter.cli.ingest_command\n"
        f"print(sorted(set({heavy!r}.split('|')) & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )

    assert done.stdout.strip() == "[]"
