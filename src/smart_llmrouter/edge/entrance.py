"""How many connections there may be, of all callers and of one address.

Who finds no room is told so, in a small `503`. That takes a moment, in which the
connection is there in spite of that; where too many are in that moment, a further one
is dropped without a word.
"""

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal

from smart_llmrouter.edge.addresses import NOBODY, Proxies, ward
from smart_llmrouter.engine.tally import Tally

if TYPE_CHECKING:
    from smart_llmrouter.edge.connection import Connection

Entry = Literal["open", "refused", "dropped"]
Full = Literal["router", "address"]
FULL_FOR: Final[tuple[Full, ...]] = ("router", "address")

_MOST_TOLD: Final = 256
_CROWDED: Final = 7 / 8


class Entrance:
    """Lets connections in while there is room."""

    __slots__ = (
        "_most",
        "_most_per_address",
        "_of_address",
        "_outside",
        "_proxies",
        "_tally",
    )

    def __init__(self, tally: Tally) -> None:
        """Let in everybody, until that is bounded."""
        self._tally = tally
        self._most = self._most_per_address = 0
        self._proxies = NOBODY
        self._of_address: Counter[bytes] = Counter()
        # Those that found no room, and are still there.
        self._outside: set[Connection] = set()

    def bound(self, proxies: Proxies, *, most: int, most_per_address: int) -> None:
        """Let in `most` at a time, and of each address so many; 0 is any number.

        Connections of `proxies` are those of many, and bounded all together only.
        """
        self._proxies = proxies
        self._most = most
        self._most_per_address = most_per_address

    @property
    def crowded(self) -> bool:
        """Whether there is little room left."""
        return bool(self._most) and self._tally.connections > self._most * _CROWDED

    def enter(self, connection: "Connection") -> Entry:
        """Say whether a new connection may stay."""
        if self._most and self._tally.connections >= self._most:
            return self._turned_away(connection, "router")
        address = ward(connection.peer)
        if self._is_full(connection.peer, address):
            return self._turned_away(connection, "address")
        self._tally.connections += 1
        self._of_address[address] += 1
        return "open"

    def leave(self, connection: "Connection") -> None:
        """Make room: a connection that had entered has ended."""
        if connection in self._outside:
            self._outside.discard(connection)
            return
        self._tally.connections -= 1
        address = ward(connection.peer)
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def _is_full(self, peer: bytes, address: bytes) -> bool:
        """Say whether an address has all the connections that it may have."""
        most = self._most_per_address
        full = bool(most and address) and self._of_address[address] >= most
        return full and not self._proxies.trusts(peer)

    def _turned_away(self, connection: "Connection", full: Full) -> Entry:
        self._tally.connections_refused[full] += 1
        self._outside.add(connection)
        return "refused" if len(self._outside) <= _MOST_TOLD else "dropped"
