"""The steps of routing that not every call takes: strategies, and what they know."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from bench.workload import chat_body
from smart_llmrouter.config import policies
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT
from smart_llmrouter.routing.affinity import Affinities
from smart_llmrouter.routing.dynamic import Dynamic
from smart_llmrouter.routing.observations import (
    Observation,
    Observations,
    judged,
    scored,
)
from smart_llmrouter.routing.thresholds import ThresholdCheck
from smart_llmrouter.routing.weighted import Draw, Weighted

_TARGETS: Final = 20
_SEED: Final = 1
_TTL_S: Final = 600.0
_SETTINGS: Final = policies.Dynamic()
_THRESHOLDS: Final = policies.Thresholds(max_error_rate=0.5, max_p95_latency_ms=60_000)
_OBSERVATION: Final = Observation(None, 1.5, 0.4, 200)


def routing_steps(snapshot: Snapshot) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give each step; the orders are over 20 targets, of which all is known."""
    body = chat_body(stream=False)
    peek = OPENAI_CHAT.peek(body)
    large = OPENAI_CHAT.peek(chat_body(stream=False, size_bytes=64 * 1024))
    needs = Requirements(body=body, dialect="openai-chat")
    usual = snapshot.groups["chat"].targets[0]
    targets = [replace(usual, label=f"acme/model-{at}") for at in range(_TARGETS)]
    label, draw = targets[-1].label, random.Random(_SEED).random
    observations = _observed([target.label for target in targets], draw)
    weighted = Weighted(draw)
    dynamic = Dynamic(_SETTINGS, observations, draw, now=_noon)
    check = ThresholdCheck(_SETTINGS, observations, draw)
    affinities = Affinities(_noon)

    def note_and_order() -> None:
        observations.note(label, _OBSERVATION)
        dynamic.order(targets, needs)

    yield "order 20 targets, weighted", lambda: weighted.order(targets, needs)
    yield "order 20 targets, dynamic", lambda: dynamic.order(targets, needs)
    yield "the same, and note an attempt", note_and_order
    yield "note an attempt", lambda: observations.note(label, _OBSERVATION)
    yield "hold a target against thresholds", lambda: check.breached(label, _THRESHOLDS)
    yield "know a conversation", lambda: OPENAI_CHAT.conversation_of(peek)
    yield "know a conversation of 64 KB", lambda: OPENAI_CHAT.conversation_of(large)
    yield "keep a conversation", lambda: affinities.keep(body, label, _TTL_S)
    yield "find a conversation", lambda: affinities.find(body)


def _observed(labels: Sequence[str], draw: Draw) -> Observations:
    """Return observations that fill all windows of all targets."""
    spans = [scored(_SETTINGS), judged(_SETTINGS)]
    observations = Observations(_noon, dict.fromkeys(labels, spans))
    for label in labels:
        for _ in range(judged(_SETTINGS).most):
            observations.note(label, Observation(None, 1 + draw(), draw(), 200))
    return observations


def _noon() -> float:
    """Let time stand still: what is done anew is done for what was noted."""
    return 43_200.0
