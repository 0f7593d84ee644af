"""The plan of one call: eligible targets in order, and why the others are not."""

from collections.abc import Mapping, Sequence

import msgspec

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.decisions import AffinityOutcome, PolicyRun
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.routing.eligibility import Missing
from smart_llmrouter.routing.ordering import NO_SCORES, Score


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`targets` are tried in this order; `missing` names what the others lack.

    `has_siblings` says that several of the group speak the dialect of the request. No
    more than `max_attempts` attempts are made on all of them together. Those that speak
    another dialect than the request may turn out not to be able to carry it.
    `conversation` is the key under which the conversation is remembered, where that was
    looked up.
    """

    group: str
    targets: Sequence[Target]
    missing: Missing
    max_attempts: int
    has_siblings: bool = False
    scores: Mapping[str, Score] = NO_SCORES
    affinity: AffinityOutcome = "none"
    conversation: bytes | None = None
    policy: PolicyRun | None = None


def native_first(targets: Sequence[Target], dialect: DialectName) -> Sequence[Target]:
    """Return targets, those of `dialect` before others; each kind keeps its order."""
    native = [each for each in targets if each.provider.dialect == dialect]
    if len(native) in {0, len(targets)}:
        return targets
    return native + [each for each in targets if each.provider.dialect != dialect]


def led_by(targets: Sequence[Target], label: str | None) -> Sequence[Target] | None:
    """Return targets with the one called `label` before all others, if it is there."""
    for place, each in enumerate(targets):
        if each.label == label:
            return (each, *targets[:place], *targets[place + 1 :]) if place else targets
    return None
