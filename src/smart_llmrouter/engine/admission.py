"""Admitting calls: from what a call would use to the right to use it.

Whatever asks a provider for something goes through here: answers and counts of tokens,
of all dialects, by every name that a group has.
"""

from collections.abc import Awaitable
from typing import Final

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.gate import Gate, Reservation
from smart_llmrouter.core.errors import LimitExceeded
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.limit_headers import granted_lines, refused_lines
from smart_llmrouter.engine.spending import Limited
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.vigil import Vigil

_MS_PER_S: Final = 1000


class Admission:
    """Lets calls pass the gate, or says which limit refuses them."""

    def __init__(self, gate: Gate, tally: Tally) -> None:
        """Ask `gate`, and count in `tally` what it says."""
        self._reserve = gate.reserve
        self._tally = tally
        self.chain_for = gate.chain
        """Tells whose limits a caller's calls to a group must keep; `None`: none."""

    def admit(
        self, chain: Chain, demand: Demand, *, entry: Entry, vigil: Vigil
    ) -> Limited | Awaitable[Limited]:
        """Take what a call demands. Where it must wait for its turn, wait.

        Raises `LimitExceeded` and `CountersAway`, at once or when awaited.
        """
        try:
            reservation = self._reserve(chain, demand)
        except LimitExceeded as refused:
            self._refused(refused, entry)
            raise
        if isinstance(reservation, Reservation):
            return self._granted(reservation, chain, entry)
        return self._waited(reservation, chain, entry, vigil)

    async def _waited(
        self, turn: Awaitable[Reservation], chain: Chain, entry: Entry, vigil: Vigil
    ) -> Limited:
        try:
            vigil.wait()
            reservation = await turn
            vigil.rest()
        except LimitExceeded as refused:
            self._refused(refused, entry)
            raise
        if reservation.queued_s:
            entry.queued_s = reservation.queued_s
        return self._granted(reservation, chain, entry)

    def _refused(self, refused: LimitExceeded, entry: Entry) -> None:
        """Note what has refused a call."""
        kind, arrival = refused.scope.partition(":")[0], entry.arrival
        entry.limit = limit = f"{kind}:{refused.limit}"
        self._tally.limit_refusals[limit] += 1
        entry.limit_lines = refused_lines(
            refused, arrival.dialect, arrival.ts_ms / _MS_PER_S
        )

    def _granted(self, reservation: Reservation, chain: Chain, entry: Entry) -> Limited:
        """Note what a call has been granted."""
        lease, arrival = reservation.lease, entry.arrival
        entry.limit_lines = granted_lines(
            lease, arrival.dialect, arrival.ts_ms / _MS_PER_S
        )
        if lease.warned:
            warnings = [
                f"{each.scope.kind}:{each.period}.{each.unit}" for each in lease.warned
            ]
            entry.warning = warnings[0]
            for warning in warnings:
                self._tally.budget_warnings[warning] += 1
        demand = reservation.demand
        return Limited(
            entry,
            reservation,
            demand.tokens - demand.input_tokens,
            chain.tokens or chain.money,
            self._tally.reservations,
        )
