"""The site when something of ours fails: known words outside, the reason in the log."""

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from smart_llmrouter.admission.verdicts import Standing
from smart_llmrouter.config.allowances import Allowances
from smart_llmrouter.config.snapshot import Server, Snapshot, State, Upstream
from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.edge.asgi import REQUEST_ID, Receive, Scope, Send
from smart_llmrouter.edge.crew import Alone, own_report
from smart_llmrouter.edge.door import Door
from smart_llmrouter.edge.failures import Failures
from smart_llmrouter.edge.identity import Authenticator
from smart_llmrouter.edge.metrics import Metrics
from smart_llmrouter.edge.readiness import Readiness
from smart_llmrouter.edge.site import Site
from smart_llmrouter.edge.usage import Rows, UsageReports
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.stores.journal import JournalHealth
from tests.support.accesses import Written, accesses_to
from tests.support.clock import Clock

BUILD = read_build_info()
ID = "req_" + 32 * "0"
SNAPSHOT = Snapshot(
    fingerprint="f1",
    server=Server(
        host="127.0.0.1",
        port=8080,
        default_group=None,
        max_request_bytes=1000,
        keepalive_after_s=15,
        client_timeout_s=60,
        shutdown_grace_s=30,
    ),
    state=State(
        directory=Path("state"),
        database_url=Secret("sqlite://", source="default"),
        journal_sync="interval",
    ),
    upstream=Upstream(
        transport="lean",
        proxied=False,
        max_connections=1,
        idle_connection_s=30,
        dns_ttl_s=30,
        connect_timeout_s=5,
        first_event_timeout_s=120,
        idle_timeout_s=120,
        total_timeout_s=600,
        max_response_bytes=1000,
    ),
    groups={},
    groups_by_name={},
    callers_by_digest={},
)


async def nothing_counted(scopes: Sequence[object]) -> Sequence[Standing]:
    """Say that nothing is limited."""
    assert not scopes
    return ()


def site(
    database: Callable[[], Awaitable[str]], *, journal: str | None = None
) -> httpx2.AsyncClient:
    """Return a client of a site whose database is in this condition."""
    crew = Alone()
    crew.speak_for(
        own_report(
            Tally(),
            HealthBook({}, now=time.monotonic),
            journal=lambda: JournalHealth(journal),
        )
    )
    readiness = Readiness(
        SNAPSHOT,
        crew,
        database=database,
        ingester=lambda: "ok",
        unread_bytes=lambda: 7,
    )
    door = Door(
        Authenticator({}, wall_clock=lambda: 0.0),
        Failures(Tally(), now=Clock()),
        accesses_to(Written()),
    )
    usage = UsageReports(
        Allowances(),
        standings=nothing_counted,
        read_rows=lambda _caller, _days: Rows((), complete=True),
        now=Clock(),
        wall_clock=lambda: 0.0,
    )
    app = Site(
        SNAPSHOT,
        door,
        readiness=readiness,
        metrics=Metrics(crew, BUILD, unread_bytes=lambda: 7),
        usage=usage,
        build=BUILD,
    )

    async def with_id(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, REQUEST_ID: ID}, receive, send)

    transport = httpx2.ASGITransport(with_id, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://router")


async def well() -> str:
    """Say that all is well."""
    return "ok"


async def away() -> str:
    """Say that the database is gone."""
    return "is missing"


async def defect() -> str:
    """Fail as nobody expected."""
    raise RuntimeError("canary-reason")


async def test_a_defect_is_a_500_with_its_request_id() -> None:
    """Outside stands whose fault it is; the reason stands in the log, under the id."""
    with capture_logs() as logs:
        async with site(defect) as client:
            answer = await client.get("/readyz")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal-error"
    assert answer.json()["error"]["request_id"] == ID
    assert "canary" not in answer.text
    assert [entry["request_id"] for entry in logs] == [ID]
    assert "canary-reason" in str(logs[0]["exc_info"])


@pytest.mark.parametrize(
    ("database", "journal", "status", "told"),
    [
        (well, None, 200, "ready"),
        (away, None, 200, "degraded"),
        (well, "No space left on device", 503, "not-ready"),
        (away, "No space left on device", 503, "not-ready"),
    ],
)
async def test_readiness_follows_the_journal_first(
    database: Callable[[], Awaitable[str]],
    journal: str | None,
    status: int,
    told: str,
) -> None:
    """Without a journal nothing is served; without a database everything is."""
    async with site(database, journal=journal) as client:
        answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (status, told)
    assert answer.json()["parts"] == {
        "configuration": "ok",
        "journal": journal or "ok",
        "database": await database(),
        "counters": "ok",
        "ingester": "ok",
        "workers": "ok",
    }
    assert answer.json()["configuration_fingerprint"] == "f1"
