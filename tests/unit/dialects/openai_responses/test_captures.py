"""What real clients send passes untouched, and is understood without a loss."""

import json
from typing import Any

import pytest

from smart_llmrouter.core.request import CustomTool, HostedTool, SearchTool
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.support.openai_responses import captured, rendered

CAPTURED = dict(captured())
CODEX = {name: body for name, body in CAPTURED.items() if name.startswith("codex")}
_SILENT = {"annotations": [], "logprobs": [], "include": [], "stream": False}


def _said(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out what says nothing, and write texts as the lists they stand for."""
    if isinstance(value, list):
        return [_said(each) for each in value]
    if not isinstance(value, dict):
        return value
    told = {
        key: _said(each)
        for key, each in value.items()
        if each is not None and (key not in _SILENT or each != _SILENT[key])
    }
    if "role" in told and isinstance(told.get("content"), str):
        told["content"] = [{"type": "input_text", "text": told["content"]}]
    if "model" in told and isinstance(told.get("input"), str):
        content = [{"type": "input_text", "text": told["input"]}]
        told["input"] = [{"type": "message", "role": "user", "content": content}]
    return told


@pytest.mark.parametrize("name", CAPTURED)
def test_a_captured_request_is_relayed_with_its_bytes(name: str) -> None:
    """Nothing but the model differs, not even a blank."""
    body = json.dumps(CAPTURED[name], ensure_ascii=False).encode()
    peek = OPENAI_RESPONSES.peek(body)

    sent = OPENAI_RESPONSES.address(peek, model=b'"acme"')

    values = {key: bytes(raw) for key, raw in peek.members.items()}
    values["model"] = b'"acme"'
    assert {
        k: bytes(v) for k, v in OPENAI_RESPONSES.peek(sent).members.items()
    } == values
    assert list(OPENAI_RESPONSES.peek(sent).members) == list(CAPTURED[name])
    assert all(raw in body for key, raw in values.items() if key != "model")


@pytest.mark.parametrize("name", CAPTURED)
def test_a_captured_request_is_read_without_a_loss(name: str) -> None:
    """What is written from what was read says the same as the request itself."""
    body = CAPTURED[name]
    request = OPENAI_RESPONSES.parse(OPENAI_RESPONSES.peek(json.dumps(body).encode()))

    sent = rendered(request)

    assert _said(sent) == _said(body | {"model": "gpt-5.5"})


@pytest.mark.parametrize("name", CODEX)
def test_captured_names_are_known_to_notes(name: str) -> None:
    """Each field that other dialects cannot take along may be spelled out."""
    body = json.dumps(CODEX[name]).encode()
    request = OPENAI_RESPONSES.parse(OPENAI_RESPONSES.peek(body))

    names = set(request.extras)
    names |= {f"messages.{key}" for turn in request.turns for key in turn.extras}
    for turn in request.turns:
        for part in turn.parts:
            names |= {f"content.{key}" for key in getattr(part, "extras", ())}
    for tool in request.tools:
        names |= {f"tools.{key}" for key in getattr(tool, "extras", ())}

    assert names <= OPENAI_RESPONSES.known_extras
    assert request.needs == ()


def test_codex_tools_of_all_kinds_are_told_apart() -> None:
    """Free text, a search that the caller runs, and one that the provider would."""
    body = json.dumps(CODEX["codex-gpt-5.5-edit-1"]).encode()

    request = OPENAI_RESPONSES.parse(OPENAI_RESPONSES.peek(body))

    assert [tool.name for tool in request.tools if isinstance(tool, CustomTool)] == [
        "apply_patch"
    ]
    assert [type(tool) for tool in request.tools[-2:]] == [SearchTool, HostedTool]
    assert [tool.kind for tool in request.tools if isinstance(tool, HostedTool)] == [
        "web_search"
    ]
