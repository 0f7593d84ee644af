"""Whatever is asked, by whatever path and name: no provider is asked past the gate.

The walks take all paths that a router has from itself. So a path that is added is
walked, too, and fails here if it leads around the gate.
"""

import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import pytest

from smart_llmrouter.admission.counters import Chain, Counters
from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.verdicts import Refusal
from smart_llmrouter.edge.explain import EXPLAIN_PATH
from smart_llmrouter.edge.surfaces import COUNTING_PATHS, INFERENCE_PATHS
from tests.support.gateway import caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

DIALECTS: Final = {
    "chat": "openai-chat",
    "responses": "openai-responses",
    "messages": "anthropic-messages",
}
SAID: Final = [{"role": "user", "content": "hi"}]
BODIES: Final[tuple[dict[str, Any], ...]] = (
    {"messages": SAID},
    {"input": "hi"},
    {"messages": SAID, "max_tokens": 9},
)
"""What may be asked at any path, in each dialect; a path takes what it can read."""
NAMES: Final = ("chat", "talk", None)
"""A group, its alias, and no name at all, which is the default group."""
ASKING: Final = {**INFERENCE_PATHS, **COUNTING_PATHS}
LIMITED: Final = ("callers", "users", "projects", "environments", "groups", "each")
LIMIT: Final = {"limits": {"rpm": 1_000_000}}


class Shut(Memory):
    """A store that grants nothing. It knows the groups and callers that it refused."""

    def __init__(self) -> None:
        """Begin with nobody refused."""
        super().__init__(now=time.monotonic, wall=time.time)
        self.refused = 0

    def take(self, scopes: Chain, demand: Demand) -> Refusal:
        """Refuse it."""
        assert demand.request_id
        self.refused += 1
        return Refusal(
            scope=scopes.scopes[0], limit="rpm", value=1, left=0, wait_s=30.0
        )


def settings_for(mock: Mock, limited: str) -> dict[str, Any]:
    """Return a configuration with a target of each dialect, where one is limited."""
    settings = configuration(
        {
            name: provider(mock.base_url, dialect=dialect)
            for name, dialect in DIALECTS.items()
        },
        server={"default_group": "chat"},
        callers=[caller()],
    )
    settings["groups"]["chat"]["aliases"] = ["talk"]
    if limited == "environments":
        settings["projects"][0]["environments"] = {"dev": LIMIT}
    elif limited == "groups":
        settings["groups"]["chat"] |= LIMIT
    elif limited == "each":
        settings["groups"]["chat"]["per_caller"] = LIMIT
    else:
        settings[limited][0] |= LIMIT
    return settings


@asynccontextmanager
async def guarded(
    tmp_path: Path, mock: Mock, counters: Counters, *, limited: str = "callers"
) -> AsyncGenerator[Router]:
    """Run a router whose calls are counted by `counters`, which may refuse them."""
    settings = settings_for(mock, limited)
    async with running_router(tmp_path, settings, counters) as router:
        yield router


class Way(NamedTuple):
    """One way in, and what came of it."""

    path: str
    body: dict[str, Any]
    answer: httpx2.Response


def asked(names: Sequence[str | None]) -> Iterator[dict[str, Any]]:
    """Yield what may be asked at any path."""
    for body, name, stream in product(BODIES, names, (False, True)):
        model = {} if name is None else {"model": name}
        yield {**model, **body, **({"stream": True} if stream else {})}


async def walk(
    router: Router, paths: Sequence[str], *, names: Sequence[str | None] = NAMES
) -> list[Way]:
    """Ask at all paths in every way."""
    ways = []
    async with router.http() as client:
        for path in paths:
            # A part that is any text in the table is one here.
            spelled = path.replace("{name:path}", "chat")
            for body in asked(names):
                answer = await client.post(spelled, json=body)
                ways.append(Way(path, body, answer))
    return ways


def code_of(answer: httpx2.Response) -> object:
    """Return the code of an error, in whichever dialect it is told."""
    error = answer.json()["error"]
    return error.get("code") or error["details"]["error_code"]


def readable(way: Way) -> bool:
    """Say whether this body is one that the path takes."""
    dialect = ASKING[way.path]
    if dialect == "openai-responses":
        return "input" in way.body
    counts = way.path in COUNTING_PATHS or dialect == "openai-chat"
    return "messages" in way.body and (counts or "max_tokens" in way.body)


async def test_no_path_leads_around_the_gate(tmp_path: Path, mock: Mock) -> None:
    """Where the gate refuses all, no provider hears of any request to any path."""
    shut = Shut()
    async with guarded(tmp_path, mock, shut) as router:
        ways = await walk(router, router.paths)

    assert mock.received == []
    refused = [way for way in ways if way.answer.status_code == 429]
    assert shut.refused == len(refused)
    assert {way.path for way in refused} == set(ASKING)
    assert {code_of(way.answer) for way in refused} == {"rpm-exceeded"}
    assert [
        (way.path, way.body, way.answer.status_code)
        for way in ways
        if way.path in ASKING and readable(way) and way not in refused
    ] == []
    # Beside those, only what a call would meet is told, without any.
    assert {
        way.path
        for way in ways
        if way.path not in ASKING and way.answer.status_code == 200
    } <= {EXPLAIN_PATH}


async def test_every_path_that_is_walked_leads_to_a_provider(
    tmp_path: Path, mock: Mock
) -> None:
    """Where the gate is open, the same walk reaches one by each of these paths."""
    counters = Memory(now=time.monotonic, wall=time.time)
    reached = set()
    async with guarded(tmp_path, mock, counters) as router:
        for path in ASKING:
            before = len(mock.received)
            await walk(router, [path], names=["chat"])
            if len(mock.received) > before:
                reached.add(path)

    assert reached == set(ASKING)


@pytest.mark.parametrize("limited", LIMITED)
async def test_a_limit_holds_by_every_name(
    tmp_path: Path, mock: Mock, limited: str
) -> None:
    """Whoever is limited: an alias, or no name, is no way around it."""
    shut = Shut()
    async with guarded(tmp_path, mock, shut, limited=limited) as router:
        ways = await walk(router, list(ASKING))

    assert mock.received == []
    assert {way.answer.status_code for way in ways if readable(way)} == {429}
    assert shut.refused


@pytest.mark.parametrize("spelling", ["{}?beta=true", "{}?", "http://router{}", "%"])
async def test_a_path_in_another_spelling_is_no_way_around(
    tmp_path: Path, mock: Mock, spelling: str
) -> None:
    """A query, an escape or a whole address change nothing."""
    shut = Shut()
    async with guarded(tmp_path, mock, shut) as router:
        seen = []
        for path in ASKING:
            spelled = path.replace("v1", "%76%31") if spelling == "%" else ""
            async with router.http() as client:
                target = (spelled or spelling.format(path)).encode()
                body = json.dumps({"model": "chat", **BODIES[2], **BODIES[1]})
                request = client.build_request(
                    "POST",
                    path,
                    content=body,
                    headers={"content-type": "application/json"},
                    extensions={"target": target},
                )
                seen.append((await client.send(request)).status_code)

    assert mock.received == []
    assert set(seen) == {429}
    assert shut.refused == len(ASKING)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", sorted(ASKING))
async def test_each_dialect_tells_of_a_limit_in_its_shape(
    tmp_path: Path, mock: Mock, path: str, *, stream: bool
) -> None:
    """With its type of error, whose limit it is, and when to come again."""
    body = BODIES[1] if ASKING[path] == "openai-responses" else BODIES[2]
    async with guarded(tmp_path, mock, Shut()) as router, router.http() as client:
        answer = await client.post(
            path, json={"model": "chat", "stream": stream} | body
        )
        told = answer.json()["error"]

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "30"
    assert told["type"] == "rate_limit_error"
    assert told["details"]["scope"] == "caller:alice-search-dev-k1"
    assert told["details"]["limit"] == "rpm"
    assert code_of(answer) == "rpm-exceeded"
