"""Options that several `smart-llmrouter usage` commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from smart_llmrouter.cli.options import ExplainFormat


class PageFormat(StrEnum):
    """How a page is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"
    CSV = "csv"


class ListFormat(StrEnum):
    """How a list is written."""

    MARKDOWN = "markdown"
    JSON = "json"
    CSV = "csv"


SinceOption = Annotated[
    str,
    typer.Option(
        "--since",
        "--from",
        help="Where to begin: a span such as 30m, 24h, 7d or 2w; a day such as "
        "2026-11-01 or a month such as 2026-11, which begin at midnight in the time "
        "zone; or a moment in ISO 8601.",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", "--to", help="Where to end, without it; now by default."),
]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        help="In which time zone hours, days and months begin, such as Europe/Berlin; "
        "UTC by default, or `reports.timezone` of the configuration.",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="DIMENSION=VALUE,…",
        help="Only calls of which this holds: caller=alice,bob, status!=200, error!= "
        "(those with an error), cache= (those without), day=2026-11-01. May be "
        "repeated: all must hold. The dimensions are those of --group-by.",
    ),
]
GroupByOption = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        help="One table by these, comma-separated, instead of the usual ones: "
        "caller, user, project, environment, token, group, requested-model, "
        "provider, model, target, dialect, target-dialect, lane, client, status, "
        "status-class, error, error-class, strategy, cache, cache-reason, stream, "
        "fallback, disconnect, refused-by, budget-warning, config, price, version, "
        "hour, day, month.",
    ),
]
MeasuresOption = Annotated[
    str | None,
    typer.Option(
        "--measures",
        help="With --group-by: the columns, comma-separated, such as "
        "calls,cost,p95,tokens-per-second; the page on reports lists all. JSON and CSV "
        "have all of them in any case.",
    ),
]
TopOption = Annotated[
    int,
    typer.Option(
        "--top", min=0, help="How many lines of each table to show; 0 shows all."
    ),
]
BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="PROVIDER/MODEL",
        help="Compare the cost with what the same tokens would have cost there, by the "
        "price in the configuration: a model, or a name of `reports.baselines`, of "
        "which the first is the default. `none` compares with nothing.",
    ),
]
PageFormatOption = Annotated[
    PageFormat | None,
    typer.Option(
        "--format",
        help="How to write it; tables on a terminal and Markdown otherwise.",
    ),
]
ListFormatOption = Annotated[
    ListFormat, typer.Option("--format", help="How to write it.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write to this file instead of the terminal."),
]
RequestIdArgument = Annotated[
    str,
    typer.Argument(
        metavar="REQUEST_ID", help="The call's id: `X-Request-Id` of its answer."
    ),
]
RequestFormatOption = Annotated[
    ExplainFormat, typer.Option("--format", help="How to write it.")
]
