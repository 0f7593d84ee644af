"""Admitting calls: from what a call would use to the right to use it.

Whatever asks a provider for something goes through here: answers and counts of tokens,
of all dialects, by every name that a group has.
"""

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
        self._gate = gate
        self._tally = tally

    def chain_for(self, entry: Entry) -> Chain | None:
        """Return whose limits a call must keep, whose group is known; `None`: none."""
        group = entry.group
        if group is None:
            return None
        return self._gate.chain(entry.arrival.caller, group.name)

    async def admit(
        self, chain: Chain, demand: Demand, *, entry: Entry, vigil: Vigil
    ) -> Limited:
        """Take what a call demands, now or when its turn has come.

        Raises `LimitExceeded` and `CountersAway`.
        """
        arrival = entry.arrival
        try:
            reservation = self._gate.reserve(chain, demand)
            if not isinstance(reservation, Reservation):
                vigil.wait()
                reservation = await reservation
                vigil.rest()
        except LimitExceeded as refused:
            kind = refused.scope.partition(":")[0]
            entry.limit = limit = f"{kind}:{refused.limit}"
            self._tally.limit_refusals[limit] += 1
            entry.limit_lines = refused_lines(
                refused, arrival.dialect, arrival.ts_ms / _MS_PER_S
            )
            raise
        lease = reservation.lease
        entry.limit_lines = granted_lines(
            lease, arrival.dialect, arrival.ts_ms / _MS_PER_S
        )
        if reservation.queued_s:
            entry.queued_s = reservation.queued_s
        if lease.warned:
            warnings = [
                f"{each.scope.kind}:{each.period}.{each.unit}" for each in lease.warned
            ]
            entry.warning = warnings[0]
            for warning in warnings:
                self._tally.budget_warnings[warning] += 1
        return Limited(
            entry,
            reservation,
            demand.tokens - demand.input_tokens,
            follows=chain.tokens or chain.money,
            counted=self._tally.reservations,
        )
