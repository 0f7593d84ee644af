"""The journal's writing side: whole lines, rotation, syncing, faults."""

import itertools
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from smart_llmrouter.stores.journal import JournalUnwritable, JournalWriter
from smart_llmrouter.stores.segments import (
    SegmentFile,
    list_segments,
    open_segment,
    segment_name,
)

MakeJournal = Callable[..., JournalWriter]


@pytest.fixture
def journal_at(tmp_path: Path) -> MakeJournal:
    """Return a maker of writers into this test's own journal directory."""
    ticks = itertools.count(1_700_000_000)

    def make(**settings: object) -> JournalWriter:
        return JournalWriter(
            tmp_path / "journal",
            writer_id="w1",
            now=lambda: float(next(ticks)),
            **settings,  # type: ignore[arg-type]  # the test names real parameters
        )

    return make


def lines_of(directory: Path) -> list[bytes]:
    """Return all complete lines of all segments, in order."""
    found = []
    for name in list_segments(directory):
        with open_segment(directory, name) as segment:
            found += segment.complete_lines(0, at_most=1 << 20).lines
    return found


def test_records_are_read_back_in_order(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """What is appended comes back whole and in order."""
    journal = journal_at()

    marks = [journal.append(record) for record in (b"one", b"two", b"three")]

    assert lines_of(tmp_path / "journal") == [b"one", b"two", b"three"]
    assert marks == [len(b"one\n"), len(b"one\ntwo\n"), len(b"one\ntwo\nthree\n")]


def test_a_journal_is_private(journal_at: MakeJournal, tmp_path: Path) -> None:
    """Only the router's own user may list the directory or read a segment."""
    journal_at()

    directory = tmp_path / "journal"
    assert directory.stat().st_mode & 0o777 == 0o700
    [segment] = directory.iterdir()
    assert segment.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("sync", ["interval", "always", "off"])
def test_a_full_segment_is_followed_by_the_next(
    journal_at: MakeJournal, tmp_path: Path, sync: str
) -> None:
    """Segments rotate by size, keep their order, and are final once synced."""
    journal = journal_at(segment_bytes=10, sync=sync)
    for number in range(6):
        journal.append(b"line%d" % number)

    journal.sync()

    directory = tmp_path / "journal"
    assert lines_of(directory) == [b"line%d" % number for number in range(6)]
    final = []
    for name in list_segments(directory):
        with open_segment(directory, name) as segment:
            final.append(segment.is_final())
    assert final == [True, True, True, False]


def test_a_segment_is_final_only_after_its_data_reached_the_disk(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """A full segment stays locked until `sync` has dealt with it."""
    journal = journal_at(segment_bytes=1)
    journal.append(b"a")
    first = SegmentFile(tmp_path / "journal", list_segments(tmp_path / "journal")[0])

    before = first.is_final()
    journal.sync()
    after = first.is_final()

    first.close()
    assert (before, after) == (False, True)


def test_closing_makes_the_last_segment_final(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """After `close` nobody holds a lock; a straggler gets a segment of its own."""
    journal = journal_at()
    journal.append(b"a")

    journal.close()

    directory = tmp_path / "journal"
    with open_segment(directory, list_segments(directory)[0]) as segment:
        assert segment.is_final()
    journal.append(b"late")
    assert lines_of(directory) == [b"a", b"late"]


def test_many_callers_share_one_sync(journal_at: MakeJournal, tmp_path: Path) -> None:
    """A mark that an earlier sync covered costs nothing, and threads may race."""
    journal = journal_at(sync="always", segment_bytes=200)
    marks = [journal.append(b"x" * 50) for _ in range(20)]

    threads = [threading.Thread(target=journal.sync, args=(mark,)) for mark in marks]
    for thread in threads:
        thread.start()
    for number in range(200):
        journal.append(b"%d" % number)
    for thread in threads:
        thread.join()
    journal.sync()

    assert journal.probe().reason is None
    journal.sync(marks[0])
    assert len(lines_of(tmp_path / "journal")) == 20 + 200


def test_a_deleted_segment_is_noticed_and_replaced(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """A probe sees that the file is gone, and later records go to a new one."""
    journal = journal_at()
    directory = tmp_path / "journal"
    (directory / list_segments(directory)[0]).unlink()
    directory.rmdir()

    health = journal.probe()
    journal.append(b"a")

    assert health.reason is None
    assert b"a" in lines_of(directory)


def test_a_deleted_segment_is_noticed_by_the_sync(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """The second's sync notices it too, so no long run of records is lost."""
    journal = journal_at()
    directory = tmp_path / "journal"
    (directory / list_segments(directory)[0]).unlink()
    journal.append(b"lost")

    journal.sync()
    journal.append(b"kept")

    assert lines_of(directory) == [b"kept"]


def test_a_directory_that_cannot_be_made_is_a_clear_error(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """The reason is the operating system's own, without a path."""
    (tmp_path / "journal").write_text("a file is in the way")

    with pytest.raises(JournalUnwritable) as caught:
        journal_at()

    assert caught.value.reason == "File exists"


def test_too_little_room_makes_the_journal_unwritable(
    journal_at: MakeJournal,
) -> None:
    """A disk that is nearly full is told before the first record is refused."""
    journal = journal_at(min_free_bytes=1 << 62)

    health = journal.probe()

    assert health.reason is not None
    assert health.reason is not None
    assert "MiB left" in health.reason


def test_a_bad_writer_id_is_refused() -> None:
    """A writer id must fit into a file name that sorts."""
    with pytest.raises(ValueError, match="writer id"):
        segment_name(start_ms=0, writer_id="a-b", sequence=0)


_FILL_UP = """
import itertools, resource, sys
from pathlib import Path
from smart_llmrouter.stores.journal import JournalUnwritable, JournalWriter
directory = Path(sys.argv[1])
ticks = itertools.count(1)
journal = JournalWriter(directory, writer_id="w", now=lambda: float(next(ticks)))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (25, hard))
journal.append(b"1" * 9)
journal.append(b"2" * 9)
try:
    journal.append(b"3" * 9)
except JournalUnwritable as error:
    print(error.reason)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
print(journal.probe().reason is None)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(journal.probe().reason is None)
journal.append(b"4" * 9)
"""


def test_a_short_write_never_leaves_a_torn_line_before_good_ones(
    tmp_path: Path,
) -> None:
    """A line that does not fit is an error; the next goes to a segment of its own."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0

    done = subprocess.run(
        [sys.executable, "-c", _FILL_UP, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == ["File too large", "False", "True"]
    assert [line for line in lines_of(tmp_path) if line] == [
        b"1" * 9,
        b"2" * 9,
        b"4" * 9,
    ]
    first = tmp_path / list_segments(tmp_path)[0]
    assert first.read_bytes().endswith(b"\n33333")


_FILL_UP_AT_ONCE = """
import itertools, resource, sys
from pathlib import Path
from smart_llmrouter.stores.journal import JournalUnwritable, JournalWriter
directory = Path(sys.argv[1])
ticks = itertools.count(1)
journal = JournalWriter(directory, writer_id="w", now=lambda: float(next(ticks)))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
try:
    journal.append(b"1" * 9, b"2" * 9, b"3" * 9)
except JournalUnwritable as error:
    print(error.written)
"""


@pytest.mark.parametrize(
    ("room_bytes", "written"), [(0, 0), (9, 0), (10, 1), (25, 2), (29, 2)]
)
def test_a_short_write_of_several_records_tells_how_many_are_there(
    tmp_path: Path, room_bytes: int, written: int
) -> None:
    """A record is there when its newline is: a reader sees as many as are told."""
    done = subprocess.run(
        [sys.executable, "-c", _FILL_UP_AT_ONCE, str(tmp_path), str(room_bytes)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"{written}\n"
    (segment,) = list_segments(tmp_path)
    assert (tmp_path / segment).read_bytes().count(b"\n") == written


def test_a_segment_that_cannot_be_followed_is_written_on(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """When no new file can be made, records go on into the full one."""
    directory = tmp_path / "journal"
    journal = journal_at(segment_bytes=20)
    elsewhere = directory.rename(tmp_path / "elsewhere")
    directory.write_text("a file is in the way")

    journal.append(b"x" * 30)
    journal.append(b"still there")
    directory.unlink()
    journal.append(b"the last of the old one")
    journal.append(b"new")

    assert lines_of(elsewhere) == [
        b"x" * 30,
        b"still there",
        b"the last of the old one",
    ]
    assert lines_of(directory) == [b"new"]


def test_a_failed_sync_is_told_and_followed_by_a_new_segment(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """After a disk error nothing more is trusted to the same file."""
    journal = journal_at(sync="always")
    mark = journal.append(b"one")
    healthy, journal._fd = journal._fd, 1 << 20  # no such descriptor

    with pytest.raises(JournalUnwritable) as caught:
        journal.sync(mark)
    journal._fd = healthy
    told = journal.probe()
    journal.append(b"two")

    assert caught.value.reason == "Bad file descriptor"
    assert told.reason is None
    directory = tmp_path / "journal"
    assert [line for line in lines_of(directory) if line] == [b"one", b"two"]
    assert len(list_segments(directory)) == 2


def test_a_write_that_fails_whole_leaves_the_segment_usable(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """Where not one byte was written, the same segment is tried again."""
    journal = journal_at()
    healthy, journal._fd = journal._fd, 1 << 20  # no such descriptor

    with pytest.raises(JournalUnwritable):
        journal.append(b"refused")
    journal._fd = healthy
    journal.append(b"taken")

    assert lines_of(tmp_path / "journal") == [b"taken"]
    assert len(list_segments(tmp_path / "journal")) == 1


def test_a_journal_without_its_directory_is_told_by_the_probe(
    journal_at: MakeJournal, tmp_path: Path
) -> None:
    """A state directory that was renamed is a fault, not a silent success."""
    directory = tmp_path / "journal"
    journal = journal_at()
    directory.rename(tmp_path / "elsewhere")

    health = journal.probe()

    assert health.reason == "No such file or directory"
