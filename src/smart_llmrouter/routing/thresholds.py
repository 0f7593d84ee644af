"""What a group asks of targets that have been called: who was worse lately waits.

A target is only judged by enough observations. One that is left out would never be
seen again, so it is let in for the exploring share of the calls, and altogether once
what was seen of it is too old to count.
"""

from typing import Final

from smart_llmrouter.config import policies
from smart_llmrouter.routing.observations import Observations, Seen, judged
from smart_llmrouter.routing.weighted import Draw

ERROR_RATE: Final = "threshold-error-rate"
TIMEOUT_RATE: Final = "threshold-timeout-rate"
P95_LATENCY: Final = "threshold-p95-latency"

_MS_PER_S: Final = 1000


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

    def breached(self, label: str, thresholds: policies.Thresholds) -> tuple[str, ...]:
        """Return the codes of the thresholds that keep a target out of this call."""
        settings = self._settings
        seen = self._observations.seen(label, judged(settings))
        if seen.attempts < settings.min_observations:
            return ()
        codes = breaches(seen, thresholds)
        return () if codes and self._draw() < settings.explore else codes


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
