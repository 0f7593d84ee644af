"""Two providers and a router between them and the test, each on a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import configuration, provider
from tests.support.mock import Mock, running_mock
from tests.support.router import Router, running_router


@pytest.fixture
async def mock() -> AsyncIterator[Mock]:
    """Return the provider `acme`."""
    async with running_mock() as running:
        yield running


@pytest.fixture
async def other() -> AsyncIterator[Mock]:
    """Return the provider `other`, to which the group `chat` fails over."""
    async with running_mock() as running:
        yield running


@pytest.fixture
async def router(tmp_path: Path, mock: Mock) -> AsyncIterator[Router]:
    """Return a router with the one provider `acme`."""
    settings = configuration({"acme": provider(mock.base_url)})
    async with running_router(tmp_path, settings) as running:
        yield running


@pytest.fixture
async def failover(tmp_path: Path, mock: Mock, other: Mock) -> AsyncIterator[Router]:
    """Return a router that goes on from `acme` to `other`."""
    settings = configuration(
        {"acme": provider(mock.base_url), "other": provider(other.base_url)}
    )
    async with running_router(tmp_path, settings) as running:
        yield running
