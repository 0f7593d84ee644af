"""`smart-llmrouter probe`, as it is typed: what it prints, and how it exits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from smart_llmrouter.cli.main import app
from tests.support.gateway import configuration, provider
from tests.support.mock import mock_process
from tests.support.upstream_server import refusing_port

SCRIPT: Final = {"models": {"weak": {"lacks": ["tools", "images", "output-cap"]}}}
ABLE: Final = {
    "model": "mock-mini",
    "tools": ["function", "forced_choice", "parallel"],
    "structured_outputs": True,
    "reasoning": {},
    "price": {"input_per_million": 0, "output_per_million": 0},
}
WEAK: Final = {**ABLE, "model": "weak"}


@pytest.fixture(scope="module")
def mock_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where a mock is whose model `weak` lacks much."""
    script = tmp_path_factory.mktemp("mock") / "script.json"
    script.write_text(json.dumps(SCRIPT))
    with mock_process("--script", str(script)) as url:
        yield url


def probe(tmp_path: Path, base_url: str, target: str, *options: str) -> Result:
    """Run the command on a configuration with one provider."""
    path = tmp_path / "router.yaml"
    models = {"mini": ABLE, "weak": WEAK}
    settings = configuration({"acme": provider(base_url, models=models)})
    path.write_text(json.dumps(settings))
    arguments = ["probe", target, "--config", str(path), *options]
    return CliRunner().invoke(app, arguments)


def test_a_target_that_is_as_it_is_configured(tmp_path: Path, mock_url: str) -> None:
    """The table, the configuration that fits, and that nothing differs."""
    done = probe(tmp_path, f"{mock_url}/v1", "acme/mini", "--strict")

    assert done.exit_code == 0, done.output
    first, *lines = done.stdout.splitlines()
    assert first == ("acme/mini (openai-chat): 12 requests, 720 output tokens at most")
    assert "tools              yes" in lines
    assert lines[-1] == "The present configuration says the same."
    fitting = done.stdout.partition("fits:\n")[2].partition("\nThe present")[0]
    assert YAML(typ="safe").load(fitting) == {
        "providers": {
            "acme": {
                "models": {
                    "mini": {
                        "tools": ["function", "forced_choice", "parallel"],
                        "structured_outputs": True,
                        "reasoning": {
                            "control": "effort",
                            "levels": ["minimal", "low", "medium", "high"],
                        },
                        "honors_output_cap": True,
                    }
                }
            }
        }
    }


def test_a_target_that_lacks_what_is_configured(tmp_path: Path, mock_url: str) -> None:
    """Each difference is a line; with `--strict` it is a failure."""
    lenient = probe(tmp_path, f"{mock_url}/v1", "acme/weak")
    strict = probe(tmp_path, f"{mock_url}/v1", "acme/weak", "--strict")

    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert lenient.stdout == strict.stdout
    assert lenient.stdout.splitlines()[-4:] == [
        "The present configuration differs:",
        "",
        "  tools: it says [function, forced_choice, parallel], and was found to be []",
        "  honors_output_cap: it says nothing, and was found to be false",
    ]


def test_what_was_found_can_be_read_by_programs(tmp_path: Path, mock_url: str) -> None:
    """All of it, in one document and nothing else."""
    done = probe(tmp_path, f"{mock_url}/v1", "acme/weak", "--json")

    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["target"], found["dialect"]) == ("acme/weak", "openai-chat")
    assert (found["requests"], found["output_tokens_at_most"]) == (12, 720)
    assert found["found"]["tools"] == {
        "outcome": "no",
        "detail": "refused: This model does not support tools.",
    }
    assert [each["key"] for each in found["differences"]] == [
        "tools",
        "honors_output_cap",
    ]
    assert found["configuration"]["honors_output_cap"] is False


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("acme/minni", "did you mean `acme/mini`?"),
        ("zzz", "it has acme/mini, acme/weak"),
    ],
)
def test_a_target_that_does_not_exist(tmp_path: Path, target: str, said: str) -> None:
    """The one that was meant is named, or all that there are."""
    done = probe(tmp_path, "http://127.0.0.1:9/v1", target)

    assert done.exit_code == 1
    assert said in done.stderr


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    """The reason is one line."""
    with refusing_port() as port:
        done = probe(tmp_path, f"http://127.0.0.1:{port}/v1", "acme/mini")

    assert done.exit_code == 1
    assert done.stderr.startswith(
        "error: acme/mini cannot be asked: upstream_connect_failed"
    )


def test_a_configuration_with_mistakes(tmp_path: Path) -> None:
    """They are reported, and nobody is asked."""
    path = tmp_path / "router.yaml"
    path.write_text("providers: {}\n")

    done = CliRunner().invoke(app, ["probe", "acme/mini", "--config", str(path)])

    assert done.exit_code == 1
    assert "error: providers" in done.stderr
