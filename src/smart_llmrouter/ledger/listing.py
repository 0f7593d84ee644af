"""A plain list of an interval: its columns, and a line for each thing that is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.render import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`name` is for programs and `head` for people; numbers stand to the right."""

    name: str
    head: str
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one command lists. Times and `unread_bytes` are those of a `Report`.

    `name` is what the lines are called where a program reads them. Columns of text come
    before those of numbers.
    """

    title: str
    name: str
    interval: Interval
    made_ms: int
    router_version: str
    unread_bytes: int
    columns: tuple[Column, ...]
    lines: tuple[Sequence[Cell], ...]
