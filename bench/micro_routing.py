"""The steps of routing that not every call takes: strategies, and what they know."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from bench.workload import chat_body
from smart_llmrouter.config import policies
from smart_llmrouter.config.snapshot import Snapshot, Target
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT
from smart_llmrouter.routing.affinity import Affinities
from smart_llmrouter.routing.dynamic import Dynamic
from smart_llmrouter.routing.observations import Observation, Observations, scored
from smart_llmrouter.routing.weighted import Weighted

_TARGETS: Final = 20
_SEED: Final = 1
_TTL_S: Final = 600.0
_OBSERVATION: Final = Observation(None, 1.5, 0.4, 200)


def routing_steps(snapshot: Snapshot) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give each step; the orders are over 20 targets, of which all is known."""
    targets = [
        replace(snapshot.groups["chat"].targets[0], label=f"provider-{place}/mini")
        for place in range(_TARGETS)
    ]
    body = chat_body(stream=False)
    needs = Requirements(body=body, dialect="openai-chat")
    chance = random.Random(_SEED)
    weighted = Weighted(chance.random)
    observations, dynamic = _observed(targets, chance)
    last = targets[-1].label

    def note_and_order() -> None:
        observations.note(last, _OBSERVATION)
        dynamic.order(targets, needs)

    yield "order 20 targets, weighted", lambda: weighted.order(targets, needs)
    yield "note an attempt", lambda: observations.note(last, _OBSERVATION)
    yield "order 20 targets, dynamic, and note an attempt", note_and_order
    peek = OPENAI_CHAT.peek(body)
    large = OPENAI_CHAT.peek(chat_body(stream=False, size_bytes=64 * 1024))
    yield "know a conversation", lambda: OPENAI_CHAT.conversation_of(peek)
    yield "know a conversation of 64 KB", lambda: OPENAI_CHAT.conversation_of(large)
    affinities = Affinities(lambda: 0.0)
    yield "keep a conversation", lambda: affinities.keep(body, last, _TTL_S)
    yield "find a conversation", lambda: affinities.find(body)


def _observed(
    targets: Sequence[Target], chance: random.Random
) -> tuple[Observations, Dynamic]:
    """Return the strategy, and observations that fill all of its windows."""
    settings = policies.Dynamic()
    span = scored(settings)
    # Time stands still, so that what is done anew is done for the notes alone.
    observations = Observations(
        lambda: 0.0, {target.label: [span] for target in targets}
    )
    for target in targets:
        for _ in range(span.most):
            observations.note(
                target.label,
                Observation(None, chance.uniform(1, 3), chance.uniform(0.2, 0.6), 200),
            )
    dynamic = Dynamic(settings, observations, chance.random, now=lambda: 0.0)
    return observations, dynamic
