"""What the agents and the official SDKs do when a limit or a budget refuses them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anthropic
import openai
import pytest

from tests.support.calendar import MIDDAY
from tests.support.gateway import caller, configuration, provider, token
from tests.support.mock import Mock
from tests.support.plain_clients import anthropic_without_tls
from tests.support.puppet import Puppet, completion, running_puppet
from tests.support.router import Router, running_router

CODEX: Final = {"originator": "codex_exec", "user-agent": "codex_exec/0.169.0"}
SAID: Final = "hi"
DAY: Final[dict[str, Any]] = {"budgets": {"timezone": MIDDAY, "day": {"requests": 1}}}
LIFETIME: Final[dict[str, Any]] = {"budgets": {"lifetime": {"requests": 1}}}
LARGE: Final[dict[str, Any]] = {"limits": {"tpm": 20}}
SLOT: Final[dict[str, Any]] = {"limits": {"concurrent": 1}}


@asynccontextmanager
async def used_up(
    tmp_path: Path, mock: Mock | Puppet, allowance: dict[str, Any]
) -> AsyncGenerator[Router]:
    """Run a router whose caller has made one call."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, callers=[caller(**allowance)]
    )
    async with running_router(tmp_path, settings) as router:
        async with router.http() as client:
            body = {"model": "chat", "messages": [{"role": "user", "content": SAID}]}
            asking = asyncio.create_task(client.post("/v1/chat/completions", json=body))
            if isinstance(mock, Puppet):
                (await mock.call()).write(completion())
            await asking
        yield router


@pytest.mark.parametrize(
    ("allowance", "code", "stops"),
    [
        (LIFETIME, "key-exhausted", "insufficient_quota"),
        (LARGE, "tpm-exceeded", "invalid_prompt"),
    ],
)
async def test_codex_is_stopped_where_a_limit_never_passes(
    tmp_path: Path, mock: Mock, allowance: dict[str, Any], code: str, stops: str
) -> None:
    """It would ask six times after a 403; the record keeps what it was."""
    async with used_up(tmp_path, mock, allowance) as router:
        async with router.http() as client:
            answer = await client.post(
                "/v1/responses",
                json={"model": "chat", "input": SAID, "stream": True},
                headers=CODEX,
            )
        record = (await router.recorded(2))[-1]

    told = json.loads(answer.text.rpartition("data: ")[2])
    assert (answer.status_code, told["type"]) == (200, "response.failed")
    assert told["response"]["error"]["code"] == stops
    assert record.error_code == code
    assert record.status == (403 if code == "key-exhausted" else 429)


async def test_codex_gives_up_until_the_budget_begins_anew(
    tmp_path: Path, mock: Mock
) -> None:
    """A 429 without a `Retry-After` is the end for it."""
    async with used_up(tmp_path, mock, DAY) as router, router.http() as client:
        answer = await client.post(
            "/v1/responses",
            json={"model": "chat", "input": SAID, "stream": True},
            headers=CODEX,
        )

    assert answer.status_code == 429
    assert "retry-after" not in answer.headers
    assert answer.json()["error"]["code"] == "quota-exhausted"
    assert "begins anew at" in answer.json()["error"]["message"]


@pytest.mark.parametrize("allowance", [DAY, LIFETIME])
async def test_the_sdks_do_not_ask_again_for_what_is_used_up(
    tmp_path: Path, mock: Mock, allowance: dict[str, Any]
) -> None:
    """Though they would, after any other 429; and they raise what belongs to it."""
    kinds = ("RateLimitError", "PermissionDeniedError")
    kind = kinds[allowance is LIFETIME]
    async with used_up(tmp_path, mock, allowance) as router:
        sdk = router.openai(max_retries=5)
        with pytest.raises(getattr(openai, kind)):
            await sdk.responses.create(model="chat", input=SAID)
        async with anthropic.AsyncAnthropic(
            api_key=token(),
            base_url=router.url,
            max_retries=5,
            http_client=anthropic_without_tls(),
        ) as other:
            with pytest.raises(getattr(anthropic, kind)):
                await other.messages.create(
                    model="chat",
                    max_tokens=5,
                    messages=[{"role": "user", "content": SAID}],
                )
        records = await router.recorded(3)

    assert [record.status for record in records[1:]] == [
        429 if allowance is DAY else 403
    ] * 2


async def test_the_sdk_waits_for_a_slot_and_has_it(tmp_path: Path) -> None:
    """It obeys `Retry-After`, and its program never hears of the limit."""
    async with running_puppet() as puppet, used_up(tmp_path, puppet, SLOT) as router:
        sdk = router.openai(max_retries=2)

        async def ask() -> str:
            answer = await sdk.responses.create(model="chat", input=SAID)
            return answer.output_text

        first = asyncio.create_task(ask())
        held = await puppet.call()
        second = asyncio.create_task(ask())
        # The call before, and the one that is refused.
        await router.recorded(2)
        held.write(completion())
        (await puppet.call()).write(completion())
        texts = [await second, await first]
        records = await router.recorded(4)

    assert all(texts)
    assert sorted(record.status for record in records) == [200, 200, 200, 429]
