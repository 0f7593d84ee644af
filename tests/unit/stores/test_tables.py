"""The tables agree with the record and explain themselves."""

import msgspec

from smart_llmrouter.ledger.journal_events import TABLE_OF
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.stores.described import DESCRIBED
from smart_llmrouter.stores.event_rows import WIDTHS
from smart_llmrouter.stores.tables import REQUEST_USAGE


def test_the_columns_are_the_fields_of_a_record_in_order() -> None:
    """A record becomes a row by position: the two lists must be the same.

    Of notes, which are rows of their own, there is how many they are.
    """
    fields = [field.name for field in msgspec.structs.fields(UsageRecord)]

    names = [column.name for column in REQUEST_USAGE.columns]
    fields[fields.index("notes")] = "notes_count"
    assert names == fields


def test_a_column_may_be_empty_only_where_the_record_may() -> None:
    """What a record always has is never empty in the database, and the reverse.

    But for the lane, which a call without a target has not.
    """
    optional = {
        field.name
        for field in msgspec.structs.fields(UsageRecord)
        if type(None) in getattr(field.type, "__args__", ())
    }

    assert {c.name for c in REQUEST_USAGE.columns if c.nullable} == {*optional, "lane"}


def test_the_columns_of_events_are_their_fields_in_order() -> None:
    """An event becomes a row by position, too, and is empty where it may be."""
    for kind, name in TABLE_OF.items():
        fields = msgspec.structs.fields(kind)
        optional = [each.name for each in fields if each.default is None]
        assert [each.name for each in DESCRIBED[name].columns] == [
            each.name for each in fields
        ]
        assert [c.name for c in DESCRIBED[name].columns if c.nullable] == optional
        assert len(fields) == WIDTHS[name]
    assert set(TABLE_OF.values()) == set(WIDTHS)


def test_every_column_says_what_it_means_and_when_it_is_empty() -> None:
    """The page on usage records is made of these texts."""
    for table in DESCRIBED.values():
        for column in table.columns:
            assert column.comment, column
            assert bool(column.info["empty"]) == bool(column.nullable), column
            for suffix, unit in (
                ("_us", "microseconds"),
                ("_nusd", "nano-dollars"),
                ("_tokens", "tokens"),
                ("_ms", "milliseconds since 1970, UTC"),
            ):
                if column.name.endswith(suffix):
                    assert column.info["unit"] == unit, column
