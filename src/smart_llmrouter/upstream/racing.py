"""The first of several addresses that accepts a connection (RFC 8305, 5).

Each address gets a head start before the next one is tried beside it, and none once it
has failed. No task is involved: however the wait ends, what was opened is closed at
once, but for the winner.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from smart_llmrouter.upstream.addresses import Address

HEAD_START_S: Final = 0.25
_UNIX_AGAIN_S: Final = 0.01


class Race:
    """Connect to one of some addresses; `won` may be awaited once."""

    def __init__(
        self, addresses: Iterable[Address], *, on_failed: Callable[[Address], None]
    ) -> None:
        """Try `addresses` in their order; tell `on_failed` of each that refuses."""
        self._loop = asyncio.get_running_loop()
        self._left = deque(addresses)
        self._on_failed = on_failed
        self._knocking: set[socket.socket] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.Future[tuple[socket.socket, Address]] = (
            self._loop.create_future()
        )
        self._refused = OSError("no address")

    async def won(self) -> tuple[socket.socket, Address]:
        """Return a connected socket and its address. Raises the last `OSError`."""
        winner = None
        try:
            self._knock_at_next()
            winner, address = await self._end
            return winner, address
        finally:
            self._stop(but_not=winner)
            # An error's frames hold the race: it must not hold the error.
            del self._end, self._refused

    def _knock_at_next(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._left and not self._end.done():
            if self._knock_at(self._left.popleft()):
                break
        if self._end.done():
            return
        if self._left:
            self._timer = self._loop.call_later(HEAD_START_S, self._knock_at_next)
        elif not self._knocking:
            self._end.set_exception(self._refused)

    def _knock_at(self, address: Address) -> bool:
        """Begin to connect; say whether that may still succeed."""
        try:
            knocking = socket.socket(address.family, socket.SOCK_STREAM)
        except OSError as error:
            # A family that this machine does not speak, or no file is left.
            self._note_refusal(address, error)
            return False
        self._knocking.add(knocking)
        knocking.settimeout(0)
        try:
            knocking.connect(address.address)
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(
                knocking.fileno(), self._on_writable, knocking, address
            )
        except OSError as error:
            self._close(knocking)
            self._note_refusal(address, error)
            return False
        else:
            self._end.set_result((knocking, address))
        return True

    def _on_writable(self, knocking: socket.socket, address: Address) -> None:
        self._loop.remove_writer(knocking.fileno())
        code = knocking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            if not self._end.done():
                self._end.set_result((knocking, address))
            return
        self._close(knocking)
        self._note_refusal(address, OSError(code, os.strerror(code)))
        self._knock_at_next()

    def _note_refusal(self, address: Address, error: OSError) -> None:
        self._refused = error
        self._on_failed(address)

    def _close(self, knocking: socket.socket) -> None:
        self._knocking.discard(knocking)
        knocking.close()

    def _stop(self, *, but_not: socket.socket | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for knocking in tuple(self._knocking):
            self._loop.remove_writer(knocking.fileno())
            if knocking is not but_not:
                self._close(knocking)


async def connect_to_unix_socket(path: str) -> socket.socket:
    """Return a socket that is connected to a Unix socket. Raises `OSError`."""
    while True:
        knocking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            knocking.settimeout(0)
            knocking.connect(path)
            return knocking
        except BlockingIOError:
            # Its queue is full, and nothing tells when it is not any more.
            knocking.close()
            await asyncio.sleep(_UNIX_AGAIN_S)
        except BaseException:
            knocking.close()
            raise
