"""Columns that say what they mean: what the database's tables are described with."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, String

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
VIEWS: Final = MetaData()
"""What is read, and kept in other tables."""


def text(name: str, meaning: str, *, empty: str | None = None) -> Column[str]:
    """Return a column of text; `empty` says when it is, where it ever is."""
    info = {"unit": "", "empty": empty or ""}
    return Column(name, String, nullable=empty is not None, comment=meaning, info=info)


def number(
    name: str, meaning: str, *, unit: str = "", empty: str | None = None
) -> Column[int]:
    """Return a column of whole numbers."""
    info = {"unit": unit, "empty": empty or ""}
    return Column(
        name, BigInteger, nullable=empty is not None, comment=meaning, info=info
    )


def flag(name: str, meaning: str) -> Column[bool]:
    """Return a column of truth values, which is never empty."""
    info = {"unit": "", "empty": ""}
    return Column(name, Boolean, nullable=False, comment=meaning, info=info)


def real(name: str, meaning: str, *, empty: str | None = None) -> Column[float]:
    """Return a column of numbers with a fraction."""
    info = {"unit": "", "empty": empty or ""}
    return Column(name, Double, nullable=empty is not None, comment=meaning, info=info)


def counting_id() -> Column[int]:
    """Return the column of a key that the database counts up itself."""
    info = {"unit": "", "empty": ""}
    # SQLite counts only what is an INTEGER.
    whole = BigInteger().with_variant(Integer, "sqlite")
    return Column("id", whole, primary_key=True, comment="Counts up", info=info)
