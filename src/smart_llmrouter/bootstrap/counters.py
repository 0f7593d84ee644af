"""Opens the counters of a process: in its memory, or in a store that many share."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from smart_llmrouter.admission.counters import Counters
from smart_llmrouter.admission.demand import Spent
from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.admission.shared_away import Away, Closed
from smart_llmrouter.admission.shared_commands import Commands
from smart_llmrouter.admission.shared_local import Local
from smart_llmrouter.admission.shared_owner import OwnerName
from smart_llmrouter.admission.shared_scripts import scripts
from smart_llmrouter.admission.shared_terms import Keys
from smart_llmrouter.admission.shared_upkeep import kept_up
from smart_llmrouter.bootstrap.budgets import counted, told_of_resets
from smart_llmrouter.bootstrap.recorded import charged_of
from smart_llmrouter.bootstrap.seeding import seeds_at_start
from smart_llmrouter.config.allowances import Allowances
from smart_llmrouter.config.snapshot import EMBEDDED_VALKEY, MEMORY, Snapshot, State
from smart_llmrouter.stores.valkey_address import AddressUnusable, parse_address
from smart_llmrouter.stores.valkey_link import Chance, ValkeyLink
from smart_llmrouter.stores.valkey_server import embedded_url

_OWNER: Final = "counters-owner"
_ID_BYTES: Final = 6
_NOT_SHARED: Final = (
    "several workers cannot count limits and budgets in memory: `state.counters` must"
    " name a store that they share"
)


def begin_owning(state: State) -> None:
    """Note that a router begins: what an earlier one has left belongs to the dead.

    Call it once for a router, while nobody else has its state directory, and before its
    workers begin. Raises `OSError`.
    """
    if state.counters.reveal() == MEMORY:
        return
    path = state.directory / _OWNER
    instance = path.read_text().split()[0] if path.exists() else _id()
    new = path.with_suffix(".new")
    new.write_text(f"{instance} {_id()}\n")
    new.replace(path)


@asynccontextmanager
async def open_counters(
    snapshot: Snapshot,
    *,
    seat: int = 1,
    allowances: Callable[[], Allowances] | None = None,
) -> AsyncIterator[Counters]:
    """Count where the configuration says while the block runs, as the worker of a seat.

    `allowances` are those of now, where they may become others. A store that is away is
    waited for a second, and reached as soon as it is there.

    Raises `AddressUnusable` where the store can never be reached, or not be shared, and
    `DatabaseAway` where what is on record of budgets cannot be read.
    """
    state = snapshot.state
    if state.counters.reveal() == MEMORY:
        if snapshot.server.workers > 1 and snapshot.allowances:
            raise AddressUnusable(_NOT_SHARED)
        async with counted(snapshot, allowances=allowances) as memory:
            yield memory
        return
    seeds = await seeds_at_start(snapshot)
    shared, link = await _shared(state, seat=seat, workers=snapshot.server.workers)
    await shared.seed(seeds)
    await link.open()
    try:
        async with (
            kept_up(
                shared, lease_s=state.counters_lease_s, charged=partial(_charged, state)
            ),
            told_of_resets(state, shared, allowances or (lambda: snapshot.allowances)),
        ):
            yield shared
        await shared.leave()
    finally:
        await link.close()


async def _shared(
    state: State, *, seat: int, workers: int
) -> tuple[Shared, ValkeyLink]:
    keys = Keys(state.counters_namespace)
    away: Away = Closed()
    if state.counters_away == "local":
        away = Local(keys, workers=workers, now=time.monotonic, wall=time.time)
    commands = Commands(
        keys,
        await asyncio.to_thread(scripts),
        lease_s=state.counters_lease_s,
        tell_left=away.tells_left,
    )
    owner = await asyncio.to_thread(_owner, state.directory, seat)
    shared = Shared(owner, commands, keys=keys, away=away, wall=time.time)
    link = ValkeyLink(
        parse_address(store_url(state)), shared, chance=Chance(random.random)
    )
    shared.use(link)
    return shared, link


def store_url(state: State) -> str:
    """Return where the shared store of this configuration is."""
    given = state.counters.reveal()
    return embedded_url(state.directory) if given == EMBEDDED_VALKEY else given


def _owner(directory: Path, seat: int) -> OwnerName:
    try:
        instance, boot = (directory / _OWNER).read_text().split()
    except (OSError, ValueError):
        instance, boot = _id(), _id()
    return OwnerName(instance=instance, boot=boot, seat=seat, worker=_id())


def _id() -> str:
    return os.urandom(_ID_BYTES).hex()


async def _charged(
    state: State, request_ids: Sequence[str], *, since_ms: int
) -> Mapping[str, Spent]:
    return await asyncio.to_thread(charged_of, state, request_ids, since_ms=since_ms)
