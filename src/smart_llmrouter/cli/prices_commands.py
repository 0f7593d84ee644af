"""`smart-llmrouter prices`: those that are there, that are published, and drift."""

import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from smart_llmrouter.cli.failures import fail
from smart_llmrouter.cli.invocation import now
from smart_llmrouter.cli.once import OnceCommand
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption, TableFormat
from smart_llmrouter.cli.usage_options import (
    SinceOption,
    TimezoneOption,
    UntilOption,
)
from smart_llmrouter.cli.usage_report_command import Asked, interval_for

if TYPE_CHECKING:
    from smart_llmrouter.catalog.published import Catalog
    from smart_llmrouter.config.schema import Settings
    from smart_llmrouter.ledger.cost_drift import Drift

app = typer.Typer(
    name="prices",
    help="What models cost: missing and stale prices, published ones, and drift.",
    no_args_is_help=True,
)

_INSTALL: Final = (
    "published prices need the package genai-prices: install smart-llmrouter[prices]"
)


class YamlFormat(StrEnum):
    """How suggestions are written."""

    YAML = "yaml"
    JSON = "json"


TableOption = Annotated[
    TableFormat, typer.Option("--format", help="How they are written.")
]
YamlOption = Annotated[
    YamlFormat, typer.Option("--format", help="How they are written.")
]
AgeOption = Annotated[
    int,
    typer.Option(
        "--max-age-days", min=0, help="How old `as_of` may be before it is a finding."
    ),
]
ToleranceOption = Annotated[
    float,
    typer.Option(
        "--tolerance",
        min=0,
        help="How many percent a part may differ from the published one.",
    ),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Also for models that have a whole price.")
]
WorstOption = Annotated[
    int, typer.Option("--worst", min=0, max=1000, help="How many calls are named.")
]
AboveOption = Annotated[
    float | None,
    typer.Option(
        "--fail-above",
        min=0,
        metavar="PERCENT",
        help="Exit with 1 where a target differs by more.",
    ),
]


@app.callback()
def prices() -> None:
    """What models cost: missing and stale prices, published ones, and drift."""


@app.command()
def check(
    max_age_days: AgeOption = 90,
    tolerance: ToleranceOption = 1.0,
    to_format: TableOption = TableFormat.TABLE,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say which models that groups use have no price, half a one, or an old one.

    Prices are compared with those that the package genai-prices bundles, where it is
    installed; nothing is asked over a network. Exits with 1 where there is a finding;
    notes are none. Models whose price is 0 are taken to be free.
    """
    from smart_llmrouter.catalog.priced import Bounds, check_prices, used_models
    from smart_llmrouter.cli.prices_text import findings_json, findings_text

    settings, today = _settings_of(config), datetime.now(UTC)
    catalog = _catalog(today)
    bounds = Bounds(
        now=today, max_age_days=max_age_days, tolerance_percent=Decimal(str(tolerance))
    )
    findings = check_prices(settings, catalog, bounds)
    write = findings_json if to_format is TableFormat.JSON else findings_text
    text = write(
        findings,
        models=len(used_models(settings)),
        compared=None if catalog is None else catalog.name,
    )
    typer.echo(text, nl=False)
    if catalog is None:
        typer.echo(f"note: {_INSTALL}", err=True)
    if not all(found.is_note for found in findings):
        raise typer.Exit(1)


@app.command()
def suggest(
    every: AllOption = False,
    to_format: YamlOption = YamlFormat.YAML,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write prices to paste, for models that groups use and that have no whole price.

    They are those that the package genai-prices bundles; nothing is asked over a
    network, and no file is changed. Each says how sure it is. Where several providers
    could be meant and differ, they are listed and none is chosen.
    """
    from smart_llmrouter.catalog.priced import used_models
    from smart_llmrouter.catalog.suggested import as_json as json_of
    from smart_llmrouter.catalog.suggested import as_yaml, suggest
    from smart_llmrouter.cli.prices_text import as_json

    settings = _settings_of(config)
    catalog = _catalog(datetime.now(UTC))
    if catalog is None:
        fail(_INSTALL)
    models = [used for used in used_models(settings) if every or not used.is_priced]
    if not models:
        typer.echo("all models that groups use have a price; see --all", err=True)
        return
    found = suggest(models, catalog)
    if to_format is YamlFormat.JSON:
        typer.echo(as_json(json_of(found, catalog)), nl=False)
    else:
        typer.echo(as_yaml(found, catalog), nl=False)


@app.command(cls=OnceCommand)
def drift(
    since: SinceOption = "30d",
    until: UntilOption = None,
    timezone: TimezoneOption = None,
    worst: WorstOption = 10,
    fail_above: AboveOption = None,
    to_format: TableOption = TableFormat.TABLE,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Compare what calls cost by our prices with what their providers reported.

    By target: the calls of which both are known, the two sums, how far they are from
    one another, and of how many calls either is not known. The calls that differ most
    are named, to be looked up with `usage request`.
    """
    from smart_llmrouter.cli.prices_text import drift_json, drift_text

    asked = Asked(since=since, until=until, timezone=timezone)
    found = _drift(config, asked, worst=worst)
    write = drift_json if to_format is TableFormat.JSON else drift_text
    typer.echo(write(found), nl=False)
    percents = [line.difference_percent for line in found.targets]
    if fail_above is not None and any(
        percent is not None and abs(percent) > Decimal(str(fail_above))
        for percent in percents
    ):
        raise typer.Exit(1)


def _drift(config: Path, asked: Asked, *, worst: int) -> "Drift":
    from smart_llmrouter.cli.usage_reading import explained, snapshot_of
    from smart_llmrouter.ledger.catch_up import all_rows
    from smart_llmrouter.ledger.cost_drift import drift_of
    from smart_llmrouter.stores.backends import require_database

    with explained():
        snapshot = snapshot_of(config)
        interval = interval_for(snapshot, asked, now_ms=now())
        url = snapshot.state.database_url.reveal()
        require_database(url)
        with all_rows(
            snapshot.state.directory,
            url,
            sleep=time.sleep,
            monotonic=time.monotonic,
        ) as queries:
            return drift_of(queries, interval, worst=worst)


def _settings_of(config: Path) -> "Settings":
    """Return the settings of a file; what a secret is does not matter here."""
    from smart_llmrouter.config.findings import report
    from smart_llmrouter.config.load import load

    missing = {
        found.awaits: "not-needed-for-prices"
        for found in load(config, environment=os.environ).findings
        if found.awaits is not None
    }
    loaded = load(config, environment={**os.environ, **missing})
    if loaded.settings is None:
        typer.echo(report(loaded.findings), err=True)
        raise typer.Exit(1)
    return loaded.settings


def _catalog(now: datetime) -> "Catalog | None":
    try:
        from smart_llmrouter.catalog.genai import GenaiPrices
    except ImportError:
        return None
    return GenaiPrices(now)
