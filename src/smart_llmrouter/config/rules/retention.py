"""What is kept for how long must fit together, and must leave budgets right."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from smart_llmrouter.config.compile_allowances import allowances
from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.timezones import timezone

_ORDER: Final = (
    ("rollup_hourly_days", "usage_detail_days"),
    ("rollup_daily_days", "rollup_hourly_days"),
)
_A_MONTH: Final = 32
_HOUR_S: Final = 3600
_SEASONS: Final = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


def classes_fit_together(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield an error where something is kept for less than what it is made of."""
    kept = settings.retention
    for name, finer in _ORDER:
        days, finer_days = getattr(kept, name), getattr(kept, finer)
        if days is not None and (finer_days is None or finer_days > days):
            longer = "for ever" if finer_days is None else f"for {finer_days} days"
            yield document.error(
                ("retention", name),
                f"{finer} keeps {longer} what this keeps the sums of",
                f"set {finer} to {days} or less, or leave {name} out",
            )
    details, days = kept.usage_detail_days, kept.usage_diagnostics_days
    if details is not None and days is not None and days > details:
        yield document.warning(
            ("retention", "usage_diagnostics_days"),
            f"has no effect: calls go after {details} days, with all that hangs on"
            " them",
            f"shorten it to less than {details}, or leave it out",
        )


def running_months_are_known(
    document: Document, settings: Settings
) -> Iterator[Finding]:
    """Yield an error where a month begins within an hour whose rows may be gone."""
    days = settings.retention.usage_detail_days
    if days is None or days >= _A_MONTH:
        return
    zones = {
        each.budgets.timezone
        for each in allowances(settings).each()
        if "month" in each.budgets.caps and not _has_whole_hours(each.budgets.timezone)
    }
    if zones:
        yield document.error(
            ("retention", "usage_detail_days"),
            f"budgets of a month in {', '.join(sorted(zones))} need rows of that month:"
            " it does not begin with an hour of UTC",
            f"keep them for {_A_MONTH} days at least",
        )


def _has_whole_hours(name: str) -> bool:
    offsets = [moment.astimezone(timezone(name)).utcoffset() for moment in _SEASONS]
    return all(each is not None and each.seconds % _HOUR_S == 0 for each in offsets)
