"""Content in every position of every dialect is in no table, report or answer."""

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from smart_llmrouter.mockprovider.script import Raw, Step, StreamError
from smart_llmrouter.stores.sqlite_schema import RELATIONS
from tests.support.canary import canary, songs, songs_below
from tests.support.gateway import (
    RESTLESS,
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.ledger import StateDirectory
from tests.support.line import Answered, line_to, request
from tests.support.mock import Mock, running_mock
from tests.support.wait import PATIENCE_S

TOKEN: Final = f"rtr_alice_search_dev_k1_{canary('token').replace('-', '')}"
DIALECTS: Final = ("openai-chat", "openai-responses", "anthropic-messages")
PIXEL: Final = base64.b64encode(canary("pixels").encode()).decode()
SCHEMA: Final = {
    "type": "object",
    "properties": {canary("schema"): {"description": canary("schema")}},
}
NAME: Final = canary("tool")
TOOL: Final = {"name": NAME, "description": canary("description")}
ECHOED: Final = msgspec.Raw(
    json.dumps({"error": {"message": canary("echo"), "code": canary("code")}}).encode()
)
OUTCOMES: Final = (
    Step(content=canary("answer")),
    Step(status=503, body=ECHOED, headers={"x-echo": canary("echo")}),
    Step(status=400, body=ECHOED),
    Step(raw=Raw(body=f'{{"broken": [{canary("answer")}')),
    Step(error_in_stream=StreamError(message=canary("echo"), code=canary("code"))),
)
"""What providers do with a request, one after the other."""

USUAL: Final = {"user": canary("user"), "metadata": {"k": canary("metadata")}}


def _chat() -> dict[str, Any]:
    image = {"url": f"data:image/png;base64,{PIXEL}"}
    call = {"name": NAME, "arguments": json.dumps({"a": canary("argument")})}
    return {
        "messages": [
            {"role": "system", "content": canary("system")},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": canary("prompt")},
                    {"type": "image_url", "image_url": image},
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": canary("output")},
        ],
        "tools": [{"type": "function", "function": {**TOOL, "parameters": SCHEMA}}],
        "prompt_cache_key": canary("cache-key"),
        **USUAL,
    }


def _responses() -> dict[str, Any]:
    content = [
        {"type": "input_text", "text": canary("prompt")},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
    ]
    call = {"call_id": "call_1", "name": NAME, "arguments": "{}"}
    return {
        "instructions": canary("system"),
        "input": [
            {"type": "message", "role": "user", "content": content},
            {"type": "function_call", **call},
            {
                "type": "function_call_output",
                "call_id": "call_1",
                "output": canary("output"),
            },
        ],
        "tools": [{"type": "function", **TOOL, "parameters": SCHEMA}],
        "prompt_cache_key": canary("cache-key"),
        **USUAL,
    }


def _messages() -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [
        {"type": "text", "text": canary("prompt")},
        {"type": "image", "source": source},
    ]
    call = {"type": "tool_use", "id": "call_1", "name": NAME, "input": {"a": "b"}}
    output = {
        "type": "tool_result",
        "tool_use_id": "call_1",
        "content": canary("output"),
    }
    return {
        "max_tokens": 64,
        "system": canary("system"),
        "messages": [
            {"role": "user", "content": content},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [output]},
        ],
        "tools": [{**TOOL, "input_schema": SCHEMA}],
        "metadata": {"user_id": canary("user")},
    }


ASKED: Final = {
    f"/v1/chat/completions?key={canary('query')}": _chat,
    f"/v1/responses?key={canary('query')}": _responses,
    f"/v1/messages?key={canary('query')}": _messages,
}
HEADERS: Final = {
    "authorization": f"Bearer {TOKEN}",
    "user-agent": canary("agent"),
    "x-anything": canary("header"),
    "anthropic-beta": canary("beta"),
}
COMMANDS: Final = (
    ("usage", "report"),
    ("usage", "report", "--group-by", "client,error,model", "--format", "json"),
    ("usage", "notes"),
)


def settings_for(mock: Mock) -> dict[str, Any]:
    """Return a configuration with a group for each dialect of targets."""
    token = hashlib.sha256(TOKEN.encode()).hexdigest()
    providers = {
        name: provider(
            mock.base_url, dialect=name, backoff=RESTLESS, api_key="${ACME_API_KEY}"
        )
        for name in DIALECTS
    }
    groups = {
        f"via-{name}": {
            "strategy": "dynamic",
            "targets": [{"use": f"{name}/mini"}],
            "same_target_retries": 0,
        }
        for name in DIALECTS
    }
    allowed = [*groups, "chat"]
    return configuration(
        providers,
        groups=groups,
        callers=[caller(token_sha256=token, metrics_admin=True, allow=allowed[:-1])],
        diagnostics={"decisions": "all"},
    )


async def _ask(gateway: Gateway, path: str, body: Mapping[str, object]) -> Answered:
    data = request("POST", path, headers=HEADERS, body=json.dumps(body).encode())
    async with line_to(gateway) as line:
        line.send(data)
        return await line.answer()


def _all_cells(state: StateDirectory) -> Iterator[tuple[str, bytes]]:
    """Yield the rows of each table and view, as text."""
    for name in RELATIONS:
        for row in state.select("*", name):
            yield name, repr(row).encode()


def _run(command: tuple[str, ...], gateway: Gateway) -> bytes:
    ran = subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", *command],
        cwd=gateway.directory,
        env={**os.environ, "ACME_API_KEY": canary("key")},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 0, ran
    return ran.stdout + ran.stderr


@pytest.mark.slow
async def test_no_content_of_any_dialect_turns_up_anywhere(tmp_path: Path) -> None:
    """Relayed and translated, plain and streamed, answered, refused and broken."""
    environment = {"ACME_API_KEY": canary("key")}
    answers: list[Answered] = []
    async with running_mock() as mock:
        settings = settings_for(mock)
        async with running_gateway(
            tmp_path, settings, environment=environment
        ) as gateway:
            state = StateDirectory(gateway.state)
            for path, via, stream in product(ASKED, DIALECTS, (False, True)):
                for step in OUTCOMES:
                    mock.server.provider.script.clear()
                    mock.will(step)
                    body = {**ASKED[path](), "model": f"via-{via}", "stream": stream}
                    answers.append(await _ask(gateway, path, body))
            for path, spiked in ASKED.items():
                answers.append(await _ask(gateway, path, spiked() | {"model": NAME}))
            rows = await gateway.recorded(len(answers))
            told = {
                " ".join(each): await asyncio.to_thread(_run, each, gateway)
                for each in (
                    *COMMANDS,
                    ("usage", "request", rows[0]["request_id"]),
                    ("usage", "request", rows[-1]["request_id"], "--format", "json"),
                )
            }
            for path in ("/readyz", "/metrics", "/v1/usage", "/v1/models"):
                async with line_to(gateway) as line:
                    line.send(request("GET", path, headers=HEADERS))
                    told[path] = (await line.answer()).body
            cells = list(_all_cells(state))
            heard = songs_below(gateway.state)
            received = [each.raw_body for each in mock.received]
        heard |= songs_below(gateway.state)
        log = gateway.log

    # They were really there, relayed and translated, and came back.
    served = [row["lane"] for row in rows if row["status"] == 200]
    assert {"relay", "translate"} <= set(served)
    assert sum(canary("prompt").encode() in each for each in received) > len(rows) // 2
    for kind in ("system", "schema", "output", "description"):
        assert any(canary(kind).encode() in each for each in received), kind
    assert any(canary("answer").encode() in each.body for each in answers)
    assert {name for name, _ in cells} >= {
        "request_usage",
        "request_attempts",
        "request_errors",
        "request_trace_events",
        "request_shapes",
        "request_dynamic_score_terms",
        "request_translation_field_events",
        "security_access_events",
        "config_versions",
        "price_versions",
    }
    # And nowhere else.
    assert heard == {}
    assert [each for each in cells if songs(each[1])] == []
    assert {name: songs(each) for name, each in told.items() if songs(each)} == {}
    assert songs(log.encode()) == []
    assert "Traceback" not in log
