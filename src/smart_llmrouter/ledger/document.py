"""A page for people, before anybody has said how it is written.

It has a title, a few facts, and tables under titles. Markdown and the terminal show the
same page: what stands in its cells is text that is ready but not yet escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column: numbers stand to the right."""

    text: str
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table under a title, with sentences of ours above and below."""

    title: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[str]]
    intro: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole page. `facts` are what one reads who reads no table.

    The `note` stands below all of it.
    """

    title: str
    about: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    note: str = ""
