"""Calls with images: where they may be, and what targets are sent."""

from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.fetching import IS_PNG, PNG
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.upstream_server import answering, plain, running_upstream

DATA: Final = b64encode(PNG).decode()
FETCHING: Final[dict[str, Any]] = {
    "fetch_images": {"timeout_s": 60},
    "allow_private_image_urls": True,
}
PATHS: Final = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}


def body(dialect: str, url: str) -> dict[str, Any]:
    """Return a request with an image."""
    if dialect == "openai-responses":
        part: dict[str, Any] = {"type": "input_image", "image_url": url}
        return {"model": "chat", "input": [{"role": "user", "content": [part]}]}
    part = {"type": "image_url", "image_url": {"url": url}}
    if dialect == "anthropic-messages":
        part = {"type": "image", "source": {"type": "url", "url": url}}
    said = [{"role": "user", "content": [part]}]
    return {"model": "chat", "max_tokens": 50, "messages": said}


async def ask(
    router: Router, url: str, dialect: str = "openai-chat"
) -> httpx2.Response:
    """Ask about an image."""
    async with router.http() as client:
        return await client.post(PATHS[dialect], json=body(dialect, url))


def target(mock: Mock, dialect: str = "openai-chat", **facts: object) -> dict[str, Any]:
    """Return a provider whose model has these facts."""
    given = provider(mock.base_url, dialect=dialect)
    given["models"]["mini"] |= facts
    return given


def blind(mock: Mock, dialect: str = "openai-chat") -> dict[str, Any]:
    """Return a provider whose model takes no URLs."""
    return target(mock, dialect, image_sources=["data"])


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_private_image_is_refused_before_anybody_is_called(
    tmp_path: Path, mock: Mock, dialect: str
) -> None:
    """In each dialect's own words, which do not repeat the URL."""
    settings = configuration({"acme": provider(mock.base_url)})
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router, "http://0x7f.1:9/secret.png", dialect)
        record = await router.record()

    assert answer.status_code == 400
    assert "image-url-forbidden" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["x-should-retry"] == "false"
    assert (record.error_code, record.attempts) == ("image-url-forbidden", 0)
    assert mock.received == []


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/messages/count_tokens", "anthropic-messages"),
        ("/v1/responses/input_tokens", "openai-responses"),
    ],
)
async def test_a_private_image_is_not_counted_either(
    tmp_path: Path, mock: Mock, path: str, dialect: str
) -> None:
    """Who counts the tokens of an image may look at it."""
    settings = configuration({"acme": provider(mock.base_url, dialect=dialect)})
    async with running_router(tmp_path, settings) as router, router.http() as client:
        answer = await client.post(path, json=body(dialect, "http://10.0.0.1/a.png"))

    assert answer.status_code == 400
    assert "image-url-forbidden" in answer.text
    assert mock.received == []


async def test_a_private_image_passes_where_that_is_allowed(
    tmp_path: Path, mock: Mock
) -> None:
    """The URL is the provider's to follow."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, upstream={"allow_private_image_urls": True}
    )
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router, "http://10.0.0.1/a.png")

    assert answer.status_code == 200
    assert b"http://10.0.0.1/a.png" in mock.received[0].raw_body


async def test_a_target_without_urls_is_not_called_where_nothing_is_fetched(
    tmp_path: Path, mock: Mock
) -> None:
    """It misses `image-url`."""
    settings = configuration({"acme": blind(mock)})
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router, "https://images.example/a.png")

    assert answer.status_code == 502
    assert answer.json()["error"]["details"]["targets"] == {"acme/mini": ["image-url"]}
    assert mock.received == []


@pytest.mark.parametrize("provider_dialect", PATHS)
@pytest.mark.parametrize("dialect", PATHS)
async def test_a_target_without_urls_is_sent_the_data(
    tmp_path: Path, mock: Mock, dialect: str, provider_dialect: str
) -> None:
    """Relayed or translated, the provider sees no URL."""
    settings = configuration({"acme": blind(mock, provider_dialect)}, upstream=FETCHING)
    async with (
        running_upstream(answering(plain(PNG, IS_PNG))) as site,
        running_router(tmp_path, settings) as router,
    ):
        answer = await ask(router, f"http://127.0.0.1:{site.port}/a.png", dialect)

    assert answer.status_code == 200, answer.text
    assert DATA.encode() in mock.received[0].raw_body
    assert b"a.png" not in mock.received[0].raw_body
    assert len(site.requests) == 1


async def test_images_are_fetched_once_a_call(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """A second target without URLs gets the same data."""
    settings = configuration(
        {"acme": blind(mock), "other": blind(other)}, upstream=FETCHING
    )
    mock.will(Step(status=500))
    async with (
        running_upstream(answering(plain(PNG, IS_PNG))) as site,
        running_router(tmp_path, settings) as router,
    ):
        answer = await ask(router, f"http://127.0.0.1:{site.port}/a.png")

    assert answer.headers["x-router-target"] == "other/mini"
    assert DATA.encode() in other.received[0].raw_body
    assert len(site.requests) == 1


async def test_where_an_image_is_not_had_a_target_with_urls_is_asked(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """It is sent the URL; the target without is not called at all."""
    settings = configuration(
        {"acme": blind(mock), "other": provider(other.base_url)}, upstream=FETCHING
    )
    async with (
        running_upstream(answering(plain(b"", status="404 Not Found"))) as site,
        running_router(tmp_path, settings) as router,
    ):
        answer = await ask(router, f"http://127.0.0.1:{site.port}/a.png")
        record = await router.record()

    assert answer.headers["x-router-target"] == "other/mini"
    assert b"/a.png" in other.received[0].raw_body
    assert mock.received == []
    assert record.attempts == 1


async def test_an_image_that_is_not_had_ends_the_call(
    tmp_path: Path, mock: Mock
) -> None:
    """The reason is told where no target takes URLs."""
    settings = configuration({"acme": blind(mock)}, upstream=FETCHING)
    async with (
        running_upstream(answering(plain(b"<html>", IS_PNG))) as site,
        running_router(tmp_path, settings) as router,
    ):
        answer = await ask(router, f"http://127.0.0.1:{site.port}/a.png")
        record = await router.record()

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "image-not-fetched"
    assert answer.json()["error"]["details"]["reason"] == "not-an-image"
    assert (record.error_code, record.attempts) == ("image-not-fetched", 0)
    assert mock.received == []


async def test_a_level_that_a_target_lacks_goes_to_its_nearest(
    tmp_path: Path, mock: Mock
) -> None:
    """Also on the relay lane; a note tells the caller."""
    levels = {"control": "effort", "levels": ["low", "high"]}
    settings = configuration({"acme": target(mock, reasoning=levels)})
    async with running_router(tmp_path, settings) as router, router.http() as client:
        asked = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
        answers = [
            await client.post(
                PATHS["openai-chat"], json=asked | {"reasoning_effort": e}
            )
            for e in ("minimal", "high")
        ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.headers.get("x-router-notes") for answer in answers] == [
        "approximated reasoning_effort",
        None,
    ]
    assert b'"reasoning_effort":"low"' in mock.received[0].raw_body
    assert b'"reasoning_effort":"high"' in mock.received[1].raw_body
