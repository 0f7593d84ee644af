"""What planning a call costs: from its untouched body to its plan.

3 targets    a failover group, as most are
20 targets   with all that can be switched on: scored by what was observed, held
against a contract and thresholds, in a conversation that is known, and
with the whole decision written down
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from bench.workload import chat_body, router_configuration
from smart_llmrouter.bootstrap.routing import Known, build_planning
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.policies import Decisions
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.planning import Planning
from smart_llmrouter.engine.routes import routes_of
from smart_llmrouter.engine.translation import Asked
from smart_llmrouter.routing.observations import Observation
from smart_llmrouter.routing.plan import Plan

Step = Callable[[], object]

_SEED: Final = 7
_SEEN: Final = 200
_MANY: Final = 20
_CHAT: Final = DIALECTS["openai-chat"]


def planning_steps(directory: Path) -> Iterator[tuple[str, Step]]:
    """Yield each step and its name; `directory` is for configuration files."""
    few = _Planner(_snapshot(directory / "few.yaml", targets=3), keep="off")
    many = _Planner(_snapshot(directory / "many.yaml", targets=_MANY), keep="all")
    many.observe()
    many.plan()
    yield "plan 3 targets of a failover group", few.plan
    yield "plan 20 targets with everything on", many.decide


class _Planner:
    """Plans one request of a conversation again and again."""

    def __init__(self, snapshot: Snapshot, *, keep: Decisions) -> None:
        self._known = Known(snapshot, now=lambda: 0.0, draw=Random(_SEED).random)
        routes = routes_of(snapshot, DIALECTS, user_agent="bench")
        self._planning: Planning = build_planning(snapshot, self._known, routes, {})
        self._group = snapshot.groups["chat"]
        self._body = chat_body(stream=False)
        self._peek = _CHAT.peek(self._body)
        self._keep: Decisions = keep
        self._arrival = Arrival(
            request_id="req_bench",
            caller=next(iter(snapshot.callers_by_digest.values())),
            client="bench",
            began_s=0.0,
            ts_ms=0,
        )

    def observe(self) -> None:
        """Have seen all targets often enough to score them."""
        chance = Random(_SEED)
        for target in self._group.targets:
            for _ in range(_SEEN):
                seen = Observation(None, chance.random(), chance.random() / 10, 200)
                self._known.observations.note(target.label, seen)

    def plan(self) -> Plan:
        """Plan the request, and remember its conversation."""
        return self._planned(Entry(arrival=self._arrival, dialect="openai-chat"))

    def decide(self) -> Decision | None:
        """Plan the request, and write down how."""
        entry = Entry(arrival=self._arrival, dialect="openai-chat")
        self._planned(entry)
        return None if entry.deciding is None else entry.deciding.decision(None)

    def _planned(self, entry: Entry) -> Plan:
        asked = Asked(_CHAT, self._peek, self._group)
        sought = self._planning.seek(asked, self._body, entry, keep=self._keep)
        plan = self._planning.order(sought, entry)
        entry.target = plan.targets[0]
        self._planning.remember(sought, plan, entry)
        return plan


def _snapshot(path: Path, *, targets: int) -> Snapshot:
    """Load a configuration whose group `chat` has so many targets."""
    settings: dict[str, Any] = router_configuration(port=8080, upstream_port=8081)
    (provider, first), *_ = settings["providers"].items()
    names = [f"model-{number}" for number in range(targets)]
    everything = targets == _MANY
    settings["providers"] = {
        provider: first | {"models": {name: _model(name) for name in names}}
    }
    group = {"targets": [{"use": f"{provider}/{name}"} for name in names]}
    settings["groups"]["chat"] = group | (_everything() if everything else {})
    path.write_text(json.dumps(settings), encoding="utf-8")
    return load_snapshot(path, environment={})


def _model(name: str) -> dict[str, object]:
    return {
        "model": name,
        "context_tokens": 128_000,
        "max_output_tokens": 16_384,
        "tools": ["function"],
        "input": ["text", "image"],
        "price": {"input_per_million": "0.25", "output_per_million": "2.00"},
        "quality": 0.5,
    }


def _everything() -> dict[str, object]:
    return {
        "strategy": "dynamic",
        "dynamic": {"weights": {"price": 0.1, "quality": 0.1}},
        "thresholds": {"max_error_rate": 0.5, "max_p95_latency_ms": 60_000},
        "contract": {"required": {"input": ["image"], "min_context_tokens": 32_000}},
    }
