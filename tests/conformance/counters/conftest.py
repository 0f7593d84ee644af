"""Every counter store, fresh for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.counter_stores import STORES, Store


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Return each store in turn."""
    made = STORES[request.param]()
    yield made
    await made.close()
