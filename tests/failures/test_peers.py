"""Ways in which other gateways have failed their users, and that none of them is ours.

Each test is named after the failure; `SECURITY.md` lists them.
"""

import asyncio
import gzip
import json
import sqlite3
import time
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import pytest
from starlette.routing import BaseRoute, Mount, Route

from smart_llmrouter import bootstrap
from smart_llmrouter.admission.gate import Gate
from smart_llmrouter.bootstrap import surface
from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.core.errors import Refused
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.edge.asgi import AsgiRoute
from smart_llmrouter.edge.clients import client_label
from smart_llmrouter.edge.explain import EXPLAIN_PATH
from smart_llmrouter.edge.hub import Hub
from smart_llmrouter.edge.site import Site
from smart_llmrouter.engine.tally import Tally
from tests.support.configuration import errors
from tests.support.gateway import (
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.gauges import Reachable
from tests.support.line import Answered, chat, line_to, request
from tests.support.process import forget_peak, peak_resident_bytes, resident_bytes
from tests.support.puppet import (
    DONE,
    FINISH,
    Puppet,
    completion,
    content_event,
    running_puppet,
)
from tests.support.router import Router, running_router

MIB = 1024 * 1024
PUBLIC: Final = frozenset(
    {"/", "/api/hello", "/healthz", "/readyz", "/version", "/docs"}
)


@asynccontextmanager
async def routed(
    tmp_path: Path, **changes: object
) -> AsyncGenerator[tuple[Router, Puppet]]:
    """Run a router in front of a puppet."""
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)}, **changes)
        async with running_router(tmp_path, settings) as router:
            yield router, puppet


async def ask(router: Reachable, data: bytes) -> Answered:
    """Send one request on a connection of its own."""
    async with line_to(router) as line:
        line.send(data)
        return await line.answer()


# A query is made from the bearer value, on the path of an error.

BEARERS: Final = {
    "quote": "' OR '1'='1",
    "statement": "x'; DROP TABLE request_usage; --",
    "union": '" UNION SELECT token_sha256 FROM callers --',
    "binary": "\x80\xff\xfe\x01",
    "control": "a\tb\x7f",
    "huge": "x" * 60_000,
    "format": "%s%n{0}${jndi:ldap://x}",
    "newline in JSON": "\\n\\u0000",
    "empty": "",
    "digest": "0" * 64,
}


@pytest.mark.parametrize("bearer", BEARERS)
@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
async def test_sql_injection_through_the_bearer_value(
    tmp_path: Path, name: str, bearer: str
) -> None:
    """Whatever is sent as a token is hashed, known to nobody, and refused as such."""
    value = f"Bearer {BEARERS[bearer]}" if name == "authorization" else BEARERS[bearer]
    raw = request("POST", "/v1/chat/completions", key=None, body=b"{}")
    line = name.encode() + b": " + value.encode("latin-1") + b"\r\n"
    data = raw.replace(b"content-type", line + b"content-type", 1)
    async with routed(tmp_path) as (router, puppet):
        async with line_to(router) as opened:
            opened.send(data)
            head = await opened.head()
        good = asyncio.create_task(ask(router, chat()))
        (await puppet.call()).write(completion())
        answer = await good

    assert head.status in {400, 401}
    assert answer.status == 200


async def test_sql_injection_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    """Hostile values in every field of a call end in no table but as numbers."""
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)})
        async with running_gateway(tmp_path, settings) as gateway:
            hostile = "x'; DROP TABLE request_usage; --"
            await ask(gateway, chat(headers={"authorization": f"Bearer {hostile}"}))
            await ask(gateway, chat(model=hostile, headers={"user-agent": hostile}))
            await ask(gateway, request("GET", "/v1/models/x'%3B%20DROP%20TABLE"))
            rows = await gateway.recorded(1)
        with closing(sqlite3.connect(gateway.state / "usage.sqlite")) as database:
            dump = "\n".join(database.iterdump())

    assert [row["error_code"] for row in rows] == ["model-not-allowed"]
    assert "DROP TABLE" not in dump.upper().replace("CREATE TABLE", "")


# The lowest role becomes administrator and runs code through the configuration.

TAGS: Final = (
    "!!python/object/apply:os.system ['touch {trap}']",
    "!!python/name:os.system",
    "!!python/object/new:subprocess.Popen [[touch, {trap}]]",
    "!include {trap}",
    "!!js/function 'x'",
)


@pytest.mark.parametrize("tag", TAGS)
def test_code_execution_through_the_configuration(tmp_path: Path, tag: str) -> None:
    """A tag in the file is a finding, and nothing is run."""
    trap = tmp_path / "trap"

    found = errors(f"providers: {tag.format(trap=trap)}\n")

    assert found
    assert not trap.exists()


def test_expressions_in_the_configuration_are_text() -> None:
    """What looks like a template or a command is a value that is checked, not run."""
    expressions = ("${{7*7}}", "{{ 7*7 }}", "$(id)", "`id`", "%(x)s", "${ID:-$(id)}")

    found = [errors(f"server: {{default_group: '{each}'}}\n") for each in expressions]

    assert all(found)
    assert not any("49" in str(each) or "uid=" in str(each) for each in found)


# A forgotten route lacks the checks of the others.


@asynccontextmanager
async def hub_of(tmp_path: Path) -> AsyncGenerator[Hub]:
    """Put the public surface together as `serve` does."""
    config = tmp_path / "router.yaml"
    settings = configuration({"acme": provider("http://127.0.0.1:9/v1")})
    config.write_text(json.dumps(settings))
    snapshot = load_snapshot(config, environment={})
    journal = bootstrap._new_journal(snapshot.state)
    async with open_transport(snapshot.upstream) as transport:
        yield surface.build_edge(
            snapshot, transport, journal, tally=Tally(), ingester=lambda: "ok"
        )
    journal.close()


def _path_of(route: BaseRoute) -> str:
    assert isinstance(route, (Route, Mount)), f"an unknown kind of route: {route!r}"
    return route.path


async def test_a_route_that_forgot_to_ask_who_calls(tmp_path: Path) -> None:
    """Every route but the public ones refuses a request without a token."""
    async with hub_of(tmp_path) as hub:
        assert isinstance(hub._site, AsgiRoute)
        assert isinstance(hub._site.app, Site)
        listed = [_path_of(route) for route in hub._site.app._app.routes]
        paths = {*hub.paths, *listed}
    async with routed(tmp_path / "running") as (router, puppet):
        closed = {}
        for path in sorted(paths - PUBLIC):
            method = "POST" if path in hub.paths else "GET"
            named = path.replace("{name:path}", "chat")
            answer = await ask(router, request(method, named, key=None))
            closed[path] = answer.status
        opened = {
            path: (await ask(router, request("GET", path, key=None))).status
            for path in sorted(PUBLIC)
        }

    assert paths >= PUBLIC
    assert set(closed.values()) == {401}, closed
    assert set(opened.values()) <= {200, 307}, opened
    assert puppet.connections == 0


class RefusingGate(Gate):
    """A gate that admits nobody."""

    def chain(self, caller: Caller, group: str) -> None:
        """Refuse."""
        raise Refused(f"no way for {caller.id} to {group}")


@pytest.mark.parametrize("model", ["chat", "another-name", None])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_path_to_a_provider_around_the_gate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    stream: bool,
    model: str | None,
) -> None:
    """No hot route, alias or lane reaches a provider when the gate refuses."""
    monkeypatch.setattr(surface, "Gate", RefusingGate)
    async with hub_of(tmp_path) as hub:
        # Whoever asks for an explanation is given no answer of a provider.
        hot = sorted({*hub.paths} - {EXPLAIN_PATH})
    group = {"strategy": "static", "targets": [{"use": "acme/mini"}]}
    changes = {
        "groups": {"chat": {**group, "aliases": ["another-name"]}},
        "server": {"default_group": "chat"},
    }
    async with routed(tmp_path / "running", **changes) as (router, puppet):
        # A request in all three dialects at once.
        answers = [
            await ask(
                router,
                chat(path=path, model=model, stream=stream, input="hi", max_tokens=9),
            )
            for path in hot
        ]

    assert {(each.status, each.error_code) for each in answers} == {(403, "forbidden")}
    assert puppet.connections == 0


# A caller sends a provider's key to a host of its own choice.


@asynccontextmanager
async def trapped(
    tmp_path: Path, **changes: object
) -> AsyncGenerator[tuple[Router, Puppet, Puppet]]:
    """Run a router with a key, its provider, and a trap where nothing should arrive.

    `changes` are those of its configuration.
    """
    key = tmp_path / "key"
    key.write_text("provider-key-0123456789")
    async with running_puppet() as puppet, running_puppet() as trap:
        acme = provider(puppet.base_url, api_key=f"file:{key}")
        settings = configuration({"acme": acme}, **changes)
        async with running_router(tmp_path, settings) as router:
            yield router, puppet, trap


async def test_a_provider_key_redirected_by_the_caller(tmp_path: Path) -> None:
    """No header, path or field of a request names where it goes."""
    async with trapped(tmp_path) as (router, puppet, trap):
        there = f"127.0.0.1:{trap.port}"
        url = f"http://{there}/v1"
        path = "/v1/chat/completions"
        names = ("x-forwarded-host", "forwarded", "x-original-url", "x-target-url",
                 "x-custom-host", "x-base-url", "x-provider-url", "proxy",
                 "x-http-destinationurl")  # fmt: skip
        fields = ("base_url", "api_base", "url", "host", "proxy", "provider", "api_key")
        aimed = json.dumps(dict.fromkeys(fields, url))[1:-1].encode()
        tricks = [
            chat(headers={"host": there}),
            *(chat(headers={name: url}) for name in names),
            request("POST", path, body=b'{"model":"chat","messages":[],%b}' % aimed),
            chat(path=f"{url}/chat/completions"),
            chat(path=f"{path}?base_url={url}"),
            chat(path=f"/v1/../v1/chat/completions@{there}"),
            chat(path=f"//{there}/v1/chat/completions"),
            chat(path="/v1/chat%2fcompletions"),
            chat(model=f"{url}#chat"),
            request("CONNECT", there),
        ]
        seen = []
        for data in tricks:
            async with line_to(router) as line:
                line.send(data)
                reading = asyncio.create_task(line.head())
                calling = asyncio.create_task(puppet.call())
                await asyncio.wait(
                    {reading, calling}, return_when=asyncio.FIRST_COMPLETED
                )
                if calling.done():
                    seen.append((await calling).head)
                    (await calling).write(completion())
                calling.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    assert trap.connections == 0
    assert len(seen) >= len(names) + 2
    target = f"host: 127.0.0.1:{puppet.port}\r\n".encode()
    assert all(target in head.lower() for head in seen)
    assert all(head.startswith(b"POST /v1/chat/completions HTTP") for head in seen)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_provider_key_redirected_by_the_provider(
    tmp_path: Path, status: int
) -> None:
    """A redirect is a failure of the target, and is not followed."""
    async with trapped(tmp_path) as (router, puppet, trap):
        asking = asyncio.create_task(ask(router, chat()))
        call = await puppet.call()
        head = f"HTTP/1.1 {status} Moved\r\nlocation: {trap.base_url}\r\n"
        call.write(head.encode() + b"content-length: 0\r\n\r\n")
        answer = await asking

    assert (answer.status, answer.error_code) == (502, "upstream-failed")
    assert "location" not in answer.headers
    assert trap.connections == 0


async def test_a_provider_key_redirected_by_the_environment(tmp_path: Path) -> None:
    """Proxy settings of the machine do not apply to providers."""
    async with running_puppet() as puppet, running_puppet() as trap:
        there = f"http://127.0.0.1:{trap.port}"
        names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
        netrc = tmp_path / "netrc"
        netrc.write_text("default login trap password trap\n")
        settings = configuration({"acme": provider(puppet.base_url)})
        async with running_gateway(
            tmp_path,
            settings,
            environment={**dict.fromkeys(names, there), "NETRC": str(netrc)},
        ) as gateway:
            asking = asyncio.create_task(ask(gateway, chat()))
            call = await puppet.call()
            call.write(completion())
            answer = await asking

    assert answer.status == 200
    assert b"authorization" not in call.head.lower()
    assert trap.connections == 0


def test_a_provider_key_in_the_query_string() -> None:
    """An address with credentials or a query is refused, and not repeated."""
    for url in ("https://a.example/v1?key=hidden", "https://u:hidden@a.example/v1"):
        text = f"providers: {{a: {{dialect: openai-chat, base_url: '{url}'}}}}\n"

        found = errors(text)

        assert any("base_url" in path for _, path, _ in found)
        assert "hidden" not in str(found)


async def test_a_picture_address_that_the_gateway_fetches(tmp_path: Path) -> None:
    """An image URL goes to the provider as it is; the router connects to nothing."""
    upstream = {"allow_private_image_urls": True}
    async with trapped(tmp_path, upstream=upstream) as (router, puppet, trap):
        image = {"url": f"http://127.0.0.1:{trap.port}/picture.png"}
        content = [{"type": "image_url", "image_url": image}]
        data = chat(messages=[{"role": "user", "content": content}])
        asking = asyncio.create_task(ask(router, data))
        call = await puppet.call()
        call.write(completion())
        answer = await asking

    assert answer.status == 200
    assert json.loads(call.body)["messages"][0]["content"] == content
    assert trap.connections == 0


# Memory and processor, spent by whoever sends something strange.


async def test_endless_headers_from_nobody_in_particular(tmp_path: Path) -> None:
    """A head without an end is refused long before it fills the memory."""
    async with routed(tmp_path) as (router, _):
        taken = await asyncio.gather(
            taken_of(router, b"GET /healthz HTTP/1.1\r\nx: "),
            taken_of(router, b"GET /"),
        )

    assert max(taken) < 16 * MIB


async def taken_of(router: Router, start: bytes) -> int:
    """Go on with a head until the router is gone; return how much it has taken."""
    sent = 0
    async with line_to(router) as line:
        line.send(start)
        try:
            while sent < 64 * MIB:
                line.send(b"x" * 65536)
                await line.writer.drain()
                sent += 65536
        except ConnectionError:
            pass
    return sent


async def test_nonsense_after_a_request_does_not_get_into_its_answer(
    tmp_path: Path,
) -> None:
    """What was asked for is answered to its end; then the connection is given up."""
    async with routed(tmp_path) as (router, puppet), line_to(router) as line:
        line.send(chat(stream=True))
        call = await puppet.call()
        call.begin_stream()
        call.chunk(content_event("one"))
        await line.until(b"one")
        line.send(b"no request at all\r\n\r\n")
        call.chunk(FINISH + DONE)
        call.end_stream()
        rest = await line.rest()
        record = await router.record()

    answered, _, refused = rest.partition(b"\r\n0\r\n\r\n")
    assert answered.endswith(b"[DONE]\n\n")
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert record.status == 200


async def test_many_small_headers_that_never_end(tmp_path: Path) -> None:
    """The bound holds for their sum, too."""
    async with routed(tmp_path) as (router, _), line_to(router) as line:
        line.send(b"GET /healthz HTTP/1.1\r\n")
        sent = 0
        try:
            while sent < 64 * MIB:
                line.send(b"x-a: b\r\n" * 8192)
                await line.writer.drain()
                sent += 65536
        except ConnectionError:
            pass

    assert sent < 16 * MIB


async def test_a_large_head_that_is_still_allowed(tmp_path: Path) -> None:
    """Thirty kilobytes of cookies and a large body beside them do no harm."""
    async with routed(tmp_path) as (router, puppet):
        data = chat("x" * MIB, headers={"cookie": "c" * 30_000})
        asking = asyncio.create_task(ask(router, data))
        (await puppet.call()).write(completion())
        answer = await asking

    assert answer.status == 200


def test_user_agents_that_are_remembered_whole() -> None:
    """What is kept of a user agent is bounded, whatever is sent."""
    tracemalloc.start()
    for turn in range(600):
        client_label(b"agent-%d" % turn + b"x" * 100_000)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < MIB


async def test_an_answer_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    """A compressed answer is bounded by what it unpacks to."""
    async with running_puppet() as puppet:
        settings = configuration(
            {"acme": provider(puppet.base_url)},
            upstream={"max_response_bytes": 4 * MIB},
        )
        async with running_gateway(tmp_path, settings) as gateway:
            bomb = gzip.compress(b"\0" * 256 * MIB)
            asking = asyncio.create_task(ask(gateway, chat()))
            call = await puppet.call()
            before = resident_bytes(gateway.pid)
            forget_peak(gateway.pid)
            head = (
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                f"content-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n"
            )
            call.write(head.encode() + bomb)
            answer = await asking
            peak = peak_resident_bytes(gateway.pid) - before
            rows = await gateway.recorded(1)

    assert answer.status == 502
    assert rows[0]["error_class"] == "upstream_response_too_large"
    assert peak < 48 * MIB


async def test_a_content_type_that_cannot_be_sent_on(tmp_path: Path) -> None:
    """A strange header of a provider is no reason to withhold its answer."""
    async with routed(tmp_path) as (router, puppet):
        asking = asyncio.create_task(ask(router, chat()))
        call = await puppet.call()
        odd = "application/json; x=\u20ac".encode()
        call.write(completion().replace(b"application/json", odd))
        answer = await asking

    assert answer.status == 200


# Minutes-long stalls under a load that is no load.


async def test_a_stall_of_all_calls_while_one_provider_is_slow(tmp_path: Path) -> None:
    """Calls to a quick provider take no longer because a hundred others wait."""
    async with running_puppet() as slow, running_puppet() as quick:
        settings = configuration(
            {"slow": provider(slow.base_url), "quick": provider(quick.base_url)},
            groups={
                name: {
                    "strategy": "static",
                    "targets": [{"use": f"{name}/mini"}],
                    "same_target_retries": 0,
                }
                for name in ("slow", "quick")
            },
            callers=[caller(allow=["slow", "quick"])],
        )
        async with running_router(tmp_path, settings) as router:
            alone_s = await _took_s(router, quick)
            waiting = [
                asyncio.create_task(ask(router, chat(model="slow", stream=bool(i % 2))))
                for i in range(100)
            ]
            held = [await slow.call() for _ in waiting]
            beside_s = await _took_s(router, quick)
            for call in held:
                call.writer.close()
            await asyncio.gather(*waiting)

    # The machine's own load is in both.
    assert beside_s[25] < 10 * alone_s[25] + 0.1
    assert beside_s[-1] < 30


async def _took_s(router: Router, quick: Puppet) -> list[float]:
    """Return how long fifty calls to a quick provider take, shortest first."""
    took_s = []
    for _ in range(50):
        began = time.monotonic()
        asking = asyncio.create_task(ask(router, chat(model="quick")))
        (await quick.call()).write(completion())
        await asking
        took_s.append(time.monotonic() - began)
    return sorted(took_s)
