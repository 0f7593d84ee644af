"""What the gate costs with counters in a Valkey: `python -m bench.micro_valkey`.

A call is granted and settled over a Unix socket, once for one scope and once for all
six that a call may have, each of which limits everything there is to limit: calls one
after the other, and sixteen at a time, whose commands leave in common writes. Told is
the CPU of this process, which is a router's, and that of the server, which is apart.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.micro_gate import CHAINS
from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.admission.shared_away import Closed
from smart_llmrouter.admission.shared_commands import Commands
from smart_llmrouter.admission.shared_owner import OwnerName
from smart_llmrouter.admission.shared_scripts import scripts
from smart_llmrouter.admission.shared_terms import Keys
from smart_llmrouter.admission.verdicts import Lease, Verdict
from smart_llmrouter.stores.valkey_address import parse_address
from smart_llmrouter.stores.valkey_link import Chance, ValkeyLink
from smart_llmrouter.stores.valkey_server import (
    embedded_url,
    prepare_embedded,
    spawn_embedded,
    wait_for_embedded,
)

BUDGET_US: Final = 120
_CALLS: Final = 4000
_TOGETHER: Final = (1, 16)
_ROUNDS: Final = 3
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


async def measured(url: str, server: int) -> list[tuple[str, float, float]]:
    """Return for each case its name, and the CPU of a call here and in the server."""
    keys = Keys("bench")
    commands = Commands(keys, scripts(), lease_s=600, tell_left=False)
    owner = OwnerName(instance="bench", boot="bench", seat=1, worker="bench")
    shared = Shared(owner, commands, keys=keys, away=Closed(), wall=time.time)
    link = ValkeyLink(parse_address(url), shared, chance=Chance(lambda: 0.5))
    shared.use(link)
    await link.open()
    found = []
    for name, chain in CHAINS.items():
        for together in _TOGETHER:
            rounds = [
                await _round(shared, chain, together, server) for _ in range(_ROUNDS)
            ]
            found.append(
                (f"{name}, {together} at a time", *map(min, zip(*rounds, strict=True)))
            )
    await link.close()
    return cast("list[tuple[str, float, float]]", found)


async def _round(
    shared: Shared, chain: Chain, together: int, server: int
) -> tuple[float, float]:
    async def calls(first: int) -> None:
        for number in range(first, _CALLS, together):
            demand = Demand(
                request_id=f"req_{number:032x}",
                began_ms=int(time.time() * 1000),
                input_tokens=312,
                tokens=4408,
                nusd=8_270_000,
            )
            lease = await cast("Awaitable[Verdict]", shared.take(chain, demand))
            assert isinstance(lease, Lease), lease
            shared.settle(lease, Spent(1, 342, 138_000))
            shared.flush()

    here_s, there_s = time.process_time(), _cpu_s(server)
    await asyncio.gather(*(calls(first) for first in range(together)))
    here_s, there_s = time.process_time() - here_s, _cpu_s(server) - there_s
    return 1e6 * here_s / _CALLS, 1e6 * there_s / _CALLS


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def main() -> None:
    """Start a server, measure, and print what was found."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        prepare_embedded(state)
        server = spawn_embedded(state, dict(os.environ))
        wait_for_embedded(server, state)
        try:
            found = uvloop.run(measured(embedded_url(state), server))
        finally:
            os.kill(server, signal.SIGTERM)
            os.waitpid(server, 0)
    for name, here_us, there_us in found:
        print(f"{name}: {here_us:.0f} µs here, {there_us:.0f} µs in the server")
    print(f"budget: {BUDGET_US} µs here")


if __name__ == "__main__":
    main()
