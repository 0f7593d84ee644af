"""Every counter store, fresh for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.counter_stores import Store
from tests.support.every_store import EVERY_STORE
from tests.support.valkey_store import get_ready


@pytest.fixture(scope="session", autouse=True)
def valkey_server() -> None:
    """Have a server that all tests share."""
    get_ready()


@pytest.fixture(params=EVERY_STORE)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Return each store in turn."""
    made = EVERY_STORE[request.param]()
    yield made
    await made.close()
