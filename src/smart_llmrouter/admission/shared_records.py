"""What a shared store remembers of a lease, for when its owner is dead."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

_COUNT: Final = b"#"


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
