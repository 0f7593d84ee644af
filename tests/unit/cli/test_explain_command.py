"""`smart-llmrouter explain`: where a request would go, by the configuration alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from smart_llmrouter.cli.main import app
from tests.support.gateway import caller, configuration, provider

CHAT: dict[str, Any] = {
    "model": "chat",
    "messages": [{"role": "user", "content": "canary-prompt"}],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration whose key is not set here; two callers may use it."""
    settings = configuration(
        {
            "acme": provider("http://acme.example/v1", api_key="${NOT_SET_HERE}"),
            "bare": provider(
                "http://bare.example/v1", models={"mini": {"model": "mock-mini"}}
            ),
        },
        callers=[caller(), caller("k2", allow=[])],
    )
    path = tmp_path / "router.yaml"
    path.write_text(json.dumps(settings))
    return path


def explained(config: Path, body: object, *options: str) -> tuple[int, str]:
    """Run the command on a request; return its exit code, and what it said."""
    request = config.parent / "request.json"
    request.write_text(json.dumps(body))
    done = CliRunner().invoke(
        app,
        ["explain", "--config", str(config), "--request", str(request), *options],
    )
    return done.exit_code, done.output


def test_who_would_be_called_and_who_not(config: Path) -> None:
    """In a table, with what each target misses."""
    asked = {**CHAT, "reasoning_effort": "low"}

    code, told = explained(config, asked)

    assert code == 0
    assert "acme/mini would be called." in told
    (bare,) = [line for line in told.splitlines() if "bare/mini" in line]
    assert "reasoning" in bare
    assert "canary" not in told


def test_nobody_would_be_called(config: Path) -> None:
    """What is missing is told, and the command fails."""
    code, told = explained(config, {**CHAT, "max_tokens": 1, "n": 2, "stream": True})
    assert code == 0

    texts = [{"type": "file", "file": {"file_id": "x"}}]
    settings = json.loads(config.read_text())
    settings["providers"]["acme"]["models"]["mini"].pop("input")
    config.write_text(json.dumps(settings))
    asked = {"model": "chat", "messages": [{"role": "user", "content": texts}]}
    code, told = explained(config, asked)

    assert code == 1
    assert "502 no-eligible-target" in told
    assert "document" in told


def test_the_same_as_json(config: Path) -> None:
    """It is the value that the running router gives."""
    code, told = explained(config, CHAT, "--format", "json")

    explanation = json.loads(told)
    assert code == 0
    assert explanation["selected"] == "acme/mini"
    assert explanation["order"] == ["acme/mini", "bare/mini"]
    assert explanation["decision"]["needs"]["dialect"] == "openai-chat"


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        ({**CHAT, "model": "gone"}, [], "model"),
        (CHAT, ["--caller", "alice-search-dev-k2"], "may not use"),
        (CHAT, ["--caller", "nobody"], "no caller is called 'nobody'"),
        ([], [], "object"),
    ],
)
def test_what_cannot_be_explained(
    config: Path, body: object, options: list[str], said: str
) -> None:
    """The reason is one sentence."""
    code, told = explained(config, body, *options)

    assert code == 2
    assert said in told


def test_a_file_that_is_not_there(config: Path) -> None:
    """It is named."""
    done = CliRunner().invoke(
        app, ["explain", "--config", str(config), "--request", "/nowhere/request.json"]
    )

    assert done.exit_code == 2
    assert "/nowhere/request.json" in done.output


def test_a_request_from_a_pipe(config: Path) -> None:
    """`-` reads the standard input; the dialect can be named."""
    done = CliRunner().invoke(
        app,
        [
            "explain",
            *("--config", str(config), "--request", "-", "--format", "markdown"),
            *("--dialect", "anthropic-messages"),
        ],
        input=json.dumps({**CHAT, "max_tokens": 9}),
    )

    assert done.exit_code == 0
    assert "anthropic-messages" in done.output
