"""The configuration is read again while calls are served, and nothing is lost."""

import asyncio
import json
import os
import random
import signal
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.calendar import MIDDAY
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    free_port,
    provider,
    running_gateway,
)
from tests.support.line import Line, chat, line_to
from tests.support.load import Seen, under_load
from tests.support.mock import running_mock
from tests.support.process import arguments, children, open_files, resident_bytes
from tests.support.puppet import (
    DONE,
    FINISH,
    USAGE,
    Puppet,
    completion,
    content_event,
    running_puppet,
)
from tests.support.secure_gateway import SecureGateway
from tests.support.upstream_server import CERTIFICATES, KEY_FILE
from tests.support.wait import eventually

RELOADS = 100
SEED = random.randrange(2**32)
ALL = pytest.mark.parametrize("workers", [1, 2])

pytestmark = pytest.mark.timeout(600)


def settings_for(base_url: str, *, workers: int = 1, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a configuration takes
    """Return a configuration of so many workers, and one caller who sees metrics."""
    settings = configuration(
        {"acme": provider(base_url)},
        server={"workers": workers},
        callers=[caller(metrics_admin=True)],
    )
    return settings | changes


@asynccontextmanager
async def routed(
    tmp_path: Path,
    *,
    workers: int = 1,
    grace_s: float = 5,
    **changes: Any,  # noqa: ANN401 - as above
) -> AsyncGenerator[tuple[Gateway, Puppet]]:
    """Run a router in front of a puppet."""
    async with running_puppet() as puppet:
        settings = settings_for(puppet.base_url, workers=workers, **changes)
        settings["server"]["shutdown_grace_s"] = grace_s
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, puppet


async def serving(gateway: Gateway) -> list[int]:
    """Return the processes that serve calls."""
    own = arguments(gateway.pid)
    workers = [pid for pid in children(gateway.pid) if arguments(pid) == own]
    return workers or [gateway.pid]


async def lines_to_all(gateway: Gateway, stack: AsyncExitStack) -> list[Line]:
    """Return connections, some of them to each worker, idle after a first answer."""
    lines = [await stack.enter_async_context(line_to(gateway)) for _ in range(16)]
    for line in lines:
        line.send(b"GET /healthz HTTP/1.1\r\nhost: router\r\n\r\n")
        await line.answer()
    return lines


async def statuses(lines: list[Line], asked: bytes) -> set[tuple[int, str | None]]:
    """Ask the same on each connection; return the statuses, with codes of errors."""
    for line in lines:
        line.send(asked)
    answers = [await line.answer() for line in lines]
    return {
        (each.status, None if each.status == 200 else each.error_code)
        for each in answers
    }


@ALL
async def test_under_load_no_call_notices(tmp_path: Path, workers: int) -> None:
    """Ten reloads while 30 callers call: no call fails, no connection is cut."""
    async with running_mock() as mock:
        mock.always(Step(words=20, delay_between_ms=2))
        settings = settings_for(mock.base_url, workers=workers)
        settings["server"]["shutdown_grace_s"] = 60
        async with (
            running_gateway(tmp_path, settings) as gateway,
            under_load(gateway, callers=30, chance=random.Random(SEED)) as seen,
        ):
            served = []
            for turn in range(10):
                settings["upstream"]["idle_timeout_s"] = 60 + turn
                settings["upstream"]["idle_connection_s"] = 20 + turn % 2
                gateway.write()
                report = await gateway.reload()
                served.append(report["configuration_fingerprint"])
                await thirty_more(seen)
            async with gateway.http() as client:
                metrics = (await client.get("/metrics")).text
            status = await gateway.stop()
        rows = {row["request_id"]: row for row in gateway.rows()}

    assert len(set(served)) == 10
    assert not seen.cut, f"seed {SEED}"
    assert {rows[each]["status"] for each in seen.whole} == {200}
    assert set(served) <= {row["config_fingerprint"] for row in rows.values()}
    assert 'configuration_reloads_total{outcome="taken"} 10.0' in metrics
    assert f'configuration_info{{fingerprint="{served[-1]}"}}' in metrics
    assert status == 0
    assert "Traceback" not in gateway.log


async def thirty_more(seen: Seen) -> None:
    """Wait until thirty more calls were answered."""
    whole = len(seen.whole)
    await eventually(lambda: len(seen.whole) >= whole + 30, what="thirty calls")


@ALL
async def test_open_connections_go_on_by_the_new_one(
    tmp_path: Path, workers: int
) -> None:
    """Groups come and go, a key is rotated, a target moves: the next call sees it."""
    async with (
        running_puppet() as other,
        routed(tmp_path, workers=workers) as (gateway, puppet),
        AsyncExitStack() as stack,
    ):
        lines = await lines_to_all(gateway, stack)
        settings = gateway.settings
        before = await statuses(lines, chat(model="slow", key="k1"))
        settings["groups"]["slow"] = {
            "strategy": "failover",
            "targets": [{"use": "acme/mini"}],
        }
        settings["callers"] = [caller("k2", allow=["slow"])]
        settings["providers"]["acme"]["base_url"] = other.base_url
        gateway.write()
        await gateway.reload()
        old_key = await statuses(lines, chat(key="k1"))
        old_group = await statuses(lines, chat(key="k2"))
        for line in lines:
            line.send(chat(model="slow", key="k2"))
            (await other.call()).write(completion())
        answers = [await line.answer() for line in lines]

    assert before == {(403, "model-not-allowed")}
    assert old_key == {(401, "unauthorized")}
    assert old_group == {(403, "model-not-allowed")}
    assert {answer.status for answer in answers} == {200}
    assert puppet.unanswered == 0


@ALL
async def test_what_has_begun_goes_on_by_the_old_one(
    tmp_path: Path, workers: int
) -> None:
    """A stream, a call and a body that is half sent end as if nothing had happened."""
    whole = chat(headers={"expect": "100-continue"})
    async with (
        routed(tmp_path, workers=workers) as (gateway, puppet),
        line_to(gateway) as streamed,
        line_to(gateway) as plain,
        line_to(gateway) as half,
    ):
        first = (await gateway.report())["configuration_fingerprint"]
        streamed.send(chat(stream=True))
        stream_call = await puppet.call()
        stream_call.begin_stream()
        stream_call.chunk(content_event("one"))
        await streamed.until(b"one")
        plain.send(chat())
        plain_call = await puppet.call()
        # What the router says it has read was there before the new configuration.
        half.send(whole[: -len(chat_body())])
        await half.until(b"100 Continue\r\n\r\n")
        half.send(whole[-len(chat_body()) : -10])
        gateway.settings["groups"] = {
            "other": {"strategy": "failover", "targets": [{"use": "acme/mini"}]}
        }
        gateway.settings["callers"] = [caller(allow=["other"])]
        gateway.settings["upstream"] = {"max_connections": 7}
        gateway.write()
        report = await gateway.reload()
        half.send(whole[-10:])
        half_call = await puppet.call()
        half_call.write(completion("half"))
        plain_call.write(completion("plain"))
        answers = [await plain.answer(), await half.answer()]
        await streamed.until(b"\r\n")
        stream_call.chunk(FINISH + USAGE + DONE)
        stream_call.end_stream()
        end = await streamed.until(b"0\r\n\r\n")
        plain.send(chat())
        after = await plain.answer()
        rows = await gateway.recorded(4)

    assert [answer.status for answer in answers] == [200, 200]
    assert b"[DONE]" in end
    assert (after.status, after.error_code) == (403, "model-not-allowed")
    served = {row["request_id"]: row["config_fingerprint"] for row in rows}
    second = report["configuration_fingerprint"]
    assert first != second
    assert served.pop(after.request_id) == second
    assert set(served.values()) == {first}


@ALL
async def test_a_bad_file_changes_nothing(tmp_path: Path, workers: int) -> None:
    """Each mistake is logged with its line and key; the readiness report says so."""
    async with routed(tmp_path, workers=workers) as (gateway, puppet):
        good = gateway.config_path.read_text()
        first = await gateway.report()
        gateway.settings["groups"]["chat"]["targets"][0]["use"] = "acme/nobody"
        gateway.settings["server"]["max_request_bytes"] = -1
        gateway.write()
        bad = await gateway.reload()
        async with gateway.http() as client, asyncio.TaskGroup() as group:
            asked = group.create_task(
                client.post("/v1/chat/completions", content=chat_body())
            )
            (await puppet.call()).write(completion())
            answer = await asked
            metrics = (await client.get("/metrics")).text
        gateway.config_path.write_text(good)
        mended = await gateway.reload()
        log = gateway.log

    assert first["parts"]["configuration"] == "ok"
    assert bad["parts"]["configuration"].startswith("the file was refused")
    assert (bad["status"], mended["status"]) == ("degraded", "ready")
    assert bad["configuration_fingerprint"] == first["configuration_fingerprint"]
    assert bad["configuration"]["last_reload"]["outcome"] == "refused"
    assert mended["parts"]["configuration"] == "ok"
    assert 'configuration_reloads_total{outcome="refused"} 1.0' in metrics
    assert answer.status_code == 200
    told = [json.loads(line) for line in log.splitlines() if "configuration" in line]
    mistakes = {each["key"]: each for each in told if "key" in each}
    assert set(mistakes) == {
        "groups.chat.targets[0].use",
        "server.max_request_bytes",
    }
    assert all(each["line"] > 1 for each in mistakes.values())
    assert "Traceback" not in log


def chat_body() -> bytes:
    """Return the body of a chat request."""
    return chat().partition(b"\r\n\r\n")[2]


@ALL
async def test_a_file_that_is_gone_changes_nothing(
    tmp_path: Path, workers: int
) -> None:
    """So does one that is a directory, or no YAML at all."""
    async with routed(tmp_path, workers=workers) as (gateway, _):
        first = await gateway.report()
        gateway.config_path.unlink()
        gone = await gateway.reload()
        gateway.config_path.mkdir()
        directory = await gateway.reload()
        gateway.config_path.rmdir()
        gateway.config_path.write_bytes(b"\0{")
        nonsense = await gateway.reload()
        gateway.write()
        again = await gateway.reload()

    outcomes = [
        report["configuration"]["last_reload"]["outcome"]
        for report in (gone, directory, nonsense, again)
    ]
    assert outcomes == ["refused", "refused", "refused", "taken"]
    assert again["configuration_fingerprint"] == first["configuration_fingerprint"]
    assert "Traceback" not in gateway.log


@ALL
async def test_what_needs_a_restart_is_named(tmp_path: Path, workers: int) -> None:
    """The rest takes effect; the keys stay named until they are as they were."""
    async with routed(tmp_path, workers=workers) as (gateway, _):
        settings = gateway.settings
        written = settings | {
            "server": settings["server"]
            | {
                "listen": f"127.0.0.1:{free_port()}",
                "workers": 3,
                "max_request_bytes": 2048,
            },
            "state": {**settings["state"], "journal_sync": "off"},
        }
        gateway.config_path.write_text(json.dumps(written))
        report = await gateway.reload()
        async with line_to(gateway) as line:
            line.send(chat("a" * 2048))
            too_large = await line.answer()
        gateway.write()
        back = await gateway.reload()
        log = gateway.log

    named = ["server.listen", "server.workers", "state.journal_sync"]
    assert report["configuration"]["awaits_restart"] == named
    assert report["status"] == "ready"
    assert too_large.status == 413
    assert back["configuration"]["awaits_restart"] == []
    lines = [each for each in log.splitlines() if "needs a restart" in each]
    assert [json.loads(each)["keys"] for each in lines] == [named]


@ALL
async def test_wishes_that_come_together(tmp_path: Path, workers: int) -> None:
    """Whatever the file says last is what is served, however they come."""
    async with routed(tmp_path, workers=workers) as (gateway, _):
        for turn in range(20):
            gateway.settings["upstream"]["total_timeout_s"] = 300 + turn
            gateway.write()
            os.kill(gateway.pid, signal.SIGHUP)
            os.kill(gateway.pid, signal.SIGHUP)

        await eventually(gateway.has_taken_what_is_written, what="the last one")
        report = await gateway.report()
        status = await gateway.stop()

    assert report["parts"]["configuration"] == "ok"
    assert status == 0
    assert "Traceback" not in gateway.log


@ALL
async def test_a_stop_comes_before_a_reload(tmp_path: Path, workers: int) -> None:
    """SIGHUP and then SIGTERM: what is in flight ends as usual."""
    async with (
        routed(tmp_path, workers=workers, grace_s=60) as (gateway, puppet),
        line_to(gateway) as line,
    ):
        line.send(chat())
        call = await puppet.call()
        os.kill(gateway.pid, signal.SIGHUP)
        os.kill(gateway.pid, signal.SIGTERM)
        os.kill(gateway.pid, signal.SIGHUP)
        call.write(completion())
        answer = await line.answer()
        status = await gateway.stop()
        rows = gateway.rows()

    assert answer.status == 200
    assert status == 0
    assert [row["status"] for row in rows] == [200]
    assert "Traceback" not in gateway.log


@ALL
async def test_all_processes_may_be_told(tmp_path: Path, workers: int) -> None:
    """As `systemctl kill` does: workers and the ingester leave SIGHUP to the parent."""
    async with routed(tmp_path, workers=workers) as (gateway, _):
        processes = children(gateway.pid)
        for pid in processes:
            os.kill(pid, signal.SIGHUP)
        report = await gateway.reload()
        after = children(gateway.pid)

    assert after == processes
    assert report["status"] == "ready"


async def test_a_worker_that_is_started_later_begins_with_the_newest(
    tmp_path: Path,
) -> None:
    """It was forked by a parent that has taken another configuration by then."""
    async with routed(tmp_path, workers=2) as (gateway, _), AsyncExitStack() as stack:
        gateway.settings["callers"] = [caller("k2", metrics_admin=True)]
        gateway.write()
        await gateway.reload()
        before = await serving(gateway)
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        async def all_new() -> bool:
            new = not set(before).intersection(await serving(gateway))
            return new and await are_well(gateway)

        await eventually(all_new, what="two new workers")
        lines = await lines_to_all(gateway, stack)
        gone = await statuses(lines, chat(key="k1", model="nobody"))
        known = await statuses(lines, chat(key="k2", model="nobody"))
        ready = await gateway.report()

    assert gone == {(401, "unauthorized")}
    assert known == {(403, "model-not-allowed")}
    assert (ready["status"], ready["parts"]["configuration"]) == ("ready", "ok")


async def are_well(gateway: Gateway) -> bool:
    """Say whether both workers are up, and serve by the same configuration."""
    try:
        report = await gateway.report()
    except httpx2.TransportError:
        return False
    return bool(
        report["workers"]["up"] == 2 and report["parts"]["configuration"] == "ok"
    )


async def test_workers_that_die_meanwhile(tmp_path: Path) -> None:
    """Whoever is there in the end serves by what the file said last."""
    chance = random.Random(SEED)
    async with routed(tmp_path, workers=2) as (gateway, _), AsyncExitStack() as stack:
        for turn in range(5):
            gateway.settings["upstream"]["total_timeout_s"] = 300 + turn
            gateway.settings["callers"] = [caller(f"t{turn}", metrics_admin=True)]
            gateway.write()
            os.kill(gateway.pid, signal.SIGHUP)
            await asyncio.sleep(chance.random() / 4)
            for pid in (await serving(gateway))[:1]:
                if pid != gateway.pid:
                    os.kill(pid, signal.SIGKILL)

        await eventually(lambda: are_well(gateway), what="two workers")
        # Perhaps not the end of this one is seen, but that of one before it.
        await gateway.reload()
        await eventually(gateway.has_taken_what_is_written, what="the last file")
        await eventually(lambda: are_well(gateway), what="two workers")
        last = await gateway.report()
        lines = await lines_to_all(gateway, stack)
        known = await statuses(lines, chat(key="t4", model="nobody"))

    assert last["configuration"]["last_reload"]["outcome"] == "taken", f"seed {SEED}"
    assert known == {(403, "model-not-allowed")}, f"seed {SEED}"


async def test_limits_hold_against_what_was_counted(tmp_path: Path) -> None:
    """A limit that is raised, lowered or new sees what was used before it."""
    async with running_mock() as mock:
        mock.always(Step(words=2, prompt_tokens=10, completion_tokens=10))
        settings = settings_for(mock.base_url)
        settings["callers"] = [caller(limits={"rpm": 3})]
        async with (
            running_gateway(tmp_path, settings) as gateway,
            line_to(gateway) as line,
        ):
            first = [await called(line) for _ in range(4)]
            settings["callers"] = [caller(limits={"rpm": 5})]
            gateway.write()
            await gateway.reload()
            raised = [await called(line) for _ in range(3)]
            settings["callers"] = [caller()]
            settings["groups"]["chat"]["budgets"] = {
                "timezone": MIDDAY,
                "day": {"requests": 7},
            }
            gateway.write()
            await gateway.reload()
            new = [await called(line) for _ in range(4)]
            settings["groups"]["chat"]["budgets"] = {
                "timezone": MIDDAY,
                "day": {"requests": 2},
            }
            gateway.write()
            await gateway.reload()
            lowered = await called(line)

    assert first == [None, None, None, "rpm-exceeded"]
    assert raised == [None, None, "rpm-exceeded"]
    assert new == [None, None, "quota-exhausted", "quota-exhausted"]
    assert lowered == "quota-exhausted"


async def called(line: Line) -> str | None:
    """Make a call, and return the code of its error; `None`: it was answered."""
    line.send(chat())
    answer = await line.answer()
    return None if answer.status == 200 else answer.error_code


@ALL
async def test_a_renewed_certificate_is_shown(tmp_path: Path, workers: int) -> None:
    """By all workers, on the socket that listens already; an unusable one is not."""
    shown, other = (
        (CERTIFICATES / name).read_text() for name in ("good.pem", "wrong-name.pem")
    )
    certificate = tmp_path / "cert.pem"
    certificate.write_text(shown)
    settings = settings_for("http://127.0.0.1:9/v1", workers=workers)
    settings["server"]["tls"] = {
        "cert_file": str(certificate),
        "key_file": str(KEY_FILE),
    }
    gateway = SecureGateway(tmp_path, settings)
    try:
        await gateway.start()
        before = await certificates_of(gateway)
        certificate.write_text(other)
        os.kill(gateway.pid, signal.SIGHUP)
        await eventually(lambda: "configuration reloaded" in gateway.log)
        renewed = await certificates_of(gateway)
        certificate.write_text("nonsense")
        os.kill(gateway.pid, signal.SIGHUP)
        await eventually(lambda: "configuration refused" in gateway.log)
        after = await certificates_of(gateway)
    finally:
        await gateway.stop()

    assert before == {leaf_of(shown)}
    assert renewed == after == {leaf_of(other)}


def leaf_of(chain: str) -> bytes:
    """Return the first certificate of a PEM file."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(
        chain[chain.index("-----BEGIN CERT") : chain.index(end)] + end + "\n"
    )


async def certificates_of(gateway: Gateway) -> set[bytes]:
    """Return the certificates that are shown on sixteen new connections."""
    host, port = gateway.settings["server"]["listen"].split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = set()
    for _ in range(16):
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        secured = writer.get_extra_info("ssl_object")
        found.add(secured.getpeercert(binary_form=True))
        writer.close()
    return found


SCRIPT = "def route(ctx): return {target!r}"


def scripted(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with a group that a script decides."""
    settings["groups"]["chat"] |= {
        "strategy": "script",
        "script": {"file": "policy.py", "timeout_ms": 5_000},
    }
    return settings


def script_processes(pid: int) -> list[int]:
    """Return the processes of scripts below a process."""
    found = []
    for child in children(pid):
        if b"script_child.py" in arguments(child):
            found.append(child)
        found += script_processes(child)
    return found


@ALL
async def test_a_script_is_read_again(tmp_path: Path, workers: int) -> None:
    """Its old processes end when their last call has; a broken one changes nothing."""
    async with running_puppet() as puppet:
        script = tmp_path / "policy.py"
        script.write_text(SCRIPT.format(target="acme/mini"))
        settings = scripted(settings_for(puppet.base_url, workers=workers))
        settings["providers"]["other"] = provider(puppet.base_url)
        settings["groups"]["chat"]["targets"].append({"use": "other/mini"})
        async with (
            running_gateway(tmp_path, settings) as gateway,
            line_to(gateway) as line,
        ):
            line.send(chat())
            call = await puppet.call()
            old = script_processes(gateway.pid)
            script.write_text(SCRIPT.format(target="other/mini"))
            await gateway.reload()
            both = script_processes(gateway.pid)
            call.write(completion())
            before = await line.answer()
            await eventually(
                lambda: not set(old).intersection(script_processes(gateway.pid)),
                what="the end of the old processes",
            )
            new = script_processes(gateway.pid)
            script.write_text("def route(ctx): ...\n\nraise ValueError")
            failed = await gateway.reload()
            line.send(chat())
            (await puppet.call()).write(completion())
            after = await line.answer()
            still = script_processes(gateway.pid)

    assert before.headers["x-router-target"] == "acme/mini"
    assert after.headers["x-router-target"] == "other/mini"
    assert set(old) & set(both)
    assert len(new) == workers
    assert sorted(still) == sorted(new)
    assert failed["configuration"]["last_reload"]["outcome"] == "failed"
    assert failed["parts"]["configuration"].startswith("what the file says could not")
    assert "ValueError" in gateway.log


@pytest.mark.soak
@ALL
async def test_nothing_piles_up(tmp_path: Path, workers: int) -> None:
    """A hundred reloads leave no process, no file and no memory behind."""
    async with running_mock() as mock:
        (tmp_path / "policy.py").write_text(SCRIPT.format(target="acme/mini"))
        settings = scripted(settings_for(mock.base_url, workers=workers))
        async with running_gateway(tmp_path, settings) as gateway:
            for turn in range(10):
                await one_more(gateway, turn)
            await retired(gateway, workers)
            pids = await serving(gateway)
            files = [open_files(pid) for pid in pids]
            memory = [resident_bytes(pid) for pid in pids]
            for turn in range(RELOADS):
                await one_more(gateway, turn)
            await retired(gateway, workers)
            await eventually(
                lambda: all(
                    abs(open_files(pid) - then) <= 4
                    for pid, then in zip(pids, files, strict=True)
                ),
                what="as many open files as before",
            )
            grown = [
                resident_bytes(pid) - before
                for pid, before in zip(pids, memory, strict=True)
            ]
            same = await serving(gateway)

    assert same == pids
    assert max(grown) < 4 * 1024 * 1024


async def one_more(gateway: Gateway, turn: int) -> None:
    """Reload with another key and other bounds, and make a call."""
    gateway.settings["providers"]["acme"]["headers"] = {"x-turn": str(turn)}
    gateway.settings["upstream"]["max_connections"] = 10 + turn % 2
    gateway.write()
    await gateway.reload()
    async with line_to(gateway) as line:
        line.send(chat())
        assert (await line.answer()).status == 200


async def retired(gateway: Gateway, workers: int) -> None:
    """Wait until only the processes of the last edition are there."""
    await eventually(
        lambda: len(script_processes(gateway.pid)) == workers, what="one script each"
    )


@ALL
async def test_bounds_for_strangers_change(tmp_path: Path, workers: int) -> None:
    """Those of failed authentications hold from then on, in each worker."""
    async with running_mock() as mock:
        settings = settings_for(mock.base_url, workers=workers)
        async with running_gateway(tmp_path, settings) as gateway:
            nobody = b"GET /v1/models HTTP/1.1\r\nhost: router\r\n\r\n"
            async with AsyncExitStack() as stack:
                lines = await lines_to_all(gateway, stack)
                before = await statuses(lines, nobody)
                gateway.settings["server"]["auth_failures_per_minute"] = 1
                gateway.write()
                await gateway.reload()
                await statuses(lines, nobody)
                after = await statuses(lines, nobody)

    assert before == {(401, "unauthorized")}
    assert after == {(429, "too-many-auth-failures")}
