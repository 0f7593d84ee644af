"""What plans calls, as the router has it, with a clock and a chance of the test's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from smart_llmrouter.bootstrap.routing import Known, build_planning
from smart_llmrouter.config.load import load_reading
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.explaining import Explainer, Explanation
from smart_llmrouter.engine.groups import allowed_group
from smart_llmrouter.engine.planning import Planning, Sought
from smart_llmrouter.engine.routes import routes_of
from smart_llmrouter.engine.translation import Asked
from smart_llmrouter.routing.plan import Plan
from tests.support.clock import Clock
from tests.support.gateway import configuration, provider

Settings = dict[str, Any]


@dataclass(slots=True)
class Desk:
    """Plans calls of a configuration without serving any."""

    snapshot: Snapshot
    clock: Clock
    known: Known
    planning: Planning
    entries: list[Entry] = field(default_factory=list)

    def sought(self, body: Settings, dialect: DialectName = "openai-chat") -> Sought:
        """Find who may be called for a request."""
        raw = msgspec.json.encode(body)
        entry = self.entry(dialect)
        codec = DIALECTS[dialect]
        peek = codec.peek(raw)
        asked = Asked(codec, peek, allowed_group(peek.model, entry, self.snapshot))
        return self.planning.seek(asked, raw, entry)

    def plan(self, body: Settings, dialect: DialectName = "openai-chat") -> Plan:
        """Plan a request."""
        sought = self.sought(body, dialect)
        return self.planning.order(sought, self.entries[-1])

    def answered(
        self, body: Settings, label: str, dialect: DialectName = "openai-chat"
    ) -> Plan:
        """Plan a request that the target `label` then answers."""
        sought = self.sought(body, dialect)
        entry = self.entries[-1]
        plan = self.planning.order(sought, entry)
        targets = {target.label: target for target in plan.targets}
        entry.target = targets[label]
        self.planning.remember(sought, plan, entry)
        return plan

    async def explained(
        self, body: Settings, dialect: DialectName = "openai-chat"
    ) -> Explanation:
        """Explain a request."""
        explainer = Explainer(self.snapshot, self.planning, DIALECTS)
        raw = msgspec.json.encode(body)
        return await explainer.explained(self.entry(dialect), raw, dialect)

    def entry(self, dialect: DialectName) -> Entry:
        """Return the open entry of a new call."""
        arrival = Arrival(
            request_id=f"req_{len(self.entries)}",
            caller=next(iter(self.snapshot.callers_by_digest.values())),
            client="other",
            began_s=0.0,
            ts_ms=0,
            dialect=dialect,
        )
        self.entries.append(Entry(arrival=arrival, dialect=dialect))
        return self.entries[-1]


def desk(settings: Settings, *, draw: Callable[[], float] = lambda: 0.5) -> Desk:
    """Return what plans the calls of a whole configuration."""
    reading = read_bytes(msgspec.json.encode(settings), file="router.yaml")
    snapshot = load_reading(reading, environment={}, beside=Path("/nowhere")).snapshot
    assert snapshot is not None
    clock = Clock()
    known = Known(snapshot, now=clock, draw=draw)
    routes = routes_of(snapshot, DIALECTS, user_agent="tests")
    return Desk(snapshot, clock, known, build_planning(snapshot, known, routes, {}))


def group_of(
    *targets: Settings, models: Settings | None = None, **group: object
) -> Settings:
    """Return a configuration with one group, each target of a provider of its own.

    A target is `{"name": ..., "dialect": ..., "model": {...}, "provider": {...}}`, and
    whatever else the group says of it.
    """
    providers, used = {}, []
    for each in targets:
        given = dict(each)
        name = given.pop("name")
        facts = given.pop("model", models or {})
        changes = given.pop("provider", {})
        providers[name] = provider(
            f"http://{name}.example/v1",
            dialect=given.pop("dialect", "openai-chat"),
            models={"mini": {"model": "mock-mini", **facts}},
            **changes,
        )
        used.append({"use": f"{name}/mini", **given})
    return configuration(providers, groups={"chat": {"targets": used, **group}})
