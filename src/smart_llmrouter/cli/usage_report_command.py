"""`smart-llmrouter usage report`: what an interval came to."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smart_llmrouter.cli.failures import ASKED_WRONGLY, fail
from smart_llmrouter.cli.invocation import now
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption
from smart_llmrouter.cli.usage_options import (
    BaselineOption,
    GroupByOption,
    MeasuresOption,
    OutOption,
    PageFormat,
    PageFormatOption,
    SinceOption,
    TimezoneOption,
    TopOption,
    UntilOption,
    WhereOption,
)
from smart_llmrouter.cli.usage_reading import (
    ForReading,
    caught_up,
    loaded_from,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smart_llmrouter.config.snapshot import Snapshot
    from smart_llmrouter.ledger.interval import Interval, Zone
    from smart_llmrouter.ledger.render import Format
    from smart_llmrouter.ledger.reports.baselines import Baseline
    from smart_llmrouter.ledger.reports.report import Report
    from smart_llmrouter.ledger.reports.source import Question


_WRITTEN: "Final[Mapping[PageFormat, Format]]" = {
    PageFormat.MARKDOWN: "markdown",
    PageFormat.JSON: "json",
    PageFormat.CSV: "csv",
}
_NO_BASELINE: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, as it was written."""

    since: str
    until: str | None
    timezone: str | None
    where: "Sequence[str]" = ()
    baseline: str | None = None


def report(
    *,
    since: SinceOption = "24h",
    until: UntilOption = None,
    timezone: TimezoneOption = None,
    where: WhereOption = None,
    group_by: GroupByOption = None,
    measures: MeasuresOption = None,
    baseline: BaselineOption = None,
    top: TopOption = 15,
    to_format: PageFormatOption = None,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Report calls, tokens, errors, latency and cost of an interval.

    Waits, five seconds at most, until all that was journalled when it began is in the
    database; what is still missing then is said in the report.
    """
    if measures is not None and group_by is None:
        fail("--measures are the columns of --group-by: give both", code=ASKED_WRONGLY)
    asked = Asked(
        since=since,
        until=until,
        timezone=timezone,
        where=where or (),
        baseline=baseline,
    )

    def text() -> str:
        made = _made(config, asked, group_by=group_by, measures=measures)
        return _written(made, chosen(to_format, out=out), top=top)

    show(text, out=out, config=config)


def chosen(to_format: PageFormat | None, *, out: Path | None) -> PageFormat:
    """Return the format that was asked for, or that suits whoever reads."""
    from smart_llmrouter.cli.terminal import is_terminal

    if to_format is not None:
        return to_format
    read_by_a_person = out is None and is_terminal()
    return PageFormat.TABLE if read_by_a_person else PageFormat.MARKDOWN


def zone_for(snapshot: "Snapshot", name: str | None) -> "Zone":
    """Return the time zone that was asked for, or that of the configuration."""
    from smart_llmrouter.ledger.interval import zone_of

    return zone_of(snapshot.reports.timezone if name is None else name)


def interval_for(snapshot: "Snapshot", asked: Asked, *, now_ms: int) -> "Interval":
    """Return the interval that was asked for; raise what `explained` explains."""
    from smart_llmrouter.ledger.interval import interval_of

    zone = zone_for(snapshot, asked.timezone)
    return interval_of(asked.since, asked.until, now_ms=now_ms, zone=zone)


def question_of(snapshot: "Snapshot", asked: Asked, *, now_ms: int) -> "Question":
    """Return what was asked for; raise what `explained` explains."""
    from smart_llmrouter.ledger.reports.filters import condition_of
    from smart_llmrouter.ledger.reports.source import Question

    zone = zone_for(snapshot, asked.timezone)
    interval = interval_for(snapshot, asked, now_ms=now_ms)
    conditions = tuple(condition_of(each, zone=zone) for each in asked.where)
    return Question(interval=interval, zone=zone, conditions=conditions)


def _made(
    config: Path, asked: Asked, *, group_by: str | None, measures: str | None
) -> "Report":
    """Read what was asked for."""
    from smart_llmrouter.core.build_info import read_build_info
    from smart_llmrouter.ledger.reports.columns import ASKED_FOR, columns_of
    from smart_llmrouter.ledger.reports.dimensions import dimensions_of
    from smart_llmrouter.ledger.reports.report import Circumstances, make_report

    now_ms = now()
    dimensions = dimensions_of(group_by) if group_by is not None else ()
    columns = columns_of(measures) if measures is not None else ASKED_FOR
    loaded = loaded_from(config)
    snapshot = loaded.snapshot
    question = replace(
        question_of(snapshot, asked, now_ms=now_ms),
        baseline=_baseline(loaded, asked.baseline, now_ms=now_ms),
    )
    with caught_up(snapshot.state) as (connection, unread_bytes):
        return make_report(
            connection,
            question,
            made=Circumstances(
                made_ms=now_ms,
                router_version=read_build_info().version,
                unread_bytes=unread_bytes,
            ),
            group_by=dimensions,
            columns=columns,
        )


def _baseline(
    loaded: "ForReading", name: str | None, *, now_ms: int
) -> "Baseline | None":
    """Return what to compare with: what is asked for, or the first of those given."""
    from smart_llmrouter.config.compile import price_of
    from smart_llmrouter.ledger.reports.baselines import Baseline, UnknownBaseline

    if name == _NO_BASELINE:
        return None
    given = loaded.snapshot.reports.baselines
    wanted = next(iter(given), None) if name is None else name
    if wanted is None:
        return None
    models = [
        f"{provider}/{key}"
        for provider, fields in loaded.settings.providers.items()
        for key in fields.models
    ]
    if wanted not in models:
        raise UnknownBaseline(
            f"there is no model {wanted[:60]!r}; there are: {', '.join(models[:20])}"
        )
    price = price_of(loaded.settings, wanted)
    current = None if price is None else price.at(now_ms)
    if current is None or current.input is None or current.output is None:
        raise UnknownBaseline(
            f"{wanted} has no price of input and output now, so nothing can be "
            "compared with it"
        )
    return Baseline(wanted, current)


def _written(report: "Report", to: PageFormat, *, top: int) -> str:
    from smart_llmrouter.cli.terminal import drawn
    from smart_llmrouter.ledger.render import render
    from smart_llmrouter.ledger.reports.page import page_of

    if to is PageFormat.TABLE:
        return drawn(page_of(report, most=top or None))
    return render(report, to=_WRITTEN[to], most=top or None)
