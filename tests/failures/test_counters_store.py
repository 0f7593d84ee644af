"""A counter store that is restarted, flushed, paused, secured, or part of a cluster."""

import asyncio
import binascii
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.shared_terms import SharedLease
from smart_llmrouter.admission.verdicts import Lease, Refusal
from smart_llmrouter.config.allowances import Cap, Limits
from smart_llmrouter.core.errors.faults import CountersAway
from tests.support.calendar import MIDDAY
from tests.support.counter_stores import chain, granted, refused, scope
from tests.support.gateway import free_port
from tests.support.ledger import StateDirectory, a_record
from tests.support.sharing import Process, processes, started
from tests.support.upstream_server import AUTHORITY, CERTIFICATES, KEY_FILE
from tests.support.valkey import ValkeyServer
from tests.support.wait import eventually

ALICE = scope(
    limits=Limits(rpm=1000, tpm=10_000, concurrent=3),
    day=Cap(tokens=1000),
    timezone=MIDDAY,
)
CALLS = chain(ALICE)
ACL_COMMANDS: Final = (
    "+evalsha +script|load +select +time +get +set +hget +hset +hmget +hdel +hgetall"
    " +hkeys +hlen +hexists +sadd +smembers +srem +pexpire +persist"
)
SETTLED = {"rpm": (1, 0), "tpm": (7, 0), "concurrent": (0, 0), "day.tokens": (7, 0)}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ValkeyServer]]:
    """Return what starts a server with options; it is ended after the test."""
    made = []

    def start_one(*options: str) -> ValkeyServer:
        server = ValkeyServer(tmp_path, *options)
        made.append(server)
        server.start()
        return server

    yield start_one
    for server in made:
        server.kill()


@pytest.fixture
def server(start: Callable[..., ValkeyServer]) -> ValkeyServer:
    """Return a server of the test's own, which writes down what it is told."""
    return start("--appendonly", "yes")


@pytest.fixture
async def process(tmp_path: Path, server: ValkeyServer) -> AsyncIterator[Process]:
    """Return one process that counts there."""
    async with processes(tmp_path, server.url) as (one,):
        yield one


async def reached(process: Process) -> None:
    """Wait until the store is there."""
    await eventually(
        lambda: process.counters.condition() is None, what="the store's answer"
    )


async def test_processes_share_what_is_counted(
    tmp_path: Path, server: ValkeyServer
) -> None:
    """What one of them takes the other does not have."""
    async with processes(tmp_path, server.url, 2) as (first, second):
        taken = await asyncio.gather(
            *(each.take(CALLS, tokens=10) for each in (first, second) * 3)
        )
        leases = [each for each in taken if isinstance(each, Lease)]
        refusals = [each for each in taken if isinstance(each, Refusal)]
        owner = first if taken.index(leases[0]) % 2 == 0 else second
        owner.settle(leases[0], tokens=7)
        again = granted(await second.take(CALLS, tokens=10))

        assert again.tpm is not None
        assert [each.limit for each in refusals] == ["concurrent"] * 3
        assert (await second.use(ALICE))["concurrent"] == (3, 0)


async def test_scripts_that_are_forgotten_are_loaded_again(
    process: Process, server: ValkeyServer
) -> None:
    """Nobody notices: neither who asks nor what was settled."""
    lease = await process.grant(CALLS, tokens=10)
    await asyncio.to_thread(server.ask, "SCRIPT", "FLUSH")

    process.settle(lease, tokens=3)
    second = await process.grant(CALLS, tokens=10)
    await asyncio.to_thread(server.ask, "SCRIPT", "FLUSH")
    process.settle(second, tokens=4)
    used = await process.use(ALICE)

    assert used == {**SETTLED, "rpm": (2, 0)}


async def test_a_store_that_is_killed_forgets_nothing(
    process: Process, server: ValkeyServer
) -> None:
    """What was in flight is settled when it is back, once."""
    lease = await process.grant(CALLS, tokens=10)
    settled = await process.grant(CALLS, tokens=10)
    process.settle(settled, requests=0)

    await asyncio.to_thread(server.kill)
    process.settle(lease, tokens=7)
    await eventually(process.counters.condition, what="noticing it")
    with pytest.raises(CountersAway):
        await process.take(CALLS)
    await asyncio.to_thread(server.start)
    await reached(process)

    assert await process.use(ALICE) == SETTLED


async def test_a_store_that_forgets_everything_is_no_reason_to_stop(
    process: Process, server: ValkeyServer
) -> None:
    """What is in flight is counted with what it has used; others pass."""
    lease = await process.grant(CALLS, tokens=10)
    await asyncio.to_thread(server.ask, "FLUSHALL")

    other = await process.grant(CALLS, tokens=10)
    process.settle(lease, tokens=7)
    process.settle(other, requests=0)

    assert (await process.use(ALICE))["day.tokens"] == (7, 0)
    assert (await process.use(ALICE))["concurrent"] == (0, 0)


async def test_a_store_that_is_paused_holds_nobody_up(
    process: Process, server: ValkeyServer
) -> None:
    """Who waits is told so, who comes then is at once; nothing is left."""
    lease = await process.grant(CALLS, tokens=10)
    server.pause()
    began_s = asyncio.get_running_loop().time()

    with pytest.raises(CountersAway):
        await process.take(CALLS, tokens=10)
    waited_s = asyncio.get_running_loop().time() - began_s
    with pytest.raises(CountersAway):
        process.counters.take(CALLS, Demand(request_id="now", began_ms=0))
    process.settle(lease, tokens=7)
    server.go_on()
    await reached(process)

    assert waited_s <= 30
    assert await process.use(ALICE) == SETTLED


async def test_places_of_the_dead_are_free_after_the_lease(
    tmp_path: Path, server: ValkeyServer
) -> None:
    """Whoever decides next releases them, of whichever router they were."""
    dead = await started(tmp_path, server.url, counters_lease_s=4)
    other = tmp_path / "other"
    other.mkdir()
    async with processes(other, server.url, counters_lease_s=4) as (living,):
        for _ in range(3):
            await dead.grant(CALLS, tokens=10)
        full = refused(await living.take(CALLS))
        await dead.die()

        async def none_in_flight() -> bool:
            return (await living.use(ALICE))["concurrent"] == (0, 0)

        await eventually(none_in_flight, what="free places")
        used = await living.use(ALICE)
        granted(await living.take(CALLS))

    assert full.limit == "concurrent"
    assert used["day.tokens"] == (0, 0)


async def test_what_a_dead_worker_wrote_down_is_charged(
    tmp_path: Path, server: ValkeyServer
) -> None:
    """The one in its seat settles by the rows, and releases what has no row."""
    dead = await started(tmp_path, server.url)
    written = await dead.grant(CALLS, tokens=10)
    await dead.grant(CALLS, tokens=10)
    await dead.die()
    assert isinstance(written, SharedLease)
    record = a_record(
        1,
        request_id=written.demand.request_id,
        ts_ms=written.demand.began_ms,
        attempts=1,
        charged_tokens=7,
    )
    state = StateDirectory(tmp_path / "state")
    await asyncio.to_thread(state.journalled, [record])

    async with processes(tmp_path, server.url) as (successor,):

        async def mended() -> bool:
            used = await successor.use(ALICE)
            return used["day.tokens"] == (7, 0) and used["concurrent"] == (0, 0)

        await eventually(mended, what="what was charged")


async def test_tls_and_a_user_who_may_do_only_this(
    tmp_path: Path, start: Callable[..., ValkeyServer]
) -> None:
    """The certificate is checked, and the user needs a handful of commands."""
    server = await asyncio.to_thread(
        start,
        *("--user", "default", "off"),
        *("--user", "router", "on", ">wonder", "~{ours}:*", *ACL_COMMANDS.split()),
    )
    async with behind_tls(server) as port:
        url = f"rediss://router:wonder@localhost:{port}/0?ssl_ca_certs={AUTHORITY}"
        process = await started(
            tmp_path,
            "${VALKEY_URL}",
            environment={"VALKEY_URL": url},
            counters_namespace="ours",
        )
        lease = await process.grant(CALLS, tokens=10)
        process.settle(lease, tokens=7)
        used = await process.use(ALICE)
        await process.counters.reset(ALICE, "day", at_ms=0)
        await process.counters.renew()
        await process.end()

    assert used == SETTLED


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("rediss://router:wonder@localhost:{port}", "certificate"),
        ("rediss://router:no@localhost:{port}?ssl_ca_certs={ca}", "WRONGPASS"),
        ("rediss://localhost:{port}?ssl_ca_certs={ca}", "NOAUTH"),
    ],
)
async def test_who_may_not_come_in_is_told_why(
    tmp_path: Path, start: Callable[..., ValkeyServer], url: str, told: str
) -> None:
    """And nothing that is secret."""
    options = ("--user", "default", "off", "--user", "router", "on", ">wonder")
    server = await asyncio.to_thread(start, *options)
    async with behind_tls(server) as port:
        process = await started(
            tmp_path,
            "${VALKEY_URL}",
            environment={"VALKEY_URL": url.format(port=port, ca=AUTHORITY)},
        )
        condition = process.counters.condition()
        await process.end()

    assert condition is not None
    assert told in condition
    assert "wonder" not in condition


@asynccontextmanager
async def behind_tls(server: ValkeyServer) -> AsyncIterator[int]:
    """Speak TLS for a server that cannot; its program comes without that."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "good.pem", KEY_FILE)
    tasks = set()
    writers: list[asyncio.StreamWriter] = []

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(server.socket)
        writers.extend((writer, inner_writer))
        for pair in ((reader, inner_writer), (inner_reader, writer)):
            tasks.add(asyncio.create_task(pour(*pair)))

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            with suppress(OSError):
                await writer.wait_closed()


async def test_all_keys_are_in_one_slot(process: Process, server: ValkeyServer) -> None:
    """And no key is touched that has not the namespace's tag."""
    await asyncio.to_thread(server.ask, "CONFIG", "SET", "slowlog-log-slower-than", "0")
    lease = await process.grant(
        chain(ALICE, scope("search", "project", month=Cap(nusd=9)))
    )
    process.settle(lease)
    await process.use(ALICE)
    await process.counters.reset(ALICE, "day", at_ms=1)
    await process.counters.renew()

    keys = await asyncio.to_thread(server.keys)

    assert len(keys) >= 5
    assert {slot(key) for key in keys} == {slot("{smart-llmrouter}")}
    assert all(key.startswith("{smart-llmrouter}:") for key in keys)


async def test_a_cluster_finds_nothing_wrong(
    tmp_path: Path, start: Callable[..., ValkeyServer]
) -> None:
    """A node refuses a script that touches a key of another slot than its first."""
    port = free_port()
    node = await asyncio.to_thread(
        start,
        *("--cluster-enabled", "yes", "--port", str(port)),
        *("--cluster-port", str(free_port())),
    )
    await asyncio.to_thread(node.ask, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    async with processes(tmp_path, f"redis://127.0.0.1:{port}") as (process,):
        await reached(process)
        process.settle(await process.grant(CALLS, tokens=10), tokens=7)
        used = await process.use(ALICE)

    assert used == SETTLED


def slot(key: str) -> int:
    """Return the slot of a cluster in which a key is."""
    tag = key.partition("{")[2].partition("}")[0] or key
    return binascii.crc_hqx(tag.encode(), 0) % 16384
