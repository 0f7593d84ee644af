"""The page about the schema has all of it."""

from smart_llmrouter.stores.described import DESCRIBED
from tools.diagnostics_schema_page import SECTIONS, diagnostics_schema_page


def test_each_table_is_told_once() -> None:
    """Of each its class and its readers; a new one may not be forgotten."""
    told = [name for section in SECTIONS for name in section.tables]

    assert sorted(told) == sorted(DESCRIBED)


def test_each_column_is_told() -> None:
    """With its meaning, and when it is empty."""
    page = diagnostics_schema_page()

    for table in DESCRIBED.values():
        section = page.partition(f"### `{table.name}`\n")[2].partition("\n### ")[0]
        for column in table.columns:
            assert f"| `{column.name}` | {column.comment} |" in section
