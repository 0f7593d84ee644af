"""The parent, with children that are no workers: what it does when they will not go."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.bootstrap import CannotStart
from smart_llmrouter.edge.crew import Board
from smart_llmrouter.workers.kept import Kept
from smart_llmrouter.workers.parent import Parent
from smart_llmrouter.workers.signals import Signals
from smart_llmrouter.workers.starting import Started
from tests.support.process import is_running

SHELL = "/bin/sh"
HOURS: Callable[[], float] = itertools.count(0, 3600).__next__
"""A clock on which an hour goes by between any two looks."""

STUBBORN = "trap '' TERM; while :; do sleep 0.05; done"


def shell(script: str) -> Started:
    """Start a shell, which says nothing, and so is up at once."""
    return Started(pid=os.posix_spawn(SHELL, [SHELL, "-c", script], os.environ))


def refused() -> Started:
    """Start nothing."""
    raise OSError(11, "Resource temporarily unavailable")


@pytest.fixture
def family() -> Iterator[Callable[[Kept, Kept], Parent]]:
    """Return what makes a parent of a worker and an ingester."""
    board, signals = Board(1), Signals()

    def parent_of(worker: Kept, ingester: Kept) -> Parent:
        return Parent(
            [worker], ingester, board=board, signals=signals, grace_s=1, now=HOURS
        )

    yield parent_of
    board.close()
    for end in signals.pipe:
        os.close(end)


def test_who_does_not_end_in_time_is_killed(
    family: Callable[[Kept, Kept], Parent],
) -> None:
    """A worker and an ingester that hang hold the end up for so long only."""
    worker = Kept("worker 1", lambda: shell(STUBBORN), now=HOURS)
    ingester = Kept("ingester", lambda: shell(STUBBORN), now=HOURS)
    parent = family(worker, ingester)
    with capture_logs() as logs:
        up = parent.start()
        pids = [each.pid or 0 for each in (worker, ingester)]
        running = [is_running(pid) for pid in pids]
        parent.stop()

    assert up
    assert running == [True, True]
    assert not any(is_running(pid) for pid in pids)
    killed = [each["what"] for each in logs if each["event"].startswith("was killed")]
    assert killed == ["worker 1", "ingester"]


def test_an_ingester_that_is_gone_is_started_to_finish(
    family: Callable[[Kept, Kept], Parent],
) -> None:
    """What is journalled is moved at the end, whoever died before it."""
    begun: list[int] = []

    def start() -> Started:
        begun.append(1)
        return shell("exit 0")

    ingester = Kept("ingester", start, now=HOURS)
    worker = Kept("worker 1", lambda: shell("exit 1"), now=HOURS)

    family(worker, ingester).stop()

    assert begun == [1]
    assert ingester.pid is None


def test_without_room_for_a_process_nothing_starts(
    family: Callable[[Kept, Kept], Parent],
) -> None:
    """The reason is the system's, and the end is as quiet as it can be."""
    parent = family(
        Kept("worker 1", refused, now=HOURS), Kept("ingester", refused, now=HOURS)
    )

    with pytest.raises(CannotStart, match="Resource temporarily unavailable"):
        parent.start()
    parent.stop()


def test_a_worker_that_ends_without_a_word_is_told_by_its_status(
    family: Callable[[Kept, Kept], Parent],
) -> None:
    """It did not say why it cannot start, so the status is all there is."""
    hears, says = os.pipe()
    os.close(says)
    worker = Kept(
        "worker 1", lambda: Started(pid=shell("exit 7").pid, hears=hears), now=HOURS
    )
    parent = family(worker, Kept("ingester", lambda: shell("exec sleep 60"), now=HOURS))

    with pytest.raises(CannotStart, match="worker 1 ended with status 7"):
        parent.start()
    parent.stop()
