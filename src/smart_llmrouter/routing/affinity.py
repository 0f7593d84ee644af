"""Which target a conversation was answered by, for as long as that is worth something.

A provider keeps the beginning of a conversation in its prompt cache for some minutes
and charges a fraction for it, so that a conversation is best continued where it is.
What is known here is known to this process, and until it ends.

A conversation of which nothing was answered yet has no target, although another one may
have begun in the same words: it is kept, and found when it goes on. So programs that
ask the same thing again and again are spread over their targets like all others.
"""

from collections import OrderedDict
from typing import Final

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.dialects.openings import UNANSWERED

MOST: Final = 100_000


class Affinities:
    """Remembers on which targets conversations are, those that were last kept.

    Keys are what `Dialect.conversation_of` returns, behind what tells callers and
    groups apart: callers choose the names of their conversations themselves.
    """

    def __init__(self, now: Monotonic, most: int = MOST) -> None:
        """Remember `most` conversations; the one unheard of for longest goes."""
        self._now = now
        self._most = most
        self._kept: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self.in_use = False
        """Whether any conversation was ever kept."""

    def __len__(self) -> int:
        """Return how many conversations are held, old ones among them."""
        return len(self._kept)

    def find(self, key: bytes) -> str | None:
        """Return the label of the target that a conversation is on, if it is known."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        label, until_s = kept
        return label if self._now() < until_s else None

    def keep(self, key: bytes, label: str, ttl_s: float) -> None:
        """Remember for `ttl_s` from now on that a conversation is on a target."""
        now_s = self._now()
        key = key.removesuffix(UNANSWERED)
        self._kept[key] = (label, now_s + ttl_s)
        self.in_use = True
        self._kept.move_to_end(key)
        self._drop_old(now_s)

    def _drop_old(self, now_s: float) -> None:
        """Drop what is too old, or too much, from the old end."""
        while self._kept:
            oldest, (_, until_s) = next(iter(self._kept.items()))
            if len(self._kept) <= self._most and until_s > now_s:
                return
            del self._kept[oldest]
