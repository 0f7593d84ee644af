"""How each target has fared lately, learned from traffic alone; nothing is probed."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

RECENT_ATTEMPTS: Final = 20

Condition = Literal["unknown", "healthy", "degraded", "failing"]


@dataclass(slots=True)
class TargetHealth:
    """The last attempts at one target, oldest first: error class, `None` if it won."""

    recent: deque[str | None] = field(
        default_factory=lambda: deque(maxlen=RECENT_ATTEMPTS)
    )

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


class HealthBook:
    """The health of every target, by its public label."""

    def __init__(self, labels: Iterable[str]) -> None:
        """Begin with nothing known of `labels`."""
        self._targets = {label: TargetHealth() for label in labels}

    def note(self, label: str, error_class: str | None) -> None:
        """Write down how an attempt at a target ended; `None`: it won."""
        self._targets[label].recent.append(error_class)

    @property
    def targets(self) -> Mapping[str, TargetHealth]:
        """What is known of every target, by its label."""
        return self._targets

    def of(self, label: str) -> TargetHealth:
        """Return what is known of one target."""
        return self._targets[label]
