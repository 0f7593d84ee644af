"""The strategy `dynamic`: more calls for who has been better lately.

Each target is scored by what was seen of it (`routing.scores`), scores and weights
become shares of the calls (`routing.shares`), and the first target is drawn by them.
Behind it come the others, who has the larger share first, and last of all those without
a weight.

Scores move slowly and calls come fast, so what was worked out is used again until the
observations have moved on: for at most `_NOTES` of them, `_FRESH_S` while any came in,
and `_OLD_S` in any case, because windows forget.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import log2
from typing import Final

from smart_llmrouter.config import policies
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.clock import Monotonic, WallClock
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.observations import Observations, Seen, scored
from smart_llmrouter.routing.ordering import Ordering, Score
from smart_llmrouter.routing.scores import Known, score_all
from smart_llmrouter.routing.shares import shares_of
from smart_llmrouter.routing.weighted import Draw

_NOTES: Final = 32
_FRESH_S: Final = 0.05
_OLD_S: Final = 1.0
_MS_PER_S: Final = 1000
_TABLES: Final = 256
_USUAL_OUTPUT_TOKENS: Final = 500.0
_BYTES_PER_TOKEN: Final = 4
_SMALLEST_RATIO: Final = -5
_LARGEST_RATIO: Final = 12


class _Table:
    """What was worked out for one set of eligible targets.

    `ranking` are its targets, who has the largest share first.
    """

    __slots__ = ("_ends", "_orderings", "made_s", "notes", "ranking", "scores")

    def __init__(
        self,
        ranking: Sequence[Target],
        shares: Sequence[float],
        scores: Mapping[str, Score],
        *,
        notes: int,
        made_s: float,
    ) -> None:
        self.ranking = ranking
        self.scores = scores
        self.notes = notes
        self.made_s = made_s
        self._ends = list(accumulate(shares))
        self._orderings: dict[int, Ordering] = {}

    def ordering(self, point: float) -> Ordering:
        """Return the order in which that target is first on which `point` falls."""
        ends = self._ends
        place = min(bisect_right(ends, point * ends[-1]), len(ends) - 1)
        found = self._orderings.get(place)
        if found is None:
            ranking = self.ranking
            first, others = ranking[place], (*ranking[:place], *ranking[place + 1 :])
            found = self._orderings[place] = Ordering((first, *others), self.scores)
        return found


def _before_all() -> float:
    return 0.0


class Dynamic:
    """Orders the targets of one group by what was seen of them lately."""

    def __init__(
        self,
        settings: policies.Dynamic,
        observations: Observations,
        draw: Draw,
        *,
        now: Monotonic,
        wall: WallClock = _before_all,
    ) -> None:
        """Score by `settings` what `observations` hold of the group's targets.

        `wall` says which of a target's prices is in force: without it the first.
        """
        self._settings = settings
        self._observations = observations
        self._draw = draw
        self._now = now
        self._wall = wall
        self._output_tokens = _USUAL_OUTPUT_TOKENS
        self._tables: dict[tuple[object, ...], _Table] = {}

    def order(self, eligible: Sequence[Target], needs: Requirements) -> Ordering:
        """Return `eligible`, all of them, in the order in which they are tried."""
        if not eligible:
            return Ordering(eligible)
        ratio = self._ratio(needs) if self._settings.weights.price > 0 else 0
        key = (ratio, *[target.label for target in eligible])
        now_s = self._now()
        table = self._tables.get(key)
        if table is None or self._has_moved_on(table, now_s):
            table = self._keep(key, self._table(eligible, ratio=ratio, now_s=now_s))
        return table.ordering(self._draw())

    def _has_moved_on(self, table: _Table, now_s: float) -> bool:
        noted = self._observations.notes - table.notes
        age_s = now_s - table.made_s
        return noted >= _NOTES or age_s >= (_FRESH_S if noted else _OLD_S)

    def _keep(self, key: tuple[object, ...], table: _Table) -> _Table:
        if len(self._tables) >= _TABLES:
            self._tables.clear()
        self._tables[key] = table
        return table

    def _ratio(self, needs: Requirements) -> int:
        """Return how much more input than output a call has, as a power of two."""
        ratio = log2(max(1, _input_tokens(needs)) / self._output_tokens)
        return min(max(round(ratio), _SMALLEST_RATIO), _LARGEST_RATIO)

    def _table(self, eligible: Sequence[Target], *, ratio: int, now_s: float) -> _Table:
        settings, span = self._settings, scored(self._settings)
        at_ms = int(self._wall() * _MS_PER_S)
        known = [
            Known(target, self._observations.seen(target.label, span), at_ms)
            for target in eligible
        ]
        self._output_tokens = _usual_output([each.seen for each in known])
        scores = score_all(
            known, settings.weights, input_share=1 - 1 / (1 + 2.0**ratio)
        )
        shares = shares_of(
            _weights(eligible),
            [score.value for score in scores],
            [each.seen.attempts >= settings.min_observations for each in known],
            settings=settings,
        )
        ranking = sorted(
            range(len(eligible)),
            key=lambda at: (not eligible[at].weight, -shares[at], -scores[at].value),
        )
        return _Table(
            [eligible[at] for at in ranking],
            [shares[at] for at in ranking],
            {
                target.label: score
                for target, score in zip(eligible, scores, strict=True)
            },
            notes=self._observations.notes,
            made_s=now_s,
        )


def _input_tokens(needs: Requirements) -> float:
    """Return roughly how many tokens the input has.

    Text is counted by its size, which is near enough for a power of two; what is in a
    request as data has to be looked at.
    """
    if needs.is_text:
        return needs.request_bytes / _BYTES_PER_TOKEN
    return needs.estimated_input_tokens


def _weights(targets: Sequence[Target]) -> list[int]:
    """Return the weights; all are equal where nobody has any."""
    weights = [target.weight for target in targets]
    return weights if any(weights) else [1] * len(weights)


def _usual_output(seen: Sequence[Seen]) -> float:
    """Return how many tokens an answer has, as far as anybody knows."""
    means = [each.output_tokens for each in seen if each.output_tokens]
    return sum(means) / len(means) if means else _USUAL_OUTPUT_TOKENS
