"""What became of the attempts to take the configuration from its file again."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Outcome = Literal["taken", "refused", "failed"]

TAKEN: Final[Outcome] = "taken"
OUTCOMES: Final[Mapping[Outcome, str]] = {
    TAKEN: "",
    "refused": "the file was refused when it was last read; the log says why",
    "failed": "what the file says could not be put to use; the log says why",
}
"""How a reload can end, and what is said of the configuration since."""


class Reloads(msgspec.Struct, frozen=True, kw_only=True):
    """Which configuration is served, and what became of the others.

    `edition` is the number of the one that is served, which grows. Times are in
    seconds since 1970 UTC. `last` is how the last reload ended, `None` before the
    first. `awaits_restart` are the keys that were changed and only a restart changes.
    """

    fingerprint: str = ""
    edition: int = 0
    loaded_s: float = 0.0
    last: Outcome | None = None
    last_s: float = 0.0
    counts: Mapping[Outcome, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(OUTCOMES, 0)
    )
    awaits_restart: tuple[str, ...] = ()

    def taken(
        self,
        fingerprint: str,
        at_s: float,
        *,
        edition: int,
        awaits_restart: tuple[str, ...],
    ) -> "Reloads":
        """Return what is so after another configuration has taken effect."""
        return Reloads(
            fingerprint=fingerprint,
            edition=edition,
            loaded_s=at_s,
            last=TAKEN,
            last_s=at_s,
            counts=self._counted(TAKEN),
            awaits_restart=awaits_restart,
        )

    def not_taken(self, outcome: Outcome, at_s: float) -> "Reloads":
        """Return what is so after a reload that has changed nothing."""
        return msgspec.structs.replace(
            self, last=outcome, last_s=at_s, counts=self._counted(outcome)
        )

    @property
    def trouble(self) -> str | None:
        """What is said where the last reload has changed nothing; `None`: it has."""
        return None if self.last is None else OUTCOMES[self.last] or None

    def _counted(self, outcome: Outcome) -> Mapping[Outcome, int]:
        return {**self.counts, outcome: self.counts[outcome] + 1}
