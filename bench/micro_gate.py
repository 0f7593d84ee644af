"""What the gate costs where everything is limited: `python -m bench.micro_gate`.

A call is granted and settled by the counters in memory, once for one scope and once
for all six that a call may have. Each scope limits requests, tokens and calls at the
same time, has budgets of all three periods in all three units, and both shaping
buckets. Nothing is ever refused here: what is measured is what every call pays.
"""

import gc
import time
import timeit
from collections.abc import Callable, Iterator
from typing import Final, get_args

from smart_llmrouter.admission.counters import chain_of
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.verdicts import Lease
from smart_llmrouter.config.allowances import (
    Allowance,
    Budgets,
    Cap,
    Limits,
    Scope,
    ScopeKind,
    Shaping,
)
from smart_llmrouter.config.policies import Flow

Step = Callable[[], object]

_PLENTY: Final = 10**9
_CAP: Final = Cap(requests=_PLENTY, tokens=10**6 * _PLENTY, nusd=10**9 * _PLENTY)
_EVERYTHING: Final = Allowance(
    limits=Limits(rpm=_PLENTY, tpm=10**6 * _PLENTY, concurrent=_PLENTY),
    budgets=Budgets(caps={"day": _CAP, "month": _CAP, "lifetime": _CAP}),
    shaping=Shaping(
        flow=Flow(requests_per_second=1e6, burst=_PLENTY, input_tokens_per_second=1e12)
    ),
)
_KINDS: Final[tuple[ScopeKind, ...]] = get_args(ScopeKind)
CHAINS: Final = {
    name: chain_of(
        "bench", tuple(Scope(kind, f"{kind}:bench", _EVERYTHING) for kind in kinds)
    )
    for name, kinds in {"one scope": _KINDS[:1], "all six scopes": _KINDS}.items()
}
"""Scopes that limit everything there is to limit."""
_CALLS: Final = 50
_REPEAT: Final = 400


def gate_steps() -> Iterator[tuple[str, Step]]:
    """Yield each step and its name."""
    yield "pass the gate, everything limited", _Passage(_KINDS[:1]).pass_through
    yield "the same for all six scopes", _Passage(_KINDS).pass_through


class _Passage:
    """Passes calls through the gate, one after the other."""

    def __init__(self, kinds: tuple[ScopeKind, ...]) -> None:
        self._counters = Memory(now=time.monotonic, wall=time.time)
        self._chain = chain_of(
            "bench", tuple(Scope(kind, f"{kind}:bench", _EVERYTHING) for kind in kinds)
        )

    def pass_through(self) -> None:
        """Take what a call may use, and settle it with what it has used."""
        lease = self._counters.take(
            self._chain,
            Demand(
                request_id="req_bench",
                began_ms=int(time.time() * 1000),
                input_tokens=312,
                tokens=4408,
                nusd=8_270_000,
            ),
        )
        assert isinstance(lease, Lease)
        self._counters.settle(lease, Spent(1, 342, 138_000))


def _print_steps() -> None:
    gc.disable()
    for name, step in gate_steps():
        best_s = min(timeit.repeat(step, number=_CALLS, repeat=_REPEAT))
        print(f"{name}: {1e6 * best_s / _CALLS:.2f} µs")


if __name__ == "__main__":
    _print_steps()
