"""The database is away and the journal grows: a warning, then calls are refused."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import httpx2

from smart_llmrouter.mockprovider.script import Step
from smart_llmrouter.stores.segments import segment_name
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.mock import running_mock
from tests.support.wait import PATIENCE_S, eventually

BUDGET: Final = 1_000_000
CHAT: Final = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def leave_unread(gateway: Gateway, *, size: int, number: int) -> None:
    """Leave a segment of empty lines, as if there had been as many calls."""
    name = segment_name(start_ms=number, writer_id="dead", sequence=number)
    (gateway.state / "journal" / name).write_bytes(b"\n" * size)


async def told(gateway: Gateway, what: str) -> None:
    """Wait until readiness says this of the journal."""

    async def so() -> bool:
        return what in (await gateway.report())["parts"]["journal"]

    await eventually(so, what=f"that the journal is {what}")


async def called(gateway: Gateway) -> httpx2.Response:
    """Make one call."""
    async with gateway.http() as client:
        return await client.post("/v1/chat/completions", json=CHAT)


async def is_refused(gateway: Gateway) -> bool:
    """Say whether no call is to be sent here."""
    report = await gateway.report()
    return bool(report["status"] == "not-ready")


async def test_a_warning_and_then_a_refusal(tmp_path: Path) -> None:
    """Nothing is lost, nothing is paid for, and it ends when the database is back."""
    state = {"directory": "state", "journal_max_bytes": BUDGET}
    async with running_mock() as mock:
        mock.always(Step(content="hello"))
        settings = configuration(
            {"acme": provider(mock.base_url)},
            callers=[caller(metrics_admin=True)],
            state=state,
        )
        async with running_gateway(tmp_path, settings) as gateway:
            with closing(
                sqlite3.connect(gateway.state / "usage.sqlite", timeout=PATIENCE_S)
            ) as thief:
                thief.execute("BEGIN EXCLUSIVE")
                leave_unread(gateway, size=BUDGET * 85 // 100, number=1)
                await told(gateway, "are unread")
                warned = await called(gateway)
                leave_unread(gateway, size=BUDGET * 15 // 100, number=2)
                refusing = partial(is_refused, gateway)
                await eventually(refusing, what="a refusal")
                paid = len(mock.received)
                refused = await called(gateway)
                async with gateway.http() as client:
                    shown = (await client.get("/metrics")).text
                thief.rollback()
            await told(gateway, "ok")
            back = await called(gateway)
            rows = await gateway.recorded(2)
            received = len(mock.received)
        log = gateway.log

    assert (warned.status_code, back.status_code) == (200, 200)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "journal-unwritable"
    assert "smart_llmrouter_journal_pressure 2.0" in shown
    assert (paid, received) == (1, 2)
    assert [row["status"] for row in rows] == [200, 200]
    assert "journal has little room" in log
    assert "journal has no room" in log
    assert "journal has room again" in log
