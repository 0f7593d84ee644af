"""How much to think: an effort, a budget of tokens, or as the model likes.

| effort  | budget in tokens | a budget up to this is this effort |
| ------- | ---------------- | ---------------------------------- |
| none    | 0                | 0                                  |
| minimal | 1,024            | 1,024                              |
| low     | 4,096            | 4,096                              |
| medium  | 10,240           | 16,383                             |
| high    | 24,576           | 32,000                             |
| xhigh   | 32,768           | 60,000                             |
| max     | 63,999           | more                               |

The table is ours: no provider publishes one. It keeps order, and what agents send by
default (31,999 tokens, `high`) is the same level on both sides.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import ReasoningAsk
from smart_llmrouter.core.requirements import ReasoningKind

BUDGET_OF_EFFORT: Final = {
    "none": 0,
    "minimal": 1_024,
    "low": 4_096,
    "medium": 10_240,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 63_999,
}
EFFORTS: Final = tuple(BUDGET_OF_EFFORT)
_HIGHEST_BUDGETS: Final = (
    (0, "none"),
    (1_024, "minimal"),
    (4_096, "low"),
    (16_383, "medium"),
    (32_000, "high"),
    (60_000, "xhigh"),
)
USUAL_LEVELS: Final = ("low", "medium", "high")
"""The levels that every model with efforts knows."""


class Demand(NamedTuple):
    """What reasoning a target must be able to do; see `core.requirements`."""

    kind: ReasoningKind | None = None
    level: str | None = None
    budget: int | None = None


NO_DEMAND: Final = Demand()


def demand_of(
    *,
    effort: str | None = None,
    budget: int | None = None,
    enabled: bool = False,
    adaptive: bool = False,
) -> Demand:
    """Return what is asked for beyond an answer without any thought.

    `enabled` is thinking with a `budget`, whether that is told or not; an effort beside
    it, or beside `adaptive`, is its level.
    """
    if effort == "none":
        effort = None
    if enabled or budget is not None:
        return Demand("budget", effort, budget)
    if adaptive:
        return Demand("adaptive", effort)
    return NO_DEMAND if effort is None else Demand("effort", effort)


def effort_of(
    ask: ReasoningAsk, *, levels: Sequence[str], field: str, notes: Notes
) -> str | None:
    """Return the effort that comes nearest to what was asked, out of `levels`.

    Without levels the usual ones are taken to be known, and one that was asked for by
    its name is passed on. `None` leaves the choice to the model: nothing was said, or
    that it shall decide (which is noted). `field` is what the notes name.
    """
    if ask.effort is not None and (ask.effort in levels or not levels):
        return ask.effort
    wanted = ask.effort
    if ask.off:
        wanted = "none"
    elif wanted is None and ask.budget_tokens is not None:
        wanted = _effort_of_budget(ask.budget_tokens)
    if wanted is None:
        if ask.adaptive:
            notes.approximated(field, "the provider's default decides how much")
        return None
    nearest = nearest_level(wanted, levels or USUAL_LEVELS)
    if nearest != ask.effort:
        notes.approximated(field, asked_as(nearest))
    return nearest


def asked_as(level: str) -> str:
    """Return why a field is noted whose effort was not known to the model."""
    return f"asked of the provider as effort {level}"


def budget_of(ask: ReasoningAsk, *, field: str, notes: Notes) -> int | None:
    """Return the budget that comes nearest to what was asked, 0 for none at all.

    `None` leaves the choice to the model.
    """
    if ask.off:
        return 0
    if ask.budget_tokens is not None:
        return ask.budget_tokens
    budget = BUDGET_OF_EFFORT.get(ask.effort or "")
    if budget:
        notes.approximated(field, f"asked of the provider as {budget} tokens")
    return budget


def _effort_of_budget(tokens: int) -> str:
    for highest, effort in _HIGHEST_BUDGETS:
        if tokens <= highest:
            return effort
    return "max"


def nearest_level(wanted: str, levels: Sequence[str]) -> str:
    """Return the level nearest to the wanted one: of two, the one that thinks more."""
    if wanted in levels or wanted not in EFFORTS:
        return wanted if wanted in levels else levels[len(levels) // 2]
    place = EFFORTS.index(wanted)
    known = [level for level in levels if level in EFFORTS] or list(levels)
    return min(
        known,
        key=lambda level: (
            abs(EFFORTS.index(level) - place) if level in EFFORTS else len(EFFORTS),
            -EFFORTS.index(level) if level in EFFORTS else 0,
        ),
    )
