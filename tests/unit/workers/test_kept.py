"""A place and the processes that hold it, one after the other: when, and how told."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.workers.kept import Kept
from smart_llmrouter.workers.starting import READY, Started
from tests.support.clock import Clock
from tests.support.wait import eventually_sync

SHELL = "/bin/sh"


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


def shell(script: str, *, hears: int | None = None) -> Started:
    """Start a shell that runs `script`."""
    pid = os.posix_spawn(SHELL, [SHELL, "-c", script], {})
    return Started(pid=pid, hears=hears)


@pytest.fixture
def keeping(clock: Clock) -> Iterator[Callable[[str], Kept]]:
    """Return what makes a place for shells with a script; they end with the test."""
    made: list[Kept] = []

    def keep(script: str) -> Kept:
        kept = Kept("shell", lambda: shell(script), now=clock)
        made.append(kept)
        return kept

    yield keep
    for kept in made:
        kept.tell(signal.SIGKILL)
        kept.look(expected=True)


def end_of(kept: Kept, *, expected: bool = False) -> int:
    """Wait for the end of the process, and return its status."""
    found: list[int] = []

    def ended() -> bool:
        status = kept.look(expected=expected)
        found.extend([] if status is None else [status])
        return bool(found)

    eventually_sync(ended, what="the end")
    return found[0]


def pauses_of(kept: Kept, clock: Clock, *, ends: int, life_s: float = 0) -> list[float]:
    """Let the process end so often; return how long nothing was started each time."""
    pauses = []
    kept.start()
    for _ in range(ends):
        clock.now_s += life_s
        end_of(kept)
        assert kept.due_s is not None
        pauses.append(round(kept.due_s - clock.now_s, 3))
        kept.restart_when_due()
        assert kept.pid is None
        clock.now_s = kept.due_s
        kept.restart_when_due()
        assert kept.pid is not None
    return pauses


def test_who_ends_at_once_is_started_later_each_time(
    keeping: Callable[[str], Kept], clock: Clock
) -> None:
    """The pause doubles up to ten seconds, and each restart is counted."""
    kept = keeping("exit 3")

    pauses = pauses_of(kept, clock, ends=8)

    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert kept.restarts == 8


def test_a_long_life_is_rewarded(keeping: Callable[[str], Kept], clock: Clock) -> None:
    """Who lived for more than a minute is started again soon, every time."""
    pauses = pauses_of(keeping("exit 0"), clock, ends=3, life_s=61)

    assert pauses == [0.2] * 3


def test_an_end_is_told_with_its_status(keeping: Callable[[str], Kept]) -> None:
    """What was not expected stands in the log; what was does not."""
    kept = keeping("kill -9 $$")
    with capture_logs() as logs:
        kept.start()
        status = end_of(kept)
        kept.start()
        end_of(kept, expected=True)

    assert status == -signal.SIGKILL
    assert [(each["what"], each["status"]) for each in logs] == [("shell", -9)]
    assert kept.due_s is None


def test_who_has_nothing_to_say_is_up_at_once(keeping: Callable[[str], Kept]) -> None:
    """It is up until its end was seen."""
    kept = keeping("exec sleep 60")
    before = kept.up
    kept.start()
    during = (kept.up, kept.look())
    kept.tell(signal.SIGTERM)
    end_of(kept)

    assert (before, during, kept.up) == (False, (True, None), False)


@pytest.mark.parametrize(
    ("said", "up", "reason"),
    [
        (READY, True, None),
        (b"the disk is full", False, "the disk is full"),
        (b"", False, None),
    ],
)
def test_it_is_up_when_it_says_so(
    clock: Clock, said: bytes, *, up: bool, reason: str | None
) -> None:
    """Anything else is why it cannot start."""
    hears, says = os.pipe()
    kept = Kept("shell", lambda: shell("exec sleep 60", hears=hears), now=clock)
    kept.start()
    before = kept.up
    for byte in said:
        os.write(says, bytes([byte]))
        kept.listen()
    os.close(says)
    kept.listen()
    after = (kept.up, kept.reason, kept.files)
    kept.listen()
    kept.tell(signal.SIGKILL)
    end_of(kept, expected=True)

    assert not before
    assert after == (up, reason, [])


def test_what_the_system_refuses_is_tried_again(clock: Clock) -> None:
    """The reason stands in the log, and nobody is told to end who is not there."""
    begun: list[int] = []

    def start() -> Started:
        begun.append(1)
        if len(begun) == 2:
            raise OSError(11, "Resource temporarily unavailable")
        return shell("exit 0")

    kept = Kept("shell", start, now=clock)
    kept.start()
    end_of(kept)
    clock.now_s += 1
    with capture_logs() as logs:
        kept.restart_when_due()
    refused = (kept.pid, kept.look(), kept.hears, kept.files)
    kept.tell(signal.SIGTERM)
    clock.now_s += 1
    kept.restart_when_due()
    end_of(kept, expected=True)

    assert [each["reason"] for each in logs] == ["Resource temporarily unavailable"]
    assert refused == (None, None, None, [])
    assert len(begun) == 3
