"""The parent, with children that are no workers: what it does when they will not go."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest
from structlog.testing import capture_logs

from smart_llmrouter.bootstrap import CannotStart
from smart_llmrouter.edge.crew import Board, Staffing
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


class Seconds:
    """A clock on which so many seconds go by between any two looks."""

    def __init__(self, step_s: float) -> None:
        """Begin at 1000 s."""
        self.step_s = step_s
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time, and let it go on."""
        self.now_s += self.step_s
        return self.now_s


@contextmanager
def two_workers(
    now: Seconds, *, grace_s: float = 1
) -> Iterator[tuple[Parent, list[Kept], Board, Signals]]:
    """Start a parent of two workers that say nothing, and of an ingester."""
    board, signals = Board(2), Signals()
    workers = [
        Kept(f"worker {number}", lambda: shell("exec sleep 60"), now=now)
        for number in (1, 2)
    ]
    ingester = Kept("ingester", lambda: shell("exec sleep 60"), now=now)
    parent = Parent(
        workers, ingester, board=board, signals=signals, grace_s=grace_s, now=now
    )
    try:
        assert parent.start()
        yield parent, workers, board, signals
    finally:
        signals.asked = 3
        parent.stop()
        board.close()
        for end in signals.pipe:
            os.close(end)


def staffing_of(board: Board) -> Staffing:
    """Return what the parent has said last."""
    return msgspec.msgpack.decode(board.staffing.read()[1], type=Staffing)


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


def test_a_worker_that_publishes_nothing_does_not_count_as_up() -> None:
    """It is there, but nobody who is dealt to it is served; then it goes on."""
    with two_workers(Seconds(0.5)) as (parent, workers, board, _):
        with capture_logs() as logs:
            for _ in range(12):
                board.reports[0].write(b"counts")
                parent.look()
        silent = staffing_of(board)
        board.reports[1].write(b"counts")
        parent.look()
        both = staffing_of(board)
        pids = tuple(each.pid for each in workers)

    assert (silent.workers, silent.silent) == ((pids[0], None), (2,))
    assert (both.workers, both.silent) == (pids, ())
    assert [each["what"] for each in logs] == ["worker 2"]


def test_a_worker_that_hangs_is_replaced() -> None:
    """After half a minute nobody waits for it any more."""
    with two_workers(Seconds(0.5)) as (parent, workers, board, _):
        hanging = workers[1].pid
        with capture_logs() as logs:
            for _ in range(200):
                board.reports[0].write(b"counts")
                parent.look()
                if workers[1].restarts:
                    break
        replaced = workers[1].pid
        staffing = staffing_of(board)

    assert workers[0].restarts == 0
    assert replaced not in {None, hanging}
    assert (staffing.restarts, staffing.silent) == ((0, 1), ())
    killed = [each for each in logs if each["event"] == "worker is killed: it hangs"]
    assert [each["what"] for each in killed] == ["worker 2"]


def test_the_parents_own_sleep_is_nobodys_silence() -> None:
    """Where all processes were stopped for an hour, none of them hangs."""
    now = Seconds(0.5)
    with two_workers(now) as (parent, workers, board, _):
        parent.look()
        now.now_s += 3600
        parent.look()
        staffing = staffing_of(board)

    assert (staffing.silent, [each.restarts for each in workers]) == ((), [0, 0])


@pytest.mark.parametrize(("asked", "within_s"), [(2, 40.0), (3, 20.0)])
def test_whoever_asks_again_does_not_wait_for_what_hangs(
    asked: int, within_s: float
) -> None:
    """Asked twice, a stopped worker has ten seconds; asked three times, none."""
    now = Seconds(0.5)
    with two_workers(now, grace_s=600) as (parent, workers, _, signals):
        workers[0].tell(signal.SIGSTOP)
        pid = workers[0].pid or 0
        signals.asked = asked
        began_s = now.now_s
        parent.stop()
        took_s = now.now_s - began_s

    assert took_s < within_s
    assert not is_running(pid)
