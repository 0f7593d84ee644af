"""The rows that calls become in PostgreSQL: a statement for many of them at a time."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from smart_llmrouter.stores.postgres_arrays import numbers_array, texts_array
from smart_llmrouter.stores.postgres_schema import wanted_columns
from smart_llmrouter.stores.postgres_statements import Statements
from smart_llmrouter.stores.rollup_schema import HOUR_MS
from smart_llmrouter.stores.usage_store import (
    Labels,
    Measures,
    label_row,
    labels_digest,
)

_MOST_LABELS: Final = 8192
_MEASURES: Final = tuple(
    name for name in wanted_columns()["request_measures"] if name != "labels_id"
)
_USUAL_COLUMNS: Final = 14
"""How many measures a call has of which nothing is rare."""


_HOUR: Final = f"ts_ms / {HOUR_MS} - CASE WHEN ts_ms % {HOUR_MS} < 0 THEN 1 ELSE 0 END"
"""The number of an hour from 1970 on; that of before 1970 is below 0."""


def _adding(*columns: str) -> str:
    numbers = ", ?::bigint[]" * (len(columns) - 1)
    return (
        f"WITH added AS (INSERT INTO request_measures ({', '.join(columns)}) "  # noqa: S608 - constants
        f"SELECT * FROM unnest(?::text[]{numbers}) ON CONFLICT DO NOTHING "
        f"RETURNING ts_ms) SELECT {_HOUR}, count(*) FROM added GROUP BY 1"
    )


_ADD_ROWS: Final = _adding(*_MEASURES[:_USUAL_COLUMNS], "labels_id")
_ADD_LONG_ROWS: Final = _adding(*_MEASURES, "labels_id")
_LABELS: Final = wanted_columns()["request_labels"][1:]
_ADD_LABELS: Final = (
    f"INSERT INTO request_labels ({', '.join(_LABELS)}) "  # noqa: S608 - constants
    f"VALUES ({', '.join('?' * len(_LABELS))}) ON CONFLICT DO NOTHING"
)
_ADD_NOTE: Final = (
    "INSERT INTO label_notes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_FIND_LABELS: Final = (
    "SELECT digest, id FROM request_labels WHERE digest = ANY(?::text[])"
)


class UsageRows:
    """Adds calls to one database, each exactly once."""

    def __init__(self) -> None:
        """Know no labels yet."""
        self._label_ids: dict[Labels, int] = {}

    def forget(self) -> None:
        """Forget what was looked up: it may have been taken back."""
        self._label_ids.clear()

    def add(
        self,
        statements: Statements,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
    ) -> Counter[int]:
        """Add calls, and return how many are new, for each hour that has any.

        Raises what psycopg does where a value fits into no column, and `UnicodeError`
        for an id with a NUL in it, which no kind of database has.
        """
        ids = self._ids_of(statements, set(labels))
        usual: list[tuple[object, ...]] = []
        long: list[tuple[object, ...]] = []
        for values, each in zip(measures, labels, strict=True):
            rows = usual if len(values) == _USUAL_COLUMNS else long
            rows.append((*values, ids[each]))
        return _inserted(statements, _ADD_ROWS, usual) + _inserted(
            statements, _ADD_LONG_ROWS, long
        )

    def _ids_of(self, statements: Statements, labels: set[Labels]) -> dict[Labels, int]:
        """Return the ids of at least these labels, which are added where new."""
        known = self._label_ids
        if len(known) > _MOST_LABELS:
            known.clear()
        unknown = {labels_digest(each): each for each in labels - known.keys()}
        if unknown:
            found = _found(statements, unknown)
            _add_labels(statements, [unknown[each] for each in unknown.keys() - found])
            found |= _found(statements, unknown.keys() - found)
            known.update((unknown[digest], found[digest]) for digest in unknown)
        return known


def _inserted(
    statements: Statements, statement: str, rows: list[tuple[object, ...]]
) -> Counter[int]:
    if not rows:
        return Counter()
    ids, *numbers = zip(*rows, strict=True)
    arrays = [texts_array(ids), *map(numbers_array, numbers)]
    return Counter(dict(statements.execute(statement, arrays).fetchall()))


def _found(statements: Statements, digests: Collection[str]) -> dict[str, int]:
    if not digests:
        return {}
    rows = statements.execute(_FIND_LABELS, (texts_array(digests),))
    return {str(digest): int(labels_id) for digest, labels_id in rows}


def _add_labels(statements: Statements, labels: Sequence[Labels]) -> None:
    """Add labels and what was noted of their calls.

    In the order of their digests: so two writers wait for each other in one direction.
    """
    rows = sorted(map(label_row, labels))
    statements.executemany(_ADD_LABELS, [row.values for row in rows])
    noted = [row for row in rows if row.notes]
    ids = _found(statements, {str(row.values[0]) for row in noted})
    statements.executemany(
        _ADD_NOTE,
        [(ids[str(row.values[0])], *note) for row in noted for note in row.notes],
    )
