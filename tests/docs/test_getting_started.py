"""The first steps work as they are written."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smart_llmrouter.cli.main import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "getting-started.md"


def test_the_first_configuration_becomes_servable_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of the page, the token command of the page, and no finding."""
    text = PAGE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACME_API_KEY", "invented")
    monkeypatch.delenv("SMART_LLMROUTER_CONFIG", raising=False)
    for configuration in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        Path("router.yaml").write_text(configuration, encoding="utf-8")
    commands = re.findall(
        r"^\$ smart-llmrouter ((?:token|config) .*)$", text, re.MULTILINE
    )

    results = [CliRunner().invoke(app, shlex.split(command)) for command in commands]

    assert [command.split()[:2] for command in commands] == [
        ["token", "new"],
        ["config", "check"],
    ]
    assert [result.exit_code for result in results] == [0, 0], results[-1].output
    assert "no errors, no warnings" in results[-1].output
