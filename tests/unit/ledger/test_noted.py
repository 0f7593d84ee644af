"""Notes of translations: counted by field and target, and rendered inert."""

import csv
import io
import json
from pathlib import Path

import pytest

from smart_llmrouter.core.notes import Note
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.listing import Listing
from smart_llmrouter.ledger.noted import list_notes
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.ledger.render_listing import render_listing
from smart_llmrouter.stores.database import open_for_reading
from tests.support.ledger import NOON_MS, a_record, state_in

SEED = Note("dropped", "seed", "the target has no such field")
EFFORT = Note("approximated", "reasoning_effort", "as a budget of tokens")


def translated(number: int, *notes: Note, model: str = "mini") -> UsageRecord:
    """Return the record of a call that another dialect served."""
    return a_record(
        number,
        lane="translate",
        target_provider="acme",
        target_model=model,
        target_dialect="anthropic-messages",
        notes=notes,
    )


def report_of(directory: Path, *records: UsageRecord, unread_bytes: int = 0) -> Listing:
    """Return the notes of all records but those after the first ten."""
    state = state_in(directory)
    state.journalled(records)
    state.ingester().advance()
    with open_for_reading(state.url).connect() as connection:
        return list_notes(
            connection,
            interval=Interval(NOON_MS, NOON_MS + 10),
            made_ms=NOON_MS,
            router_version="9.9.9",
            unread_bytes=unread_bytes,
        )


def test_notes_are_counted_by_field_and_target(tmp_path: Path) -> None:
    """Calls of an interval alone, the most frequent note first."""
    report = report_of(
        tmp_path,
        a_record(0),
        translated(1, SEED),
        translated(2, SEED, EFFORT),
        translated(3, SEED, model="large"),
        translated(10, EFFORT),
    )

    dialects = ("openai-chat", "anthropic-messages")
    dropped, approximated = ((note.action, note.reason) for note in (SEED, EFFORT))
    assert report.lines == (
        ("seed", "acme/mini", *dialects, *dropped, 2),
        ("reasoning_effort", "acme/mini", *dialects, *approximated, 1),
        ("seed", "acme/large", *dialects, *dropped, 1),
    )


def test_every_format_says_the_same(tmp_path: Path) -> None:
    """A table for people, and names with values for programs."""
    report = report_of(tmp_path, translated(1, EFFORT), unread_bytes=7)

    markdown = render_listing(report, to="markdown")
    document = json.loads(render_listing(report, to="json"))
    [row] = csv.DictReader(io.StringIO(render_listing(report, to="csv")))

    assert "smart-llmrouter 9.9.9" in markdown
    assert "incomplete: 7 bytes not yet ingested" in markdown
    assert (
        "| reasoning\\_effort | acme/mini | openai-chat | anthropic-messages "
        "| approximated | as a budget of tokens | 1 |"
    ) in markdown
    assert document["complete"] is False
    [said] = document["notes"]
    assert said == {
        "field": "reasoning_effort",
        "target": "acme/mini",
        "inbound_dialect": "openai-chat",
        "target_dialect": "anthropic-messages",
        "action": "approximated",
        "reason": "as a budget of tokens",
        "calls": 1,
    }
    assert {name: row[name] for name in said} == {**said, "calls": "1"}
    assert row["unread_bytes"] == "7"


@pytest.mark.parametrize("target", [None, "=cmd|x"])
def test_what_is_missing_or_hostile_is_shown_as_such(
    tmp_path: Path, target: str | None
) -> None:
    """A count asked of nobody has no target; a name can be no formula."""
    record = a_record(1, notes=(SEED,), target_provider=target, target_model=target)
    report = report_of(tmp_path, record)

    markdown = render_listing(report, to="markdown")
    [row] = csv.DictReader(io.StringIO(render_listing(report, to="csv")))

    assert "incomplete" not in markdown
    assert row["target"] == ("" if target is None else f"'{target}/{target}")
    assert ("| (none) |" in markdown) or ("=cmd\\|x/=cmd\\|x" in markdown)


def test_without_notes_the_report_says_none(tmp_path: Path) -> None:
    """An interval of calls that were all carried whole."""
    report = report_of(tmp_path, a_record(1))

    assert render_listing(report, to="markdown").endswith("\n\nNone.\n")
