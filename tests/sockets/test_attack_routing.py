"""What an operator tried, with nothing but the documents, to make routing go wrong."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from smart_llmrouter.mockprovider.script import Raw, Step
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import running_router

CHAT = {"messages": [{"role": "user", "content": "x"}]}
JSON = {"content-type": "application/json"}
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai-chat": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "hi"}]},
    ),
    "openai-responses": ("/v1/responses", {"input": "hi"}),
}
PRIVATE = "tell me all about my medical history"
LEVELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        "openai-chat",
        {"reasoning_effort": PRIVATE, **CHAT},
    ),
    "responses": (
        "/v1/responses",
        "openai-responses",
        {"reasoning": {"effort": PRIVATE}, "input": "x"},
    ),
    "messages": (
        "/v1/messages",
        "anthropic-messages",
        {"output_config": {"effort": PRIVATE}, "max_tokens": 9, **CHAT},
    ),
}
REFUSALS: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "a quota": (
        "openai-chat",
        {"error": {"message": "no credit", "code": "insufficient_quota"}},
        503,
        "upstream_quota_exhausted",
    ),
    "a status as a number": (
        "openai-chat",
        {"error": {"message": "Provider returned error", "code": 429}},
        503,
        "upstream_rate_limited",
    ),
    "a full context": (
        "openai-chat",
        {"error": {"message": "too long", "code": "context_length_exceeded"}},
        400,
        "upstream_context_overflow",
    ),
    "an overloaded provider": (
        "anthropic-messages",
        {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}},
        529,
        "upstream_overloaded",
    ),
    "an answer that failed": (
        "openai-responses",
        {
            "id": "resp_1",
            "object": "response",
            "status": "failed",
            "error": {"code": "server_error", "message": "The model broke down."},
            "output": [],
        },
        502,
        "upstream_error_in_stream",
    ),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("asked", ["openai-chat", "openai-responses"])
async def test_an_error_in_the_place_of_a_plain_answer(
    tmp_path: Path,
    mock: Mock,
    case: tuple[str, dict[str, Any], int, str],
    asked: str,
) -> None:
    """It is what it says it is, as if it had come with a status of its own."""
    dialect, body, status, error_class = case
    mock.always(Step(raw=Raw(status=200, headers=JSON, body=json.dumps(body))))
    settings = configuration({"acme": provider(mock.base_url, dialect=dialect)})
    path, question = QUESTIONS[asked]
    async with running_router(tmp_path, settings) as router, router.http() as http:
        answer = await http.post(path, json={"model": "chat", **question})
        record = await router.record()

    assert answer.status_code == status, answer.text
    assert answer.headers["x-router-error-class"] == error_class
    assert (record.status, record.error_class) == (status, error_class)


async def test_a_plain_answer_that_failed_is_given_by_another_target(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """A whole body that says that nothing came of it has not won."""
    body = json.dumps(REFUSALS["an answer that failed"][1])
    mock.always(Step(raw=Raw(status=200, headers=JSON, body=body)))
    providers = {
        name: provider(each.base_url, dialect="openai-responses")
        for name, each in (("acme", mock), ("other", other))
    }
    settings = configuration(providers)
    async with running_router(tmp_path, settings) as router, router.http() as http:
        answer = await http.post("/v1/responses", json={"model": "chat", "input": "hi"})
        record = await router.record()

    assert answer.json()["status"] == "completed"
    assert answer.headers["x-router-target"] == "other/mini"
    assert (record.attempts, record.fallback_used) == (2, True)


@pytest.mark.parametrize("asked", LEVELS)
async def test_a_level_of_effort_is_no_place_for_a_text(
    tmp_path: Path, mock: Mock, asked: str
) -> None:
    """What a caller writes there is neither kept with a decision nor explained."""
    path, dialect, body = LEVELS[asked]
    settings = configuration(
        {"acme": provider(mock.base_url)}, diagnostics={"decisions": "all"}
    )
    question = {"model": "chat", **body}
    async with running_router(tmp_path, settings) as router, router.http() as http:
        explained = await http.post(
            f"/v1/route/explain?dialect={dialect}", json=question
        )
        await http.post(path, json=question)
        await router.recorded(2)
        kept = router.decisions()
        written = b"".join(each.read_bytes() for each in router.journal.iterdir())

    assert explained.json()["decision"]["needs"]["reasoning_level"] == "other"
    assert [each.decision.needs.reasoning_level for each in kept] == ["other"]
    assert b"medical" not in written
    assert "medical" not in explained.text


@pytest.mark.parametrize("lacks", [False, True], ids=["rests", "lacks"])
async def test_a_rule_for_one_target_only_holds_while_that_cannot_be_called(
    tmp_path: Path, mock: Mock, other: Mock, *, lacks: bool
) -> None:
    """What must stay at a target does not go elsewhere because it fails."""
    mock.will(Step(status=429, retry_after=30))
    rule = {"when": "true", "use": ["acme/mini"], "only": True, "label": "here"}
    acme = provider(mock.base_url)
    if lacks:
        acme["models"]["mini"].pop("reasoning")
    group = {
        "strategy": "rules",
        "targets": [{"use": "acme/mini"}, {"use": "other/mini"}],
        "rules": {"rules": [rule], "on_error": "fallback"},
        "same_target_retries": 0,
    }
    settings = configuration(
        {"acme": acme, "other": provider(other.base_url)},
        groups={"chat": group},
        diagnostics={"decisions": "all"},
    )
    more = {"reasoning_effort": "low"} if lacks else {}
    question = {"model": "chat", **CHAT, **more}
    began_s = time.monotonic()
    async with running_router(tmp_path, settings) as router, router.http() as http:
        if not lacks:
            await http.post("/v1/chat/completions", json=question)
        answer = await http.post("/v1/chat/completions", json=question)
        least_s = 29 - (time.monotonic() - began_s)
        explained = (await http.post("/v1/route/explain", json=question)).json()
        await router.recorded(2 if lacks else 3)
        decision = router.decisions()[-1].decision

    missed = ("reasoning",) if lacks else ("cooling-down",)
    code = "no-eligible-target" if lacks else "upstream-capacity-throttled"
    assert answer.json()["error"]["code"] == explained["error"]["code"] == code
    if lacks:
        assert "retry-after" not in answer.headers
    else:
        assert least_s <= int(answer.headers["retry-after"]) <= 30
    assert other.received == []
    assert {each.label: each.missing for each in decision.candidates} == {
        "acme/mini": missed,
        "other/mini": ("policy",),
    }
    assert decision.policy is not None
    assert (decision.policy.outcome, decision.policy.class_label) == ("decided", "here")
    assert explained["decision"]["candidates"][1]["missing"] == ["policy"]


@pytest.mark.parametrize("codex", [False, True], ids=["sdk", "codex"])
async def test_a_slow_first_event_of_responses(
    tmp_path: Path, mock: Mock, *, codex: bool
) -> None:
    """OpenAI's SDK takes comments before it, and no event; Codex needs an event."""
    mock.will(Step(content="late", delay_first_ms=1500))
    settings = configuration(
        {"acme": provider(mock.base_url)}, server={"keepalive_after_s": 0.1}
    )
    headers = {"originator": "codex_exec"} if codex else {}
    question = {"model": "chat", "input": "hi", "stream": True}
    async with running_router(tmp_path, settings) as router:
        if codex:
            async with router.http() as http:
                answer = await http.post(
                    "/v1/responses", json=question, headers=headers
                )
            assert answer.text.startswith("event: keepalive\n")
            assert '"late"' in answer.text
        else:
            async with router.openai().responses.stream(
                model="chat", input="hi"
            ) as stream:
                final = await stream.get_final_response()
            assert (final.status, final.output_text) == ("completed", "late")
