"""Counters in a real Valkey, with a clock that a test turns."""

import asyncio
import itertools
import os
from collections.abc import Sequence

from smart_llmrouter.admission.counters import Chain, Counters
from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.admission.shared_away import Closed
from smart_llmrouter.admission.shared_commands import Commands
from smart_llmrouter.admission.shared_owner import OwnerName
from smart_llmrouter.admission.shared_scripts import scripts
from smart_llmrouter.admission.shared_terms import Keys
from smart_llmrouter.admission.verdicts import Lease, Verdict
from smart_llmrouter.config.allowances import Scope
from smart_llmrouter.stores.valkey_address import parse_address
from smart_llmrouter.stores.valkey_link import Chance, ValkeyLink
from tests.support.counter_stores import Minute, Reset, Settled, Store
from tests.support.valkey import server_of_this_process
from tests.support.wait import eventually

_LEASE_S = 15
_TURNED = "call('HMGET', KEYS[1] .. '-turned', 's', 'us')"
_GAP = "1e15"
_NAMES = itertools.count()


def get_ready() -> None:
    """Do what takes a while and blocks, before the event loop of a test runs."""
    server_of_this_process()
    for gap in (_GAP, ""):
        scripts(server_time=_TURNED, longest_gap=gap)


class InValkey(Store):
    """The counters of a process that shares a Valkey.

    The store's clock is the test's monotonic one. While a test turns it, the process
    lives and says so.
    """

    settling_s = _LEASE_S + 1
    outlives = True
    precision_s = 0.001

    def __init__(self, longest_gap: str = _GAP) -> None:
        """Begin in a namespace of its own; the clock may jump as far as it likes."""
        self._longest_gap = longest_gap
        self._namespace = f"test-{os.getpid()}-{next(_NAMES)}"
        self._turned_s: float | None = None
        self._links: list[ValkeyLink] = []
        super().__init__()

    def fresh(self) -> Counters:
        """Return the counters of a process that nobody has heard of."""
        self._keys = Keys(self._namespace)
        self._commands = Commands(
            self._keys,
            scripts(server_time=_TURNED, longest_gap=self._longest_gap),
            lease_s=_LEASE_S,
            tell_left=False,
        )
        name = f"{self._namespace}-{len(self._links)}"
        shared = Shared(
            OwnerName(instance=name, boot="boot", seat=1, worker="worker"),
            self._commands,
            keys=self._keys,
            away=Closed(),
            wall=self.clocks.wall,
        )
        address = parse_address(server_of_this_process().url)
        self._opened = False
        self._link = ValkeyLink(address, shared, chance=Chance(lambda: 0.0))
        self._links.append(self._link)
        shared.use(self._link)
        self._shared = shared
        return shared

    async def restart(
        self,
        settled: Sequence[Settled],
        resets: Sequence[Reset] = (),
        minutes: Sequence[Minute] = (),
    ) -> None:
        """Die without a word, and start again: the store has it all."""
        del settled, resets, minutes
        await self._link.close()
        self.counters = self.fresh()

    async def close(self) -> None:
        """Leave the server."""
        for link in self._links:
            await link.close()

    async def catch_up(self) -> None:
        """Let the store know what time it is, and that this process has lived on."""
        now_s = self.clocks.monotonic()
        if self._turned_s != now_s:
            passed_s = now_s - (now_s if self._turned_s is None else self._turned_s)
            if self._link.up:
                lease_ms = int((max(0, passed_s) + _LEASE_S) * 1000)
                for life in list(self._shared.lives):
                    await self._shared.asked(
                        self._commands.renew(life, lease_ms=lease_ms)
                    )
            self._turned_s = now_s
            whole, rest = divmod(now_s, 1)
            key = self._keys.clock + b"-turned"
            microseconds = f"{rest * 1e6:.3f}"
            await asyncio.to_thread(
                server_of_this_process().ask,
                *("HSET", key, "s", int(whole), "us", microseconds),
            )
        if not self._opened:
            self._opened = True
            await self._link.open()
            await eventually(lambda: self._link.up, what="the store")
            # As once a second: who is dead by now is swept away.
            await self._shared.renew()

    async def take(
        self,
        chain: Chain,
        *,
        tokens: int = 0,
        nusd: int = 0,
        input_tokens: int = 0,
        began_ms: int | None = None,
    ) -> Verdict:
        """Ask for a call that begins now."""
        await self.catch_up()
        return await super().take(
            chain,
            tokens=tokens,
            nusd=nusd,
            input_tokens=input_tokens,
            began_ms=began_ms,
        )

    async def grow(self, lease: Lease, *, tokens: int = 0, nusd: int = 0) -> Verdict:
        """Ask for more."""
        await self.catch_up()
        return await super().grow(lease, tokens=tokens, nusd=nusd)

    async def settle(
        self, lease: Lease, requests: int = 1, tokens: int = 0, nusd: int = 0
    ) -> None:
        """Settle a call, and let all know."""
        await self.catch_up()
        await super().settle(lease, requests, tokens, nusd)

    async def use(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """Return what of each limit is used and what is reserved."""
        await self.catch_up()
        return await super().use(scope)
