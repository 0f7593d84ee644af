"""`smart-llmrouter usage notes | refusals | versions`: plain lists of an interval."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from smart_llmrouter.cli.invocation import now
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption
from smart_llmrouter.cli.usage_options import (
    ListFormat,
    ListFormatOption,
    OutOption,
    SinceOption,
    TimezoneOption,
    UntilOption,
)
from smart_llmrouter.cli.usage_reading import caught_up, show, snapshot_of
from smart_llmrouter.cli.usage_report_command import Asked, interval_for

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from smart_llmrouter.ledger.interval import Interval
    from smart_llmrouter.ledger.listing import Listing


class _List(Protocol):
    """Reads an interval from the database."""

    def __call__(
        self,
        connection: "Connection",
        /,
        *,
        interval: "Interval",
        made_ms: int,
        router_version: str,
        unread_bytes: int,
    ) -> "Listing":
        """Return what is in it."""
        ...


def notes(
    since: SinceOption = "24h",
    until: UntilOption = None,
    timezone: TimezoneOption = None,
    to_format: ListFormatOption = ListFormat.MARKDOWN,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List what translations could not carry, by field and target.

    Each line is a field of a dialect that reached a target changed or not at all, why,
    and in how many calls. Waits as `usage report` does.
    """
    from smart_llmrouter.ledger.noted import list_notes

    asked = Asked(since=since, until=until, timezone=timezone)
    _show(list_notes, asked, to_format=to_format, out=out, config=config)


def refusals(
    since: SinceOption = "24h",
    until: UntilOption = None,
    timezone: TimezoneOption = None,
    to_format: ListFormatOption = ListFormat.MARKDOWN,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List who was refused at the door, and why: tokens, keys, addresses, rights.

    Requests without a known caller are no calls: no other report counts them. Where
    there were too many a second, the rest of them are one line without an address.
    Waits as `usage report` does.
    """
    from smart_llmrouter.ledger.refused import list_refusals

    asked = Asked(since=since, until=until, timezone=timezone)
    _show(list_refusals, asked, to_format=to_format, out=out, config=config)


def versions(
    since: SinceOption = "30d",
    until: UntilOption = None,
    timezone: TimezoneOption = None,
    to_format: ListFormatOption = ListFormat.MARKDOWN,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List which configurations and prices took effect, one after the other.

    Records name both by their fingerprints. Each is listed at the moment at which it
    was in force first. Waits as `usage report` does.
    """
    from smart_llmrouter.ledger.versions import list_versions

    asked = Asked(since=since, until=until, timezone=timezone)
    _show(list_versions, asked, to_format=to_format, out=out, config=config)


def _show(
    read: _List,
    asked: Asked,
    *,
    to_format: ListFormat,
    out: Path | None,
    config: Path,
) -> None:
    from smart_llmrouter.core.build_info import read_build_info
    from smart_llmrouter.ledger.render_listing import render_listing

    def text() -> str:
        now_ms = now()
        snapshot = snapshot_of(config)
        interval = interval_for(snapshot, asked, now_ms=now_ms)
        with caught_up(snapshot.state) as (connection, unread_bytes):
            listing = read(
                connection,
                interval=interval,
                made_ms=now_ms,
                router_version=read_build_info().version,
                unread_bytes=unread_bytes,
            )
        return render_listing(listing, to=to_format.value)

    show(text, out=out, config=config)
