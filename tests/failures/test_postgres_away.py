"""PostgreSQL restarts, stands still or is not there: calls go on, and none is lost."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from smart_llmrouter.stores.backends import condition, create_or_check_schema
from smart_llmrouter.stores.postgres_store import PostgresStore
from smart_llmrouter.stores.reading import Reader
from smart_llmrouter.stores.unusable import DatabaseUnusable
from smart_llmrouter.stores.usage_store import DatabaseAway
from tests.support.databases import change
from tests.support.gateway import (
    DATABASE_VARIABLE,
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.ledger import StateDirectory, a_record, add
from tests.support.mock import running_mock
from tests.support.postgres import PostgresServer, own_server, postgres_or_skip
from tests.support.wait import PATIENCE_S, eventually, eventually_sync

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def servers() -> Iterator[PostgresServer]:
    """Return a server that these tests have for themselves."""
    postgres_or_skip()
    with tempfile.TemporaryDirectory(prefix="postgres-") as directory:
        server = own_server(Path(directory))
        yield server
        server.stop()


@pytest.fixture
def server(servers: PostgresServer) -> PostgresServer:
    """Return it; it runs, and lets everybody in."""
    servers.stop()
    servers.require_passwords(required=False)
    servers.start()
    return servers


@pytest.fixture
def url(server: PostgresServer) -> str:
    """Return an empty database of it."""
    return server.new_database()


async def ask(gateway: Gateway) -> int:
    """Ask once; return the status of the answer."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
    async with gateway.http() as client:
        answer = await client.post("/v1/chat/completions", json=body)
    return answer.status_code


async def parts(gateway: Gateway) -> dict[str, str]:
    """Return what the router says of its parts."""
    async with gateway.http(None) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == httpx2.codes.OK
    found: dict[str, str] = answer.json()["parts"]
    return found


def command(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside the router, with the router's configuration."""
    return subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", *arguments],
        cwd=gateway.directory,
        env={**os.environ, **gateway.environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_reader_that_is_kept_reads_after_a_restart(
    server: PostgresServer, url: str
) -> None:
    """The first look finds out that its connection is of before."""
    create_or_check_schema(url)
    count = "SELECT count(*) FROM request_usage"
    with closing(Reader(url)) as reader:
        with reader.connection() as connection:
            before = connection.execute(count).fetchone()
        server.stop()
        server.start()
        with reader.connection() as connection:
            after = connection.execute(count).fetchone()

    assert before == after == (0,)


async def test_calls_go_on_while_the_server_restarts(
    tmp_path: Path, server: PostgresServer, url: str
) -> None:
    """A router even starts without it; and when it is back, each call has its row."""
    url = url.replace("postgres@", f"postgres:{PASSWORD}@")
    server.stop()
    async with running_mock() as mock:
        settings = configuration(
            {"acme": provider(mock.base_url)},
            callers=[caller(limits={"rpm": 500})],
            state={"database": "${" + DATABASE_VARIABLE + "}"},
        )
        async with running_gateway(
            tmp_path, settings, environment={DATABASE_VARIABLE: url}
        ) as gateway:
            answered = [await ask(gateway) for _ in range(3)]
            without = await parts(gateway)
            server.start()
            await gateway.recorded(3)
            await eventually(lambda: _is_ok(gateway), what="an ok")
            answered += [await ask(gateway)]
            server.stop()
            answered += [await ask(gateway) for _ in range(2)]
            server.start()
            rows = await gateway.recorded(6)
            reported = await asyncio.to_thread(
                command, gateway, "usage", "report", "--since", "1h"
            )
            shown = await asyncio.to_thread(command, gateway, "budget", "show")
            await eventually(lambda: tells_usage(gateway), what="a report of usage")

    assert answered == [200] * 6
    assert without["database"] == "cannot be read"
    assert len({row["request_id"] for row in rows}) == len(rows) == 6
    assert (reported.returncode, shown.returncode) == (0, 0), reported.stderr
    assert PASSWORD not in gateway.log
    assert "the server cannot be reached" in gateway.log


async def tells_usage(gateway: Gateway) -> bool:
    """Say whether a caller is told what it has used; a busy machine needs a while."""
    async with gateway.http() as client:
        answer = await client.get("/v1/usage")
    assert answer.status_code in {httpx2.codes.OK, httpx2.codes.SERVICE_UNAVAILABLE}
    return answer.status_code == httpx2.codes.OK


async def _is_ok(gateway: Gateway) -> bool:
    found = await parts(gateway)
    return (found["database"], found["ingester"]) == ("ok", "ok")


def test_a_server_that_stands_still_is_away_and_loses_nothing(
    tmp_path: Path, server: PostgresServer, url: str
) -> None:
    """Nobody waits for it for ever, and what was under way is there once or not."""
    state = StateDirectory(tmp_path / "state", url)
    create_or_check_schema(state.url)
    with closing(PostgresStore(state.url)) as patient:
        add(patient, a_record(1))
    store = PostgresStore(state.url, longest_s=0.3)

    server.pause()
    with pytest.raises(DatabaseAway) as caught:
        add(store, a_record(2), end_offset=2)
    server.go_on()

    assert caught.value.reason == "the server does not answer"
    new = eventually_sync(lambda: _added(store), what="a row")
    store.close()
    assert new in {(1,), (0,)}
    assert len(state.request_ids()) == 2


def _added(store: PostgresStore) -> tuple[int] | None:
    try:
        return (add(store, a_record(2), end_offset=2),)
    except DatabaseAway:
        return None


def test_a_restart_in_the_middle_of_a_journal(
    tmp_path: Path, server: PostgresServer, url: str
) -> None:
    """However often it happens, each record becomes one row."""
    state = StateDirectory(tmp_path / "state", url)
    create_or_check_schema(state.url)
    state.journalled(a_record(number) for number in range(400))
    ingester = state.ingester(block_bytes=1 << 13)
    restarts = 0

    def step() -> bool:
        nonlocal restarts
        try:
            more = ingester.advance().more
        except DatabaseAway:
            return False
        if restarts < 3:
            server.stop()
            server.start()
            restarts += 1
            ingester._positions = None
            state.journalled([a_record(400 + restarts)])
            return False
        return not more and state.segments() == []

    eventually_sync(step, what="the end of the journal")

    assert len(state.request_ids()) == 403
    assert state.count("request_measures") == 403


@pytest.mark.parametrize(
    ("role", "password", "said"),
    [
        ("router", "wrong", "refuses the user or the password"),
        ("nobody_known", PASSWORD, "refuses the user or the password"),
    ],
)
def test_a_refusal_is_told_without_a_secret(
    server: PostgresServer, url: str, role: str, password: str, said: str
) -> None:
    """Waiting would help nobody: the router does not start."""
    change(
        url,
        "DROP ROLE IF EXISTS router",
        f"CREATE ROLE router LOGIN PASSWORD '{PASSWORD}'",
    )
    server.stop()
    server.require_passwords()
    server.start()
    url = url.replace("postgres@", f"{role}:{password}@")

    with pytest.raises(DatabaseUnusable, match=said) as caught:
        create_or_check_schema(url)

    assert password not in str(caught.value)
    assert role not in str(caught.value)
    assert condition(url) == "cannot be read"


def test_a_role_needs_no_more_than_to_make_tables(url: str) -> None:
    """It owns what it has made, partitions among it."""
    change(url, "CREATE ROLE maker LOGIN", "GRANT CREATE ON SCHEMA public TO maker")
    makers = url.replace("postgres@", "maker@")
    create_or_check_schema(makers)

    store = PostgresStore(makers)
    new = add(store, a_record(1))
    store.close()

    assert new == 1
    assert condition(makers) == "ok"
