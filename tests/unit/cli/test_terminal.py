"""Pages on a terminal: they fit, say what they leave out, and are only text."""

import pytest

from smart_llmrouter.cli.terminal import drawn
from smart_llmrouter.ledger.document import Head, Page, Table

EVIL = "a\x1b[2J\nname"


def page(*rows: tuple[str, ...], name: str = "acme/mini") -> Page:
    """Return a page with a table of four columns of numbers."""
    heads = [
        Head("Target"),
        *(Head(f"Column number {n}", number=True) for n in range(4)),
    ]
    lines = [(name, *row) for row in rows]
    return Page(
        title="Usage report",
        about=["About it"],
        facts=[("Calls", "3"), ("Cost", "$1.00, known for 2 of 3 calls")],
        warnings=["incomplete: 5 bytes"],
        tables=[Table(title="By target", heads=heads, rows=lines, note="A note.")],
        note="The end.",
    )


def test_a_page_is_drawn_whole_where_there_is_room() -> None:
    """Facts first, then tables, numbers to the right, and every note."""
    text = drawn(page(("1", "22,000 (98 %)", "3", "4")), width=100, colour=False)

    assert text.startswith("Usage report\nAbout it\nincomplete: 5 bytes\n")
    assert "Cost   $1.00, known for 2 of 3 calls" in text
    [line] = [line for line in text.splitlines() if line.startswith("acme/mini")]
    assert line.split() == ["acme/mini", "1", "22,000", "(98", "%)", "3", "4"]
    assert "A note." in text
    assert text.endswith("The end.\n")
    assert "Too wide" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 55, 70])
def test_what_does_not_fit_is_left_out_and_told(width: int) -> None:
    """No line is longer than the terminal, and no number is cut."""
    text = drawn(page(("1,234,567,890",) * 4), width=width, colour=False)

    assert max(map(len, text.splitlines())) <= max(width, 86)
    table = [line for line in text.splitlines() if line.startswith("acme/mini")]
    assert all(part in {"acme/mini", "1,234,567,890"} for part in table[0].split())
    assert "Too wide for this terminal: " in text.replace("\n", " ")


def test_a_long_name_is_folded_and_not_cut() -> None:
    """All of it can be read."""
    text = drawn(page(("1", "2", "3", "4"), name="x" * 100), width=100, colour=False)

    assert text.count("x") == 100


def test_a_name_moves_no_cursor() -> None:
    """With colours, too: those are ours alone."""
    plain = drawn(page(("1", "2", "3", "4"), name=EVIL), width=100, colour=False)
    coloured = drawn(page(("1", "2", "3", "4"), name=EVIL), width=100, colour=True)

    assert "\x1b" not in plain
    assert "\x1b[2J" not in coloured
    assert "\x1b[1m" in coloured
