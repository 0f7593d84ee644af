"""Puts together what plans calls: once for each configuration."""

import time
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Self

from smart_llmrouter.config.policies import Backoffs
from smart_llmrouter.config.snapshot import Group, Snapshot, Target
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.engine.attempts import Observed
from smart_llmrouter.engine.pins import Pins
from smart_llmrouter.engine.planning import Planning
from smart_llmrouter.engine.retries import Retries
from smart_llmrouter.engine.routes import Route
from smart_llmrouter.routing.affinity import Affinities
from smart_llmrouter.routing.capacity import Capacity
from smart_llmrouter.routing.dynamic import Dynamic
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.routing.observations import Observation, Observations
from smart_llmrouter.routing.ordering import AsListed, Strategy
from smart_llmrouter.routing.planner import Planner
from smart_llmrouter.routing.policy import Policy
from smart_llmrouter.routing.thresholds import ThresholdCheck
from smart_llmrouter.routing.weighted import Draw, Weighted


class Known:
    """What the router learns of its targets while it serves; begun anew with it.

    It is that of one configuration; the next one's goes on from it, see `continued`.
    """

    def __init__(self, snapshot: Snapshot, *, now: Monotonic, draw: Draw) -> None:
        """Know nothing yet."""
        groups = snapshot.groups
        self.ways = {target.label: _way_to(target) for target in _targets_of(snapshot)}
        self.health = HealthBook(_backoffs_of(snapshot), now=now)
        self.capacity = Capacity(snapshot, now=now)
        self.observations = Observations.for_groups(groups.values(), now)
        self.retries = Retries(groups, draw=draw, now=now)
        self.affinities = Affinities(now)
        self.pins = Pins()
        self.routers = set[str]()
        self.now = now
        self.draw = draw

    def continued(self, snapshot: Snapshot) -> Self:
        """Return what is known under another configuration.

        Of a target that is reached in another way now, such as with another key, only
        the counters go on: what was learned of it may be just what was mended.
        """
        other, groups = (
            type(self)(snapshot, now=self.now, draw=self.draw),
            snapshot.groups,
        )
        anew = {
            label
            for label, way in other.ways.items()
            if label in self.ways and self.ways[label] != way
        }
        other.health = self.health.continued(_backoffs_of(snapshot), anew=anew)
        other.capacity = Capacity(snapshot, now=self.now, before=self.capacity)
        other.observations = Observations.for_groups(
            groups.values(), self.now, known=self.observations, anew=anew
        )
        other.retries = Retries(
            groups, draw=self.draw, now=self.now, budgets=self.retries.budgets
        )
        other.affinities, other.pins = self.affinities, self.pins
        other.routers = {each for each in self.routers if each not in anew}
        return other

    @property
    def observed(self) -> Observed | None:
        """What takes note of how attempts end, where anybody asks about them."""
        return self._observe if self.observations.labels else None

    def _observe(
        self,
        label: str,
        error_class: str | None,
        latency_s: float,
        first_event_s: float | None,
        output_tokens: int | None,
    ) -> None:
        seen = Observation(error_class, latency_s, first_event_s, output_tokens)
        self.observations.note(label, seen)


def _targets_of(snapshot: Snapshot) -> list[Target]:
    return [each for group in snapshot.groups.values() for each in group.targets]


def _backoffs_of(snapshot: Snapshot) -> dict[str, Backoffs]:
    return {each.label: each.provider.backoff for each in _targets_of(snapshot)}


def _way_to(target: Target) -> Hashable:
    """Return what must be the same for a target to be the same one."""
    provider = replace(target.provider, shaping=None, backoff=Backoffs())
    return provider, target.model


def build_planning(
    snapshot: Snapshot,
    known: Known,
    routes: Mapping[str, Route],
    policies: Mapping[str, Policy],
) -> Planning:
    """Put together what plans the calls of a configuration."""
    planners = {
        group.name: Planner(
            group,
            fetches_images=snapshot.upstream.fetch_images is not None,
            strategy=_strategy_of(group, known),
            health=known.health,
            room=known.capacity,
            lately=ThresholdCheck(group.dynamic, known.observations, known.draw),
            affinities=known.affinities,
        )
        for group in snapshot.groups.values()
    }
    return Planning(
        planners,
        policies,
        routes,
        pins=known.pins,
        now=known.now,
        allows_private_urls=snapshot.upstream.allow_private_image_urls,
    )


def _strategy_of(group: Group, known: Known) -> Strategy:
    if group.strategy == "weighted":
        return Weighted(known.draw)
    if group.strategy == "dynamic":
        return Dynamic(
            group.dynamic,
            known.observations,
            known.draw,
            now=known.now,
            wall=time.time,
        )
    return AsListed()
