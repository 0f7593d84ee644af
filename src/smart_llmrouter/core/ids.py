"""Request ids: what a caller quotes, and the key under which a call is on record."""

from typing import Final

from smart_llmrouter.core.clock import RandomBytes

_CHANCE_DIGITS: Final = 20
_POOL_BYTES: Final = 4000


class RequestIds:
    """Makes request ids: `req_` and 32 hexadecimal digits, 12 of time, 20 of chance.

    Ids of something else have another `prefix`.
    Ids that begin with the time, as in UUID version 7, keep the index of the usage
    table growing at its end only, which halves what a row costs the database.
    """

    def __init__(self, random_bytes: RandomBytes, *, prefix: str = "req_") -> None:
        """Draw chance from `random_bytes`, many ids' worth at a time."""
        self._random_bytes = random_bytes
        self._prefix = prefix
        self._pool = ""
        self._at = 0
        self._ts_ms = -1
        self._beginning = ""

    def __call__(self, ts_ms: int) -> str:
        """Return an id that nobody else has, of the time `ts_ms`."""
        at = self._at
        if at == len(self._pool):
            self._pool, at = self._random_bytes(_POOL_BYTES).hex(), 0
        self._at = end = at + _CHANCE_DIGITS
        if ts_ms != self._ts_ms:
            # On a busy router many requests share a millisecond.
            self._ts_ms, self._beginning = ts_ms, f"{self._prefix}{ts_ms:012x}"
        return self._beginning + self._pool[at:end]
