"""What a caller of another dialect than the provider's sees around its answer."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router


@pytest.fixture
async def router(tmp_path: Path, mock: Mock) -> AsyncGenerator[Router]:
    """Return a router whose one provider speaks Messages."""
    settings = configuration(
        {"acme": provider(mock.base_url, dialect="anthropic-messages")}
    )
    async with running_router(tmp_path, settings) as running:
        yield running


async def test_an_answer_tells_when_it_was_made(router: Router) -> None:
    """`created` is the time of the call, in seconds, as it is on record."""
    answer = await router.openai().chat.completions.create(
        model="chat", messages=[{"role": "user", "content": "hi"}]
    )

    record = await router.record()
    assert answer.created == record.ts_ms // 1000
    assert answer.id == f"chatcmpl-{record.request_id.removeprefix('req_')}"
    assert answer.model == "chat"


async def test_an_answer_tells_what_was_lost(router: Router) -> None:
    """The header names each loss shortly, and so does the record."""
    raw = await router.openai().chat.completions.with_raw_response.create(
        model="chat", messages=[{"role": "user", "content": "hi"}], seed=7
    )

    record = await router.record()
    assert raw.headers["x-router-notes"] == (
        "dropped seed, approximated max_completion_tokens"
    )
    assert [note.field for note in record.notes] == ["seed", "max_completion_tokens"]
    assert raw.headers["x-router-target"] == "acme/mini"
