"""The layers of the architecture page, kept by import-linter."""

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]


def test_a_lower_layer_never_imports_an_upper_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every contract of `pyproject.toml` is kept."""
    exit_code = lint_imports(
        config_filename=str(ROOT / "pyproject.toml"), no_cache=True
    )

    assert exit_code == 0, capsys.readouterr().out
