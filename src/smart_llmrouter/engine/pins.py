"""Which target keeps what a caller may come back to.

A provider that hands out proofs of its reasoning refuses those of others, so that a
conversation goes on where its last proof came from, if that is known; who has to take
over gets it without the proofs of others.

A provider that stores its answers is the only one that can go on from them, so a
request that names a stored answer goes to the target that gave it, and only if the same
caller asked for it. What is known here is known to this process and until it ends, and
only of the last answers: who asks for another one is told to send the conversation.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

_MOST: Final = 100_000


class Pins:
    """Remembers, for the last stored answers, whose they are and who keeps them."""

    def __init__(self, *, most: int = _MOST) -> None:
        """Remember `most` answers; the oldest are forgotten first."""
        self._most = most
        self._makers: OrderedDict[bytes, str] = OrderedDict()
        self._kept: OrderedDict[tuple[str, str], str] = OrderedDict()

    def keep(self, answer_id: str, *, caller_id: str, label: str) -> None:
        """Remember that the target `label` gave an answer to a caller."""
        self._kept[caller_id, answer_id] = label
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def keeper(self, answer_id: str, *, caller_id: str) -> str | None:
        """Return the label of the target that keeps an answer of this caller."""
        return self._kept.get((caller_id, answer_id))

    def made(self, proofs: Iterable[bytes], *, label: str) -> None:
        """Remember that the target `label` gave these proofs, by their digests."""
        for proof in proofs:
            self._makers[proof] = label
            if len(self._makers) > self._most:
                self._makers.popitem(last=False)

    def maker(self, proof: bytes) -> str | None:
        """Return the label of the target that gave a proof."""
        return self._makers.get(proof)
