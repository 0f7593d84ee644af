"""Who was refused: written to the journal, a bounded number of lines a second.

What goes beyond the bound is counted by its reason, and becomes one line for each
second and reason. So whoever guesses tokens writes no more than that, and is counted to
the last request. Whatever cannot be written waits, as a count, for the next second.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, cast

from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.core.errors import (
    MetricsForbidden,
    ModelNotAllowed,
    RouterError,
    TooManyAuthFailures,
    Unauthorized,
)
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.edge.addresses import NOBODY, Proxies, shown
from smart_llmrouter.edge.clients import client_label
from smart_llmrouter.edge.exchange import Fields
from smart_llmrouter.edge.failures import Reason
from smart_llmrouter.edge.surfaces import templated
from smart_llmrouter.engine.client import Arrival, Client
from smart_llmrouter.ledger.journal_events import (
    AccessKind,
    IpVersion,
    Method,
    Outcome,
    SecurityAccess,
    encode_event,
    word,
)
from smart_llmrouter.stores.journal import JournalUnwritable

LINES_A_SECOND: Final = 10
"""So many refusals of a second are written one by one, in each process."""

_MS_PER_S: Final = 1000
_V4_BYTES: Final = 4
_METHODS: Final[dict[bytes, Method]] = {
    b"GET": "GET",
    b"HEAD": "HEAD",
    b"POST": "POST",
}
_FORBIDDEN: Final = (MetricsForbidden, ModelNotAllowed)
_REASONS: Final[dict[Reason, str]] = {
    "missing": "token-missing",
    "unknown": "token-unknown",
    "inactive": "key-inactive",
}


class Refused(Protocol):
    """What is looked at of a request that is refused."""

    @property
    def request_id(self) -> str:
        """Its id."""

    @property
    def ts_ms(self) -> int:
        """When its head was complete."""

    @property
    def method(self) -> bytes:
        """What is to be done."""

    @property
    def target(self) -> bytes:
        """What the request line asks for."""

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Its fields by their lower-case names."""

    @property
    def fields(self) -> Fields:
        """All of them, in their order."""

    @property
    def peer(self) -> bytes:
        """The address that it came from; see `edge.addresses`."""


class _Why(NamedTuple):
    """What refusals of one kind have in common."""

    event_type: AccessKind
    outcome: Outcome
    reason_code: str
    status: int


class Accesses:
    """Writes down who was refused."""

    __slots__ = ("_left", "_new_id", "_proxies", "_untold", "_wall", "_write")

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        new_id: Callable[[int], str],
        wall: WallClock,
    ) -> None:
        """Give lines to `write`, which may raise `JournalUnwritable`.

        `new_id` makes an id out of the time, in milliseconds since 1970 UTC.
        """
        self._write = write
        self._new_id = new_id
        self._wall = wall
        self._proxies = NOBODY
        self._left = LINES_A_SECOND
        self._untold: Counter[_Why] = Counter()

    def bound(self, proxies: Proxies) -> None:
        """Believe what `proxies` say about addresses."""
        self._proxies = proxies

    def failed(
        self,
        error: RouterError,
        reason: Reason,
        request: Refused,
        *,
        caller: Caller | None = None,
    ) -> None:
        """Take note of an authentication that failed; the caller, where it is known."""
        throttled = isinstance(error, TooManyAuthFailures)
        told = _REASONS[reason]
        if not throttled and not isinstance(error, Unauthorized):
            told = error.code
        why = _Why(
            "authentication" if caller is None else "key-status",
            "throttled" if throttled else "refused",
            told,
            error.status,
        )
        self._note(why, request, caller)

    def denied(self, error: RouterError, arrival: Arrival, client: Client) -> None:
        """Take note where a known caller asked for what it may not have.

        Other errors are none of this. `client` is the exchange itself.
        """
        if isinstance(error, _FORBIDDEN):
            self.forbidden(error, cast("Refused", client), caller=arrival.caller)

    def forbidden(
        self, error: RouterError, request: Refused, *, caller: Caller
    ) -> None:
        """Take note that a known caller may not do what it asked for."""
        why = _Why("authorization", "refused", error.code, error.status)
        self._note(why, request, caller)

    def tell(self) -> None:
        """Begin another second: write how many there were beyond the bound."""
        self._left = LINES_A_SECOND
        if not self._untold:
            return
        untold, self._untold = self._untold, Counter()
        ts_ms = int(self._wall() * _MS_PER_S)
        for why, calls in untold.items():
            event = SecurityAccess(
                event_id=self._new_id(ts_ms), ts_ms=ts_ms, calls=calls, **why._asdict()
            )
            if not self._written(event):
                self._untold[why] += calls

    def _note(self, why: _Why, request: Refused, caller: Caller | None) -> None:
        if self._left <= 0:
            self._untold[why] += 1
            return
        self._left -= 1
        if not self._written(self._event(why, request, caller)):
            self._untold[why] += 1

    def _written(self, event: SecurityAccess) -> bool:
        try:
            self._write(encode_event(event))
        except JournalUnwritable:
            return False
        return True

    def _event(
        self, why: _Why, request: Refused, caller: Caller | None
    ) -> SecurityAccess:
        address = self._proxies.client_of(request.peer, request.fields)
        surface, template = templated(request.target)
        return SecurityAccess(
            event_id=self._new_id(request.ts_ms),
            ts_ms=request.ts_ms,
            request_id=request.request_id,
            surface=surface,
            http_method=_METHODS.get(request.method, "other"),
            path_template=template,
            caller_id=word(caller.id) if caller else None,
            token_id=word(caller.token_id) if caller else None,
            client=client_label(request.headers.get(b"user-agent")),
            ip_address=shown(address) if address else None,
            ip_version=_version(address),
            ip_source="peer" if address == request.peer else "forwarded",
            **why._asdict(),
        )


def _version(address: bytes) -> IpVersion | None:
    if not address:
        return None
    return 4 if len(address) == _V4_BYTES else 6
