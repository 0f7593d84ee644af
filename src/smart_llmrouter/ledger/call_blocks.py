"""What is on record of a call whether or not its decision was kept.

What happened when, who and what it was, what its cost is made of, and what a
translation could not carry.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from smart_llmrouter.core.money import NUSD_PER_USD
from smart_llmrouter.ledger.block import NONE_SHOWN, Block, ms, shown
from smart_llmrouter.ledger.explained import Explained
from smart_llmrouter.ledger.interval import utc_text

_TIMELINE: Final = ("event", "target", "status", "class", "at ms", "took ms")
_NOTES: Final = ("field", "what happened", "why")
_COST_PARTS: Final = {
    "input_cost_nusd": "input that was not cached",
    "cached_input_cost_nusd": "input from the provider's cache",
    "cache_write_cost_nusd": "writing into the provider's cache",
    "output_cost_nusd": "output",
    "reasoning_cost_nusd": "of that, reasoning",
    "image_cost_nusd": "images",
    "total_cost_nusd": "all of it",
    "failed_attempts_cost_nusd": "other attempts, beside it",
    "upstream_reported_cost_nusd": "what the provider says that it cost",
}
_TOKEN_PARTS: Final = {
    "cached_input_tokens": "read from the provider's cache",
    "cache_write_5m_tokens": "written there for 5 minutes",
    "cache_write_1h_tokens": "written there for 1 hour",
    "reasoning_tokens": "spent on reasoning",
}


def call_blocks(call: Explained) -> Iterator[Block]:
    """Yield what is to be shown first of a call."""
    yield _record(call.record)
    yield Block(
        "Timeline",
        _TIMELINE,
        [
            (
                str(event["event"]),
                shown(event["target"]),
                shown(event["status"]),
                shown(event["error_class"]),
                ms(event["at_us"]),
                ms(event["duration_us"]),
            )
            for event in call.timeline
        ],
        texts=4,
    )
    yield Block("Tokens", rows=list(_parts(call.record)))
    yield Block("Cost", rows=list(_costs(call.record)))
    notes = [
        (str(note["field_name"]), str(note["action"]), str(note["reason"]))
        for note in call.notes
    ]
    yield Block("What the translation could not carry", _NOTES, notes, texts=3)


def _parts(record: Mapping[str, str | int | None]) -> Iterator[tuple[str, str]]:
    for name, title in _TOKEN_PARTS.items():
        if record[name]:
            yield title, shown(record[name])


def _costs(record: Mapping[str, str | int | None]) -> Iterator[tuple[str, str]]:
    for name, title in _COST_PARTS.items():
        if record[name] is not None:
            yield title, _cost(record[name])


def _cache(record: Mapping[str, str | int | None]) -> str:
    if record["cache"] is None:
        return NONE_SHOWN
    reason = record["cache_reason"]
    return f"{record['cache']}" + (f" ({reason})" if reason else "")


def _record(record: Mapping[str, str | int | None]) -> Block:
    ended = [str(record["status"])]
    ended += [str(record[name]) for name in _ENDS if record[name] is not None]
    facts = [
        ("request id", str(record["request_id"])),
        ("began", utc_text(int(record["ts_ms"] or 0))),
        ("caller", str(record["caller_id"])),
        ("client", str(record["client"])),
        ("model", shown(record["requested_model"])),
        ("served by", _served_by(record)),
        ("ended", ", ".join(ended)),
        ("refused by", shown(record["refused_by"])),
        ("waited", f"{ms(record['queued_us'])} ms"),
        ("took", f"{ms(record['latency_us'])} ms"),
        ("first token", f"{ms(record['ttft_us'])} ms"),
        ("tokens", _tokens(record)),
        ("cost", _cost(record["total_cost_nusd"])),
        ("charged", _charged(record)),
        ("budget warning", shown(record["budget_warning"])),
        ("caller left", shown(record["disconnect"])),
        ("response cache", _cache(record)),
        ("configuration", str(record["config_fingerprint"])),
        ("router", f"version {record['router_version']}"),
    ]
    return Block("Call", rows=[fact for fact in facts if fact[1] not in _EMPTY])


_ENDS: Final = ("error_code", "error_class")
_EMPTY: Final = (NONE_SHOWN, f"{NONE_SHOWN} ms")


def _served_by(record: Mapping[str, str | int | None]) -> str:
    if record["target_provider"] is None:
        return NONE_SHOWN
    target = f"{record['target_provider']}/{record['target_model']}"
    attempts = f"{record['attempts']} attempts" if record["attempts"] != 1 else ""
    lane = "translated" if record["lane"] == "translate" else ""
    more = [each for each in (lane, attempts) if each]
    return f"{target} ({', '.join(more)})" if more else target


def _tokens(record: Mapping[str, str | int | None]) -> str:
    counts = [
        f"{record[name]:,} {kind}"
        for name, kind in (("input_tokens", "in"), ("output_tokens", "out"))
        if record[name] is not None
    ]
    return ", ".join(counts) or NONE_SHOWN


def _charged(record: Mapping[str, str | int | None]) -> str:
    """Return what budgets were charged, where that is not what is on record."""
    tokens = record["charged_tokens"]
    if tokens is None:
        return NONE_SHOWN
    return f"{tokens:,} tokens, {_cost(record['charged_cost_nusd'])}"


def _cost(nusd: str | int | None) -> str:
    return NONE_SHOWN if nusd is None else f"${int(nusd) / NUSD_PER_USD:.9f}"
