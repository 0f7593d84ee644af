"""How `smart-llmrouter prices` writes what it has found: for people, and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from smart_llmrouter.core.money import usd_text
from smart_llmrouter.ledger.cost_drift import CallDrift, Drift, TargetDrift, percent_of
from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.ledger.reports.wording import count_of

if TYPE_CHECKING:
    from smart_llmrouter.catalog.priced import PriceFinding

_UNKNOWN: Final = "unknown"
_HEAD: Final = (
    "target", "calls", "compared", "our cost", "theirs", "difference", "%", "no price",
    "not reported",
)  # fmt: skip
_WORST_HEAD: Final = ("call", "began", "target", "our cost", "theirs", "difference")


def as_json(document: object) -> str:
    """Return a document as text that ends with a newline."""
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def columns(rows: Sequence[Sequence[str]], *, texts: int) -> str:
    """Return rows as columns; the first `texts` of them begin on the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "  ".join(
            cell.ljust(width) if at < texts else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in rows
    )


def findings_text(
    findings: Sequence["PriceFinding"], *, models: int, compared: str | None
) -> str:
    """Return what there is to say of prices, and how much was looked at."""
    faults = sum(not found.is_note for found in findings)
    told = (
        count_of(models, "model", "models"),
        count_of(faults, "finding", "findings"),
        count_of(len(findings) - faults, "note", "notes"),
    )
    rows = [
        (found.use, "note" if found.is_note else "finding", found.code, found.message)
        for found in findings
    ]
    table = columns(rows, texts=4) + "\n" if rows else ""
    against = f"compared with {compared}" if compared else "compared with nothing"
    return f"{table}{told[0]} in use, {against}: {told[1]}, {told[2]}\n"


def findings_json(
    findings: Sequence["PriceFinding"], *, models: int, compared: str | None
) -> str:
    """Return the same for a program."""
    return as_json(
        {
            "models": models,
            "compared_with": compared,
            "findings": sum(not found.is_note for found in findings),
            "prices": [
                {
                    "use": found.use,
                    "code": found.code,
                    "is_note": found.is_note,
                    "message": found.message,
                }
                for found in findings
            ],
        }
    )


def drift_text(drift: Drift) -> str:
    """Return a drift report for people."""
    begins, ends = map(utc_text, (drift.interval.from_ms, drift.interval.to_ms))
    span = f"from {begins} to {ends}"
    if not drift.targets:
        return f"No target was called {span}.\n"
    parts = [
        f"Calls {span}, by our prices and by what providers reported.\n",
        columns([_HEAD, *map(_target, drift.targets)], texts=1),
    ]
    if drift.worst:
        parts += [
            "Calls that differ most:\n",
            columns([_WORST_HEAD, *map(_call, drift.worst)], texts=3),
        ]
    return "\n".join(parts)


def _target(line: TargetDrift) -> tuple[str, ...]:
    known = line.compared > 0
    percent = line.difference_percent
    return (
        line.target,
        f"{line.calls:,}",
        f"{line.compared:,}",
        f"${usd_text(line.ours_nusd)}" if known else _UNKNOWN,
        f"${usd_text(line.theirs_nusd)}" if known else _UNKNOWN,
        _signed(line.difference_nusd) if known else _UNKNOWN,
        _UNKNOWN if percent is None else f"{percent:+}",
        f"{line.calls - line.priced:,}",
        f"{line.calls - line.reported:,}",
    )


def _call(line: CallDrift) -> tuple[str, ...]:
    return (
        line.request_id,
        utc_text(line.ts_ms),
        line.target,
        f"${usd_text(line.ours_nusd)}",
        f"${usd_text(line.theirs_nusd)}",
        _signed(line.ours_nusd - line.theirs_nusd),
    )


def _signed(nusd: int) -> str:
    return f"{'-' if nusd < 0 else '+'}${usd_text(abs(nusd))}"


def drift_json(drift: Drift) -> str:
    """Return a drift report for a program; amounts are nano-dollars."""
    return as_json(
        {
            "from_utc": utc_text(drift.interval.from_ms),
            "to_utc": utc_text(drift.interval.to_ms),
            "targets": [_target_fields(line) for line in drift.targets],
            "worst": [_call_fields(line) for line in drift.worst],
        }
    )


def _target_fields(line: TargetDrift) -> dict[str, Any]:
    known, percent = line.compared > 0, line.difference_percent
    return {
        "target": line.target,
        "calls": line.calls,
        "priced": line.priced,
        "reported": line.reported,
        "compared": line.compared,
        "our_cost_nusd": line.ours_nusd if known else None,
        "reported_cost_nusd": line.theirs_nusd if known else None,
        "difference_nusd": line.difference_nusd if known else None,
        "difference_percent": None if percent is None else f"{percent}",
    }


def _call_fields(line: CallDrift) -> dict[str, Any]:
    percent = percent_of(line.ours_nusd - line.theirs_nusd, line.theirs_nusd)
    return {
        "request_id": line.request_id,
        "began_utc": utc_text(line.ts_ms),
        "target": line.target,
        "price_fingerprint": line.price_fingerprint,
        "our_cost_nusd": line.ours_nusd,
        "reported_cost_nusd": line.theirs_nusd,
        "difference_percent": None if percent is None else f"{percent}",
    }
