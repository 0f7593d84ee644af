"""Secrets and content, planted everywhere, are found nowhere but on their own way."""

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import pytest

from smart_llmrouter.mockprovider.script import Raw, Step, StreamError
from tests.support.canary import MARK, canary, songs, songs_below
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.ledger import StateDirectory
from tests.support.line import Answered, Line, line_to, request
from tests.support.mock import Mock, running_mock
from tests.support.process import arguments, children
from tests.support.wait import PATIENCE_S, eventually

TOKEN: Final = f"rtr_alice_search_dev_k1_{canary('token').replace('-', '')}"
ECHOED: Final = msgspec.Raw(
    json.dumps(
        {
            "error": {
                "message": f"{canary('prompt')} {canary('key')} {canary('header')}",
                "type": "some_error",
                "code": canary("prompt"),
                "param": canary("key"),
            }
        }
    ).encode()
)
ENVIRONMENT: Final = {
    "ACME_API_KEY": canary("key"),
    "ACME_HEADER": canary("header"),
}
OWN_SECRETS: Final = tuple(
    canary(kind).encode() for kind in ("key", "header", "file", "token")
)


def spiked(**changes: object) -> bytes:
    """Return a request body with a canary in everything that the caller chooses."""
    schema = {"type": "object", "properties": {canary("tool"): {}}}
    function = {"name": canary("tool"), "parameters": schema}
    image = {"url": f"https://{canary('host')}.example/{canary('image')}"}
    content = [
        {"type": "text", "text": canary("prompt")},
        {"type": "image_url", "image_url": image},
    ]
    return json.dumps(
        {
            "model": "chat",
            "messages": [{"role": "user", "content": content}],
            "tools": [{"type": "function", "function": function}],
            "user": canary("user"),
            "metadata": {canary("metadata"): canary("metadata")},
            canary("field"): canary("field"),
            **changes,
        }
    ).encode()


def headers(**changes: str) -> dict[str, str]:
    """Return request headers with canaries in them."""
    return {
        "authorization": f"Bearer {TOKEN}",
        "user-agent": canary("agent"),
        "x-anything": canary("request-header"),
        "cookie": f"session={canary('cookie')}",
        "x-request-id": canary("request-id"),
        "traceparent": canary("trace"),
        **changes,
    }


CHAT: Final = f"/v1/chat/completions?key={canary('query')}"


@dataclass(slots=True)
class Exchanges:
    """Everything that came back: answers where content may be, and all the others."""

    with_content: list[Answered] = field(default_factory=list)
    without: list[Answered] = field(default_factory=list)


class Spy:
    """Sends spiked requests, one after the other, and keeps what comes back."""

    def __init__(self, gateway: Gateway, mock: Mock) -> None:
        """Talk to `gateway`, whose provider is `mock`."""
        self.gateway = gateway
        self.mock = mock
        self.exchanges = Exchanges()

    async def ask(self, data: bytes) -> Answered:
        """Send one request on a connection of its own."""
        async with line_to(self.gateway) as line:
            line.send(data)
            return await line.answer()

    async def chat(self, *steps: Step, stream: bool) -> Answered:
        """Send a spiked request while the provider does `steps`."""
        # A target that rests for a moment has left a step behind.
        self.mock.server.provider.script.clear()
        self.mock.will(*steps)
        body = spiked(stream=stream)
        return await self.ask(request("POST", CHAT, headers=headers(), body=body))

    async def refused(
        self,
        *,
        method: str = "POST",
        path: str = CHAT,
        sent: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        """Send a request that must be refused before any provider is asked."""
        data = request(method, path, headers=sent or headers(), body=body)
        answer = await self.ask(data)
        assert answer.status >= 400, answer
        self.exchanges.without.append(answer)


RESTLESS: Final = {
    "on_429": {"min_s": 0.001, "max_s": 0.001},
    "on_quota": {"min_s": 0.001, "max_s": 0.001},
    "on_failure": {"failures": 1000, "min_s": 0.001, "max_s": 0.001},
}
"""However often they fail, these providers are asked again."""

FAILURES: Final = tuple(
    Step(status=status, body=ECHOED, headers={"x-echo": canary("key")})
    for status in (401, 403, 404, 429, 500, 503, 307)
)
BROKEN: Final = (
    Step(raw=Raw(body=f'{{"choices": [{canary("answer")}')),
    Step(raw=Raw(headers={"content-type": canary("type")}, body=canary("answer"))),
    Step(malformed_http="header", content=canary("answer")),
    Step(malformed_http="status-line", content=canary("answer")),
    Step(hang_up_at_byte=40, content=canary("answer")),
)


async def _successes_and_rejections(spy: Spy, *, stream: bool) -> None:
    kept = spy.exchanges.with_content
    kept.append(await spy.chat(Step(content=canary("answer")), stream=stream))
    kept.append(await spy.chat(Step(status=400, body=ECHOED), stream=stream))
    kept.append(await spy.chat(Step(status=413, body=ECHOED), stream=stream))
    # The second target knows only its own key.
    echo = msgspec.Raw(b'{"error": {"message": "%b"}}' % canary("file").encode())
    second = Step(status=422, body=echo)
    kept.append(await spy.chat(Step(status=503), second, stream=stream))
    failing = StreamError(after_events=3, message=canary("prompt"), code=canary("key"))
    if stream:
        step = Step(error_in_stream=failing, content="a few more words")
        kept.append(await spy.chat(step, stream=True))


async def _failures(spy: Spy, *, stream: bool) -> None:
    for step in (*FAILURES, *BROKEN):
        answer = await spy.chat(step, step, stream=stream)
        assert answer.status >= 500, (step, answer)
        spy.exchanges.without.append(answer)
    early = Step(error_in_stream=StreamError(message=canary("prompt")))
    if stream:
        spy.exchanges.without.append(await spy.chat(early, early, stream=True))


async def _refusals(spy: Spy) -> None:
    await spy.refused(body=b'{"messages": [' + canary("prompt").encode())
    await spy.refused(body=b'{"messages": "\xff' + canary("prompt").encode() + b'"}')
    await spy.refused(body=b'["' + canary("prompt").encode() + b'"]')
    await spy.refused(body=b"[" * 100_000 + canary("prompt").encode())
    for fields in (
        {"model": canary("model")},
        {"model": {canary("model"): 1}},
        {"stream": canary("prompt")},
        {"stream": True, "stream_options": {"include_usage": canary("prompt")}},
        {"stream": True, "stream_options": canary("prompt")},
    ):
        await spy.refused(body=spiked(**fields))
    await spy.refused(body=json.dumps({"input": canary("prompt")}).encode())
    wrong = headers(authorization=f"Bearer {canary('wrong-token')}")
    await spy.refused(sent=wrong, body=spiked(stream=False))
    await spy.refused(sent=headers(authorization=f"Basic {canary('basic')}"))
    await spy.refused(sent=headers(**{"content-type": canary("type")}))
    await spy.refused(sent=headers(**{"content-encoding": canary("coding")}))
    await spy.refused(path=f"/v1/{canary('path')}?{canary('query')}")
    await spy.refused(method="GET", path=f"/docs/{canary('path')}")
    await spy.refused(method="GET", path=f"/v1/models/{canary('model')}")
    await spy.refused(method="DELETE")
    await spy.refused(method="GET", path=f"/metrics?{canary('query')}", sent=wrong)
    too_long = headers(**{"content-length": str(10**9)})
    await spy.refused(sent=too_long, body=canary("prompt").encode())


async def _nonsense(spy: Spy) -> bytes:
    """Say what is no HTTP, and leave in mid-stream; return what came back."""
    heard = b""
    for start in (
        b"GET /%b HTTP/9.9\r\n\r\n",
        b"%b\r\n\r\n",
        b"GET / HTTP/1.1\r\n%b\r\n",
    ):
        async with line_to(spy.gateway) as line:
            line.send(start % canary("nonsense").encode())
            heard += await line.rest()
    spy.mock.will(Step(content=canary("answer") + " word" * 40, delay_between_ms=50))
    async with line_to(spy.gateway) as line:
        body = spiked(stream=True)
        line.send(request("POST", CHAT, headers=headers(), body=body))
        await _first_chunk(line)
        line.leave()
    return heard


async def _first_chunk(line: Line) -> None:
    await line.head()
    await line.chunk()


@asynccontextmanager
async def routed(tmp_path: Path) -> AsyncGenerator[Spy]:
    """Run a router whose providers' credentials are canaries."""
    secret = tmp_path / "secret"
    secret.write_text(canary("file") + "\n")
    entry = caller(
        token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(), metrics_admin=True
    )
    secrets = {
        "api_key": "${ACME_API_KEY}",
        "headers": {"X-Provider-Secret": "${ACME_HEADER}"},
    }
    async with running_mock() as mock:
        providers = {
            "acme": provider(mock.base_url, backoff=RESTLESS, **secrets),
            "other": provider(
                mock.base_url, backoff=RESTLESS, api_key=f"file:{secret}"
            ),
        }
        settings = configuration(
            providers, callers=[entry], diagnostics={"decisions": "all"}
        )
        async with running_gateway(
            tmp_path, settings, environment=ENVIRONMENT
        ) as gateway:
            yield Spy(gateway, mock)


COMMANDS: Final[tuple[tuple[str, ...], ...]] = (
    ("config", "show"),
    ("config", "check"),
    ("config", "check", "--format", "json"),
    ("usage", "report"),
    ("usage", "report", "--format", "json", "--group-by", "caller,provider,client"),
    ("usage", "report", "--format", "csv", "--group-by", "model"),
)


def _run(command: tuple[str, ...], gateway: Gateway) -> bytes:
    ran = subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", *command],
        cwd=gateway.directory,
        env={"PATH": os.environ["PATH"], **ENVIRONMENT},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 0, ran
    return ran.stdout + ran.stderr


async def _told_by_the_router(spy: Spy) -> dict[str, bytes]:
    told = {}
    for path in ("/readyz", "/metrics", "/version", "/healthz", "/v1/models"):
        data = request("GET", path, headers=headers())
        answer = await spy.ask(data)
        assert answer.status == 200, answer
        told[path] = _whole(answer)
    return told


def _whole(answer: Answered) -> bytes:
    return repr(dict(answer.headers)).encode() + answer.body


def _heard(told: Mapping[str, bytes]) -> dict[str, list[bytes]]:
    return {name: songs(data) for name, data in told.items() if songs(data)}


def _all_codes(gateway: Gateway) -> set[str | None]:
    """Return the error codes on record, once the call that was left is among them."""
    codes = {row["error_code"] for row in gateway.rows()}
    return codes if "client-left" in codes else set()


@pytest.mark.slow
async def test_no_secret_and_no_content_turns_up_anywhere(tmp_path: Path) -> None:
    """Not in the database, journal, logs, errors, reports, metrics or arguments."""
    async with routed(tmp_path) as spy:
        gateway = spy.gateway
        for stream in (False, True):
            await _successes_and_rejections(spy, stream=stream)
            await _failures(spy, stream=stream)
        await _refusals(spy)
        nonsense = await _nonsense(spy)
        told = await _told_by_the_router(spy)
        codes = await eventually(lambda: _all_codes(gateway), what="the last row")
        decided = StateDirectory(gateway.state).count("request_attempts")
        for command in COMMANDS:
            told[" ".join(command)] = await asyncio.to_thread(_run, command, gateway)
        pids = [gateway.pid, *children(gateway.pid)]
        told["arguments"] = b"".join(arguments(pid) for pid in pids)
        while_running = songs_below(gateway.state)
        asked = spy.mock.received
    after_the_end = songs_below(gateway.state)
    exchanges = spy.exchanges

    # The canaries were really there: the provider got its own, and the prompt.
    assert decided > 0
    assert len(pids) == 2
    assert {each.header("authorization") for each in asked} == {
        f"Bearer {canary('key')}",
        f"Bearer {canary('file')}",
    }
    assert all(canary("prompt").encode() in each.raw_body for each in asked)
    assert canary("answer").encode() in exchanges.with_content[0].body
    assert canary("prompt").encode() in exchanges.with_content[1].body
    assert codes >= {None, "client-left", "invalid-json", "upstream-failed"}
    # And nowhere else.
    assert while_running == {}
    assert after_the_end == {}
    assert songs(gateway.log.encode()) == []
    assert _heard(told) == {}
    assert songs(nonsense) == []
    assert [
        songs(_whole(each)) for each in exchanges.without if songs(_whole(each))
    ] == []
    returned = b"".join(_whole(each) for each in exchanges.with_content)
    assert [each for each in OWN_SECRETS if each in returned] == []
    assert "Traceback" not in gateway.log
    # What the caller sent goes to the provider; what authenticates it does not.
    forwarded = b"".join(
        repr(each.headers).encode() + each.path.encode() for each in asked
    )
    for kind in ("agent", "request-header", "cookie", "query", "trace", "request-id"):
        assert canary(kind).encode() not in forwarded
    assert TOKEN.encode() not in forwarded


def test_a_key_written_into_the_file_is_refused_without_being_repeated(
    tmp_path: Path,
) -> None:
    """`config check` and `serve` point at the line, and do not print what is there."""
    settings = configuration(
        {
            "acme": provider(
                "http://127.0.0.1:9/v1",
                api_key=f"sk-{MARK}0123456789abcdefghijklmnop",
                headers={"Authorization": f"Bearer sk-{MARK}0123456789abcdefghijkl"},
            )
        },
        callers=[caller(token=f"rtr_alice_search_dev_k1_{MARK}")],
    )
    (tmp_path / "router.yaml").write_text(json.dumps(settings, indent=1))
    said = {}
    for command in ("config check", "config check --format json", "serve"):
        with suppress(subprocess.TimeoutExpired):
            said[command] = subprocess.run(
                [sys.executable, "-m", "smart_llmrouter", *command.split()],
                cwd=tmp_path,
                env={"PATH": os.environ["PATH"]},
                capture_output=True,
                check=False,
                timeout=PATIENCE_S,
            )

    assert [each.returncode for each in said.values()] == [1, 1, 1]
    assert all(b"api_key" in each.stdout + each.stderr for each in said.values())
    assert _heard({name: ran.stdout + ran.stderr for name, ran in said.items()}) == {}


def test_the_search_hears_a_canary_in_whatever_spelling() -> None:
    """Otherwise silence would prove nothing."""
    sung = [MARK.encode(), MARK.upper().encode(), MARK.encode().hex().encode()]
    sung += [base64.b64encode(b"x" * shift + MARK.encode()) for shift in range(9)]

    assert [each for each in sung if not songs(b"before " + each + b" after")] == []
    assert songs(b"nothing to be heard") == []
