"""The journal's reading side."""

from pathlib import Path

import pytest

from smart_llmrouter.stores.segments import (
    MAX_LINE_BYTES,
    line_ends,
    list_segments,
    open_segment,
    segment_name,
    segment_sizes,
)

NAME = segment_name(start_ms=1, writer_id="w", sequence=0)


def test_no_directory_has_no_segments(tmp_path: Path) -> None:
    """Before the first start there is simply nothing to read."""
    assert list_segments(tmp_path / "none") == []
    assert segment_sizes(tmp_path / "none") == {}


def test_only_segments_are_listed_and_sorted(tmp_path: Path) -> None:
    """Other files in the directory are left alone."""
    later = segment_name(start_ms=10, writer_id="a", sequence=0)
    for name in (later, NAME, "rejected.jsonl", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")

    assert list_segments(tmp_path) == [NAME, later]
    assert segment_sizes(tmp_path) == {NAME: 1, later: 1}


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (b"", 0),
        (b"half", 0),
        (b"one\n", 4),
        (b"one\nhalf", 4),
        (b"one\n" + b"h" * 100_000, 4),
        (b"l" * 100_000 + b"\n", 100_001),
        (b"no line\n" + b"x" * (40 * MAX_LINE_BYTES), 8 + 40 * MAX_LINE_BYTES),
    ],
    ids=["empty", "half", "one", "and half", "long half", "long", "no line of ours"],
)
def test_where_the_whole_lines_of_a_segment_end(
    tmp_path: Path, content: bytes, end: int
) -> None:
    """Whatever is behind them, and however long they are."""
    (tmp_path / NAME).write_bytes(content)

    assert line_ends(tmp_path) == {NAME: end}


@pytest.mark.parametrize("at_most", [1, 3, 7, 100])
def test_lines_come_whole_however_small_the_blocks(
    tmp_path: Path, at_most: int
) -> None:
    """A block grows until it holds one whole line; a torn line is left."""
    (tmp_path / NAME).write_bytes(b"alpha\n\nbeta\ngam")

    lines: list[bytes] = []
    offset = 0
    with open_segment(tmp_path, NAME) as segment:
        while (block := segment.complete_lines(offset, at_most=at_most)).lines:
            lines += block.lines
            offset = block.end
        tail = segment.tail(offset)

    assert lines == [b"alpha", b"", b"beta"]
    assert tail == b"gam"


def test_something_without_a_newline_is_given_up_in_pieces(tmp_path: Path) -> None:
    """Garbage that never ends cannot block what follows it."""
    (tmp_path / NAME).write_bytes(b"x" * MAX_LINE_BYTES + b"y\nz\n")

    with open_segment(tmp_path, NAME) as segment:
        first = segment.complete_lines(0, at_most=10)
        second = segment.complete_lines(first.end, at_most=10)

    assert first.oversized
    assert first.end == MAX_LINE_BYTES
    assert second.lines == [b"y", b"z"]


def test_a_segment_can_be_deleted_twice(tmp_path: Path) -> None:
    """Deleting what somebody else already deleted is no error."""
    (tmp_path / NAME).write_bytes(b"")

    with open_segment(tmp_path, NAME) as segment:
        segment.delete()
        segment.delete()

    assert list_segments(tmp_path) == []
