"""A thousand random configurations and requests: the explanation is what happens."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx2
import msgspec

from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.ledger.decision_line import decode_decision, parted
from smart_llmrouter.stores.segments import list_segments
from tests.support.gateway import caller, configuration, provider
from tests.support.mock import running_mock
from tests.support.router import Router, serving

ROUNDS: Final = 40
GROUPS: Final = 25
SEED: Final = 20261123
DIALECTS: Final = ("openai-chat", "openai-responses", "anthropic-messages")
PATHS: Final = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}
FACTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "tools": (None, ["function"], ["function", "forced_choice", "parallel"]),
    "input": (None, ["text", "image"], ["text", "image", "document"]),
    "image_sources": (None, ["url"], ["data"]),
    "structured_outputs": (None, True, False),
    "reasoning": (None, {}, {"levels": ["low", "high"]}),
    "honors_output_cap": (None, True, False),
    "max_output_tokens": (None, 64, 5000),
    "context_tokens": (None, 1500, 100_000),
    "max_request_bytes": (None, 300, 100_000),
}
"""What a model may be declared to be; `None`: nothing is said."""


def chosen(chance: Random, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Choose one of each, and leave out what is not said."""
    drawn = {name: chance.choice(values) for name, values in options.items()}
    return {name: value for name, value in drawn.items() if value is not None}


def some_settings(chance: Random, url: str) -> dict[str, Any]:
    """Return a configuration of random groups over random models."""
    providers = {
        f"p{number}": provider(
            url,
            dialect=DIALECTS[number],
            models={
                f"m{key}": {"model": "mock-mini", **chosen(chance, FACTS)}
                for key in range(6)
            },
        )
        for number in range(3)
    }
    calling = {
        f"{name}/{key}": "tools" in model
        for name, each in providers.items()
        for key, model in each["models"].items()
    }
    groups = {f"g{number}": some_group(chance, calling) for number in range(GROUPS)}
    return configuration(
        providers,
        groups=groups,
        callers=[caller(allow=list(groups))],
        diagnostics={"decisions": "all"},
    )


def some_group(chance: Random, calling: Mapping[str, bool]) -> dict[str, Any]:
    """Return a group of one to five targets that orders them by no chance.

    `calling` says of each model whether it calls tools.
    """
    targets = [
        {"use": use, "only_with_tools": calling[use] and chance.random() < 0.2}
        for use in chance.sample(sorted(calling), chance.randint(1, 5))
    ]
    group = {
        "strategy": "failover",
        "targets": targets,
        "bridges": chance.choice(["off", "lossless", "best-effort"]),
        "prefer_native": chance.random() < 0.7,
    }
    if chance.random() < 0.2:
        group["contract"] = {"required": {"dialects": ["openai-chat"]}}
        group["bridges"] = "best-effort"
    if chance.random() < 0.2:
        group["strategy"] = "rules"
        first = chance.choice(targets)["use"]
        group["rules"] = {
            "rules": [
                {"when": "has_tools", "use": [first], "only": chance.random() < 0.5}
            ]
        }
    return group


PARAMETERS: Final = {"type": "object", "properties": {"x": {"type": "string"}}}
PIXEL: Final = "iVBORw0KGgo="


def some_request(chance: Random, dialect: str) -> dict[str, Any]:
    """Return a request that needs some of what there is to need."""
    wants = {
        what
        for what in ("tools", "image", "format", "reasoning", "cap", "long", "odd")
        if chance.random() < 0.3
    }
    text = "word " * (1500 if "long" in wants else 3)
    cap = chance.choice([16, 200, 9000]) if "cap" in wants else None
    return _WRITERS[dialect](wants, text, cap)


def _chat(wants: set[str], text: str, cap: int | None) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if "image" in wants:
        url = f"data:image/png;base64,{PIXEL}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    body: dict[str, Any] = {"messages": [{"role": "user", "content": parts}]}
    if "tools" in wants:
        function = {"name": "f", "parameters": PARAMETERS}
        body["tools"] = [{"type": "function", "function": function}]
        body["tool_choice"] = "required"
    if "format" in wants:
        body["response_format"] = {"type": "json_object"}
    if "reasoning" in wants:
        body["reasoning_effort"] = "low"
    if cap is not None:
        body["max_tokens"] = cap
    if "odd" in wants:
        body["n"] = 2
    return body


def _responses(wants: set[str], text: str, cap: int | None) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": text}]
    if "image" in wants:
        url = f"data:image/png;base64,{PIXEL}"
        parts.append({"type": "input_image", "image_url": url})
    body: dict[str, Any] = {"input": [{"role": "user", "content": parts}]}
    if "tools" in wants:
        body["tools"] = [{"type": "function", "name": "f", "parameters": PARAMETERS}]
        body["parallel_tool_calls"] = True
    if "format" in wants:
        body["text"] = {"format": {"type": "json_object"}}
    if "reasoning" in wants:
        body["reasoning"] = {"effort": "high"}
    if cap is not None:
        body["max_output_tokens"] = cap
    if "odd" in wants:
        body["top_logprobs"] = 2
    return body


def _messages(wants: set[str], text: str, cap: int | None) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if "image" in wants:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        parts.append({"type": "image", "source": source})
    body: dict[str, Any] = {
        "system": "be brief",
        "max_tokens": cap or 32,
        "messages": [{"role": "user", "content": parts}],
    }
    if "tools" in wants:
        body["tools"] = [{"name": "f", "input_schema": PARAMETERS}]
        body["tool_choice"] = {"type": "any"}
    if "reasoning" in wants and cap == 9000:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if "odd" in wants:
        body["top_k"] = 5
    return body


_WRITERS: Final = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic-messages": _messages,
}


async def test_the_explanation_is_what_happens(tmp_path: Path) -> None:
    """The same targets, reasons and order; who was selected answers; or nobody does."""
    chance = Random(SEED)
    checked = refused = 0
    async with running_mock() as mock:
        for number in range(ROUNDS):
            directory = tmp_path / str(number)
            settings = some_settings(chance, mock.base_url)
            async with serving(directory, settings) as router, router.http() as http:
                for group in settings["groups"]:
                    dialect = chance.choice(DIALECTS)
                    body = {"model": group, **some_request(chance, dialect)}
                    refused += await agrees(router, http, dialect, body)
                    checked += 1

    assert checked == ROUNDS * GROUPS >= 1000
    assert checked * 0.1 < refused < checked * 0.9


async def agrees(
    router: Router, http: httpx2.AsyncClient, dialect: str, body: dict[str, Any]
) -> bool:
    """Check one request; say whether nobody could serve it."""
    told = await http.post(f"/v1/route/explain?dialect={dialect}", json=body)
    answer = await http.post(PATHS[dialect], json=body)
    explanation = told.json()
    assert told.status_code == 200, (told.text, body)
    selected = explanation["selected"]
    why = json.dumps([explanation, answer.text, body])
    if selected is None:
        error = explanation["error"]
        assert answer.status_code == error["status"], why
    else:
        assert answer.headers.get("x-router-target") == selected, why
    kept = await kept_of(router, answer.headers["x-request-id"])
    expected = msgspec.convert(explanation["decision"], Decision)
    assert same(kept) == same(expected), why
    return selected is None


async def kept_of(router: Router, request_id: str) -> Decision:
    """Return the decision that is kept of a call."""
    needle = request_id.encode()
    while True:
        for name in list_segments(router.journal):
            for line in (router.journal / name).read_bytes().splitlines():
                if needle in line:
                    return decode_decision(parted(line)[1]).decision
        await asyncio.sleep(0)


def same(decision: Decision) -> Decision:
    """Return what both must agree on: all but the course that the call then took."""
    policy = decision.policy
    if policy is not None:
        policy = msgspec.structs.replace(policy, duration_us=0)
    # Of a real call the input is only counted where something depends on it.
    needs = msgspec.structs.replace(decision.needs, estimated_input_tokens=None)
    return msgspec.structs.replace(
        decision, attempts=(), error_code=None, policy=policy, needs=needs
    )
