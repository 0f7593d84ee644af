"""Columns of a batch as PostgreSQL writes arrays down.

Thousands of rows go to the server as one statement with an array a column: for each
value that is an item of a `join`, and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from smart_llmrouter.stores.postgres_schema import ColumnKind

ARRAYS: Final[Mapping[ColumnKind, str]] = {
    "number": "bigint[]",
    "text": "text[]",
    "flag": "boolean[]",
    "real": "float8[]",
}
"""What PostgreSQL calls an array of each kind."""


def array_of(kind: ColumnKind, column: Iterable[object]) -> str:
    """Return an array of one kind; `None` is an item without a value."""
    return _WRITERS.get(kind, numbers_array)(column)


def numbers_array(column: Iterable[object]) -> str:
    """Return an array of numbers or flags; `None` is one without a value."""
    return "{" + ",".join(map(str, column)).replace("None", "NULL") + "}"


def texts_array(column: Iterable[object]) -> str:
    """Return an array of texts, whatever they hold but NUL."""
    texts = list(map(str, column))
    together = '","'.join(texts)
    if "\\" in together or together.count('"') != 2 * max(0, len(texts) - 1):
        together = '","'.join(
            text.replace("\\", "\\\\").replace('"', '\\"') for text in texts
        )
    return f'{{"{together}"}}' if texts else "{}"


def _texts_or_none(column: Iterable[object]) -> str:
    texts = list(column)
    if None not in texts:
        return texts_array(texts)
    items = ("NULL" if text is None else texts_array([text])[1:-1] for text in texts)
    return "{" + ",".join(items) + "}"


_WRITERS: Final[Mapping[ColumnKind, Callable[[Iterable[object]], str]]] = {
    "text": _texts_or_none
}
