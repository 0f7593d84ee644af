"""Keeping answers in a Valkey or Redis that several processes or machines share.

A store that is away, or slow, has nothing: no call fails or waits long for it. What it
keeps there are answers as callers had them, readable for whoever may read the store.
Keys are hashes with a salt that is made by the first who comes, and kept there, too.
"""

import asyncio
from collections.abc import Awaitable
from importlib.resources import files
from typing import Final

from smart_llmrouter.cache.answers import Answer, Found, decode_answer, encode_answer
from smart_llmrouter.cache.keys import Key
from smart_llmrouter.cache.words import Reason
from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.stores.valkey_connection import (
    CommandRefused,
    ConnectionLost,
    Reply,
    ValkeyConnection,
    command,
)
from smart_llmrouter.stores.valkey_link import ValkeyLink

ANSWER_WITHIN_S: Final = 0.25
"""How long a call waits for what the store has, at most."""
_OVERHEAD_BYTES: Final = 500
_MS_PER_S: Final = 1000
_LUA: Final = "keep.lua"


class SharedAnswers:
    """Answers by their keys: no more than `max_bytes` of them in the whole store."""

    def __init__(
        self, namespace: str, keep: bytes, *, salt: bytes, wall: WallClock
    ) -> None:
        """Name all keys `{namespace}:cache:…`; `salt` is for a store that has none.

        `keep` is the script that keeps answers; see `script`.
        """
        self._prefix = f"{{{namespace}}}:cache:".encode()
        self._own_salt = self.salt = salt
        self._wall = wall
        self._keep = keep
        self._link: ValkeyLink | None = None
        self._max_bytes = 0
        self._ttl_s = 0.0
        self.bytes = 0
        """What all answers took together when one was last kept."""

    def use(self, link: ValkeyLink) -> None:
        """Reach the store by a link, whose guest this is."""
        self._link = link

    def bound(self, *, max_bytes: int, ttl_s: float) -> None:
        """Keep no more than so much from now on, and nothing for longer than so."""
        self._max_bytes, self._ttl_s = max_bytes, ttl_s

    @property
    def up(self) -> bool:
        """Whether the store can be asked now."""
        return self._link is not None and self._link.up

    async def greet(self, connection: ValkeyConnection) -> None:
        """Learn the salt of all keys. Raises as `ValkeyConnection.ask` does."""
        name = self._prefix + b"salt"
        await connection.ask("SET", name, self._own_salt, "NX")
        salt = await connection.ask("GET", name)
        if isinstance(salt, bytes) and salt:
            self.salt = salt[:64]

    def lost(self) -> None:
        """Do nothing: whoever waits is told by the link."""

    def get(self, key: Key) -> Awaitable[Found | None] | None:
        """Return what to await for what is kept under a key; nothing: it is away."""
        if self._link is None or not self._link.up:
            return None
        return self._got(key, self._link.connection)

    async def _got(self, key: Key, connection: ValkeyConnection) -> Found | None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                written = await connection.ask("GET", self._name(key))
        except (CommandRefused, ConnectionLost, TimeoutError):
            return None
        if not isinstance(written, bytes):
            return None
        found = decode_answer(written, now_ms=self._now_ms())
        return None if found is None or found.age_s >= self._ttl_s else found

    def put(self, key: Key, answer: Answer) -> Reason:
        """Have an answer kept, for which nobody waits: `stored`, or `store-away`."""
        link, ttl_ms = self._link, int(self._ttl_s * _MS_PER_S)
        if link is None or not link.up:
            return "store-away"
        written = encode_answer(answer, kept_ms=self._now_ms())
        name = self._name(key)
        keys = (name, self._prefix + b"order", self._prefix + b"sizes")
        given = (written, ttl_ms, self._max_bytes, key.hex(), self._prefix + b"a:")
        link.send(
            command(
                *("EVAL", self._keep, len(keys), *keys, *given, _OVERHEAD_BYTES),
            ),
            self._kept,
        )
        return "stored"

    def _kept(self, reply: Reply) -> None:
        if isinstance(reply, int):
            self.bytes = reply

    def _name(self, key: Key) -> bytes:
        return self._prefix + b"a:" + key.hex().encode()

    def _now_ms(self) -> int:
        return int(self._wall() * _MS_PER_S)


def script() -> bytes:
    """Read the script that keeps answers."""
    return (files("smart_llmrouter.cache") / "lua" / _LUA).read_bytes()
