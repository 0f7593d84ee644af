"""Makes the plan of a call: who can serve it, who may be called now, in which order.

    fits       what each target can do, against what the request needs
    pinned     only who keeps what the conversation goes on from
    as good    as the group's thresholds ask for
    passing    not resting after failures, with room for another call
    ordered    by the strategy; those of the request's dialect first; before all others
               the one that gave the last proof, or that has the conversation in its
               prompt cache

Where a policy decides, it is asked between the last two steps, and its order is final:
it has seen everybody's dialect.
"""

import math
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from smart_llmrouter.config.policies import Thresholds
from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.decisions import AffinityOutcome, PolicyRun
from smart_llmrouter.core.requirements import (
    CAPACITY,
    COOLING_DOWN,
    PINNED,
    POLICY,
    Requirements,
)
from smart_llmrouter.routing.affinity import Affinities
from smart_llmrouter.routing.eligibility import Eligibility, Found, Missing
from smart_llmrouter.routing.ordering import AsListed, Strategy
from smart_llmrouter.routing.plan import Plan, led_by, native_first

_MOST_PLANS: Final = 4096
_SPREADING: Final = frozenset({"weighted", "dynamic"})
_DECIDED: Final = frozenset({"rules", "script", "external"})
_NOBODY: Final[Missing] = {}


class Health(Protocol):
    """Who is left alone for a while."""

    def are_closed(self, labels: frozenset[str]) -> bool:
        """Say whether none of these targets has been failing, so that none rests."""

    def resting_s(self, label: str) -> float:
        """Return for how many more seconds; 0.0: it may be called now."""


class Room(Protocol):
    """Who is called as often as it may be."""

    def limits(self, group: str) -> bool:
        """Say whether any target of a group is limited at all."""

    def wait_s(self, group: str, target: Target, needs: Requirements) -> float:
        """Return after how many seconds there is room; 0.0: now."""


class Lately(Protocol):
    """What was observed of targets."""

    def lapsed(self, targets: Sequence[Target], thresholds: Thresholds) -> Missing:
        """Return who is kept out of this call, and by which thresholds."""


class Planner:
    """Plans the calls of one group."""

    def __init__(
        self,
        group: Group,
        *,
        fetches_images: bool,
        strategy: Strategy,
        health: Health,
        room: Room,
        lately: Lately,
        affinities: Affinities,
    ) -> None:
        """Plan over the targets of `group`."""
        self.group = group
        self._eligibility = Eligibility(group, fetches_images=fetches_images)
        self._labels = frozenset(target.label for target in group.targets)
        self._strategy = strategy
        self._as_listed = isinstance(strategy, AsListed)
        self._health = health
        self._room = room if room.limits(group.name) else None
        self._lately = lately
        self._affinities = affinities
        several = len(group.targets) > 1 and group.strategy not in _DECIDED
        self.stays = group.affinity.enabled and several
        """Whether conversations stay on their target in this group."""
        self._spreads = group.strategy in _SPREADING
        self._plans: dict[Found, Plan] = {}
        spoken = [target.provider.dialect for target in group.targets]
        self.siblings = frozenset(each for each in spoken if spoken.count(each) > 1)
        """The dialects that several targets of the group speak."""
        self.dialects = frozenset(spoken)
        """Those that any of them speaks."""
        self._native_first = group.prefer_native and len(self.dialects) > 1

    @property
    def looks_for_conversations(self) -> bool:
        """Whether a plan needs to know now which conversation it is for.

        Where the order is fixed, one matters only while some call has left that order.
        """
        return self._spreads or self._affinities.in_use

    def found(self, needs: Requirements, *, keeper: str | None = None) -> Found:
        """Find who may be called; with a `keeper` nobody else can."""
        fit, group, lapsed = self._eligibility.of(needs), self.group, _NOBODY
        if group.thresholds is not None:
            lapsed = self._lately.lapsed(group.targets, group.thresholds)
        all_closed = self._health.are_closed(self._labels)
        if all_closed and keeper is None and self._room is None and not lapsed:
            return fit
        if keeper is not None:
            others = [each.label for each in group.targets if each.label != keeper]
            pinned: Missing = dict.fromkeys(others, (PINNED,))
            lapsed = {
                label: pinned.get(label, ()) + lapsed.get(label, ())
                for label in (*pinned, *lapsed)
            }
        return self._sifted(fit, needs, lapsed)

    def _sifted(self, fit: Found, needs: Requirements, lapsed: Missing) -> Found:
        """Return what is left of `fit` without who has lapsed, or cannot be called."""
        missing: dict[str, tuple[str, ...]] = {}
        soonest_s = math.inf
        for target in self.group.targets:
            label = target.label
            lasting = fit.missing.get(label, ()) + lapsed.get(label, ())
            passing, wait_s = self._passing(target, needs)
            if lasting or passing:
                missing[label] = lasting + passing
            if passing and not lasting:
                soonest_s = min(soonest_s, wait_s)
        targets = [each for each in fit.targets if each.label not in missing]
        return Found(targets=targets, missing=missing, wait_s=soonest_s)

    def _passing(
        self, target: Target, needs: Requirements
    ) -> tuple[tuple[str, ...], float]:
        resting_s = self._health.resting_s(target.label)
        room = self._room
        full_s = 0.0 if room is None else room.wait_s(self.group.name, target, needs)
        codes = (COOLING_DOWN,) * bool(resting_s) + (CAPACITY,) * bool(full_s)
        return codes, max(resting_s, full_s)

    def ordered(self, found: Found, needs: Requirements) -> Plan:
        """Put who was found into the order in which they are tried."""
        if not (self._as_listed and found.again):
            return self._arranged(found, needs)
        return self._plans.get(found) or self._kept(found, needs)

    def _kept(self, found: Found, needs: Requirements) -> Plan:
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        plan = self._plans[found] = self._arranged(found, needs)
        return plan

    def _arranged(self, found: Found, needs: Requirements) -> Plan:
        ordering = self._strategy.order(found.targets, needs)
        targets = ordering.targets
        if self._native_first:
            targets = native_first(targets, needs.dialect)
        return Plan(
            group=self.group.name,
            targets=targets,
            missing=found.missing,
            max_attempts=self.group.max_attempts,
            has_siblings=needs.dialect in self.siblings,
            scores=ordering.scores,
        )

    def led(self, plan: Plan, maker: str | None, conversation: bytes | None) -> Plan:
        """Return the plan, first the target that the conversation is bound to.

        That is who gave its last proof, `maker`, or who has answered it lately, where
        its key is `conversation`.
        """
        if maker is not None and (led := led_by(plan.targets, maker)) is not None:
            return _changed(plan, led, "pinned", conversation)
        kept = None
        if conversation is not None:
            kept = self._affinities.find(conversation)
        if kept is None:
            # Where the order is fixed, it does not matter that it is a new one.
            outcome: AffinityOutcome = "new" if self._spreads else "none"
            return _changed(plan, plan.targets, outcome, conversation)
        led = led_by(plan.targets, kept)
        if led is None:
            return _changed(plan, plan.targets, "moved", conversation)
        return _changed(plan, led, "kept", conversation)

    def decided(
        self,
        found: Found,
        needs: Requirements,
        targets: Sequence[Target],
        run: PolicyRun,
    ) -> Plan:
        """Return the plan that the group's policy has chosen out of who was found."""
        left = {target.label for target in targets}
        out = [each.label for each in found.targets if each.label not in left]
        return Plan(
            group=self.group.name,
            targets=targets,
            missing={**found.missing, **dict.fromkeys(out, (POLICY,))},
            max_attempts=self.group.max_attempts,
            has_siblings=needs.dialect in self.siblings,
            policy=run,
        )

    def keep(self, conversation: bytes, label: str) -> None:
        """Remember that a conversation is on the target `label`."""
        self._affinities.keep(conversation, label, self.group.affinity.ttl_s)


def _changed(
    plan: Plan,
    targets: Sequence[Target],
    affinity: AffinityOutcome,
    conversation: bytes | None,
) -> Plan:
    return msgspec.structs.replace(
        plan,
        targets=targets,
        affinity=affinity,
        conversation=conversation,
    )
