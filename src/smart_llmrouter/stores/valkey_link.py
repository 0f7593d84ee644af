"""The way to a Valkey or Redis that is kept open: one connection after the other.

A store that does not answer within a second counts as away: its connection is dropped,
and another one is tried in the background, at first soon, then every two seconds, by
chance a little earlier or later than others do.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from smart_llmrouter.stores.valkey_address import (
    ValkeyAddress,
    client_context,
    reachable,
)
from smart_llmrouter.stores.valkey_connection import (
    CommandRefused,
    ConnectionLost,
    OnReply,
    ValkeyConnection,
)

ANSWER_WITHIN_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.2
_LOOKS: Final = round(ANSWER_WITHIN_S / _LOOK_EVERY_S) - 1
_FIRST_PAUSE_S: Final = 0.05
_LAST_PAUSE_S: Final = 2.0
_FEWEST: Final = 0.5

log = structlog.get_logger()


class Guest(Protocol):
    """Who uses a link."""

    async def greet(self, connection: ValkeyConnection) -> None:
        """Get ready on a new connection, before anything else is sent on it."""

    def lost(self) -> None:
        """Take note that the store is away."""


@dataclass(frozen=True, slots=True)
class Chance:
    """How long to wait before something is tried again: `draw` is from 0 to 1."""

    draw: Callable[[], float]

    def pause_s(self, tries: int) -> float:
        """Return the pause after so many tries that failed."""
        longest = min(_FIRST_PAUSE_S * 2.0 ** min(tries, 16), _LAST_PAUSE_S)
        return longest * (_FEWEST + (1.0 - _FEWEST) * self.draw())


class ValkeyLink:
    """Keeps a connection to one store, while the block runs."""

    def __init__(
        self,
        address: ValkeyAddress,
        guest: Guest,
        *,
        chance: Chance,
        name: str = "counter store",
    ) -> None:
        """Be ready to connect; `name` is what the log calls the store."""
        self._is_reached, self._is_away = f"{name} is reached", f"{name} is away"
        self._address = self._next_address = address
        self._guest = guest
        self._chance = chance
        self._tls: ssl.SSLContext | None = None
        self._connection: ValkeyConnection | None = None
        self._lost = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.up = False
        self.reason = "it was not reached yet"
        """Why it is away, in safe words, while it is."""

    @property
    def connection(self) -> ValkeyConnection:
        """The connection; only where the link is `up`."""
        assert self._connection is not None  # noqa: S101 - whoever asks has looked
        return self._connection

    async def open(self) -> None:
        """Connect, or find within a second that the store is away.

        Raises `AddressUnusable` where it never can be reached.
        """
        self._tls = await asyncio.to_thread(client_context, self._address)
        self._task = asyncio.create_task(self._keep())
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._tried.wait()

    async def close(self) -> None:
        """Let go of the store."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        # It is left, not lost.
        self.up = False
        if self._connection is not None:
            self._connection.drop("the router ends")

    def send(self, what: bytes, on_reply: OnReply) -> None:
        """Send a command on a link that is `up`."""
        self.connection.send(what, on_reply)

    def write(self) -> None:
        """Write at once what was sent."""
        if self._connection is not None:
            self._connection.write()

    async def _keep(self) -> None:
        tries = 0
        while True:
            self._lost.clear()
            if await self._begun():
                tries = 0
                await self._watched()
            self._tried.set()
            await asyncio.sleep(self._chance.pause_s(tries))
            tries += 1

    async def _begun(self) -> bool:
        """Make a connection that can be used; say whether that worked."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                connection = await self._connected()
                await self._guest.greet(connection)
        except (OSError, UnicodeError, CommandRefused, ConnectionLost) as error:
            self._failed(_told(error) or self.reason)
            if self._connection is not None:
                self._connection.drop(self.reason)
            return False
        if self._lost.is_set():
            return False
        log.info(self._is_reached, address=str(self._address))
        self.up, self.reason = True, ""
        self._tried.set()
        return True

    async def _connected(self) -> ValkeyConnection:
        address, loop = self._next_address, asyncio.get_running_loop()
        self._next_address = self._address
        self._connection = None
        if address.path:
            with reachable(address.path) as path:
                _, made = await loop.create_unix_connection(self._protocol, path)
        else:
            _, made = await loop.create_connection(
                self._protocol, address.host, address.port, ssl=self._tls
            )
        self._connection = made
        if address.password is not None:
            user = () if address.user is None else (address.user,)
            await made.ask("AUTH", *user, address.password.reveal())
        if address.database:
            await made.ask("SELECT", address.database)
        return made

    def _protocol(self) -> ValkeyConnection:
        return ValkeyConnection(on_lost=self._on_lost)

    def _on_lost(self, reason: str) -> None:
        if self.up:
            log.error(self._is_away, address=str(self._address), reason=reason)
        moved = _moved_to(reason)
        if moved is not None:
            # One node of a cluster says which one has our keys.
            host, port = moved
            self._next_address = replace(
                self._address, host=host or self._address.host, port=port
            )
        was_up, self.up, self.reason = self.up, False, reason
        self._lost.set()
        if was_up:
            self._guest.lost()

    def _failed(self, reason: str) -> None:
        if reason != self.reason:
            log.warning(self._is_away, address=str(self._address), reason=reason)
        self.reason = reason

    async def _watched(self) -> None:
        """Wait until the connection is lost; drop it where an answer is overdue."""
        connection, counts = self.connection, deque[int](maxlen=_LOOKS)
        while not self._lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._lost.wait()
            if len(counts) == _LOOKS and connection.answered < counts[0]:
                connection.drop("it does not answer")
            counts.append(connection.sent)


def _told(error: Exception) -> str:
    """Say in safe words why a store cannot be used; nothing: that is known already."""
    match error:
        case TimeoutError():
            return "it does not answer"
        case CommandRefused():
            return f"it refuses: {error}"
        case ConnectionLost():
            return ""
        case OSError():
            return f"it cannot be reached: {error.strerror or type(error).__name__}"
        case _:
            return "its name cannot be looked up"


def _moved_to(reason: str) -> tuple[str, int] | None:
    kind, _, rest = reason.partition(" ")
    if kind != "MOVED":
        return None
    host, _, port = rest.partition(" ")[2].rpartition(":")
    return (host, int(port)) if port.isdigit() else None
