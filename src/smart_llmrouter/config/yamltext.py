"""Writes plain values as YAML text, as a person would lay it out."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from smart_llmrouter.config.reader import plain_scalar

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:+@ -]*")
_UNSAFE_WITHIN: Final = (": ", " #")


def scalar(value: object) -> str:
    """Write one value; a text gets quotes only where YAML would misread it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float):
        return f"{value:g}" if value == int(value) and value < 10**6 else repr(value)
    if isinstance(value, date):
        return value.isoformat()
    return text(value) if isinstance(value, str) else str(value)


def text(value: str) -> str:
    """Write a text, in quotes where it would otherwise be read as something else."""
    misread = (
        not _PLAIN.fullmatch(value)
        or value.endswith((":", " "))
        or any(sign in value for sign in _UNSAFE_WITHIN)
        or not isinstance(plain_scalar(value), str)
    )
    return json.dumps(value, ensure_ascii=False) if misread else value


def flow_list(values: Iterable[object]) -> str:
    """Write values as `[a, b]`."""
    return f"[{', '.join(scalar(value) for value in values)}]"


def list_item(entry: Mapping[str, object], *, indent: int) -> list[str]:
    """Write a mapping of scalars and lists as one item of a block list."""
    lines = [f"{key}: {_flow(value)}" for key, value in entry.items()]
    margin = " " * indent
    return [
        f"{margin}{'  ' if number else '- '}{line}" for number, line in enumerate(lines)
    ]


def _flow(value: object) -> str:
    return flow_list(value) if isinstance(value, (list, tuple)) else scalar(value)
