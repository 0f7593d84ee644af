"""`POST /v1/route/explain`: where a request would go, asked of a router that runs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider, token
from tests.support.mock import Mock
from tests.support.router import Router, running_router

PATH = "/v1/route/explain"
HI = [{"role": "user", "content": "canary-prompt"}]
CHAT: dict[str, Any] = {"model": "chat", "messages": HI}
RESPONSES: dict[str, Any] = {"model": "chat", "input": "canary-prompt"}
MESSAGES: dict[str, Any] = {
    "model": "chat",
    "max_tokens": 5,
    "system": "canary-system",
    "messages": HI,
}


@pytest.fixture
async def mixed(tmp_path: Path, mock: Mock, other: Mock) -> AsyncIterator[Router]:
    """Return a router whose two targets speak Chat and Messages."""
    settings = configuration(
        {
            "acme": provider(mock.base_url),
            "other": provider(other.base_url, dialect="anthropic-messages"),
        }
    )
    async with running_router(tmp_path, settings) as running:
        yield running


@pytest.mark.parametrize(
    ("target", "headers", "body", "dialect"),
    [
        (PATH, {}, CHAT, "openai-chat"),
        (PATH, {}, RESPONSES, "openai-responses"),
        (PATH, {}, MESSAGES, "anthropic-messages"),
        (PATH, {"anthropic-version": "2023-06-01"}, CHAT, "anthropic-messages"),
        (f"{PATH}?dialect=anthropic-messages", {}, CHAT, "anthropic-messages"),
        (f"{PATH}?dialect=openai-responses", {}, RESPONSES, "openai-responses"),
    ],
)
async def test_the_dialect_is_named_or_shown(
    mixed: Router,
    target: str,
    headers: dict[str, str],
    body: dict[str, Any],
    dialect: str,
) -> None:
    """By the query, by Anthropic's header, or by the body; then who speaks it leads."""
    async with mixed.http() as http:
        told = await http.post(target, json=body, headers=headers)

    explanation = told.json()
    assert told.status_code == 200
    assert explanation["object"] == "route.explanation"
    assert explanation["decision"]["needs"]["dialect"] == dialect
    native = "other/mini" if dialect == "anthropic-messages" else "acme/mini"
    assert explanation["selected"] == native
    assert sorted(explanation["order"]) == ["acme/mini", "other/mini"]
    assert (await mixed.record()).inbound_dialect == f"{dialect}/explain"


async def test_nobody_is_called_and_nothing_is_charged(
    router: Router, mock: Mock
) -> None:
    """One record is left behind, without a target, tokens or cost, and no prompt."""
    async with router.http() as http:
        told = await http.post(PATH, json=CHAT)

    record = await router.record()
    assert mock.received == []
    assert told.headers["x-request-id"] == record.request_id
    assert (record.status, record.attempts, record.target_provider) == (200, 0, None)
    assert (record.input_tokens, record.output_tokens) == (0, 0)
    assert record.total_cost_nusd is None
    assert "canary" not in told.text
    assert "canary" not in router.records().__repr__()


async def test_a_target_that_rests_is_said_to(router: Router, mock: Mock) -> None:
    """The running router knows what the configuration cannot tell."""
    mock.always(Step(status=500))
    async with router.http() as http:
        for _ in range(5):
            await http.post("/v1/chat/completions", json=CHAT)
        told = (await http.post(PATH, json=CHAT)).json()

    (candidate,) = told["decision"]["candidates"]
    assert candidate["missing"] == ["cooling-down"]
    assert told["error"]["code"] == "upstream-capacity-throttled"
    assert told["error"]["status"] == 503
    assert told["selected"] is None
    assert len(mock.received) == 5


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**CHAT, "model": "nobody's"}, 403, "model-not-allowed"),
        ({"messages": HI}, 400, "missing-model"),
        ([], 400, "invalid-json"),
    ],
)
async def test_what_is_wrong_with_the_request_is_refused(
    router: Router, body: object, status: int, code: str
) -> None:
    """As the real request would be: it has no explanation."""
    async with router.http() as http:
        refused = await http.post(PATH, json=body)

    assert refused.status_code == status
    assert refused.json()["error"]["code"] == code


async def test_who_may_not_ask_is_told_nothing(router: Router) -> None:
    """Without a token, or with a wrong one, there is no explanation."""
    async with router.http(None) as http:
        nobody = await http.post(PATH, json=CHAT)
        wrong = await http.post(
            PATH, json=CHAT, headers={"authorization": f"Bearer {token('k9')}"}
        )

    assert (nobody.status_code, wrong.status_code) == (401, 401)


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", PATH, 405, "method-not-allowed"),
        ("POST", f"{PATH}?dialect=latin", 400, "invalid-request"),
    ],
)
async def test_what_cannot_be_asked(
    router: Router, method: str, target: str, status: int, code: str
) -> None:
    """The path takes POST only, and three dialects."""
    async with router.http() as http:
        refused = await http.request(method, target, json=CHAT)

    assert refused.status_code == status
    assert refused.json()["error"]["code"] == code
