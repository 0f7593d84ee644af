"""What a group asks of targets that have been called: who was worse lately waits.

A target is only judged by enough observations. One that is left out would never be
seen again, so it is let in for the exploring share of the calls, and altogether once
what was seen of it is too old to count.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from smart_llmrouter.config import policies
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.routing.observations import Observations, Seen, judged
from smart_llmrouter.routing.weighted import Draw

ERROR_RATE: Final = "threshold-error-rate"
TIMEOUT_RATE: Final = "threshold-timeout-rate"
P95_LATENCY: Final = "threshold-p95-latency"

_MS_PER_S: Final = 1000
_NOTES: Final = 16
_FRESH_S: Final = 0.25
_NOBODY: Final[Mapping[str, tuple[str, ...]]] = {}


class ThresholdCheck:
    """Holds targets against the thresholds of their group.

    How far back is looked, how many observations are enough and which share of calls
    explores is what the group's `dynamic` says, whatever its strategy is.
    """

    def __init__(
        self, settings: policies.Dynamic, observations: Observations, draw: Draw
    ) -> None:
        """Judge by what `observations` hold."""
        self._settings = settings
        self._observations = observations
        self._draw = draw
        self._span = judged(settings)
        self._found = _NOBODY
        self._found_at_s = -_FRESH_S
        self._found_at_notes = -_NOTES

    def lapsed(
        self, targets: Sequence[Target], thresholds: policies.Thresholds
    ) -> Mapping[str, tuple[str, ...]]:
        """Return who of the group is kept out of this call, and by which thresholds.

        What was found holds for the next few attempts and a quarter of a second: what
        is seen of targets moves slowly, and calls come fast.
        """
        now_s, notes = self._observations.now_s, self._observations.notes
        if (
            now_s - self._found_at_s >= _FRESH_S
            or notes - self._found_at_notes >= _NOTES
        ):
            self._found_at_s, self._found_at_notes = now_s, notes
            self._found = {
                target.label: codes
                for target in targets
                if (codes := self.breached(target.label, thresholds))
            }
        found = self._found
        return _NOBODY if found and self._draw() < self._settings.explore else found

    def breached(self, label: str, thresholds: policies.Thresholds) -> tuple[str, ...]:
        """Return the codes of the thresholds that a target did not keep lately."""
        seen = self._observations.seen(label, self._span)
        if seen.attempts < self._settings.min_observations:
            return ()
        return breaches(seen, thresholds)


def breaches(seen: Seen, thresholds: policies.Thresholds) -> tuple[str, ...]:
    """Return the codes of the thresholds that a target does not keep."""
    attempts = max(1, seen.attempts)
    found = (
        (ERROR_RATE, seen.failures / attempts, thresholds.max_error_rate),
        (TIMEOUT_RATE, seen.timeouts / attempts, thresholds.max_timeout_rate),
        (
            P95_LATENCY,
            (seen.p95_latency_s or 0.0) * _MS_PER_S,
            thresholds.max_p95_latency_ms,
        ),
    )
    return tuple(
        code for code, figure, most in found if most is not None and figure > most
    )
