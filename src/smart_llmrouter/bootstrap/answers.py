"""Opens where answers are kept that may be served again, and puts the step together."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from smart_llmrouter.bootstrap.counters import store_url
from smart_llmrouter.bootstrap.opening import CannotStart
from smart_llmrouter.cache.answers import Answers
from smart_llmrouter.cache.flights import Flights
from smart_llmrouter.cache.memory import AnswersInMemory
from smart_llmrouter.cache.shared import SharedAnswers, script
from smart_llmrouter.config.policies import Cache
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.engine.caching import Caching
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.stores.valkey_address import AddressUnusable, parse_address
from smart_llmrouter.stores.valkey_link import Chance, ValkeyLink

_SALT_BYTES: Final = 32
_NONE: Final = Cache(max_bytes=0, ttl_s=0.0)


def new_memory() -> AnswersInMemory:
    """Return where a process keeps answers; it has no room yet."""
    return AnswersInMemory(salt=os.urandom(_SALT_BYTES), now=time.monotonic)


def bound(answers: AnswersInMemory, cache: Cache | None) -> None:
    """Let a process keep as many answers from now on as a configuration says."""
    here = cache if cache is not None and cache.store == "memory" else _NONE
    answers.bound(max_bytes=here.max_bytes, ttl_s=here.ttl_s)


def build_caching(
    snapshot: Snapshot,
    answers: Answers,
    flights: Flights,
    recorder: Recorder,
    tally: Tally,
) -> Caching | None:
    """Put together what serves answers again, where that is wanted."""
    if snapshot.cache is None:
        return None
    return Caching(
        snapshot,
        snapshot.cache,
        answers,
        flights=flights,
        recorder=recorder,
        tally=tally,
    )


@asynccontextmanager
async def open_answers(snapshot: Snapshot) -> AsyncIterator[Answers | None]:
    """Reach the store where answers are kept while the block runs, if others share it.

    A store that is away is waited for a second, and reached as soon as it is there.
    Raises `CannotStart` where it never can be.
    """
    cache, state = snapshot.cache, snapshot.state
    if cache is None or cache.store == "memory":
        yield None
        return
    shared = SharedAnswers(
        state.counters_namespace,
        await asyncio.to_thread(script),
        salt=os.urandom(_SALT_BYTES),
        wall=time.time,
    )
    shared.bound(max_bytes=cache.max_bytes, ttl_s=cache.ttl_s)
    try:
        address = parse_address(store_url(state))
        link = ValkeyLink(
            address, shared, chance=Chance(random.random), name="answer store"
        )
        shared.use(link)
        await link.open()
    except AddressUnusable as unusable:
        raise CannotStart(str(unusable)) from None
    try:
        yield shared
    finally:
        await link.close()
