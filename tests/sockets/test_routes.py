"""Every way in: what is open, what needs a token, and where nobody can be sent."""

import json
from pathlib import Path

import httpx2
import pytest
from starlette.routing import Mount, Route

from smart_llmrouter import bootstrap
from smart_llmrouter.bootstrap.surface import build_edge
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.edge.asgi import AsgiRoute
from smart_llmrouter.edge.hub import Hub
from smart_llmrouter.edge.site import Site
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.mockprovider.script import Step
from smart_llmrouter.upstream.aiohttp_transport import open_aiohttp_transport
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router

OPEN = {"/", "/api/hello", "/docs", "/healthz", "/readyz", "/version"}
CALL = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}

POSTED = {
    "/v1/responses/input_tokens",
    "/v1/messages/count_tokens",
    "/anthropic/v1/messages/count_tokens",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/anthropic/v1/messages",
}


def code_of(answer: httpx2.Response) -> str:
    """Return the stable code of an error, in whichever dialect it is told."""
    error = answer.json()["error"]
    return str(error["code"] if "code" in error else error["details"]["error_code"])


async def route_table(directory: Path) -> dict[str, str]:
    """Return the paths that the public surface serves, each with one method."""
    (directory / "router.yaml").write_text(
        json.dumps(configuration({"acme": provider("http://127.0.0.1:9/v1")}))
    )
    snapshot = load_snapshot(directory / "router.yaml", environment={})
    journal = bootstrap._new_journal(snapshot.state)
    async with open_aiohttp_transport(snapshot.upstream) as transport:
        hub = build_edge(
            snapshot, transport, journal, tally=Tally(), ingester=lambda: "ok"
        )
    journal.close()
    return paths_of(hub)


def paths_of(hub: Hub) -> dict[str, str]:
    """Return the paths of `hub`, names filled in, each with one method."""
    paths = dict.fromkeys(hub.paths, "POST")
    assert isinstance(hub._site, AsgiRoute)
    assert isinstance(hub._site.app, Site)
    for route in hub._site.app._app.routes:
        assert isinstance(route, Route | Mount)
        paths[route.path.replace("{name:path}", "chat")] = "GET"
    return paths


async def test_every_route_but_the_open_ones_needs_a_token(
    router: Router, tmp_path: Path
) -> None:
    """No route was forgotten: without a token, each of them answers 401 and no more."""
    (tmp_path / "table").mkdir()
    table = await route_table(tmp_path / "table")
    guarded = {path: method for path, method in table.items() if path not in OPEN}

    async with router.http(None) as stranger:
        answers = {
            path: await stranger.request(method, path, json=CALL)
            for path, method in guarded.items()
        }

    told = {
        path: (answer.status_code, code_of(answer)) for path, answer in answers.items()
    }
    assert table.keys() >= {*OPEN, *POSTED, "/v1/models", "/metrics"}
    assert told == dict.fromkeys(guarded, (401, "unauthorized"))


@pytest.mark.parametrize(
    ("path", "location"),
    [("/", "/docs/"), ("/docs", "/docs/"), ("/healthz/?deep=1", "/healthz?deep=1")],
)
async def test_redirects_name_no_host(router: Router, path: str, location: str) -> None:
    """Behind a proxy the router knows neither its name nor its scheme."""
    async with router.http(None) as stranger:
        answer = await stranger.get(path, headers={"Host": "elsewhere.example"})

    assert (answer.status_code, answer.headers["location"]) == (307, location)


@pytest.mark.parametrize(
    "credential",
    [
        b"' OR '1'='1' --",
        b'"; DROP TABLE request_usage; --',
        b"rtr_alice_search_dev_k1_%s%n${jndi:x}",
        "rtr_älice".encode("latin-1"),
        b"x" * 8000,
    ],
    ids=["or", "drop", "format", "latin-1", "long"],
)
async def test_a_hostile_credential_is_only_hashed(
    router: Router, mock: Mock, credential: bytes
) -> None:
    """A token is looked up by its digest, so that what it says means nothing."""
    async with router.http(None) as stranger:
        answer = await stranger.post(
            "/v1/chat/completions",
            json=CALL,
            headers={b"authorization": b"Bearer " + credential},
        )

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert credential not in answer.content
    assert mock.received == []


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"Host": "OTHER"}, {}),
        ({"X-Forwarded-Host": "OTHER", "Forwarded": "host=OTHER"}, {}),
        ({"X-Base-Url": "http://OTHER/v1", "X-Custom-Host": "http://OTHER/v1"}, {}),
        ({}, {"base_url": "http://OTHER/v1", "api_base": "http://OTHER/v1"}),
        ({}, {"user_config": {"model_list": [{"api_base": "http://OTHER/v1"}]}}),
    ],
    ids=["host", "forwarded", "custom-headers", "body", "nested"],
)
async def test_a_caller_cannot_choose_where_the_providers_key_goes(
    router: Router,
    mock: Mock,
    other: Mock,
    headers: dict[str, str],
    fields: dict[str, object],
) -> None:
    """Whatever a request says of hosts, it goes where the configuration says."""
    host = f"127.0.0.1:{other.port}"
    sent = {name: value.replace("OTHER", host) for name, value in headers.items()}
    body = json.dumps({**CALL, **fields}).replace("OTHER", host)

    async with router.http() as caller:
        answer = await caller.post(
            "/v1/chat/completions",
            content=body,
            headers={"Content-Type": "application/json", **sent},
        )

    assert answer.status_code == 200
    assert (len(mock.received), len(other.received)) == (1, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_provider_cannot_send_the_key_on_by_a_redirect(
    router: Router, mock: Mock, other: Mock, status: int
) -> None:
    """A redirect is a failure of the provider; nobody follows it."""
    mock.always(Step(status=status, headers={"Location": other.base_url}))

    async with router.http() as caller:
        answer = await caller.post("/v1/chat/completions", json=CALL)

    assert answer.status_code == 502
    assert other.received == []
    assert "location" not in answer.headers


async def test_a_picture_is_never_fetched_by_the_router(
    router: Router, mock: Mock, other: Mock
) -> None:
    """The address of a picture is the provider's to fetch; here it is only text."""
    port = other.port
    url = f"http://pictures.example:{port}/picture.png"
    part = {"type": "image_url", "image_url": {"url": url}}
    message = {"role": "user", "content": [part]}

    async with router.http() as caller:
        answer = await caller.post(
            "/v1/chat/completions", json={**CALL, "messages": [message]}
        )

    assert answer.status_code == 200
    assert (len(mock.received), len(other.received)) == (1, 0)
