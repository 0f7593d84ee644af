"""Columns of a batch as PostgreSQL writes arrays down.

Thousands of rows go to the server as one statement with an array a column: for each
value that is an item of a `join`, and nothing else.
"""

from collections.abc import Iterable


def numbers_array(column: Iterable[object]) -> str:
    """Return an array of whole numbers; `None` is one without a value."""
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
