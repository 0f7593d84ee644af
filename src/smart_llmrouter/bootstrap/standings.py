"""How the limits stand that several routers share, as somebody from outside sees it.

Who only looks is no owner of anything in the store, and changes nothing there.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final, cast

from smart_llmrouter.admission.shared_commands import Commands
from smart_llmrouter.admission.shared_scripts import scripts
from smart_llmrouter.admission.shared_terms import Keys, Terms, standing_of
from smart_llmrouter.admission.verdicts import Standing
from smart_llmrouter.bootstrap.counters import store_url
from smart_llmrouter.config.allowances import Scope
from smart_llmrouter.config.snapshot import State
from smart_llmrouter.core.errors.faults import CountersAway
from smart_llmrouter.ledger.budget_report import BudgetLine
from smart_llmrouter.stores.valkey_address import parse_address
from smart_llmrouter.stores.valkey_connection import (
    CommandRefused,
    ConnectionLost,
    Reply,
    ValkeyConnection,
)
from smart_llmrouter.stores.valkey_link import Chance, ValkeyLink

_MS_PER_S: Final = 1000


class _Visitor:
    """A guest of the store who brings the scripts, and nothing else."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def greet(self, connection: ValkeyConnection) -> None:
        for each in self._commands.load:
            await connection.asked(each)

    def lost(self) -> None:
        """Nothing is held that could be lost."""


async def lines_in_store(
    state: State, scopes: Sequence[Scope]
) -> tuple[BudgetLine, ...]:
    """Return a line for each limit and budget, by the store of the configuration.

    Raises `CountersAway`, and `AddressUnusable` where it can never be reached.
    """
    return tuple(
        BudgetLine(
            scope=scope.key,
            limit=use.limit,
            cap=use.value,
            used=use.used,
            reserved=use.reserved,
            resets_at_ms=_whole_ms(use.resets_at_s),
        )
        for scope, standing in zip(scopes, await _standings(state, scopes), strict=True)
        for use in standing.uses
    )


async def _standings(state: State, scopes: Sequence[Scope]) -> Sequence[Standing]:
    if not scopes:
        return ()
    keys = Keys(state.counters_namespace)
    commands = Commands(
        keys,
        await asyncio.to_thread(scripts),
        lease_s=state.counters_lease_s,
        tell_left=False,
    )
    now_s = time.time()
    terms = Terms(keys, scopes, now_s * _MS_PER_S)
    address = parse_address(store_url(state))
    link = ValkeyLink(address, _Visitor(commands), chance=Chance(random.random))
    await link.open()
    try:
        told = await _asked(link, commands.read(terms, int(now_s * _MS_PER_S)))
    finally:
        await link.close()
    return tuple(
        standing_of(each, terms, index, now_s=now_s)
        for index, each in enumerate(cast("list[list[int]]", told))
    )


def _whole_ms(at_s: float | None) -> int | None:
    return None if at_s is None else round(at_s * _MS_PER_S)


async def _asked(link: ValkeyLink, what: bytes) -> Reply:
    if not link.up:
        raise CountersAway
    try:
        return await link.connection.asked(what)
    except (CommandRefused, ConnectionLost):
        raise CountersAway from None
