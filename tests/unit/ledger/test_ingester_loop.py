"""Patience with a database that is away, without a process around it."""

from pathlib import Path

import pytest

from smart_llmrouter.ledger.ingester import Progress
from smart_llmrouter.ledger.ingester_loop import (
    IngesterStatus,
    PatientIngester,
    keep_ingesting,
    read_status,
    unread_bytes,
)
from tests.support.ledger import StateDirectory, a_record, state_in


class Told:
    """Remember what was logged."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.lines: list[tuple[str, dict[str, str | int]]] = []

    def __call__(self, event: str, /, **fields: str | int) -> None:
        """Take one line."""
        self.lines.append((event, fields))


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def patient_with(state: StateDirectory, told: Told) -> PatientIngester:
    """Return a patient ingester of that state."""
    return PatientIngester(state.ingester(), state_directory=state.path, log=told)


def test_retries_come_later_and_later_up_to_five_seconds(
    state: StateDirectory,
) -> None:
    """While the database is away the pauses double; when it is back they do not."""
    told = Told()
    patient = patient_with(state, told)
    elsewhere = state.database.rename(state.path / "elsewhere")

    pauses = []
    for _ in range(7):
        assert patient.advance() is None
        pauses.append(patient.pause_s)
    status = read_status(state.path)
    elsewhere.rename(state.database)
    done = patient.advance()

    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert status is not None
    assert (status.database, status.reason) == ("away", "No such file or directory")
    assert (done, patient.pause_s) == (Progress(), 0.25)
    assert [event for event, _ in told.lines] == ["database_away", "database_back"]


def test_a_journal_that_cannot_be_kept_clean_is_waited_for(
    state: StateDirectory,
) -> None:
    """Where a bad line cannot be set aside, it is not skipped either."""
    told = Told()
    writer = state.writer()
    writer.append(b"poison")
    writer.close()
    in_the_way = state.journal / "rejected.jsonl"
    in_the_way.mkdir()
    patient = patient_with(state, told)

    blocked = patient.advance()
    in_the_way.rmdir()
    done = patient.advance()

    assert blocked is None
    assert told.lines[0] == ("database_away", {"reason": "journal: Is a directory"})
    assert done == Progress(rejected=1)
    assert len(state.rejected()) == 1


def test_a_status_that_cannot_be_written_stops_nothing(state: StateDirectory) -> None:
    """The status file is a courtesy."""
    told = Told()
    (state.path / "ingester.json.new").mkdir()

    patient_with(state, told).publish()

    assert told.lines == [("status_unwritable", {"reason": "Is a directory"})]
    assert read_status(state.path) is None


def test_a_garbled_status_is_no_status(state: StateDirectory) -> None:
    """Whatever stands in the file, reading it is safe."""
    (state.path / "ingester.json").write_text("{")

    assert read_status(state.path) is None


def test_a_status_is_private(state: StateDirectory) -> None:
    """Like everything else in the state directory."""
    patient_with(state, Told()).publish()

    status = read_status(state.path)
    assert isinstance(status, IngesterStatus)
    assert (state.path / "ingester.json").stat().st_mode & 0o777 == 0o600


def test_a_journal_that_cannot_be_read_is_not_taken_for_an_empty_one(
    state: StateDirectory,
) -> None:
    """How much is unread is known or unknown, and unknown is not zero."""
    nothing_yet = unread_bytes(state.path)
    state.journal.write_text("in the way")

    assert (nothing_yet, unread_bytes(state.path)) == (0, None)


def stopping_at_once(_pause_s: float) -> bool:
    """Say that it is time to stop."""
    return True


def test_the_end_waits_for_a_database_but_not_for_ever(state: StateDirectory) -> None:
    """After two seconds without a database its records stay in the journal."""
    state.journalled([a_record(1)])
    state.database.rename(state.path / "elsewhere")
    hands_s = [0.0]

    def sleep(seconds: float) -> None:
        hands_s[0] += seconds

    keep_ingesting(
        patient_with(state, Told()),
        wait=stopping_at_once,
        sleep=sleep,
        monotonic=lambda: hands_s[0],
    )

    assert 2 <= hands_s[0] < 5
    assert len(state.segments()) == 1


@pytest.mark.parametrize("block_bytes", [1, 1 << 16])
def test_the_end_ingests_everything_that_is_left(
    state: StateDirectory, block_bytes: int
) -> None:
    """However many steps it takes."""
    state.journalled(a_record(number) for number in range(200))
    ingester = state.ingester(block_bytes=block_bytes)

    keep_ingesting(
        PatientIngester(ingester, state_directory=state.path, log=Told()),
        wait=stopping_at_once,
        sleep=lambda seconds: pytest.fail(f"slept {seconds} s"),
        monotonic=lambda: 0.0,
    )

    assert len(state.request_ids()) == 200
    assert state.segments() == []
