"""The product's mock provider for tests: in this process, or in one of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from smart_llmrouter.mockprovider.provider import MockProvider, Settings
from smart_llmrouter.mockprovider.recording import Received
from smart_llmrouter.mockprovider.script import Orders, Step
from smart_llmrouter.mockprovider.server import MockServer, listening
from tests.support.wait import PATIENCE_S

_LISTENS = re.compile(r"mock provider: (http://\S+)/v1")


@dataclass(frozen=True, slots=True)
class Mock:
    """A running mock: tell it what it will do, read what it was asked."""

    server: MockServer

    @property
    def url(self) -> str:
        """Return where it listens, without a path."""
        return self.server.url

    @property
    def base_url(self) -> str:
        """Return what goes into a provider's `base_url`."""
        return self.server.base_url

    @property
    def port(self) -> int:
        """Return the port."""
        return self.server.port

    @property
    def received(self) -> list[Received]:
        """Return the requests so far, verbatim, oldest first."""
        return list(self.server.provider.recording)

    @property
    def open_connections(self) -> int:
        """Return how many connections are open now."""
        return len(self.server.open)

    def will(self, *steps: Step) -> None:
        """Queue `steps`, one a request; a step with `model` waits for that model."""
        self.server.provider.script.add(Orders(steps=steps))

    def always(self, step: Step, *, model: str | None = None) -> None:
        """Let `step` hold for every request (for `model`) that has no queued step."""
        orders = Orders(always=step) if model is None else Orders(models={model: step})
        self.server.provider.script.add(orders)


@asynccontextmanager
async def running_mock(
    settings: Settings | None = None, *, port: int = 0
) -> AsyncGenerator[Mock]:
    """Run a mock in this process, on a free port."""
    async with listening(MockProvider(settings), port=port) as server:
        yield Mock(server)


@contextmanager
def mock_process(*options: str) -> Generator[str]:
    """Run `smart-llmrouter mock` as its users do; give its URL, stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "smart_llmrouter", "mock", "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        first_line = process.stdout.readline()
        found = _LISTENS.match(first_line)
        assert found is not None, f"the mock did not start: {first_line!r}"
        yield found.group(1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
