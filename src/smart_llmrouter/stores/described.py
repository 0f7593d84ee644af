"""All tables and views of the usage database, as they are described column by column.

Each module below describes some of them. Whoever needs all of them gets them here, so
that none is forgotten.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Table

from smart_llmrouter.stores import (
    decision_tables,
    diagnostics_tables,
    event_tables,
    rollup_tables,
    tables,
)
from smart_llmrouter.stores.columns import METADATA, VIEWS

MODULES: Final = (
    tables,
    decision_tables,
    diagnostics_tables,
    event_tables,
    rollup_tables,
)
"""What describes them, each a part."""

DESCRIBED: Final[Mapping[str, Table]] = {**METADATA.tables, **VIEWS.tables}
"""Each by its name: the tables first, then the views, in the order of the modules."""
