"""Answers that are served again: to whom, when, and what it leaves on record."""

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx2
import pytest

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.mockprovider.script import Step, StreamError
from tests.support.caching import PATHS, caching, request, verdicts
from tests.support.gateway import configuration, provider, token
from tests.support.mock import Mock
from tests.support.plain_clients import anthropic_without_tls
from tests.support.router import Router, running_router

CHAT: Final = PATHS["openai-chat"]
STORED: Final = ("miss", "stored")
HIT: Final = ("hit", None)
HEADER: Final = "x-router-cache"


@pytest.fixture
async def router(tmp_path: Path, mock: Mock) -> AsyncGenerator[Router]:
    """Return a router that keeps answers."""
    async with running_router(tmp_path, caching(mock.base_url)) as running:
        yield running


async def post(
    router: Router,
    body: dict[str, Any],
    *,
    path: str = CHAT,
    key: str = "k1",
    headers: dict[str, str] | None = None,
) -> httpx2.Response:
    """Ask, and return the answer."""
    async with router.http(key) as client:
        return await client.post(path, json=body, headers=headers)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("spoken", PATHS)
async def test_an_answer_is_served_again(
    tmp_path: Path,
    mock: Mock,
    *,
    dialect: DialectName,
    spoken: DialectName,
    stream: bool,
) -> None:
    """Byte for byte, whichever dialect the caller speaks, and whichever the target."""
    body = request(dialect, stream=stream)

    async with running_router(
        tmp_path, caching(mock.base_url, dialect=spoken)
    ) as router:
        began_s = time.monotonic()
        answers = [await post(router, body, path=PATHS[dialect]) for _ in range(3)]
        took_s = time.monotonic() - began_s
        records = await router.recorded(3)

    first, second, third = answers
    assert [each.status_code for each in answers] == [200] * 3
    assert second.content == first.content == third.content
    assert len(mock.received) == 1
    assert [each.headers[HEADER] for each in answers] == ["miss", "hit", "hit"]
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["x-router-target"] == "acme/mini"
    assert second.headers["x-router-attempts"] == "0"
    assert second.headers.get("x-router-notes") == first.headers.get("x-router-notes")
    assert 0 <= int(second.headers["age"]) <= took_s
    assert "age" not in first.headers
    assert verdicts(records) == [STORED, HIT, HIT]


async def test_the_official_sdks_understand_it(router: Router, mock: Mock) -> None:
    """OpenAI's and Anthropic's, plain and streamed, the second time as the first."""
    openai = router.openai()
    texts = []

    for _ in range(2):
        chat = await openai.chat.completions.create(
            model="chat", temperature=0, messages=[{"role": "user", "content": "hey"}]
        )
        chunks = await openai.chat.completions.create(
            model="chat",
            seed=7,
            messages=[{"role": "user", "content": "hey"}],
            stream=True,
        )
        deltas = [each.choices[0].delta.content or "" async for each in chunks]
        response = await openai.responses.create(
            model="chat", temperature=0, input="hey", store=False
        )
        async with (
            anthropic.AsyncAnthropic(
                base_url=router.url,
                api_key=token(),
                max_retries=0,
                http_client=anthropic_without_tls(),
            ) as client,
            client.messages.stream(
                model="chat",
                max_tokens=99,
                extra_body={"temperature": 0},
                messages=[{"role": "user", "content": "hey"}],
            ) as stream,
        ):
            message = await stream.get_final_text()
        texts.append(
            (
                chat.choices[0].message.content,
                "".join(deltas),
                response.output_text,
                message,
            )
        )

    assert texts[0] == texts[1]
    assert all('"hey"' in text for text in texts[1] if text is not None)
    assert len(mock.received) == 4
    assert verdicts(await router.recorded(8)) == [STORED] * 4 + [HIT] * 4


async def test_a_hit_costs_nothing(router: Router) -> None:
    """On record are the target that gave the answer, no attempt, and a cost of zero."""
    for _ in range(2):
        await post(router, request())

    paid, hit = await router.recorded(2)
    assert paid.total_cost_nusd is not None
    assert paid.total_cost_nusd > 0
    assert paid.attempts == 1
    assert (hit.status, hit.attempts, hit.fallback_used) == (200, 0, False)
    assert (hit.target_provider, hit.target_model) == ("acme", "mini")
    assert (hit.total_cost_nusd, hit.input_cost_nusd, hit.output_cost_nusd) == (0, 0, 0)
    assert (hit.input_tokens, hit.output_tokens) == (None, None)
    assert (hit.ttfb_us, hit.ttft_us, hit.upstream_status) == (None, None, None)
    assert hit.charged_tokens is None
    assert hit.charged_cost_nusd is None


async def test_two_callers_never_share(router: Router, mock: Mock) -> None:
    """What one has asked is another's first question."""
    for key in ("k1", "k2", "k1", "k2"):
        await post(router, request(), key=key)

    assert len(mock.received) == 2
    assert verdicts(await router.recorded(4)) == [STORED, STORED, HIT, HIT]


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "user", "content": "ho"}]},
        {"max_tokens": 5000},
        {"temperature": 0.0, "top_p": 0.5},
        {"temperature": None, "seed": 1},
        {"stream": True},
        {"response_format": {"type": "json_object"}},
    ],
)
async def test_another_request_has_another_answer(
    router: Router, mock: Mock, other: dict[str, Any]
) -> None:
    """Whatever the answer may depend on is part of the question."""
    await post(router, request())
    await post(router, {**request(), **other})

    assert len(mock.received) == 2
    assert verdicts(await router.recorded(2)) == [STORED, STORED]


async def test_what_changes_no_answer_does_not_count(
    router: Router, mock: Mock
) -> None:
    """Who it is for, and the order of the fields, are not part of the question."""
    await post(router, request(user="u1", metadata={"a": "b"}))
    await post(router, dict(reversed(request(user="u2", stream=False).items())))

    assert len(mock.received) == 1
    assert verdicts(await router.recorded(2)) == [STORED, HIT]


TOOL: Final = {"type": "function", "function": {"name": "f", "parameters": {}}}
IMAGE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}
FILE: Final = {"type": "file", "file": {"file_data": "data:text/plain;base64,eA=="}}


def saying(part: object) -> dict[str, Any]:
    """Return messages with one part."""
    return {"messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize(
    ("dialect", "fields", "reason"),
    [
        ("openai-chat", {"temperature": 0.1}, "not-deterministic"),
        ("openai-chat", {"temperature": None}, "not-deterministic"),
        ("openai-chat", {"n": 2}, "choices"),
        ("openai-chat", {"tools": [TOOL]}, "tools"),
        ("openai-chat", {"web_search_options": {"a": 1}}, "tools"),
        ("openai-chat", saying(IMAGE), "images"),
        ("openai-chat", saying(FILE), "files"),
        ("openai-chat", {"store": True}, "state"),
        ("openai-chat", {"brand_new": 1}, "other-fields"),
        ("openai-responses", {"store": True}, "state"),
        ("openai-responses", {"store": None}, "state"),
        ("openai-responses", {"brand_new": 1}, "other-fields"),
        ("anthropic-messages", {"seed": None, "temperature": 1}, "not-deterministic"),
        ("anthropic-messages", {"brand_new": 1}, "other-fields"),
    ],
)
async def test_what_has_nothing_to_do_with_the_cache(
    tmp_path: Path,
    mock: Mock,
    dialect: DialectName,
    fields: dict[str, Any],
    reason: str,
) -> None:
    """It goes to a target each time; header and record say why."""
    body = {**request(dialect), **fields}

    async with running_router(
        tmp_path, caching(mock.base_url, dialect=dialect)
    ) as router:
        answers = [await post(router, body, path=PATHS[dialect]) for _ in range(2)]
        records = await router.recorded(2)

    assert [each.status_code for each in answers] == [200, 200]
    assert [each.headers[HEADER] for each in answers] == [f"bypass; {reason}"] * 2
    assert len(mock.received) == 2
    assert verdicts(records) == [("bypass", reason)] * 2


@pytest.mark.parametrize(
    ("step", "fields", "reason"),
    [
        (Step(finish_reason="length"), {}, "incomplete"),
        (Step(finish_reason="content_filter"), {}, "incomplete"),
        (Step(huge_bytes=100_000), {}, "too-large"),
        (Step(status=500), {}, "error"),
        (Step(error_in_stream=StreamError(after_events=2)), {"stream": True}, "error"),
        (Step(hang_up_after_events=2), {"stream": True}, "error"),
        (Step(finish_reason="length"), {"stream": True}, "incomplete"),
        (Step(huge_bytes=100_000), {"stream": True}, "too-large"),
    ],
)
async def test_what_is_not_kept(
    tmp_path: Path, mock: Mock, step: Step, fields: dict[str, Any], reason: str
) -> None:
    """An answer that is not whole, or too large, is asked for again."""
    mock.always(step)
    settings = caching(mock.base_url, max_entry_bytes=65_536)

    async with running_router(tmp_path, settings) as router:
        for _ in range(2):
            await post(router, request(**fields))
        records = await router.recorded(2)

    assert len(mock.received) == 2
    assert set(verdicts(records)) == {("miss", reason)}


async def test_what_a_target_cannot_be_told(tmp_path: Path, mock: Mock) -> None:
    """A seed that is lost on the way to another dialect makes nothing certain."""
    settings = caching(mock.base_url, dialect="anthropic-messages")

    async with running_router(tmp_path, settings) as router:
        await post(router, request(temperature=None, seed=1))
        await post(router, request(temperature=0, seed=1))
        records = await router.recorded(2)

    assert verdicts(records) == [("miss", "untold"), STORED]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("no-cache", [STORED, ("bypass", "no-cache"), HIT]),
        ("max-age=0", [STORED, ("bypass", "no-cache"), HIT]),
        ("no-store", [STORED, ("bypass", "no-store"), HIT]),
        ("no-cache, no-store", [STORED, ("bypass", "no-store"), HIT]),
        ("max-age=3600", [STORED, HIT, HIT]),
        ("only-if-strange", [STORED, HIT, HIT]),
    ],
)
async def test_what_callers_want(
    router: Router, mock: Mock, said: str, found: list[tuple[str, str | None]]
) -> None:
    """`Cache-Control` is heeded, and an answer is kept for who says nothing."""
    mock.will(Step(content="one"), Step(content="two"), Step(content="three"))

    first = await post(router, request())
    second = await post(router, request(), headers={"cache-control": said})
    third = await post(router, request())

    assert verdicts(await router.recorded(3)) == found
    status, reason = found[1]
    told = status if reason is None else f"{status}; {reason}"
    assert second.headers[HEADER] == told
    renewed = found[1] == ("bypass", "no-cache")
    assert third.content == (second.content if renewed else first.content)


async def test_no_store_keeps_nothing(router: Router, mock: Mock) -> None:
    """Not the first time either."""
    for _ in range(2):
        await post(router, request(), headers={"cache-control": "no-store"})
    await post(router, request())

    assert len(mock.received) == 3


async def test_it_is_off_unless_it_is_asked_for(tmp_path: Path, mock: Mock) -> None:
    """Without the section, headers and records say nothing of a cache."""
    settings = configuration({"acme": provider(mock.base_url)})

    async with running_router(tmp_path, settings) as router:
        answers = [await post(router, request()) for _ in range(2)]
        records = await router.recorded(2)

    assert len(mock.received) == 2
    assert all(HEADER not in each.headers for each in answers)
    assert verdicts(records) == [(None, None)] * 2


async def test_a_fallback_is_kept_under_its_own_name(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """A cached answer names the target that gave it, not the one that had failed."""
    mock.always(Step(status=500))
    settings = configuration(
        {"acme": provider(mock.base_url), "other": provider(other.base_url)},
        cache={"enabled": True},
    )

    async with running_router(tmp_path, settings) as router:
        answers = [await post(router, request()) for _ in range(2)]
        _, hit = await router.recorded(2)

    assert answers[1].headers["x-router-target"] == "other/mini"
    assert hit.target_provider == "other"
    assert hit.fallback_used is False


async def test_explaining_and_counting_have_no_cache(router: Router) -> None:
    """Only answers are kept."""
    answers = [
        await post(router, request("anthropic-messages"), path=path)
        for path in ("/v1/messages/count_tokens",) * 2
    ]

    assert [each.status_code for each in answers] == [200, 200]
    assert all(HEADER not in each.headers for each in answers)
    assert verdicts(await router.recorded(2)) == [(None, None)] * 2


async def test_nothing_that_was_said_is_written_down(
    router: Router, mock: Mock
) -> None:
    """Neither the question nor the answer, however often it is served."""
    mock.always(Step(content="an answer of note"))

    for _ in range(3):
        await post(router, request(text="a question of note"))
    await router.recorded(3)

    state = router.journal.parent
    written = b"".join(each.read_bytes() for each in state.rglob("*") if each.is_file())
    assert len(written) > 200
    assert b"of note" not in written


async def test_a_target_that_rests_serves_no_hits(tmp_path: Path, mock: Mock) -> None:
    """Where all rest, calls are refused before anything is looked up."""
    settings = caching(mock.base_url)
    rest = {"failures": 1, "min_s": 60, "max_s": 60}
    settings["providers"]["acme"]["backoff"] = {"on_failure": rest}
    mock.will(Step(), Step(status=500))

    async with running_router(tmp_path, settings) as router:
        answers = [await post(router, request(text=each)) for each in ("a", "b", "a")]

    assert [each.status_code for each in answers] == [200, 502, 503]
    assert HEADER not in answers[2].headers
