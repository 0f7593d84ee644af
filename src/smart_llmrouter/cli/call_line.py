"""One call in one line, for those who watch calls come."""

from collections.abc import Iterator, Mapping
from typing import Any

from smart_llmrouter.cli.terminal import printable
from smart_llmrouter.ledger.interval import Zone, clock_text
from smart_llmrouter.ledger.reports.wording import seconds, usd


def call_line(row: Mapping[str, Any], zone: Zone) -> str:
    """Return when it began, how it ended, whose it was, who served it, what it cost."""
    return "  ".join(printable(part) for part in _parts(row, zone))


def _parts(row: Mapping[str, Any], zone: Zone) -> Iterator[str]:
    yield clock_text(row["ts_ms"], zone)[-8:]
    yield str(row["status"])
    yield f"{seconds(row['latency_us']):>8}"
    yield f"{row['caller_id']:<20}"
    yield f"{row['resolved_group'] or row['requested_model'] or '-':<12}"
    target = "-"
    if row["target_provider"] is not None:
        target = f"{row['target_provider']}/{row['target_model']}"
    yield f"{target:<20}"
    yield _tokens(row)
    if row["total_cost_nusd"] is not None:
        yield usd(row["total_cost_nusd"])
    if row["error_code"] is not None:
        yield row["error_code"]
    if row["refused_by"] is not None:
        yield f"by {row['refused_by']}"
    if row["fallback_used"]:
        yield f"{row['attempts']} attempts"
    yield row["request_id"]


def _tokens(row: Mapping[str, Any]) -> str:
    counts = (row["input_tokens"], row["output_tokens"])
    read, written = ("?" if each is None else f"{each:,}" for each in counts)
    return f"{f'{read} in {written} out':>18}"
