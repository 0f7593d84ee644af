"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
