"""Puts together what plans calls: once for each configuration."""

from collections.abc import Mapping

from smart_llmrouter.config.snapshot import Group, Snapshot
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.engine.attempts import Observed
from smart_llmrouter.engine.pins import Pins
from smart_llmrouter.engine.planning import Planning
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
    """What the router learns of its targets while it serves; begun anew with it."""

    def __init__(self, snapshot: Snapshot, *, now: Monotonic, draw: Draw) -> None:
        """Know nothing yet."""
        targets = [each for group in snapshot.groups.values() for each in group.targets]
        self.health = HealthBook(
            {target.label: target.provider.backoff for target in targets}, now=now
        )
        self.capacity = Capacity(snapshot, now=now)
        self.observations = Observations.for_groups(snapshot.groups.values(), now)
        self.affinities = Affinities(now)
        self.pins = Pins()
        self.now = now
        self.draw = draw

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
        return Dynamic(group.dynamic, known.observations, known.draw, now=known.now)
    return AsListed()
