"""How each target has fared lately, learned from traffic alone; nothing is probed.

Whether a target may be called now is its circuit's to say; see `routing.circuit`.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final, Literal

from smart_llmrouter.config.policies import Backoffs
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.routing.circuit import Circuit, CircuitState
from smart_llmrouter.upstream.failure_classes import standing_of

RECENT_ATTEMPTS: Final = 20

Condition = Literal["unknown", "healthy", "degraded", "failing"]


class TargetHealth:
    """The last attempts at one target, oldest first: error class, `None` if it won."""

    __slots__ = ("circuit", "recent")

    def __init__(self, backoffs: Backoffs, *, openings: int = 0) -> None:
        """Begin with no attempts, and a closed circuit that counts from `openings`."""
        self.recent: deque[str | None] = deque(maxlen=RECENT_ATTEMPTS)
        self.circuit = Circuit(backoffs, openings=openings)

    @property
    def condition(self) -> Condition:
        """`unknown` before the first attempt, `failing` while the last three failed."""
        if not self.recent:
            return "unknown"
        last = list(self.recent)[-3:]
        if all(last):
            return "failing"
        return "degraded" if any(last) else "healthy"

    @property
    def last_error(self) -> str | None:
        """The class of the last failure among the recent attempts."""
        return next((each for each in reversed(self.recent) if each), None)


_NOBODY: Final[Mapping[str, TargetHealth]] = {}
_NEVER_OPENED: Final[Mapping[str, int]] = {}


class HealthBook:
    """The health of every target, by its public label.

    An attempt begins with `begin`, right after `resting_s` was asked and with nothing
    awaited in between, and ends with one of `note` and `abandon`. What `begin` returned
    is handed back as `begun`: by it a late result is told from a new one. What an error
    class says of a target is in `upstream.failure_classes`.
    """

    def __init__(
        self,
        backoffs: Mapping[str, Backoffs],
        *,
        now: Monotonic,
        known: Mapping[str, TargetHealth] = _NOBODY,
        openings: Mapping[str, int] = _NEVER_OPENED,
    ) -> None:
        """Begin for the targets whose labels `backoffs` has; `known` are so already.

        `openings` is how often circuits had opened before, also of targets that are
        gone.
        """
        self._targets = {
            label: known.get(label)
            or TargetHealth(each, openings=openings.get(label, 0))
            for label, each in backoffs.items()
        }
        self._circuits = {label: each.circuit for label, each in self._targets.items()}
        self._not_closed = {
            label for label, each in self._circuits.items() if each.until_s is not None
        }
        self._backoffs = backoffs
        self._past = {
            label: count for label, count in openings.items() if label not in backoffs
        }
        self._now = now

    def continued(
        self, backoffs: Mapping[str, Backoffs], *, anew: Collection[str]
    ) -> "HealthBook":
        """Return the book of another configuration, which goes on from this one.

        Both know the same of a target, also what is noted later in either, except of
        those in `anew`, which are reached in another way now. The rests of the other
        configuration hold once it is `in_force`.
        """
        known = {
            label: each for label, each in self._targets.items() if label not in anew
        }
        book = HealthBook(backoffs, now=self._now, known=known, openings=self.openings)
        if not anew:
            book._not_closed = self._not_closed
        return book

    def in_force(self) -> None:
        """Let later rests be those of this book's configuration."""
        for label, each in self._backoffs.items():
            self._circuits[label].adopt(each)

    def are_closed(self, labels: frozenset[str]) -> bool:
        """Say whether the circuits of all these targets are closed, as most are."""
        return self._not_closed.isdisjoint(labels)

    def resting_s(self, label: str) -> float:
        """Say in how many seconds a target may be called; 0.0: now."""
        circuit = self._circuits[label]
        if circuit.until_s is None:
            return 0.0
        return circuit.resting_s(self._now())

    def begin(self, label: str) -> int:
        """Begin an attempt at a target, and return what to end it with.

        `circuit.LATE` (which is false) says that the target should not be called now:
        somebody else was first, or it rests. Who calls it nevertheless finds out
        nothing.
        """
        circuit = self._circuits[label]
        if circuit.until_s is None:
            return circuit.epoch
        # It may have been opened by a call of an earlier configuration.
        self._not_closed.add(label)
        return circuit.begin(self._now())

    def answered(self, label: str, begun: int) -> None:
        """End an attempt to which the target has answered, as most do."""
        target = self._targets[label]
        target.recent.append(None)
        target.circuit.succeeded(begun)
        if self._not_closed:
            self._look_at(label)

    def note(
        self,
        label: str,
        error_class: str | None,
        *,
        begun: int,
        retry_after_s: int | None = None,
        broke_off: bool = False,
    ) -> None:
        """End an attempt: with an error class, or `None` where the target answered.

        `retry_after_s` is what the provider asked for. With `broke_off` the attempt was
        noted as answered before, and its stream has failed since.
        """
        target = self._targets[label]
        circuit = target.circuit
        standing = "request" if error_class is None else standing_of(error_class)
        if error_class is None or standing == "request":
            # What was the request's own fault, a target that lives has found out.
            self.answered(label, begun)
            return
        target.recent.append(error_class)
        if standing == "none":
            circuit.given_back(begun, self._now())
        elif broke_off:
            circuit.broke_off(error_class, begun, self._now())
        else:
            circuit.failed(error_class, begun, self._now(), retry_after_s=retry_after_s)
        self._look_at(label)

    def abandon(self, label: str, *, begun: int) -> None:
        """End an attempt without a verdict, as when the caller has left."""
        circuit = self._circuits[label]
        if circuit.until_s is not None:
            circuit.given_back(begun, self._now())

    def _look_at(self, label: str) -> None:
        """Keep up who is not closed, after what may have opened or closed a circuit."""
        if self._circuits[label].until_s is None:
            self._not_closed.discard(label)
        else:
            self._not_closed.add(label)

    def circuit(self, label: str) -> CircuitState:
        """Say in which state the circuit of a target is."""
        return self._circuits[label].state(self._now())

    @property
    def openings(self) -> dict[str, int]:
        """How often each target's circuit has opened, by its label, gone or not."""
        return self._past | {
            label: each.openings for label, each in self._circuits.items()
        }

    @property
    def targets(self) -> Mapping[str, TargetHealth]:
        """What is known of every target, by its label."""
        return self._targets

    def of(self, label: str) -> TargetHealth:
        """Return what is known of one target."""
        return self._targets[label]
