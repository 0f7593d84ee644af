"""Is it alive, can it serve, which build is it: asked by machines, without a token."""

import json
import platform
import resource
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import Gateway, configuration, provider, running_gateway
from tests.support.mock import Mock
from tests.support.router import Router
from tests.support.wait import eventually

CHAT = "/v1/chat/completions"
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


async def readiness(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    """Return the status and the report of `/readyz`."""
    async with gateway.http(None) as client:
        answer = await client.get("/readyz")
    report: dict[str, Any] = answer.json()
    return answer.status_code, report


async def until(gateway: Gateway, status: str) -> dict[str, Any]:
    """Wait until the router reports this status, and return the report."""

    async def reports() -> dict[str, Any] | None:
        _, report = await readiness(gateway)
        return report if report["status"] == status else None

    found: dict[str, Any] | None
    found = await eventually(reports, what=status)
    assert found is not None
    return found


async def until_all_is_read(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    """Wait until the database has what the router itself wrote down at its start."""

    async def reports() -> tuple[int, dict[str, Any]] | None:
        status, report = await readiness(gateway)
        settled = report["status"] == "ready" and not report["journal_unread_bytes"]
        return (status, report) if settled else None

    found: tuple[int, dict[str, Any]] | None
    found = await eventually(reports, what="a journal that is read")
    assert found is not None
    return found


async def call(gateway: Gateway) -> httpx2.Response:
    """Make one call."""
    async with gateway.http() as client:
        return await client.post(CHAT, json=BODY)


async def test_alive(router: Router) -> None:
    """`/healthz` says that the process answers, and nothing more."""
    async with router.http(None) as client:
        answer = await client.get("/healthz")
        head = await client.head("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert head.status_code == 200
    assert answer.headers["x-request-id"].startswith("req_")


async def test_the_version(router: Router) -> None:
    """Version, commit, build time, Python and platform are told."""
    async with router.http(None) as client:
        answer = await client.get("/version")

    document = answer.json()
    assert document["version"] == read_build_info().version
    assert document["python"] == platform.python_version()
    assert {"version", "commit", "python", "platform"} <= set(document)


async def test_the_documentation(router: Router) -> None:
    """The root leads to the documentation, which is there or says how to build it."""
    async with router.http(None) as client:
        root = await client.get("/")
        docs = await client.get("/docs/")

    assert root.status_code == 307
    assert root.headers["location"] == "/docs/"
    assert docs.status_code in {200, 404}
    assert docs.headers["content-type"].startswith("text/html")


async def test_targets_are_known_from_traffic_alone(
    failover: Router, mock: Mock, other: Mock
) -> None:
    """Nothing is probed: a target is unknown until it is called."""
    async with failover.http() as client:
        before = (await client.get("/readyz")).json()["groups"]["chat"]
        asked = len(mock.received) + len(other.received)
        mock.will(Step(status=500))
        await client.post(CHAT, json=BODY)
        after = (await client.get("/readyz")).json()["groups"]["chat"]

    closed = {"circuit": "closed", "next_call_in_s": 0.0}
    unknown = {"condition": "unknown", "last_error": None, **closed}
    assert before == {"acme/mini": unknown, "other/mini": unknown}
    assert asked == 0
    assert after == {
        "acme/mini": {
            "condition": "failing",
            "last_error": "upstream_server_error",
            **closed,
        },
        "other/mini": {"condition": "healthy", "last_error": None, **closed},
    }


@pytest.mark.slow
async def test_a_database_that_goes_away_degrades(tmp_path: Path, mock: Mock) -> None:
    """Calls go on, the report says what is missing, and their records arrive later."""
    settings = configuration({"acme": provider(mock.base_url)})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with running_gateway(tmp_path, settings) as gateway:
        status, ready = await until_all_is_read(gateway)
        # The database leaves before what belongs to it, and comes back after that.
        for path in sorted(gateway.state.glob("usage.sqlite*")):
            path.rename(elsewhere / path.name)
        degraded = await until(gateway, "degraded")
        degraded_status, _ = await readiness(gateway)
        answer = await call(gateway)
        for path in sorted(elsewhere.iterdir(), reverse=True):
            path.rename(gateway.state / path.name)
        await until(gateway, "ready")
        rows = await gateway.recorded(1)

    assert (status, ready["status"]) == (200, "ready")
    assert set(ready["parts"].values()) == {"ok"}
    assert ready["journal_unread_bytes"] == 0
    assert (degraded_status, answer.status_code) == (200, 200)
    assert degraded["parts"]["journal"] == "ok"
    assert degraded["parts"]["database"] == "is missing"
    assert str(tmp_path) not in json.dumps(degraded)
    assert [row["request_id"] for row in rows] == [answer.headers["x-request-id"]]


@pytest.mark.slow
async def test_a_full_disk_is_not_ready_and_answers_nothing(
    tmp_path: Path, mock: Mock
) -> None:
    """What cannot be recorded is not answered; when it can be again, all is well."""
    settings = configuration({"acme": provider(mock.base_url)})
    async with running_gateway(tmp_path, settings) as gateway:
        limits = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        refused = await call(gateway)
        refused_again = await call(gateway)
        status, report = await readiness(gateway)
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, limits)
        await until(gateway, "ready")
        served = await call(gateway)
        rows = await gateway.recorded(1)

    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "journal-unwritable"
    assert "choices" not in refused.json()
    assert refused_again.json()["error"]["code"] == "journal-unwritable"
    # Known to be unrecordable, the second call was not paid for; the last one was.
    assert len(mock.received) == 2
    assert (status, report["status"]) == (503, "not-ready")
    assert report["parts"]["journal"] == "File too large"
    assert served.status_code == 200
    assert [row["request_id"] for row in rows] == [served.headers["x-request-id"]]


def stands_in_the_way(journal: Path) -> bool:
    """Put a file in the place of the journal, unless the router is quicker."""
    shutil.rmtree(journal, ignore_errors=True)
    with suppress(IsADirectoryError):
        journal.write_text("in the way")
    return journal.is_file()


@pytest.mark.slow
async def test_a_lost_journal_directory_is_not_ready(
    tmp_path: Path, mock: Mock
) -> None:
    """A journal that is gone and cannot be made anew is told before any call."""
    settings = configuration({"acme": provider(mock.base_url)})
    async with running_gateway(tmp_path, settings) as gateway:
        journal = gateway.state / "journal"
        await eventually(lambda: stands_in_the_way(journal))
        report = await until(gateway, "not-ready")
        refused = await call(gateway)
        journal.unlink()
        await until(gateway, "ready")
        served = await call(gateway)

    assert report["parts"]["journal"] != "ok"
    assert str(tmp_path) not in json.dumps(report)
    assert refused.status_code == 503
    assert served.status_code == 200
