"""What a shared store remembers of a lease, for when its owner is dead."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.shared_owner import Settlement
from smart_llmrouter.admission.shared_terms import Keys, Told

_COUNT: Final = b"#"


class Charged(Protocol):
    """What is on record of calls."""

    async def __call__(
        self, request_ids: Sequence[str], *, since_ms: int
    ) -> Mapping[str, Spent]:
        """Return what calls were charged, those that are on record.

        They began at `since_ms` or later. What the dead wrote down is known by then.
        """


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A lease, as `lua/take.lua` writes it down; `told` is what it said of its scopes.

    `request_id` is that of the call, which is the lease's name.
    """

    step: int
    began_ms: int
    minute_tokens: int
    tokens: int
    nusd: int
    told: list[list[Any]]
    ids: Any = None
    request_id: str = ""

    @property
    def scopes(self) -> Sequence[str]:
        """The keys of its scopes."""
        return [each[0] for each in self.told]


_DECODER: Final = msgspec.msgpack.Decoder(Record)


def records_of(told: Sequence[bytes]) -> Sequence[Record]:
    """Read all leases of an owner, as the store tells them."""
    pairs = zip(told[::2], told[1::2], strict=True)
    return [
        msgspec.structs.replace(_DECODER.decode(record), request_id=name.decode())
        for name, record in pairs
        if name != _COUNT
    ]


def settlement_of(record: Record, keys: Keys, spent: Spent) -> Settlement:
    """Return what settles a lease, if it is there still."""
    scopes = (keys.scope(each) for each in record.scopes)
    told = Told(scopes, msgspec.msgpack.encode(record.told))
    demand = Demand(
        request_id=record.request_id,
        began_ms=record.began_ms,
        tokens=record.minute_tokens,
    )
    return Settlement(told, demand, record.step, spent)
