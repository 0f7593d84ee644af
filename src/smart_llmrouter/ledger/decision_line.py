"""How a call was decided, in the line of its record: both are there, or neither.

Behind the record stands a tab, which no record holds, and the decision as JSON. So a
line of a call whose decision is not kept is that of its record, and a torn line has
lost both. What is kept of one decision has bounds, and says what was left out.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.decisions import Candidate, Decision
from smart_llmrouter.stores.decision_rows import KeptDecision

TAB: Final = b"\t"
"""Between a record and its decision; JSON has none."""

MOST_BYTES: Final = 256 << 10
"""A quarter of the longest line that is read; some 5,000 terms of scores."""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(KeptDecision).decode


def with_decision(line: bytes, decision: Decision, bounds: Diagnostics) -> bytes:
    """Return the line of a record with what is kept of its call's decision.

    Raises `ValueError`, `TypeError` or `OverflowError` where a text or a number cannot
    be written as JSON.
    """
    most = bounds.max_candidates
    kept = bounded(decision, bounds)
    encoded = _encode(kept)
    while len(encoded) > MOST_BYTES and most:
        most //= 2
        kept = bounded(
            decision,
            Diagnostics(
                max_candidates=most, max_filter_reasons=bounds.max_filter_reasons
            ),
        )
        encoded = _encode(kept)
    return line + TAB + encoded


def parted(line: bytes) -> tuple[bytes, bytes]:
    """Return the record of a line, and its decision or nothing; neither is read."""
    record, _, decision = line.partition(TAB)
    return record, decision


def decode_decision(decision: bytes) -> KeptDecision:
    """Return the decision of a line; `msgspec.DecodeError` where it is none."""
    return _decode(decision)


def bounded(decision: Decision, bounds: Diagnostics) -> KeptDecision:
    """Return what is kept of a decision.

    Of too many candidates those are kept that would be tried first. A candidate that
    misses something is kept with one reason at least, or not at all: without any it
    would be taken for an eligible one.
    """
    candidates = decision.candidates
    reasons = sum(map(_reasons_of, candidates))
    if len(candidates) <= bounds.max_candidates and reasons <= (
        bounds.max_filter_reasons
    ):
        return KeptDecision(decision)
    if len(candidates) > bounds.max_candidates:
        candidates = _first_tried(candidates, bounds.max_candidates)
    kept = _with_reasons(candidates, bounds.max_filter_reasons)
    return KeptDecision(
        msgspec.structs.replace(decision, candidates=kept),
        candidates_left_out=len(decision.candidates) - len(kept),
        reasons_left_out=reasons - sum(map(_reasons_of, kept)),
    )


def _reasons_of(candidate: Candidate) -> int:
    return len(candidate.missing)


def _first_tried(candidates: Sequence[Candidate], most: int) -> tuple[Candidate, ...]:
    """Return those of the best ranks, in the order in which they stood."""
    unranked = len(candidates)
    ranks = [unranked if each.rank is None else each.rank for each in candidates]
    kept = sorted(range(unranked), key=ranks.__getitem__)[:most]
    return tuple(candidates[at] for at in sorted(kept))


def _with_reasons(candidates: Sequence[Candidate], most: int) -> tuple[Candidate, ...]:
    kept = []
    for each in candidates:
        reasons = each.missing[:most]
        most -= len(reasons)
        if len(reasons) == len(each.missing):
            kept.append(each)
        elif reasons:
            kept.append(msgspec.structs.replace(each, missing=reasons))
    return tuple(kept)
