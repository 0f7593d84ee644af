"""Every counter store, fresh for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.counter_stores import STORES, Store
from tests.support.valkey_store import InValkey, get_ready

_STORES = {**STORES, "valkey": InValkey}


@pytest.fixture(scope="session", autouse=True)
def valkey_server() -> None:
    """Have a server that all tests share."""
    get_ready()


@pytest.fixture(params=_STORES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Return each store in turn."""
    made = _STORES[request.param]()
    yield made
    await made.close()
