"""Time zones, which are read from files: once, when a configuration is checked."""

from datetime import UTC, tzinfo
from functools import cache
from zoneinfo import ZoneInfo


@cache
def timezone(name: str) -> tzinfo:
    """Return a time zone by its name in the tz database.

    Raises `ZoneInfoNotFoundError`, `ValueError` or `OSError` where it is not known.
    """
    return UTC if name == "UTC" else ZoneInfo(name)
