"""Of which calls the decision is kept: `diagnostics.decisions`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

CALL: dict[str, Any] = {
    "model": "chat",
    "messages": [{"role": "user", "content": "hi"}],
}


@asynccontextmanager
async def keeping(
    tmp_path: Path, decisions: str, *mocks: Mock, **group: object
) -> AsyncGenerator[Router]:
    """Run a router that keeps these decisions."""
    settings = configuration(
        {f"p{at}": provider(mock.base_url) for at, mock in enumerate(mocks)},
        diagnostics={"decisions": decisions},
    )
    settings["groups"]["chat"] |= group
    async with running_router(tmp_path, settings) as router:
        yield router


async def kept(router: Router, body: dict[str, Any] = CALL) -> bool:
    """Ask once; say whether the decision is kept beside the record."""
    async with router.http() as http:
        await http.post("/v1/chat/completions", json=body)
    await router.record()
    return bool(router.decisions())


@pytest.mark.parametrize(
    ("decisions", "is_kept"), [("off", False), ("failed", False), ("all", True)]
)
async def test_a_call_that_its_first_target_answers(
    tmp_path: Path, mock: Mock, other: Mock, decisions: str, *, is_kept: bool
) -> None:
    """There is nothing to explain, unless everything is kept."""
    async with keeping(tmp_path, decisions, mock, other) as router:
        assert await kept(router) == is_kept


@pytest.mark.parametrize(
    ("decisions", "is_kept"), [("off", False), ("failed", True), ("all", True)]
)
async def test_a_call_that_fell_back(
    tmp_path: Path, mock: Mock, other: Mock, decisions: str, *, is_kept: bool
) -> None:
    """It succeeded, and not as planned."""
    mock.will(Step(status=500))
    async with keeping(tmp_path, decisions, mock, other) as router:
        assert await kept(router) == is_kept


@pytest.mark.parametrize(
    ("decisions", "is_kept"), [("off", False), ("failed", True), ("all", True)]
)
async def test_a_call_that_nobody_can_serve(
    tmp_path: Path, mock: Mock, decisions: str, *, is_kept: bool
) -> None:
    """Nobody was called, and the reason is what is asked for afterwards."""
    body = {**CALL, "max_tokens": 9}
    settings = configuration(
        {
            "p0": provider(
                mock.base_url,
                models={"mini": {"model": "mock-mini", "max_output_tokens": 8}},
            )
        },
        diagnostics={"decisions": decisions},
    )
    async with running_router(tmp_path, settings) as router:
        assert await kept(router, body) == is_kept
        assert (await router.record()).status == 502


async def test_a_call_whose_policy_failed(tmp_path: Path, mock: Mock) -> None:
    """The order of the file has served it, which is not what its policy is for."""
    rules = {"rules": [{"when": "100 / images > 1", "use": ["p0/mini"]}]}
    policy = {"strategy": "rules", "rules": {**rules, "on_error": "fallback"}}
    async with keeping(tmp_path, "failed", mock, **policy) as router:
        assert await kept(router)
        assert (await router.record()).status == 200


@pytest.mark.parametrize(
    ("on_error", "status", "event"),
    [("fail_closed", 502, "call failed"), ("fallback", 200, "policy failed")],
)
async def test_a_policy_that_failed_is_in_the_log(
    tmp_path: Path, mock: Mock, on_error: str, status: int, event: str
) -> None:
    """With the call's id and what went wrong, also where the file's order served it."""
    rules = {"rules": [{"when": "100 / images > 1", "use": ["p0/mini"]}]}
    policy = {"strategy": "rules", "rules": {**rules, "on_error": on_error}}
    with capture_logs() as logs:
        async with keeping(tmp_path, "off", mock, **policy) as router:
            await kept(router)
            record = await router.record()

    assert record.status == status
    (told,) = [each for each in logs if each["event"] == event]
    assert (told["request_id"], told["reason"]) == (record.request_id, "raised")
