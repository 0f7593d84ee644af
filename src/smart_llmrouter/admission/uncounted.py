"""A store that counts nothing: for a gate that limits nobody."""

from collections.abc import Sequence

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.verdicts import Lease, Standing
from smart_llmrouter.config.allowances import PeriodName, Scope


class Uncounted:
    """Grant everything."""

    def take(self, scopes: Chain, demand: Demand) -> Lease:  # noqa: ARG002 - a port
        """Grant it."""
        return Lease()

    def grow(self, lease: Lease, *, tokens: int, nusd: int) -> Lease:  # noqa: ARG002 - a port
        """Grant it."""
        return lease

    def settle(self, lease: Lease, spent: Spent) -> None:
        """Count nothing."""

    def flush(self) -> None:
        """Tell nobody."""

    def forget(self) -> None:
        """Do nothing: nothing is kept."""

    async def standing(self, scopes: Sequence[Scope]) -> Sequence[Standing]:
        """Return that nothing is limited."""
        return [Standing(kind=each.kind, name=each.name, uses=()) for each in scopes]

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Change nothing."""

    def condition(self) -> None:
        """Say that all is well."""
