"""The rows of what happened beside calls; see `stores.event_tables`."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol


class EventRow(NamedTuple):
    """A row of the table of this name, in the order of its columns."""

    table: str
    values: tuple[object, ...]


class Executing(Protocol):
    """What rows are added to: a connection, within its transaction."""

    def executemany(
        self, statement: str, parameters: Sequence[Sequence[object]], /
    ) -> object:
        """Carry out once for each row of parameters."""


WIDTHS: Final = {
    "security_access_events": 17,
    "config_versions": 4,
    "price_versions": 16,
}
"""How many columns each table has."""


def add_events(connection: Executing, events: Sequence[EventRow]) -> None:
    """Add rows; one that is there already changes nothing."""
    for table, width in WIDTHS.items():
        rows = [event.values for event in events if event.table == table]
        if rows:
            marks = ", ".join(["?"] * width)
            connection.executemany(
                # Not from outside: both are of this module.
                f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO NOTHING",  # noqa: S608 - of our own words; values are bound
                rows,
            )
