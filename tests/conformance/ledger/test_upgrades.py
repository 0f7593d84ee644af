"""What was on record before a change of the schema is there after it, in both kinds."""

from typing import Final

import psycopg
from sqlalchemy import Engine, create_engine

from smart_llmrouter.stores.database import migrate
from smart_llmrouter.stores.database_url import backend_of
from tests.support.databases import change
from tests.support.ledger import StateDirectory

BEFORE: Final = (
    "DROP TABLE price_versions",
    """CREATE TABLE price_versions (
        fingerprint VARCHAR NOT NULL, provider VARCHAR NOT NULL,
        model VARCHAR NOT NULL, ts_ms BIGINT NOT NULL, input_nusd_per_million BIGINT,
        cached_input_nusd_per_million BIGINT, cache_write_nusd_per_million BIGINT,
        cache_write_1h_nusd_per_million BIGINT, output_nusd_per_million BIGINT,
        reasoning_nusd_per_million BIGINT, image_tokens_nusd_per_million BIGINT,
        image_nusd BIGINT, effective_from_ms BIGINT, source VARCHAR, as_of VARCHAR,
        CONSTRAINT pk_price_versions PRIMARY KEY (fingerprint, provider, model)
    )""",
    """INSERT INTO price_versions VALUES
    ('f', 'acme', 'mini', 5, 1, NULL, NULL, NULL, 2, NULL, NULL, NULL, 7, 's', 'd')""",
    "UPDATE alembic_version SET version_num = 'usage_0010'",
)
"""Makes a database one of the version before prices of long calls were rows."""


def engine_of(url: str) -> Engine:
    """Return what migrations work on."""
    if backend_of(url) == "sqlite":
        return create_engine(url)
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))


def test_prices_of_before_are_those_of_all_calls(state: StateDirectory) -> None:
    """What was written down of them is kept."""
    change(state.url, *BEFORE)
    engine = engine_of(state.url)

    with engine.connect() as connection:
        migrate(connection, "usage_0011")
        connection.commit()
    engine.dispose()

    columns = "fingerprint, model, above_tokens, ts_ms, output_nusd_per_million, as_of"
    assert state.select(columns, "price_versions") == [("f", "mini", 0, 5, 2, "d")]
