"""The mock as a server: connections, the control API, the command."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest

from smart_llmrouter.mockprovider.provider import MockProvider, Settings
from smart_llmrouter.mockprovider.recording import Received
from smart_llmrouter.mockprovider.script import Step
from smart_llmrouter.mockprovider.server import listening
from tests.support.mock import Mock, mock_process, running_mock
from tests.support.raw_http import chat_request, exchange
from tests.support.wait import PATIENCE_S, eventually

CHAT = {"model": "mock-small", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def mock() -> AsyncGenerator[Mock]:
    """A mock of its own for each test."""
    async with running_mock() as mock:
        yield mock


@pytest.fixture
async def http() -> AsyncGenerator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_connection_is_used_again(
    mock: Mock, http: aiohttp.ClientSession
) -> None:
    """Plain and streamed answers leave the connection open for the next request."""
    for stream in (False, True, False):
        async with http.post(
            f"{mock.base_url}/chat/completions", json={**CHAT, "stream": stream}
        ) as response:
            await response.read()

    assert mock.server.connections_made == 1
    assert {entry.outcome for entry in mock.received} == {"answered"}


async def test_requests_in_a_row_are_answered_in_order(mock: Mock) -> None:
    """Requests sent ahead on one connection wait for the slow one before them."""
    slow = chat_request('first [[mock: {"delay_first_ms": 50}]]', close=False)

    heard = await exchange(mock.port, slow + chat_request("second"))

    assert heard.data.count(b"HTTP/1.1 200 OK") == 2
    assert heard.data.index(b"first") < heard.data.index(b"second")
    assert heard.ending == "closed"


async def test_a_client_may_ask_before_it_sends_its_body(mock: Mock) -> None:
    """`Expect: 100-continue` is answered, as curl wants it for large bodies."""
    request = chat_request(headers={"Expect": "100-continue"})

    heard = await exchange(mock.port, request)

    assert heard.data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


async def test_what_is_not_http_is_refused(mock: Mock) -> None:
    """Garbage gets a 400 and the end of the connection."""
    heard = await exchange(mock.port, b"\x16\x03\x01 hello\r\n\r\n")

    assert (heard.status, heard.ending) == (400, "closed")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/__mock/script", 200),
    ],
)
async def test_paths_and_methods(
    mock: Mock, http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    """Each path answers to its methods, and says so where it does not."""
    async with http.request(method, mock.url + path) as response:
        document = await response.json()

    assert response.status == status
    assert ("error" in document) == (status >= 400)


async def test_the_control_api_scripts_and_records(
    mock: Mock, http: aiohttp.ClientSession
) -> None:
    """Steps are used up in order and by model; requests are kept verbatim."""
    script = {
        "steps": [{"status": 500, "times": 2}, {"status": 503, "model": "other"}],
        "models": {"late": {"status": 504}},
    }
    async with http.post(f"{mock.url}/__mock/script", json=script) as response:
        waiting = await response.json()
    statuses = []
    for model in ("other", "x", "x", "x", "other", "late"):
        async with http.post(
            f"{mock.base_url}/chat/completions",
            data=json.dumps({**CHAT, "model": model}),
            headers={"X-Case": "Kept", "Authorization": "Bearer k"},
        ) as response:
            statuses.append(response.status)

    async with http.get(f"{mock.url}/__mock/requests") as response:
        recorded = await response.json()

    assert len(waiting["steps"]) == 3
    assert statuses == [500, 500, 200, 200, 503, 504]
    assert recorded["count"] == 6
    first = recorded["requests"][0]
    assert first["path"] == "/v1/chat/completions"
    assert ["X-Case", "Kept"] in first["headers"]
    assert ["Authorization", "Bearer k"] in first["headers"]
    assert first["body"] == json.dumps({**CHAT, "model": "other"})
    assert (first["status"], first["outcome"]) == (500, "answered")


async def test_the_control_api_forgets(mock: Mock, http: aiohttp.ClientSession) -> None:
    """A reset empties script and recording."""
    await http.post(f"{mock.url}/__mock/script", json={"always": {"status": 500}})
    await http.post(f"{mock.base_url}/chat/completions", json=CHAT)

    await http.delete(f"{mock.url}/__mock")
    async with http.post(f"{mock.base_url}/chat/completions", json=CHAT) as response:
        status = response.status

    assert status == 200
    assert [entry.number for entry in mock.received] == [1]


async def test_script_and_recording_are_forgotten_apart(
    mock: Mock, http: aiohttp.ClientSession
) -> None:
    """Each has a reset of its own, which leaves the other."""
    await http.post(f"{mock.url}/__mock/script", json={"always": {"status": 500}})
    await http.post(f"{mock.base_url}/chat/completions", json=CHAT)

    await http.delete(f"{mock.url}/__mock/script")
    kept = len(mock.received)
    await http.post(f"{mock.url}/__mock/script", json={"always": {"status": 500}})
    await http.delete(f"{mock.url}/__mock/requests")
    async with http.post(f"{mock.base_url}/chat/completions", json=CHAT) as response:
        status = response.status

    assert (kept, len(mock.received), status) == (1, 1, 500)


async def test_a_script_that_cannot_be_read_changes_nothing(
    mock: Mock, http: aiohttp.ClientSession
) -> None:
    """An unknown fault is a 400 that names it."""
    async with http.post(
        f"{mock.url}/__mock/script", json={"steps": [{"explode": True}]}
    ) as response:
        document = await response.json()

    assert response.status == 400
    assert "explode" in document["error"]["message"]


async def test_a_body_that_is_not_a_request_is_refused(
    mock: Mock, http: aiohttp.ClientSession
) -> None:
    """No JSON, no messages, a wrong type: each a 400 in OpenAI's shape."""
    for body in (b"{", b'{"model":"m"}', b'{"model":"m","messages":[]}', b"\xff"):
        async with http.post(
            f"{mock.base_url}/chat/completions", data=body
        ) as response:
            document = await response.json()

        assert response.status == 400
        assert document["error"]["type"] == "invalid_request_error"


async def test_a_body_that_is_too_large_is_refused() -> None:
    """Beyond the limit there is a 413, and nothing is recorded or answered."""
    async with running_mock(Settings(max_body_bytes=1000)) as mock:
        heard = await exchange(mock.port, chat_request("x" * 2000))

        assert (heard.status, heard.ending) == (413, "closed")
        assert mock.received == []


async def test_a_client_that_does_not_read_holds_the_mock_back(mock: Mock) -> None:
    """The mock keeps what nobody takes, and goes on when somebody does."""
    size = 40_000_000
    mock.will(Step(huge_bytes=size))
    reader, writer = await asyncio.open_connection("127.0.0.1", mock.port, limit=1024)

    writer.write(chat_request())
    await eventually(lambda: mock.received and mock.received[0].sent_bytes > 0)
    held_at = await settled(mock.received[0])
    whole = await reader.read()
    writer.close()

    assert held_at < size // 2
    assert len(whole) > size
    assert mock.received[0].outcome == "answered"


async def settled(entry: Received) -> int:
    """Return how many bytes had been sent when no more were for a while."""
    sent = -1
    while sent != entry.sent_bytes:
        sent = entry.sent_bytes
        await asyncio.sleep(0.2)
    return sent


async def test_latency_is_added_to_every_answer() -> None:
    """A mock with a latency takes at least that long."""
    async with listening(MockProvider(Settings(latency_ms=80))) as server:
        heard = await exchange(server.port, chat_request())

    assert heard.arrivals_s[0] >= 0.08


async def test_the_command_serves_a_script_file(
    tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`smart-llmrouter mock` reads YAML, demands a key, and says where it is."""
    script = tmp_path / "script.yaml"
    script.write_text("models:\n  broken: {status: 503, retry_after: 2}\n")
    monkeypatch.setenv("MOCK_KEY", "sesame")
    options = (
        "--script",
        str(script),
        "--api-key-env",
        "MOCK_KEY",
        "--model",
        "broken",
    )

    with mock_process(*options) as url:
        async with http.post(
            f"{url}/v1/chat/completions",
            json={**CHAT, "model": "broken"},
            headers={"authorization": "Bearer sesame"},
        ) as broken:
            pass
        async with http.get(f"{url}/v1/models") as keyless:
            pass

    assert (broken.status, broken.headers["retry-after"]) == (503, "2")
    assert keyless.status == 401


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with exit code 0 and without a traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "smart_llmrouter", "mock", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdout is not None
    first_line = process.stdout.readline()

    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_S)

    assert "http://127.0.0.1:" in first_line
    assert (process.returncode, errors) == (0, "")


def test_the_command_says_that_a_port_is_taken() -> None:
    """A busy port is one clear line and exit code 1."""
    command = [sys.executable, "-m", "smart_llmrouter", "mock"]
    with mock_process() as url:
        port = url.rpartition(":")[2]

        ended = subprocess.run(
            [*command, "--port", port], capture_output=True, text=True, check=False
        )

    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_websocket_is_declined(mock: Mock) -> None:
    """With the one status at which Codex goes on over HTTP; without one it is a 405."""
    upgrade = (
        b"GET /v1/responses HTTP/1.1\r\nhost: mock\r\nconnection: Upgrade\r\n"
        b"upgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n"
    )
    plain = b"GET /v1/responses HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n"

    declined = await exchange(mock.port, upgrade)
    refused = await exchange(mock.port, plain)

    assert (declined.status, declined.ending) == (426, "closed")
    assert declined.data.count(b"HTTP/1.1 ") == 1
    assert refused.status == 405


async def test_a_model_is_shown_by_its_name(
    mock: Mock, http: aiohttp.ClientSession
) -> None:
    """As OpenAI shows it; one that does not exist is a 404 where models are given."""
    async with http.get(f"{mock.base_url}/models/anything") as response:
        shown = await response.json()
    async with running_mock(Settings(models=("only",))) as strict:
        url = f"{strict.base_url}/models/anything"
        async with http.get(url) as response:
            missing = response.status

    assert (shown["id"], shown["object"]) == ("anything", "model")
    assert missing == 404
