"""A usage history as a year of an organisation leaves it: rows, straight into a store.

Fifty callers of eight projects call six groups with twelve targets; by day more than by
night, and now and then something fails. The same count and seed give the same rows.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.ledger.record import UsageRecord, split_record
from smart_llmrouter.stores.usage_store import Labels, Measures, UsageStore

DAY_MS: Final = 86_400_000
FIRST_MS: Final = 1_788_220_800_000
"""The first moment of September 2026, UTC."""
DAYS: Final = 90
_BATCH: Final = 10_000
_SEGMENT: Final = "000000000000001-history-000001.jsonl"
_KINDS: Final = 12_000
_RELOADS: Final = 20
_CALLERS: Final = 50
_PROJECTS: Final = 8
_TARGETS: Final = (
    ("acme", "mini", 150), ("acme", "large", 2500), ("acme", "reason", 8000),
    ("birch", "small", 100), ("birch", "medium", 900), ("birch", "large", 3000),
    ("cedar", "flash", 80), ("cedar", "pro", 1250), ("local", "gemma", None),
    ("local", "qwen", None), ("delta", "opus", 15000), ("delta", "haiku", 800),
)  # fmt: skip
_GROUPS: Final = {
    "chat": (0, 3, 6), "code": (1, 5, 10), "fast": (0, 6, 11), "reason": (2, 10),
    "private": (8, 9), "batch": (4, 7, 8),
}  # fmt: skip
_CLIENTS: Final = ("claude-code", "codex", "openai-python", "anthropic-sdk", "curl")
_FAULTS: Final = (
    (429, "rate-limited", "limit", "caller:rpm"),
    (502, "upstream-failed", "upstream_error", None),
    (504, "upstream-timeout", "timeout", None),
    (499, "client-disconnected", "client", None),
    (400, "invalid-request", "client", None),
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What many calls have in common, and how a call of theirs is."""

    labels: Labels
    day: int
    nusd_per_token: int | None
    answered: bool
    streamed: bool


def fill(store: UsageStore, *, calls: int, seed: int = 7, days: int = DAYS) -> None:
    """Add so many calls, spread over `days` days from `FIRST_MS` on."""
    chance = random.Random(seed)
    kinds = _kinds_by_day(chance, calls=calls, days=days)
    rows = _rows(chance, kinds, calls=calls, days=days)
    measures: list[Measures] = []
    labels: list[Labels] = []
    end = 0
    for each, label in rows:
        measures.append(each)
        labels.append(label)
        if len(measures) == _BATCH:
            end += _BATCH
            store.add(measures, labels, segment=_SEGMENT, end_offset=end)
            measures, labels = [], []
    store.add(measures, labels, segment=_SEGMENT, end_offset=end + len(measures))
    store.settle(_SEGMENT)
    store.forget([_SEGMENT])


def _kinds_by_day(chance: random.Random, *, calls: int, days: int) -> list[list[_Kind]]:
    """Return which kinds of calls there are, in each stretch between two reloads."""
    each = max(10, min(_KINDS, calls // 40) // _RELOADS)
    stretches = [
        [_kind(chance, stretch) for _ in range(each)] for stretch in range(_RELOADS)
    ]
    return [stretches[day * _RELOADS // days] for day in range(days)]


def _kind(chance: random.Random, stretch: int) -> _Kind:
    number = min(int(chance.expovariate(0.08)), _CALLERS - 1)
    group = chance.choice(list(_GROUPS))
    provider, model, price = _TARGETS[chance.choice(_GROUPS[group])]
    failed = chance.choice(_FAULTS) if chance.random() < 0.25 else None
    refused = failed is not None and failed[3] is not None
    streamed = chance.random() < 0.7
    dialect = chance.choice(["openai-chat", "openai-responses", "anthropic-messages"])
    record = UsageRecord(
        request_id="",
        ts_ms=0,
        latency_us=0,
        caller_id=f"caller-{number:02}",
        caller_user=f"user-{number % 40:02}",
        caller_project=f"project-{number % _PROJECTS}",
        caller_environment="prod" if number % 3 else "dev",
        token_id=f"token-{number:02}",
        client=chance.choice(_CLIENTS),
        inbound_dialect=dialect,
        status=200 if failed is None else failed[0],
        attempts=0 if refused else 1 + (chance.random() < 0.05),
        config_fingerprint=f"c0ffee{stretch:02}",
        router_version="0.1.0",
        requested_model=group,
        resolved_group=group,
        strategy="weighted",
        target_provider=None if refused else provider,
        target_model=None if refused else model,
        target_dialect=None if refused else "openai-chat",
        stream=streamed,
        error_code=None if failed is None else failed[1],
        error_class=None if failed is None else failed[2],
        upstream_status=None if refused else 200,
        price_fingerprint=None if price is None or refused else f"p-{provider}-{model}",
        lane="relay" if dialect == "openai-chat" else "translate",
        fallback_used=not refused and chance.random() < 0.03,
        refused_by=failed[3] if failed is not None else None,
    )
    _, labels = split_record(record)
    return _Kind(labels, stretch, price, answered=failed is None, streamed=streamed)


def _rows(
    chance: random.Random, kinds: list[list[_Kind]], *, calls: int, days: int
) -> Iterator[tuple[Measures, Labels]]:
    step_ms = days * DAY_MS / calls
    for number in range(calls):
        at_ms = FIRST_MS + int(number * step_ms)
        today = kinds[min(int(number * step_ms // DAY_MS), days - 1)]
        # Some kinds are far more frequent than others.
        kind = today[int(len(today) * chance.random() ** 3)]
        if not kind.answered:
            yield _failed(number, at_ms, chance), kind.labels
        else:
            yield _answered(number, at_ms, chance, kind), kind.labels


def _failed(number: int, at_ms: int, chance: random.Random) -> Measures:
    latency_us = int(chance.lognormvariate(9, 1.2))
    unknown = (None,) * 11
    return (f"req_{number:032x}", at_ms, latency_us, *unknown)


def _answered(number: int, at_ms: int, chance: random.Random, kind: _Kind) -> Measures:
    spread = chance.random()
    first_us = int(200_000 / (0.05 + spread))
    tokens_in, tokens_out = int(12_000 * spread**2) + 20, int(900 * spread) + 1
    cached = tokens_in // 2 if number % 3 else 0
    latency_us = first_us + tokens_out * 9_000
    price = kind.nusd_per_token
    if price is None:
        costs: tuple[int | None, ...] = (None,) * 4
    else:
        parts = (tokens_in - cached) * price, cached * price // 10, tokens_out * price
        costs = (*parts, sum(parts))
    return (
        f"req_{number:032x}", at_ms, latency_us, first_us - 900, first_us,
        tokens_in, cached, tokens_out, 0 if number % 5 else tokens_out // 2,
        *costs, None,
    )  # fmt: skip
