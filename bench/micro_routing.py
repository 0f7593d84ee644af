"""The steps of routing that not every call takes: strategies, and what they know."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from bench.workload import chat_body
from smart_llmrouter.config import policies
from smart_llmrouter.config.snapshot import Group, Snapshot
from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT
from smart_llmrouter.engine.decisions import Deciding
from smart_llmrouter.routing.affinity import Affinities
from smart_llmrouter.routing.capacity import Capacity
from smart_llmrouter.routing.dynamic import Dynamic
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.routing.observations import Observation, Observations, scored
from smart_llmrouter.routing.planner import Planner
from smart_llmrouter.routing.thresholds import ThresholdCheck
from smart_llmrouter.routing.weighted import Weighted

_TARGETS: Final = 20
_SEED: Final = 1
_TTL_S: Final = 600.0
_OBSERVATION: Final = Observation(None, 1.5, 0.4, 200)
_CONTRACT: Final = policies.Contract(
    dialects=("openai-chat",), input=("text",), tools=("function",)
)


def routing_steps(snapshot: Snapshot) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give each step; the orders are over 20 targets, of which all is known."""
    body = chat_body(stream=False)
    peek = OPENAI_CHAT.peek(body)
    large = OPENAI_CHAT.peek(chat_body(stream=False, size_bytes=64 * 1024))
    needs = OPENAI_CHAT.requirements_of(peek, body=body)
    planned = _Planned(snapshot)
    targets, last = planned.group.targets, planned.group.targets[-1].label
    weighted = Weighted(planned.chance.random)
    affinities = Affinities(_noon)
    yield "order 20 targets, weighted", lambda: weighted.order(targets, needs)
    yield "order 20 targets, dynamic", lambda: planned.strategy.order(targets, needs)
    yield "note an attempt", lambda: planned.observations.note(last, _OBSERVATION)
    yield "plan 20 targets, dynamic", lambda: planned.decided(peek, body)
    yield "know a conversation", lambda: OPENAI_CHAT.conversation_of(peek)
    yield "know a conversation of 64 KB", lambda: OPENAI_CHAT.conversation_of(large)
    yield "keep a conversation", lambda: affinities.keep(body, last, _TTL_S)
    yield "find a conversation", lambda: affinities.find(body)


class _Planned:
    """A group with everything on, and observations that fill all of its windows."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.chance = random.Random(_SEED)
        self.group = _group(snapshot)
        settings = self.group.dynamic
        labels = [target.label for target in self.group.targets]
        self.observations = Observations(
            _noon, {label: [scored(settings)] for label in labels}
        )
        self._fill(labels)
        draw = self.chance.random
        self.strategy = Dynamic(settings, self.observations, draw, now=_noon)
        self._affinities = Affinities(_noon)
        self._planner = Planner(
            self.group,
            fetches_images=False,
            strategy=self.strategy,
            health=HealthBook(dict.fromkeys(labels, policies.Backoffs()), now=_noon),
            room=Capacity(snapshot, now=_noon),
            lately=ThresholdCheck(settings, self.observations, draw),
            affinities=self._affinities,
        )

    def _fill(self, labels: list[str]) -> None:
        uniform = self.chance.uniform
        for label in labels * scored(self.group.dynamic).most:
            self.observations.note(
                label, Observation(None, uniform(1, 3), uniform(0.2, 0.6), 200)
            )

    def decided(self, peek: Peek, body: bytes) -> Decision | None:
        """Plan a call that goes on with a conversation; tell how, and note its end."""
        needs = OPENAI_CHAT.requirements_of(peek, body=body)
        found = self._planner.found(needs)
        deciding = Deciding(group=self.group, needs=needs, found=found)
        conversation = OPENAI_CHAT.conversation_of(peek)
        deciding.plan = plan = self._planner.ordered(
            found, needs, conversation=conversation
        )
        label = plan.targets[0].label
        self.observations.note(label, _OBSERVATION)
        if conversation is not None:
            self._planner.keep(conversation, label)
        return deciding.decision(None)


def _group(snapshot: Snapshot) -> Group:
    group = snapshot.groups["chat"]
    usual = replace(group.targets[0], input=("text",), tools=("function",))
    targets = tuple(
        replace(usual, label=f"provider-{place}/mini") for place in range(_TARGETS)
    )
    return replace(group, strategy="dynamic", targets=targets, contract=_CONTRACT)


def _noon() -> float:
    """Let time stand still: what is done anew is done for what was noted."""
    return 43_200.0
