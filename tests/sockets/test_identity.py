"""Tokens over the wire: who is let in, who is turned away, and with which words."""

import json
from pathlib import Path

import httpx2
import pytest

from smart_llmrouter.core.identity import CallerStatus
from tests.support.gateway import caller, configuration, provider, token
from tests.support.mock import Mock
from tests.support.router import Router, running_router

CHAT = "/v1/chat/completions"
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


async def ask(router: Router, headers: dict[str, str]) -> httpx2.Response:
    """Post a good request with these headers only."""
    async with router.http(None) as client:
        return await client.post(CHAT, json=BODY, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {token()}"},
        {"authorization": f"bearer {token()}"},
        {"x-api-key": token()},
        {"X-API-Key": token(), "authorization": "Basic dTpw"},
        {"authorization": f"Bearer {token()}", "x-api-key": "another"},
    ],
)
async def test_a_token_in_either_header(
    router: Router, headers: dict[str, str]
) -> None:
    """OpenAI's and Anthropic's way of sending a key are both taken."""
    answer = await ask(router, headers)
    record = await router.record()

    assert answer.status_code == 200
    assert record.caller_id == "alice-search-dev-k1"
    assert record.token_id == "rtr_alice_search_dev_k1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {token()}"},
        {"authorization": token()},
        {"x-api-key": ""},
        {"authorization": "Bearer wrong", "x-api-key": token()},
        {"authorization": f"Bearer {token()[:-1]}"},
        {"authorization": f"Bearer {token().upper()}"},
    ],
)
async def test_nobody_is_turned_away(
    router: Router, mock: Mock, headers: dict[str, str]
) -> None:
    """Without a right token it is a 401 that says how to send one, and no record."""
    answer = await ask(router, headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("unauthorized", "authentication_error")
    assert "wrong" not in answer.text
    assert router.records() == []
    assert mock.received == []


@pytest.mark.parametrize(
    ("status", "http_status", "code"),
    [
        ("disabled", 403, "key-disabled"),
        ("suspended", 403, "key-suspended"),
        ("expired", 403, "key-expired"),
        ("rotated", 403, "key-rotated"),
        ("removed", 401, "unauthorized"),
        ("archived", 401, "unauthorized"),
    ],
)
async def test_a_key_that_may_not_be_used(
    tmp_path: Path, mock: Mock, status: CallerStatus, http_status: int, code: str
) -> None:
    """Each status has its code, on the hot route and on every other."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, callers=[caller(status=status)]
    )
    async with (
        running_router(tmp_path, settings) as router,
        router.http() as client,
    ):
        answers = [
            await client.post(CHAT, json=BODY),
            await client.get("/v1/models"),
            await client.get("/metrics"),
        ]
        records = router.records()

    assert {answer.status_code for answer in answers} == {http_status}
    assert {answer.json()["error"]["code"] for answer in answers} == {code}
    assert [record.error_code for record in records] == (
        [] if http_status == 401 else [code]
    )
    assert mock.received == []


@pytest.mark.parametrize(
    ("expires_at", "status"), [("2020-01-01", 403), ("2999-01-01", 200)]
)
async def test_a_key_with_a_date(
    tmp_path: Path, mock: Mock, expires_at: str, status: int
) -> None:
    """A date in the past closes a key, one in the future does not."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, callers=[caller(expires_at=expires_at)]
    )
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router, {"x-api-key": token()})

    assert answer.status_code == status


async def test_an_unknown_and_a_forbidden_model_cannot_be_told_apart(
    tmp_path: Path, mock: Mock
) -> None:
    """Nobody learns by trying which groups there are."""
    settings = configuration({"acme": provider(mock.base_url)})
    settings["groups"]["hidden"] = {
        "strategy": "static",
        "targets": [{"use": "acme/mini"}],
    }
    async with running_router(tmp_path, settings) as router, router.http() as client:
        answers = [
            await client.post(CHAT, json={**BODY, "model": model})
            for model in ("hidden", "no-such-group")
        ]
        records = await router.recorded(2)

    errors = [answer.json()["error"] for answer in answers]
    for error in errors:
        error["message"] = error["message"].replace(error.pop("request_id"), "")
    assert [answer.status_code for answer in answers] == [403, 403]
    assert errors[0] == errors[1]
    assert errors[0]["code"] == "model-not-allowed"
    assert {record.requested_model for record in records} == {None}
    assert mock.received == []


async def test_a_token_leaves_no_trace(router: Router, mock: Mock) -> None:
    """Neither the provider nor the journal sees a caller's token."""
    headers = {"authorization": f"Bearer {token()}", "x-api-key": token()}

    answer = await ask(router, headers)
    await router.recorded()

    journal = b"".join(path.read_bytes() for path in router.journal.iterdir())
    sent = json.dumps(mock.received[0].headers) + (mock.received[0].body or "")
    assert answer.status_code == 200
    assert token() not in sent
    assert token().encode() not in journal


async def test_callers_do_not_share_their_groups(tmp_path: Path, mock: Mock) -> None:
    """Each token has its own list of groups."""
    settings = configuration(
        {"acme": provider(mock.base_url)},
        callers=[caller("k1", allow=["chat"]), caller("k2", allow=["other"])],
    )
    settings["groups"]["other"] = settings["groups"]["chat"]
    async with running_router(tmp_path, settings) as router:
        answers = {
            key: [
                (await ask_for(router, key, model)).status_code
                for model in ("chat", "other")
            ]
            for key in ("k1", "k2")
        }

    assert answers == {"k1": [200, 403], "k2": [403, 200]}


async def ask_for(router: Router, key: str, model: str) -> httpx2.Response:
    """Ask for a model with the token of `key`."""
    async with router.http(key) as client:
        return await client.post(CHAT, json={**BODY, "model": model})
