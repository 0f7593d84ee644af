"""Whether the tables of the usage database agree with each other, and with the journal.

Each check counts what must not be there. All of them look at one moment, which the
router may work on meanwhile.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from smart_llmrouter.stores.backends import damage, require_database
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.reading import Reading, connect_for_reading
from smart_llmrouter.stores.segments import segment_sizes

_OF_CALL: Final = "{0}.ts_ms = {1}.ts_ms AND {0}.request_id = {1}.request_id"


def _orphans(table: str, of: str, condition: str) -> str:
    return (
        f"SELECT count(*) FROM {table} WHERE NOT EXISTS "  # noqa: S608 - constants
        f"(SELECT 1 FROM {of} WHERE {condition})"
    )


def _without_labels(table: str) -> str:
    return _orphans(table, "request_labels", f"request_labels.id = {table}.labels_id")


_MISCOUNTED: Final = (
    "SELECT count(*) FROM request_labels WHERE notes_count <> "
    "(SELECT count(*) FROM label_notes WHERE labels_id = request_labels.id)"
)
_POSITIONS: Final = "SELECT segment, end_offset FROM journal_positions"
_CHECKS: Final = (
    ("calls without labels", _without_labels("request_measures")),
    ("notes without labels", _without_labels("label_notes")),
    (
        "labels with another number of notes than they say",
        _MISCOUNTED,
    ),
    (
        "decisions without their call",
        _orphans(
            "request_decisions",
            "request_measures",
            _OF_CALL.format("request_measures", "request_decisions"),
        ),
    ),
    (
        "decisions of no known kind",
        _orphans(
            "request_decisions",
            "decision_kinds",
            "decision_kinds.id = request_decisions.kind_id",
        ),
    ),
    (
        "attempts without their decision",
        _orphans(
            "request_attempts",
            "request_decisions",
            _OF_CALL.format("request_decisions", "request_attempts"),
        ),
    ),
    ("hours without labels", _without_labels("usage_rollup_hourly")),
    ("days without labels", _without_labels("usage_rollup_daily")),
    ("months without labels", _without_labels("usage_rollup_monthly")),
    (
        "decisions that are further than their records",
        "SELECT count(*) FROM journal_positions WHERE decided_offset > end_offset",
    ),
)


class Check(NamedTuple):
    """What was looked for, and how often it was there; it should be never."""

    name: str
    found: int


def checks(url: str, state_directory: Path) -> Iterator[Check]:
    """Yield each check when it is done. Raises `DatabaseAway` or `DatabaseUnusable`.

    Nothing is checked of a database that this version cannot read.
    """
    require_database(url)
    if backend_of(url) == "sqlite":
        yield Check("damaged pages or indexes of the file", damage(url))
    with connect_for_reading(url) as reading:
        reading.begin()
        for name, query in _CHECKS:
            yield Check(name, int(reading.execute(query).fetchone()[0]))
        yield Check(
            "positions beyond the end of their segment",
            _beyond(reading, state_directory / "journal"),
        )


def _beyond(reading: Reading, journal: Path) -> int:
    positions: dict[str, int] = dict(reading.execute(_POSITIONS))
    # Looked at afterwards, a segment that grows is never too short.
    sizes = segment_sizes(journal)
    return sum(positions.get(name, 0) > size for name, size in sizes.items())
