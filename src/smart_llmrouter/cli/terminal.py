"""Pages on a terminal, drawn by Rich: tables that fit its width.

Where a table is too wide, columns are left out from the right, and it is said which:
a number that is cut in half would be another number.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Final

from smart_llmrouter.ledger.document import Page, Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_NARROWEST: Final = 40
_WIDEST: Final = 160
_NAME_WIDTH: Final = 44
"""More of a name is folded into the next line."""
_GAP: Final = 3
_NARROWEST_HEAD: Final = 8


def is_terminal() -> bool:
    """Say whether a person looks at the standard output."""
    return sys.stdout.isatty()


def terminal_width() -> int:
    """Return how many characters a line has; `COLUMNS` overrules."""
    found = shutil.get_terminal_size(fallback=(100, 24)).columns
    return max(_NARROWEST, min(found, _WIDEST))


def drawn(page: Page, *, width: int | None = None, colour: bool | None = None) -> str:
    """Return a page as text for a terminal, in colour where that is one."""
    from rich.console import Console

    wanted = is_terminal() and "NO_COLOR" not in os.environ
    coloured = wanted if colour is None else colour
    console = Console(
        file=StringIO(),
        width=width or terminal_width(),
        force_terminal=coloured,
        color_system="standard" if coloured else None,
        highlight=False,
        emoji=False,
        markup=False,
    )
    with console.capture() as captured:
        for part in _parts(page, console):
            console.print(part)
    lines = captured.get().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _parts(page: Page, console: "Console") -> "Iterator[RenderableType]":
    from rich.text import Text

    yield Text(page.title, style="bold")
    for line in page.about:
        yield Text(printable(line), style="dim")
    for line in page.warnings:
        yield Text(printable(line), style="bold red")
    if page.facts:
        yield ""
        yield _facts(page)
    for table in page.tables:
        yield ""
        yield from _table(table, console.width)
    if page.note:
        yield ""
        yield Text(page.note, style="dim")


def _facts(page: Page) -> "RenderableType":
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for title, text in page.facts:
        grid.add_row(Text(title), Text(printable(text)))
    return grid


def _table(given: Table, width: int) -> "Iterator[RenderableType]":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Drawn
    from rich.text import Text

    rows = [[printable(cell) for cell in row] for row in given.rows]
    kept = _fitting(given, rows, width)
    yield Text(given.title, style="bold cyan")
    if given.intro:
        yield Text(given.intro)
    table = Drawn(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for at in kept:
        head = given.heads[at]
        cells = [row[at] for row in rows]
        table.add_column(
            Text(_broken(head.text, cells) if head.number else head.text),
            justify="right" if head.number else "left",
            no_wrap=head.number,
            max_width=None if head.number else max(_NAME_WIDTH, len(head.text)),
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_cell(row[at], number=given.heads[at].number) for at in kept))
    yield table
    left_out = [head.text for at, head in enumerate(given.heads) if at not in kept]
    for note in (given.note, _left_out(left_out)):
        if note:
            yield Text(note, style="dim")


def _broken(head: str, cells: Sequence[str]) -> str:
    """Return a head in as many lines as keep it no wider than need be."""
    width = max([_NARROWEST_HEAD, *map(len, cells)])
    lines = [""]
    for word in head.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _cell(text: str, *, number: bool) -> "RenderableType":
    from rich.text import Text

    return Text(text, style="dim" if number and text in {"0", "unknown"} else "")


def _left_out(heads: Sequence[str]) -> str:
    if not heads:
        return ""
    return (
        f"Too wide for this terminal: {', '.join(heads)} (--format markdown has all)."
    )


def _fitting(given: Table, rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return those columns that fit: names, and numbers from the left on."""
    widths = []
    for at, head in enumerate(given.heads):
        cells = [row[at] for row in rows]
        lines = _broken(head.text, cells).split("\n") if head.number else [head.text]
        widths.append(max(map(len, [*lines, *cells])))
    kept: list[int] = []
    left = width
    for at, head in enumerate(given.heads):
        wanted = widths[at] if head.number else min(widths[at], _NAME_WIDTH)
        if wanted > left and head.number:
            break
        kept.append(at)
        left -= wanted + _GAP
    return kept


def printable(text: str) -> str:
    """Return a text that moves no cursor, has no colour of its own, ends no line."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
