"""What attempts have used that failed, as far as their targets have said.

A target may say what it has used before it fails: in the first event of a stream that
then breaks off, or in the body of an error. That is paid for, although nobody got
anything for it. Where a target said nothing, what it has used is not known.
"""

import msgspec

from smart_llmrouter.admission.demand import Spent
from smart_llmrouter.core.usage import UNKNOWN_COST, Cost, Usage


class Failed(msgspec.Struct, frozen=True, gc=False):
    """Tokens and nano-dollars of a call's failed attempts; `None`: cost unknown."""

    tokens: int = 0
    nusd: int | None = None

    def plus(self, usage: Usage, cost: Cost) -> "Failed":
        """Return this and what one more failed attempt has said of itself."""
        nusd = self.nusd
        if cost != UNKNOWN_COST:
            nusd = (nusd or 0) + cost.known_nusd
        return Failed(self.tokens + tokens_of(usage), nusd)

    def beside(self, spent: Spent) -> Spent:
        """Return what is charged: this, and what the call has used otherwise."""
        nusd = spent.nusd + (self.nusd or 0)
        return Spent(spent.requests, spent.tokens + self.tokens, nusd)


NOTHING_FAILED = Failed()


def tokens_of(usage: Usage) -> int:
    """Return how many tokens are known."""
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)
