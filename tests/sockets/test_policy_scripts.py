"""An operator's script decides, in processes of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.config.policies import Script
from smart_llmrouter.engine.policies.script import ScriptPolicy, open_script
from smart_llmrouter.engine.policies.script_process import started_process
from smart_llmrouter.engine.policies.unusable import PolicyUnusable
from smart_llmrouter.routing.policy import PolicyFault, Verdict
from tests.support.policies import question
from tests.support.process import is_running
from tests.support.wait import PATIENCE_S, eventually, eventually_sync

GENEROUS_MS = 30_000
"""A budget that no script of these tests uses up, on a machine that is busy."""

Opener = Callable[..., AbstractAsyncContextManager[ScriptPolicy]]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Return what opens a script from its text."""

    @asynccontextmanager
    async def open_it(
        source: str, *, timeout_ms: int = GENEROUS_MS, processes: int = 1
    ) -> AsyncGenerator[ScriptPolicy]:
        file = tmp_path / "policy.py"
        file.write_text(source)
        script = Script(file=file, timeout_ms=timeout_ms, processes=processes)
        async with open_script(script, group="chat") as policy:
            yield policy

    return open_it


async def fault_of(policy: ScriptPolicy, *, tool_count: int = 0) -> str:
    """Return how a decision failed."""
    with pytest.raises(PolicyFault) as fault:
        await policy.decide(question("a", "b", tool_count=tool_count))
    return fault.value.code


async def test_a_script_decides(opened: Opener) -> None:
    """It is asked once a call, and its answer is the verdict."""
    source = """
def route(ctx):
    if ctx["context"]["toolCount"]:
        return {"target": "b/mini", "fallbacks": [], "classLabel": "tools"}
    return ctx["targets"][0]["label"]
"""
    async with opened(source) as policy:
        plain = await policy.decide(question("a", "b"))
        tools = await policy.decide(question("a", "b", tool_count=2))

    assert policy.kind == "script"
    assert plain == Verdict(order=("a/mini",))
    assert tools == Verdict(order=("b/mini",), complete=True, class_label="tools")


async def test_a_script_keeps_what_it_remembers(opened: Opener) -> None:
    """Its processes live on between the calls."""
    source = """
calls = 0
def route(ctx):
    global calls
    calls += 1
    return {"targetIndex": 0, "classLabel": f"call-{calls}"}
"""
    async with opened(source) as policy:
        labels = [(await policy.decide(question("a"))).class_label for _ in range(3)]

    assert labels == ["call-1", "call-2", "call-3"]


async def test_an_endless_loop_is_killed_and_replaced(opened: Opener) -> None:
    """The call fails at its budget, and the next one has a new process."""
    source = """
def route(ctx):
    while ctx["context"]["toolCount"]:
        pass
    return ctx["targets"][1]["label"]
"""
    async with opened(source, timeout_ms=500) as policy:
        began_s = time.monotonic()
        code = await fault_of(policy, tool_count=1)
        took_s = time.monotonic() - began_s

        async def decided() -> Verdict | None:
            with suppress(PolicyFault):
                return await policy.decide(question("a", "b"))
            return None

        verdict = await eventually(decided, what="a decision after the loop")

    assert code == "timeout"
    # The next longer one is a test's own patience.
    assert 0.4 <= took_s < PATIENCE_S
    assert verdict == Verdict(order=("b/mini",))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("return {}['nosuch']", "raised"),
        ("raise SystemExit(1)", "raised"),
        ("return None", "malformed"),
        ("return object()", "malformed"),
        ("return float('nan')", "malformed"),
        ("answer = []; answer.append(answer); return answer", "malformed"),
        ("return '\\ud800'", "malformed"),
        ("return 'x' * 70_000", "too-large"),
        ("return {'targetIndex': 9}", "unknown-target"),
        ("import os; os._exit(3)", "raised"),
        ("import os; os.write(0, b'x' * 300_000 + b'\\n')", "too-large"),
        ("import os; os.write(0, b'no JSON\\n')", "raised"),
    ],
)
async def test_a_script_that_fails(opened: Opener, body: str, code: str) -> None:
    """Each failure has its code, and the next call is decided all the same."""
    source = f"""
def route(ctx):
    if ctx["context"]["toolCount"]:
        {body}
    return ctx["targets"][0]["label"]
"""
    async with opened(source) as policy:
        found = await fault_of(policy, tool_count=1)
        after = await policy.decide(question("a"))

    assert found == code
    assert after == Verdict(order=("a/mini",))


async def test_what_is_raised_is_told_to_the_operator_once(opened: Opener) -> None:
    """Type and line, and nothing that the exception says."""
    source = """
def route(ctx):
    return helper(ctx)

def helper(ctx):
    raise KeyError("what the caller wrote")
"""
    with capture_logs() as logs:
        async with opened(source) as policy:
            for _ in range(3):
                await fault_of(policy)

    assert logs == [
        {
            "event": "policy script raised",
            "log_level": "warning",
            "group": "chat",
            "exception": "KeyError",
            "line": 6,
        }
    ]


async def test_a_script_cannot_be_asked_by_more_than_it_has_processes(
    opened: Opener,
) -> None:
    """Who does not get one within the budget is told that all are busy."""
    source = """
def route(ctx):
    while ctx["context"]["toolCount"]:
        pass
    return ctx["targets"][0]["label"]
"""
    async with opened(source, timeout_ms=1000, processes=2) as policy:
        asked = [fault_of(policy, tool_count=1) for _ in range(5)]
        codes = await asyncio.gather(*asked)

    assert sorted(codes) == ["busy", "busy", "busy", "timeout", "timeout"]


async def test_waiting_calls_are_decided_in_turn(opened: Opener) -> None:
    """A call waits for a process for as long as its budget lasts."""
    source = "def route(ctx): return ctx['targets'][0]['label']"
    async with opened(source, processes=2) as policy:
        verdicts = await asyncio.gather(
            *(policy.decide(question("a")) for _ in range(200))
        )

    assert verdicts == [Verdict(order=("a/mini",))] * 200


async def test_a_caller_that_leaves_costs_no_process(
    opened: Opener, tmp_path: Path
) -> None:
    """The process finishes its decision, and serves the next call."""
    source = f"""
import os, pathlib, time
go_on = pathlib.Path({str(tmp_path / "go-on")!r})
asked = pathlib.Path({str(tmp_path / "asked")!r})
def route(ctx):
    if ctx["context"]["toolCount"]:
        asked.touch()
        while not go_on.exists():
            time.sleep(0.005)
    return {{"targetIndex": 0, "classLabel": str(os.getpid())}}
"""
    async with opened(source) as policy:
        before = (await policy.decide(question("a"))).class_label
        leaving = asyncio.create_task(policy.decide(question("a", tool_count=1)))
        await eventually((tmp_path / "asked").exists)
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving
        (tmp_path / "go-on").touch()
        after = (await policy.decide(question("a"))).class_label

    assert before == after


async def test_a_process_that_was_killed_is_replaced(opened: Opener) -> None:
    """The one that has gone is noticed before a call is given to it."""
    source = """
import os
def route(ctx):
    return {"targetIndex": 0, "classLabel": str(os.getpid())}
"""
    async with opened(source) as policy:
        first = (await policy.decide(question("a"))).class_label
        assert first is not None
        os.kill(int(first), signal.SIGKILL)
        process = next(iter(policy._processes))
        await eventually(lambda: process.has_ended)

        second = (await policy.decide(question("a"))).class_label

    assert second not in {None, first}


async def test_a_script_has_nothing_of_the_router(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No environment, no open files but its pipe, no terminal, no output."""
    monkeypatch.setenv("ACME_API_KEY", "sk-canary-0123456789")
    with (tmp_path / "inherited").open("w") as inherited:
        os.set_inheritable(inherited.fileno(), True)  # noqa: FBT003 - os has it so
        source = f"""
import json, os, pathlib, sys
def route(ctx):
    print("hello")
    open_files = sorted(int(each) for each in os.listdir("/proc/self/fd"))
    told = {{
        "environment": sorted(os.environ),
        "files": [os.readlink(f"/proc/self/fd/{{fd}}") for fd in open_files
                  if os.path.exists(f"/proc/self/fd/{{fd}}")],
        "session": os.getsid(0) == os.getpid(),
        "router": any(name.startswith("smart_llmrouter") for name in sys.modules),
    }}
    pathlib.Path({str(tmp_path / "told.json")!r}).write_text(json.dumps(told))
    return "a/mini"
"""
        async with opened(source) as policy:
            await policy.decide(question("a"))

    told = json.loads((tmp_path / "told.json").read_text())
    assert set(told["environment"]) <= {"LC_CTYPE"}  # Python sets it itself
    assert told["files"].count("/dev/null") == 2
    assert not [each for each in told["files"] if str(tmp_path) in each]
    assert told["session"]
    assert not told["router"]


async def test_a_script_may_import_what_lies_beside_it(
    opened: Opener, tmp_path: Path
) -> None:
    """Its own directory is on the path, and nothing is written there."""
    (tmp_path / "labels.py").write_text("FIRST = 'b/mini'\n")

    async with opened("import labels\ndef route(ctx): return labels.FIRST") as policy:
        verdict = await policy.decide(question("a", "b"))

    assert verdict == Verdict(order=("b/mini",))
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "labels.py",
        "policy.py",
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def route(ctx:", "SyntaxError in line 1"),
        ("import nosuch_module", "ModuleNotFoundError in line 1"),
        ("x = 1", "NoRoute"),
        ("route = 7", "NoRoute"),
        ("\nraise SystemExit", "SystemExit in line 2"),
    ],
)
async def test_a_script_that_cannot_be_imported(
    opened: Opener, source: str, reason: str
) -> None:
    """The router does not start with it, and says where it fails."""
    with pytest.raises(PolicyUnusable) as unusable:
        async with opened(source):
            pass

    assert f"cannot be imported: {reason};" in str(unusable.value)


async def test_a_script_that_ends_its_process(opened: Opener) -> None:
    """What happens at its top level is told, too."""
    with pytest.raises(PolicyUnusable) as unusable:
        async with opened("import os\nos._exit(0)"):
            pass

    assert "let it do nothing at its top level" in str(unusable.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
async def test_a_script_that_cannot_be_read(
    tmp_path: Path, content: bytes | None
) -> None:
    """A file that is missing, or no text."""
    file = tmp_path / "policy.py"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(PolicyUnusable) as unusable:
        async with open_script(Script(file=file), group="chat"):
            pass

    assert "cannot be read" in str(unusable.value)


async def test_a_changed_file_changes_nothing(opened: Opener, tmp_path: Path) -> None:
    """A process that is replaced runs what the router has started with."""
    source = """
import os
def route(ctx):
    if ctx["context"]["toolCount"]:
        os._exit(1)
    return "a/mini"
"""
    async with opened(source) as policy:
        (tmp_path / "policy.py").write_text("no Python any more")
        await fault_of(policy, tool_count=1)
        verdict = await policy.decide(question("a"))

    assert verdict == Verdict(order=("a/mini",))


async def test_a_process_that_cannot_be_started_again(
    opened: Opener, tmp_path: Path
) -> None:
    """It is tried again and again, and told to the operator; calls find nobody free."""
    blocked = tmp_path / "blocked"
    source = f"""
import os, pathlib
if pathlib.Path({str(blocked)!r}).exists():
    raise RuntimeError
def route(ctx):
    if ctx["context"]["toolCount"]:
        os._exit(1)
    return "a/mini"
"""
    with capture_logs() as logs:
        async with opened(source, timeout_ms=3000) as policy:
            blocked.touch()
            first = await fault_of(policy, tool_count=1)
            await eventually(lambda: logs)
            meanwhile = await fault_of(policy)
            blocked.unlink()

            async def decided() -> Verdict | None:
                with suppress(PolicyFault):
                    return await policy.decide(question("a"))
                return None

            after = await eventually(decided, what="a decision of a new process")

    assert (first, meanwhile) == ("raised", "busy")
    assert after == Verdict(order=("a/mini",))
    assert logs[0]["event"] == "policy script cannot be started again"
    assert "RuntimeError in line 4" in logs[0]["reason"]


async def test_a_process_that_cannot_be_started(tmp_path: Path) -> None:
    """The reason of the system is told."""
    with pytest.raises(PolicyUnusable, match="No such file or directory"):
        await started_process(tmp_path / "nowhere" / "policy.py", "")


async def test_nothing_is_left_when_the_router_stops(opened: Opener) -> None:
    """Processes end with the block, also one that decides for ever."""
    source = """
import os
def route(ctx):
    while ctx["context"]["toolCount"]:
        pass
    return {"targetIndex": 0, "classLabel": str(os.getpid())}
"""
    async with opened(source, timeout_ms=GENEROUS_MS, processes=2) as policy:
        first = (await policy.decide(question("a"))).class_label
        endless = asyncio.create_task(policy.decide(question("a", tool_count=1)))
        await eventually(lambda: policy._idle.qsize() < 2)

    with suppress(asyncio.CancelledError, PolicyFault):
        await endless
    assert not Path(f"/proc/{first}").exists()
    assert not policy._processes


DIE_WITH_PROCESSES = """
import asyncio, os, signal, sys
from pathlib import Path
from smart_llmrouter.config.policies import Script
from smart_llmrouter.engine.policies.script import open_script
from tests.support.policies import question
from tests.support.wait import eventually

async def main():
    script = Script(file=Path(sys.argv[1]), timeout_ms=30_000, processes=2)
    async with open_script(script, group="chat") as policy:
        label = (await policy.decide(question("a"))).class_label
        looping = asyncio.create_task(policy.decide(question("a", tool_count=1)))
        await eventually(Path(sys.argv[2]).exists)
        print(*(each._process.pid for each in policy._processes), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_processes_die_with_a_router_that_is_killed(tmp_path: Path) -> None:
    """The idle one and the one that loops are gone soon after it."""
    file, looping = tmp_path / "policy.py", tmp_path / "looping"
    file.write_text(
        "import os, pathlib\n"
        "def route(ctx):\n"
        "    while ctx['context']['toolCount']:\n"
        f"        pathlib.Path({str(looping)!r}).touch()\n"
        "    return {'targetIndex': 0, 'classLabel': str(os.getpid())}\n"
    )

    killed = subprocess.run(
        [sys.executable, "-c", DIE_WITH_PROCESSES, str(file), str(looping)],
        capture_output=True,
        check=False,
        timeout=2 * PATIENCE_S,
    )

    pids = killed.stdout.decode().split()
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len(pids) == 2
    eventually_sync(
        lambda: not any(is_running(int(pid)) for pid in pids), what="their end"
    )
