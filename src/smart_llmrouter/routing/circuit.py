"""When a target is left alone, and for how long: one circuit breaker. No timers.

    closed      calls go there. A rate limit or an exhausted quota opens the circuit at
                once, other failures when so many of them come in a row.
    open        nobody calls for a while, and for twice as long each time that the one
                call which then finds out has failed.
    half-open   the rest is over: one call finds out. Its success closes the circuit.

A call counts for the state in which it began: what was under way when the circuit
opened tells nothing new, however it ends, and neither closes it nor prolongs it.
Only how long to wait, in the provider's own words, is believed from anybody.
"""

from typing import Final, Literal

from smart_llmrouter.config.policies import Backoffs, Rest
from smart_llmrouter.upstream.failure_classes import standing_of

CircuitState = Literal["closed", "half-open", "open"]

CIRCUIT_STATES: Final[tuple[CircuitState, ...]] = ("closed", "half-open", "open")
"""From the one in which calls get through to the one in which none does."""

LATE: Final = 0
"""What `begin` returns to a call that should not have been made: it will not count."""

ASK_AGAIN_S: Final = 1.0
"""How soon a caller may ask again while another call is finding out."""

_NOTHING: Final = (0, 0.0)


class Circuit:
    """The circuit of one target. All times are in seconds of one monotonic clock."""

    __slots__ = (
        "_backoffs",
        "_failures",
        "_forgiven",
        "_probe_s",
        "_probing",
        "_step_s",
        "epoch",
        "openings",
        "until_s",
    )

    def __init__(self, backoffs: Backoffs, *, openings: int = 0) -> None:
        """Begin closed; another circuit before it has opened `openings` times."""
        self._backoffs = backoffs
        self.until_s: float | None = None
        """When the rest is over, or the probe taken for lost; `None` when closed."""
        self.epoch = LATE + 1
        """Grows whenever the circuit opens or closes."""
        self.openings = openings
        """How often it has opened, after failed probes too."""
        self._failures = 0
        self._step_s = 0.0
        self._probing = False
        self._probe_s = 0.0
        # The row and the rest that the last success has put an end to.
        self._forgiven = _NOTHING

    def adopt(self, backoffs: Backoffs) -> None:
        """Let later rests be as `backoffs` says; one that has begun stays as it is."""
        self._backoffs = backoffs

    def state(self, now_s: float) -> CircuitState:
        """Say which state it is in."""
        if self.until_s is None:
            return "closed"
        return "half-open" if self._probing or self.until_s <= now_s else "open"

    def resting_s(self, now_s: float) -> float:
        """Say when to ask again; 0.0: the target may be called now."""
        if self.until_s is None:
            return 0.0
        left_s = max(0.0, self.until_s - now_s)
        return min(left_s, ASK_AGAIN_S) if self._probing else left_s

    def begin(self, now_s: float) -> int:
        """Begin a call, as the probe if it is time for one; return what it counts for.

        A probe that has not ended after the longest rest is taken for lost: another
        one may begin, and either counts.
        """
        if self.until_s is None:
            return self.epoch
        if now_s < self.until_s:
            return LATE
        self._probing = True
        self.until_s = now_s + self._probe_s
        return self.epoch

    def succeeded(self, begun: int) -> None:
        """End a call to which the target has answered."""
        if begun != self.epoch:
            return
        if self.until_s is not None:
            # If its stream breaks off after all, the next row is complete at once.
            self._forgiven = (self._backoffs.on_failure.after - 1, self._step_s)
            self.until_s = None
            self.epoch += 1
            self._probing = False
        elif self._failures or self._forgiven is not _NOTHING:
            self._forgiven = (self._failures, 0.0) if self._failures else _NOTHING
        self._failures, self._step_s = 0, 0.0

    def failed(
        self, error_class: str, begun: int, now_s: float, *, retry_after_s: int | None
    ) -> None:
        """End a call that has failed for a reason which may pass."""
        rest = self._rest_after(error_class)
        told_s = _told_s(rest, retry_after_s)
        if begun != self.epoch:
            if self.until_s is not None and not self._probing:
                self.until_s = max(self.until_s, now_s + told_s)
            return
        self._failures += 1
        if self.until_s is None and self._failures < rest.after:
            return
        self.openings += 1
        self.epoch += 1
        self._failures, self._probing = 0, False
        self._step_s = min(max(2 * self._step_s, rest.min_s), rest.max_s)
        self._probe_s = rest.max_s
        self.until_s = now_s + max(self._step_s, told_s)

    def broke_off(self, error_class: str, begun: int, now_s: float) -> None:
        """Take a success back: the stream of a call that had won has broken off.

        The row goes on as if there had been no success.
        """
        if self.until_s is None and begun in {self.epoch, self.epoch - 1}:
            failures, step_s = self._forgiven
            self._failures = max(self._failures, failures)
            self._step_s = max(self._step_s, step_s)
            self._forgiven = _NOTHING
            begun = self.epoch
        self.failed(error_class, begun, now_s, retry_after_s=None)

    def given_back(self, begun: int, now_s: float) -> None:
        """End a call that tells nothing; if it was the probe, another one may be."""
        if self._probing and begun == self.epoch:
            self._probing = False
            self.until_s = now_s

    def _rest_after(self, error_class: str) -> Rest:
        match standing_of(error_class):
            case "rate-limit":
                return self._backoffs.on_429
            case "quota":
                return self._backoffs.on_quota
            case _:
                return self._backoffs.on_failure


def _told_s(rest: Rest, retry_after_s: int | None) -> float:
    """Return how long the provider asks to be left alone, within bounds."""
    if retry_after_s is None or not rest.honor_retry_after:
        return 0.0
    return min(float(retry_after_s), rest.max_s)
