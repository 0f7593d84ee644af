"""What real clients sent, through each lane: untouched, or with notes of losses."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import pytest

from tests.support.captures import Captured, captured
from tests.support.gateway import caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router

DIALECT_OF_PATH: Final = {
    "/v1/chat/completions": "openai-chat",
    "/v1/responses": "openai-responses",
    "/v1/messages": "anthropic-messages",
}
REQUESTS: Final = [
    request for request in captured("/v1/") if request.path in DIALECT_OF_PATH
]
FOREIGN: Final = [
    pytest.param(request, dialect, id=f"{request.name} to {dialect}")
    for request in REQUESTS
    for dialect in DIALECT_OF_PATH.values()
    if dialect != DIALECT_OF_PATH[request.path]
]


@pytest.fixture
async def router(tmp_path: Path, mock: Mock) -> AsyncGenerator[Router]:
    """Serve each dialect as a group of its own."""
    dialects = DIALECT_OF_PATH.values()
    settings = configuration(
        {dialect: provider(mock.base_url, dialect=dialect) for dialect in dialects},
        callers=[caller(allow=list(dialects))],
        groups={
            dialect: {"targets": [{"use": f"{dialect}/mini"}]} for dialect in dialects
        },
    )
    async with running_router(tmp_path, settings) as serving:
        yield serving


def named(request: Captured, model: str) -> bytes:
    """Return the body with another model."""
    body = dict(request.body) | {"model": model}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.name)
async def test_the_relay_lane_changes_nothing_but_the_model(
    router: Router, mock: Mock, request_: Captured
) -> None:
    """A provider of the client's dialect gets its bytes, and the name of its model."""
    dialect = DIALECT_OF_PATH[request_.path]

    async with router.http() as http:
        await http.post(
            request_.path,
            content=named(request_, dialect),
            headers={"content-type": "application/json"},
        )

    (received,) = mock.received
    expected = dict(request_.body) | {"model": "mock-mini"}
    assert received.body is not None
    came = json.loads(received.body)
    if dialect == "openai-chat" and request_.body.get("stream"):
        # What the call used would not be known otherwise.
        assert came.pop("stream_options")["include_usage"] is True
        expected.pop("stream_options", None)
        assert came == expected
    else:
        assert received.body.encode() == named(request_, "mock-mini")
    (record,) = await router.recorded()
    assert (record.lane, record.notes) == ("relay", ())


@pytest.mark.parametrize(("request_", "dialect"), FOREIGN)
async def test_the_translate_lane_says_what_it_loses(
    router: Router, mock: Mock, request_: Captured, dialect: str
) -> None:
    """A strict provider of another dialect takes it, and every loss has its note."""
    async with router.http() as http:
        answer = await http.post(
            request_.path,
            content=named(request_, dialect),
            headers={"content-type": "application/json"},
        )

    assert answer.status_code == 200, answer.text
    assert len(mock.received) == 1
    (record,) = await router.recorded()
    assert (record.lane, record.status) == ("translate", 200)
    fields = [note.field for note in record.notes]
    assert "other" not in fields
    told = answer.headers.get("x-router-notes", "")
    assert [field for field in fields[:16] if field not in told] == []
