"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

Llm = Literal["mock", "local"]
"""Which provider a demo has: a mock, or a real model on this machine."""


class TableFormat(StrEnum):
    """How findings, figures and lines are written: for people, or for programs."""

    TABLE = "table"
    JSON = "json"


class ExplainFormat(StrEnum):
    """How a decision is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


DEFAULT_CONFIG = Path("router.yaml")

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        envvar="SMART_LLMROUTER_CONFIG",
        help="The configuration file.",
        show_default=True,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask whether I am sure.")]
