"""What the dead have left in a shared store: leases that nobody renews."""

from collections.abc import Awaitable, Callable
from typing import Final, cast

import structlog

from smart_llmrouter.admission.demand import NOTHING
from smart_llmrouter.admission.shared_commands import Commands
from smart_llmrouter.admission.shared_owner import OwnerName
from smart_llmrouter.admission.shared_records import Charged, records_of, settlement_of
from smart_llmrouter.admission.shared_terms import Keys
from smart_llmrouter.stores.valkey_connection import Reply

_SCOPES_AT_ONCE: Final = 100

log = structlog.get_logger()


class Dead:
    """Releases what dead owners hold, and settles what they had in flight.

    All here raises `CountersAway`.
    """

    def __init__(
        self,
        asked: Callable[[bytes], Awaitable[Reply]],
        commands: Commands,
        *,
        keys: Keys,
        owner: OwnerName,
    ) -> None:
        """Have the store `asked`, as this owner."""
        self._asked = asked
        self._commands = commands
        self._keys = keys
        self._owner = owner

    async def sweep(self, name: str) -> None:
        """Release what a dead owner held."""
        leases = await self._asked(self._commands.leases(name))
        found = records_of(cast("list[bytes]", leases))
        scopes = sorted({scope for each in found for scope in each.scopes})
        for at in range(0, max(1, len(scopes)), _SCOPES_AT_ONCE):
            some = scopes[at : at + _SCOPES_AT_ONCE]
            last = at + _SCOPES_AT_ONCE >= len(scopes)
            await self._asked(self._commands.sweep(name, some, last=last))
        if found:
            log.warning("leases of a dead process are released", owner=name)

    async def mend(self, charged: Charged) -> None:
        """Settle what dead predecessors had in flight, by what is on record of it.

        Raises `CountersAway`, and what `charged` raises.
        """
        instance = self._owner.instance
        told = await self._asked(self._commands.family(instance))
        for name in sorted(each.decode() for each in cast("list[bytes]", told)):
            if self._owner.mends(name):
                await self._mend(name, charged)
                await self._asked(self._commands.forget(instance, name))

    async def _mend(self, name: str, charged: Charged) -> None:
        leases = await self._asked(self._commands.close(name))
        found = records_of(cast("list[bytes]", leases))
        if not found:
            return
        began_ms = min(each.began_ms for each in found)
        known = await charged([each.request_id for each in found], since_ms=began_ms)
        for record in found:
            spent = known.get(record.request_id, NOTHING)
            settlement = settlement_of(record, self._keys, spent)
            await self._asked(self._commands.settle(name, settlement))
        log.warning(
            "calls of a dead process are settled",
            owner=name,
            calls=len(found),
            on_record=len(known),
        )

    async def bury(self, name: str, *, forget: bool) -> None:
        """End an owner, and release what it holds; forget one that has left nothing."""
        await self._asked(self._commands.close(name))
        await self.sweep(name)
        if forget:
            await self._asked(self._commands.forget(self._owner.instance, name))
