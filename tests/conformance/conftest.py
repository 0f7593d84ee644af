"""Every implementation behind a seam, each on the event loop of production."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

import pytest
import uvloop

from smart_llmrouter.upstream.transport import Transport
from tests.support.transports import KINDS, KNOWN_LIMITS, Kind

_LOOPS: Final = {"uvloop": uvloop.new_event_loop}


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], uvloop.Loop]]:
    """Run on uvloop, as the router does."""
    return _LOOPS


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Expect aiohttp to fail where its limits are known; the other kind must not."""
    for item in items:
        name = item.name.replace("[aiohttp-", "[").replace("[aiohttp]", "")
        if name != item.name and name in KNOWN_LIMITS:
            # What would hang is not run: it would cost its whole time-out.
            hangs = "no_end" in name or "passes_it_on" in name
            mark = pytest.mark.xfail(reason=KNOWN_LIMITS[name], run=not hangs)
            item.add_marker(mark)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return each implementation of the transport in turn."""
    found: Kind = request.param
    return found


@pytest.fixture
async def transport(kind: Kind) -> AsyncIterator[Transport]:
    """Return an open transport that reads answers of up to one MiB."""
    async with kind.open() as opened:
        yield opened


@pytest.fixture
async def lean() -> AsyncIterator[Transport]:
    """Return an open transport of our own kind."""
    async with KINDS[-1].open() as opened:
        yield opened
