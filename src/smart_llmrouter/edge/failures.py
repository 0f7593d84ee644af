"""Authentication that fails: counted, told to the operator, and slowed down.

Each address has a bucket of failures that fills again evenly within a minute. When it
is empty, a failure is told that there were too many. Nothing else becomes of it: who
comes from the same address with a good token is never looked at here.
"""

from collections import OrderedDict, defaultdict
from typing import Final, Literal, Protocol

import structlog

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.errors import TooManyAuthFailures
from smart_llmrouter.edge.addresses import NOBODY, Proxies, shown, ward
from smart_llmrouter.edge.exchange import Fields
from smart_llmrouter.engine.tally import Tally

Reason = Literal["missing", "unknown", "inactive"]
REASONS: Final[tuple[Reason, ...]] = ("missing", "unknown", "inactive")

MOST_ADDRESSES: Final = 16_384
"""So many are remembered; who was seen least recently is forgotten for a new one."""
_MINUTE_S: Final = 60.0

log = structlog.get_logger()


class Asking(Protocol):
    """What is looked at of a request that fails."""

    @property
    def fields(self) -> Fields:
        """All fields of its head."""

    @property
    def peer(self) -> bytes:
        """The address that it came from; see `edge.addresses`."""


class Failures:
    """Says what becomes of failed authentications."""

    __slots__ = (
        "_filled_s",
        "_last",
        "_now",
        "_per_minute",
        "_proxies",
        "_tally",
        "_tell_from_s",
        "_untold",
    )

    def __init__(self, tally: Tally, *, now: Monotonic) -> None:
        """Let each address fail as often as it likes, until that is bounded."""
        self._tally = tally
        self._per_minute = 0
        self._proxies = NOBODY
        self._now = now
        # When the bucket of each address will be full again, on the monotonic clock.
        self._filled_s: OrderedDict[bytes, float] = OrderedDict()
        self._untold: defaultdict[str, int] = defaultdict(int)
        self._tell_from_s = now()
        self._last = b""

    def __len__(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._filled_s)

    def bound(self, proxies: Proxies, *, per_minute: int) -> None:
        """Let each address fail `per_minute` times a minute; 0 is as often as it likes.

        What `proxies` say about addresses is believed.
        """
        self._proxies = proxies
        self._per_minute = per_minute

    def judged(self, reason: Reason, request: Asking) -> TooManyAuthFailures | None:
        """Count a failure; return what its sender is told if there are too many."""
        self._tally.auth_failures[reason] += 1
        self._untold[reason] += 1
        self._last = address = ward(
            self._proxies.client_of(request.peer, request.fields)
        )
        wait_s = self._wait_s(address) if self._per_minute else 0.0
        if not wait_s:
            return None
        self._tally.throttled += 1
        self._untold["throttled"] += 1
        return TooManyAuthFailures(wait_s)

    def tell(self) -> None:
        """Write to the log how many there were, at most once a minute."""
        now_s = self._now()
        if not self._untold or now_s < self._tell_from_s:
            return
        self._tell_from_s = now_s + _MINUTE_S
        counts, self._untold = self._untold, defaultdict(int)
        log.warning("authentication failed", last_from=shown(self._last), **counts)

    def _wait_s(self, address: bytes) -> float:
        """Take one failure out of an address's bucket, or say how long there is none.

        What is told to wait takes nothing.
        """
        now_s, filled = self._now(), self._filled_s
        each_s = _MINUTE_S / self._per_minute
        filled_s = max(filled.get(address, now_s), now_s) + each_s
        wait_s = filled_s - now_s - _MINUTE_S
        # A sum of many sixtieths is not exactly a minute.
        if wait_s > each_s / 1000:
            filled.move_to_end(address)
            return wait_s
        filled[address] = filled_s
        filled.move_to_end(address)
        if len(filled) > MOST_ADDRESSES:
            filled.popitem(last=False)
        return 0.0
