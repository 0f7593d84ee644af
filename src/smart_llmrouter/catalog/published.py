"""What providers publish of their prices, and how sure it is whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal, Protocol

PRICE_KEYS: Final = (
    "input_per_million",
    "cached_input_per_million",
    "cache_write_per_million",
    "cache_write_1h_per_million",
    "output_per_million",
    "reasoning_per_million",
    "image_input_per_million",
)
"""The parts of a price that are published."""
_DECISIVE: Final = ("input_per_million", "output_per_million")
Parts = Mapping[str, Decimal]
Tiers = tuple[tuple[int, Parts], ...]
"""Above how many input tokens which parts cost otherwise."""
Sureness = Literal["sure", "likely", "guess"]
MEANINGS: Final[Mapping[Sureness, str]] = {
    "sure": "the base_url is this provider's",
    "likely": "the provider has this name, but another base_url",
    "guess": "nothing but the name of the model says so",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The price of one model of one provider; amounts are dollars.

    `parts` are those in force, by the names of the configuration, and `above` those of
    calls of more input tokens; `later` are both as they are announced, each with its
    day. `caveats` say of which calls they do not
    hold, and `uncounted` what else is paid for, by the names that others have for it.
    """

    provider: str
    model: str
    url: str | None
    parts: Parts
    above: Tiers
    later: tuple[tuple[date, Parts, Tiers], ...]
    caveats: tuple[str, ...]
    uncounted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found for a model: several where nobody can say which it is."""

    sureness: Sureness
    candidates: tuple[Published, ...]

    @property
    def agreed(self) -> Published | None:
        """The one candidate, or the first of several that cost the same.

        What they say of caches may differ: those who resell a model often say nothing.
        """
        costs = {tuple(map(each.parts.get, _DECISIVE)) for each in self.candidates}
        return self.candidates[0] if len(costs) == 1 else None


class Catalog(Protocol):
    """Finds the published price of a model."""

    @property
    def name(self) -> str:
        """Which figures these are."""

    @property
    def as_of(self) -> date | None:
        """A day that the figures are at least as new as."""

    def find(self, *, provider: str, base_url: str, model: str) -> Found:
        """Find a model of the provider that has this name and this URL.

        `candidates` are empty where nobody of them has the model.
        """
