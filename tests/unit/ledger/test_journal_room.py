"""How much room the journal has: a warning before the end, and words for both."""

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.ledger.journal_room import JournalRoom
from smart_llmrouter.stores.journal import JournalHealth, JournalUnwritable, Pressure

MIB = 1 << 20


@pytest.mark.parametrize(
    ("unread", "free", "pressure", "told"),
    [
        (0, 1000, "none", None),
        (79, 1000, "none", None),
        (80, 1000, "low", "80 of 100 MiB of the journal are unread"),
        (100, 1000, "full", "100 of 100 MiB of the journal are unread"),
        (0, 32, "none", None),
        (0, 31, "low", "only 31 MiB left on the disk"),
        (0, 15, "full", "only 15 MiB left on the disk"),
        (90, 15, "full", "only 15 MiB left on the disk"),
        (None, None, "none", None),
    ],
)
def test_a_warning_comes_before_the_end(
    unread: int | None, free: int | None, pressure: Pressure, told: str | None
) -> None:
    """At 80 % of the budget, and at twice what must stay free."""
    room = JournalRoom(max_bytes=100 * MIB, min_free_bytes=16 * MIB)

    room.see(
        unread_bytes=None if unread is None else unread * MIB,
        free_bytes=None if free is None else free * MIB,
    )

    assert (room.pressure, room.told) == (pressure, told)
    assert room.full == (pressure == "full")


def test_without_a_budget_only_the_disk_bounds() -> None:
    """However much is unread."""
    room = JournalRoom()

    room.see(unread_bytes=1 << 50, free_bytes=0)

    assert not room.full


def test_one_line_each_time_that_it_changes() -> None:
    """Not one a second."""
    room = JournalRoom(max_bytes=10)

    with capture_logs() as logs:
        for unread in (1, 8, 8, 9, 10, 11, 9, 1, 1):
            room.see(unread_bytes=unread, free_bytes=None)

    assert [each["log_level"] for each in logs] == [
        "warning",
        "error",
        "warning",
        "info",
    ]


def test_what_readiness_is_told() -> None:
    """No room is a reason to send no calls; little room is none."""
    room = JournalRoom(max_bytes=10)
    fine = JournalHealth(None)

    room.see(unread_bytes=9, free_bytes=None)
    low = room.condition(fine)
    room.see(unread_bytes=10, free_bytes=None)
    full = room.condition(fine)

    assert (low.reason, low.pressure) == (None, "low")
    assert (full.reason, full.pressure) == (full.told, "full")
    assert low.told is not None


def test_what_is_worth_no_call_is_not_written_where_there_is_no_room() -> None:
    """Whoever writes it finds out."""
    room, lines = JournalRoom(max_bytes=1), list[bytes]()
    write = room.writing(lines.append)

    write(b"one")
    room.see(unread_bytes=1, free_bytes=None)

    with pytest.raises(JournalUnwritable):
        write(b"two")
    assert lines == [b"one"]
