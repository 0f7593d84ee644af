"""Blocks of what is shown of one call: a table or a sentence under a title."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NONE_SHOWN: Final = "-"
_US_PER_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class Block:
    """One table under a title, of which the first `texts` columns are text.

    Without a head it is a list of facts, and without rows only a sentence. With
    `ours` the last column holds sentences of this program, which may have markup.
    """

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    texts: int = 2
    note: str = ""
    ours: bool = False


def shown(value: object) -> str:
    """Return a value as people read it; nothing is a dash."""
    match value:
        case None:
            return NONE_SHOWN
        case tuple():
            return ", ".join(map(str, value))
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case _:
            return str(value)


def ms(us: str | int | None) -> str:
    """Return microseconds as milliseconds; nothing is a dash."""
    return NONE_SHOWN if us is None else f"{int(us) / _US_PER_MS:,.1f}"
