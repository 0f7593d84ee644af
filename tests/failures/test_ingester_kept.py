"""The ingester as the router with one process keeps it: started, told, reaped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.config.snapshot import State
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.ledger import supervisor as supervisor_module
from smart_llmrouter.ledger.child import Child
from smart_llmrouter.ledger.spawning import spawn_ingester
from smart_llmrouter.ledger.supervisor import IngesterSupervisor
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.process import (
    arguments,
    children,
    is_running,
    open_files,
    told_again_and_again,
)
from tests.support.wait import eventually, eventually_sync


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def settings_of(state: StateDirectory) -> State:
    """Return what the router's configuration says of a state directory."""
    url = Secret(state.url, source="a test")
    return State(directory=state.path, database_url=url, journal_sync="off")


@asynccontextmanager
async def kept(state: StateDirectory) -> AsyncGenerator[IngesterSupervisor]:
    """Keep an ingester alive for the length of a block."""
    async with IngesterSupervisor(settings_of(state)) as supervisor:
        yield supervisor


def ingesters() -> list[int]:
    """Return the ingesters that this process has started, and that run."""
    found = children(os.getpid())
    return [pid for pid in found if b"ingest_command" in arguments(pid)]


async def started() -> list[int]:
    """Return them when there are some: a command line is there a moment later."""
    return await eventually(ingesters, what="an ingester")


async def test_no_signal_comes_too_early(state: StateDirectory) -> None:
    """What it ignores does not end it before it has come to ignoring it."""
    async with kept(state) as supervisor:
        (pid,) = await started()
        await told_again_and_again(pid, signal.SIGHUP, signal.SIGINT)
        after = ingesters()
        state.journalled([a_record(1)])
        await eventually(state.request_ids)
        condition = supervisor.condition()

    assert (after, condition) == ([pid], "ok")


async def test_one_that_dies_is_started_again_and_reaped(state: StateDirectory) -> None:
    """Each is there once, and nothing is left of it, nor of the last."""
    files = open_files(os.getpid())
    began = set(children(os.getpid()))
    with capture_logs() as told:
        async with kept(state) as supervisor:
            seen = await started()
            for _ in range(2):
                os.kill(seen[-1], signal.SIGKILL)
                fresh = await eventually(without(seen), what="the next one")
                assert len(fresh) == 1
                seen += fresh
            held = open_files(os.getpid())
            state.journalled([a_record(1)])
            condition = supervisor.condition()

    assert condition == "ok"
    assert state.request_ids() == [a_record(1).request_id]
    ends = [each for each in told if each["event"] == "ingester ended"]
    assert [(each["status"], each["restart_in_s"]) for each in ends] == [
        (-signal.SIGKILL, 0.2),
        (-signal.SIGKILL, 0.4),
    ]
    assert len(set(seen)) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)
    assert set(children(os.getpid())) == began
    # An event loop has files of its own; the pipe to the ingester and its watch remain.
    assert open_files(os.getpid()) <= files
    assert held - files <= 2


def without(known: list[int]) -> Callable[[], list[int]]:
    """Return what finds the ingesters that are not known."""
    return lambda: [pid for pid in ingesters() if pid not in known]


async def test_while_none_is_there_the_condition_says_so(
    state: StateDirectory,
) -> None:
    """It says so from the end of one until the start of the next."""
    async with kept(state) as supervisor:
        (pid,) = await started()
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not is_running(pid))
        meanwhile = supervisor.condition()
        await eventually(without([pid]), what="the next one")
        after = supervisor.condition()

    assert (meanwhile, after) == ("not running; it is being started again", "ok")


async def test_an_end_beside_that_of_the_router_is_no_fault(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops both may be heard of by the router a moment later."""
    monkeypatch.setattr(supervisor_module, "_HEARD_WITHIN_S", 60)
    with capture_logs() as told:
        async with kept(state) as supervisor:
            (pid,) = await started()
            os.kill(pid, signal.SIGTERM)
            eventually_sync(lambda: not is_running(pid), what="its end")
            for _ in range(20):
                await asyncio.sleep(0)
            supervisor.expect_its_end()

    assert told == []


async def test_one_that_does_not_finish_is_killed(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The router does not wait for it for ever."""
    monkeypatch.setattr(supervisor_module, "_FAREWELL_S", 0.1)
    async with kept(state):
        (pid,) = await started()
        os.kill(pid, signal.SIGSTOP)

    assert not Path(f"/proc/{pid}").exists()


async def test_one_that_died_just_now_is_replaced_for_what_is_left(
    state: StateDirectory,
) -> None:
    """What was journalled before the end is moved, whoever has died meanwhile."""
    async with kept(state) as supervisor:
        (pid,) = await started()
        supervisor.expect_its_end()
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not is_running(pid))
        state.journalled([a_record(1)])

    assert state.request_ids() == [a_record(1).request_id]
    assert not ingesters()


@pytest.fixture(params=["told by the kernel", "looked at"])
def child(
    request: pytest.FixtureRequest,
    state: StateDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Child]:
    """Return an ingester, on kernels that tell of its end, and on those that do not."""
    if request.param == "looked at":
        monkeypatch.delattr(os, "pidfd_open")
    child = Child(spawn_ingester(settings_of(state), cpus=frozenset()))
    yield child
    child.kill()
    eventually_sync(lambda: child.look() is not None, what="its end")


async def test_an_end_is_waited_for(child: Child) -> None:
    """Whoever stops waiting may wait again; the status is known ever after."""
    files = open_files(os.getpid())
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await child.ended()
    running = child.look()
    waited = open_files(os.getpid())
    child.release()
    child.release()

    found = {*await asyncio.gather(child.ended(), child.ended()), child.look()}

    child.kill()
    assert running is None
    assert found == {0}
    assert waited == files
    assert open_files(os.getpid()) == files - 1


async def test_an_end_that_somebody_else_was_told(child: Child) -> None:
    """It counts as one all the same."""
    os.kill(child.pid, signal.SIGKILL)
    await eventually(lambda: os.waitpid(child.pid, os.WNOHANG) != (0, 0))

    assert await child.ended() == 255


async def test_one_that_cannot_be_started(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stays open where the system refuses."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    files = open_files(os.getpid())

    with pytest.raises(FileNotFoundError):
        spawn_ingester(settings_of(state), cpus=frozenset())

    assert open_files(os.getpid()) == files
