"""A time zone in which no day and no month ends while tests run."""

from datetime import UTC, datetime
from typing import Final

_NOON: Final = 12


def _where_it_is_noon() -> str:
    ahead = _NOON - datetime.now(UTC).hour
    # The sign of these names is that of what has to be added to get UTC.
    return f"Etc/GMT{-ahead:+d}"


MIDDAY: Final = _where_it_is_noon()
"""Where budgets are told to begin their days, none begins for eleven hours."""
