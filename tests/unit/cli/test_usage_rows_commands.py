"""`smart-llmrouter usage export`, `tail` and `import`: records one by one."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.usage_commands import app
from smart_llmrouter.ledger.exporting import COLUMNS
from smart_llmrouter.ledger.record import encode_record
from tests.support.configuration import SMALL
from tests.support.ledger import StateDirectory, a_record, state_in, various_record
from tests.support.reports import ingested
from tests.support.wait import PATIENCE_S, eventually_sync

ALL = ("--since", "2020-01-01", "--until", "2030-01-01")


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory, and beside it a configuration that names it."""
    state = state_in(tmp_path)
    text = f"state:\n  directory: {json.dumps(str(state.path))}\n" + SMALL
    (tmp_path / "router.yaml").write_text(text)
    return state


def asked(state: StateDirectory, command: str, *arguments: str) -> Result:
    """Run a command with that configuration."""
    config = state.path.parent / "router.yaml"
    return CliRunner().invoke(
        app,
        [command, *arguments, "--config", str(config)],
        env={"ACME_API_KEY": None},
    )


def test_an_export_has_each_row_with_the_columns_of_the_table(
    state: StateDirectory,
) -> None:
    """And nothing else; unknown is an empty cell, and no cell is a formula."""
    records = [various_record(number) for number in range(12)]
    state.journalled([*records, a_record(99, client="=1+1")])

    shown = asked(state, "export", *ALL)

    rows = list(csv.DictReader(io.StringIO(shown.stdout, newline="")))
    assert shown.exit_code == 0, shown.stderr
    assert tuple(rows[0]) == COLUMNS
    assert [row["request_id"] for row in rows[:12]] == [r.request_id for r in records]
    assert rows[0]["total_cost_nusd"] == ""
    assert rows[12]["client"] == "'=1+1"


def test_an_export_as_json_lines_keeps_types_and_gaps(state: StateDirectory) -> None:
    """An object a line, chosen as reports choose calls, neighbours sharing nothing."""
    state.journalled(
        [a_record(1, stream=True), a_record(2), a_record(3, caller_id="bob")]
    )
    moment = "2026-09-21T14:13:20.00"

    first, rest = (
        asked(state, "export", "--format", "jsonl", "--where", "caller!=bob", *interval)
        for interval in (
            ("--since", "2026-09-21", "--until", f"{moment}2Z"),
            ("--since", f"{moment}2Z", "--until", "2026-09-22"),
        )
    )

    [one], [two] = (
        [json.loads(line) for line in each.stdout.splitlines()]
        for each in (first, rest)
    )
    assert (one["request_id"], one["stream"]) == (a_record(1).request_id, True)
    assert (two["request_id"], two["ttft_us"]) == (a_record(2).request_id, None)


def test_an_export_into_a_file_is_there_whole_or_not_at_all(
    state: StateDirectory,
) -> None:
    """What was there before stays where the export fails."""
    state.journalled([a_record(1)])
    out = state.path.parent / "rows.csv"

    good = asked(state, "export", *ALL, "--out", str(out))
    written = out.read_text()
    bad = asked(state, "export", "--since", "never", "--out", str(out))

    assert (good.exit_code, bad.exit_code) == (0, 2)
    assert written.count("\n") == 2
    assert out.read_text() == written
    assert {path.name for path in out.parent.glob("*rows*")} == {"rows.csv"}


def other_journal(
    directory: Path, numbers: range, *, last: bytes = b"", segment_bytes: int = 2000
) -> Path:
    """Return the state directory of another machine, with calls in its journal."""
    state = StateDirectory(directory)
    writer = state.writer(segment_bytes=segment_bytes)
    for number in numbers:
        writer.append(encode_record(various_record(number)))
    if last:
        writer.append(last)
    writer.close()
    return directory


def test_a_journal_of_another_machine_is_imported_once(
    state: StateDirectory, tmp_path: Path
) -> None:
    """However often; what is no record is set aside with its file, and counted."""
    ingested(state, [various_record(number) for number in range(4)])
    other = other_journal(tmp_path / "other", range(2, 20), last=b'{"no": record')
    files = sorted((other / "journal").iterdir())

    first = asked(state, "import", str(other))
    again = asked(state, "import", *map(str, files))

    assert (first.exit_code, again.exit_code) == (1, 1)
    assert "16 records imported from" in first.stdout
    assert "2 already there, 1 line rejected" in first.stdout
    assert again.stdout.startswith("0 records imported from")
    assert "18 already there" in again.stdout
    assert len(state.request_ids()) == 20
    assert {entry["segment"] for entry in state.rejected()} == {str(files[-1])}
    assert sorted((other / "journal").iterdir()) == files
    assert list(state.path.glob("import-*")) == []


def test_an_import_that_was_killed_is_begun_again(
    state: StateDirectory, tmp_path: Path
) -> None:
    """Whenever it was killed, the next one makes it whole, and doubles nothing."""
    other = other_journal(tmp_path / "other", range(3000), segment_bytes=100_000)
    config = state.path.parent / "router.yaml"
    program = (sys.executable, "-m", "smart_llmrouter", "usage", "import", str(other))
    process = subprocess.Popen(
        [*program, "--config", str(config)], stdout=subprocess.PIPE
    )
    eventually_sync(
        lambda: bool(state.count("request_measures")) or process.poll() == 0,
    )
    process.kill()
    process.communicate()

    done = asked(state, "import", str(other))

    assert done.exit_code == 0, done.output
    assert len(state.request_ids()) == 3000


@pytest.mark.parametrize("to_format", ["csv", "jsonl"])
def test_an_export_is_no_journal(
    state: StateDirectory, tmp_path: Path, to_format: str
) -> None:
    """It is refused as a whole, with all that was to be imported beside it."""
    state.journalled([various_record(number) for number in range(6)])
    out = tmp_path / "exported"
    asked(state, "export", *ALL, "--format", to_format, "--out", str(out))
    before = state.request_ids()
    other = other_journal(tmp_path / "other", range(20, 30))

    refused = asked(state, "import", str(other), str(out))

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"error: {out.resolve()} is an export, not a journal: " in refused.stderr
    assert state.request_ids() == before
    assert not (state.journal / "rejected.jsonl").exists()


def test_a_row_of_an_export_among_lines_of_a_journal_is_rejected(
    state: StateDirectory, tmp_path: Path
) -> None:
    """It has not all that the record has, which comes with its own journal."""
    records = [various_record(number) for number in range(6)]
    state.journalled(records)
    row = asked(state, "export", *ALL, "--format", "jsonl").stdout.splitlines()[2]
    fresh = state_in(tmp_path / "fresh")
    config = tmp_path / "fresh" / "router.yaml"
    config.write_text(f"state:\n  directory: {json.dumps(str(fresh.path))}\n" + SMALL)
    mixed = other_journal(
        tmp_path / "mixed", range(20, 25), last=row.encode(), segment_bytes=100_000
    )

    done = asked(fresh, "import", str(mixed))
    whole = other_journal(tmp_path / "whole", range(6))
    asked(fresh, "import", str(whole))

    assert done.exit_code == 1
    assert "5 records imported from 1 file; 0 already there, 1 line rejected" in (
        done.stdout
    )
    assert [entry["reason"] for entry in fresh.rejected()] == ["not a usage record"]
    assert len(fresh.request_ids()) == 11
    assert fresh.ask("SELECT count(*) FROM label_notes") != [(0,)]


def test_a_torn_end_is_no_failure_of_an_import(
    state: StateDirectory, tmp_path: Path
) -> None:
    """What a killed router had half written was never a record; it is set aside."""
    other = other_journal(tmp_path / "other", range(5), segment_bytes=100_000)
    [file] = (other / "journal").iterdir()
    with file.open("ab") as end:
        end.write(b'["req_half')

    done = asked(state, "import", str(other))

    assert done.exit_code == 0, done.output
    assert "5 records imported from 1 file; 0 already there, 1 line rejected" in (
        done.stdout
    )
    assert "rejected.jsonl" in done.stderr


def test_where_a_journal_is_looked_for_is_said(
    state: StateDirectory, tmp_path: Path
) -> None:
    """With what its files are called, and that others can be named."""
    (tmp_path / "copied").mkdir()
    (tmp_path / "copied" / "x.jsonl").touch()

    shown = asked(state, "import", str(tmp_path / "copied"))

    assert shown.exit_code == 1
    assert shown.stderr == (
        f"error: {tmp_path / 'copied'} holds no journal: neither it nor its `journal` "
        "has a file with a name such as 000000000000001-import-000001.jsonl; files of "
        "other names are to be given one by one\n"
    )


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere", "No such file"), ("empty", "holds no journal")]
)
def test_nothing_to_import_is_said(
    state: StateDirectory, tmp_path: Path, name: str, said: str
) -> None:
    """In one line, and nothing is made."""
    (tmp_path / "empty").mkdir()

    shown = asked(state, "import", str(tmp_path / name))

    assert shown.exit_code == 1
    assert said in shown.stderr


def test_tail_shows_calls_as_they_come(state: StateDirectory) -> None:
    """The last ones first, then each new one once; Ctrl-C ends it without a word."""
    now_ms = int(time.time() * 1000)
    ingested(state, [a_record(n, ts_ms=now_ms - 9000 + n) for n in range(3)])
    config = state.path.parent / "router.yaml"
    arguments = ("usage", "tail", "--lines", "1", "--format", "json")
    process = subprocess.Popen(
        [sys.executable, "-m", "smart_llmrouter", *arguments, "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None

    first = json.loads(process.stdout.readline())
    # A call that began before those that were shown, and ended after them.
    state.journalled([a_record(7, ts_ms=now_ms - 20_000, error_code="late")])
    second = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()

    assert first["request_id"] == a_record(2).request_id
    assert (second["request_id"], second["error_code"]) == (
        a_record(7).request_id,
        "late",
    )
    assert (process.returncode, out, err) == (0, b"", b"")


def test_tail_begins_with_the_last_calls_however_old(state: StateDirectory) -> None:
    """As many as were asked for and no more, of those that were asked for."""
    records = [a_record(n, error_code="late" if n % 2 else None) for n in range(9)]
    ingested(state, records)

    shown = asked(
        state,
        "tail",
        *("--lines", "3", "--count", "3", "--where", "error=late"),
        *("--format", "json"),
    )

    found = [json.loads(line)["request_id"] for line in shown.stdout.splitlines()]
    assert shown.exit_code == 0, shown.output
    assert found == [records[n].request_id for n in (3, 5, 7)]


def test_tail_shows_lines_for_people(state: StateDirectory) -> None:
    """Only those that were asked for, and what a client wrote moves no cursor."""
    now_ms = int(time.time() * 1000)
    ingested(
        state,
        [
            a_record(
                1,
                ts_ms=now_ms - 9000,
                status=429,
                attempts=0,
                caller_id="a\x1b[2J",
                error_code="rate-limited",
                refused_by="caller:rpm",
            ),
            a_record(2, ts_ms=now_ms - 8000),
        ],
    )

    shown = asked(state, "tail", "--count", "1", "--where", "error!=")

    assert shown.exit_code == 0, shown.output
    [line] = shown.stdout.splitlines()
    assert "429" in line
    assert "rate-limited  by caller:rpm" in line
    assert "\x1b" not in line
