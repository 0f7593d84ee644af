"""A decision for people: aligned text or Markdown.

They show each target with what it missed and what would help, scores, the policy's run,
and each attempt with what it means. A call is also there as JSON, for programs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from smart_llmrouter.core.decisions import Candidate, Decision, Needs
from smart_llmrouter.core.errors.targets import hint_for
from smart_llmrouter.core.money import NUSD_PER_USD
from smart_llmrouter.ledger.explained import Explained
from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.ledger.render_markdown import inert, table
from smart_llmrouter.stores.decision_rows import KeptDecision
from smart_llmrouter.upstream.failure_classes import MEANINGS

TextFormat = Literal["table", "markdown"]
_NONE: Final = "-"
_US_PER_MS: Final = 1000
_NOT_KEPT: Final = (
    "How this call was decided is not on record. `diagnostics.decisions: all` keeps it "
    "for every call, `failed` for those that failed or fell back."
)
_TARGETS: Final = (
    "target", "dialect", "lane", "missing", "weight", "order", "score", "seen",
)  # fmt: skip
_SCORES: Final = ("target", "term", "observed", "value", "weight", "contribution")
_ATTEMPTS: Final = (
    "target", "lane", "class", "then", "began ms", "took ms", "first byte ms",
    "first event ms", "status", "retry after s",
)  # fmt: skip
_POLICY: Final = ("kind", "outcome", "class label", "error", "took ms")


@dataclass(frozen=True, slots=True)
class Block:
    """One table under a title, of which the first `texts` columns are text.

    Without a head it is a list of facts, and without rows only a sentence. With
    `ours` the last column holds sentences of this program, which may have markup.
    """

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    texts: int = 2
    note: str = ""
    ours: bool = False


def render_decision(decision: Decision, *, to: TextFormat) -> str:
    """Return a decision as text that ends with a newline."""
    return _RENDERERS[to](_blocks_of(KeptDecision(decision)))


def render_call(call: Explained, *, to: TextFormat | Literal["json"]) -> str:
    """Return all that is on record of a call as text that ends with a newline."""
    if to == "json":
        return _json(call)
    decided = [Block("Decision", note=_NOT_KEPT)]
    if call.kept is not None:
        decided = list(_blocks_of(call.kept))
    return _RENDERERS[to]([_record(call.record), *decided])


def _json(call: Explained) -> str:
    kept = call.kept
    document = {
        "record": call.record,
        "decision": kept and kept.decision,
        "candidates_left_out": kept.candidates_left_out if kept else None,
        "reasons_left_out": kept.reasons_left_out if kept else None,
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


def _record(record: Mapping[str, str | int | None]) -> Block:
    ended = [str(record["status"])]
    ended += [str(record[name]) for name in _ENDS if record[name] is not None]
    facts = [
        ("request id", str(record["request_id"])),
        ("began", utc_text(int(record["ts_ms"] or 0))),
        ("caller", str(record["caller_id"])),
        ("client", str(record["client"])),
        ("model", _shown(record["requested_model"])),
        ("served by", _served_by(record)),
        ("ended", ", ".join(ended)),
        ("refused by", _shown(record["refused_by"])),
        ("waited", f"{_ms(record['queued_us'])} ms"),
        ("took", f"{_ms(record['latency_us'])} ms"),
        ("first token", f"{_ms(record['ttft_us'])} ms"),
        ("tokens", _tokens(record)),
        ("cost", _cost(record["total_cost_nusd"])),
        ("charged", _charged(record)),
        ("budget warning", _shown(record["budget_warning"])),
        ("caller left", _shown(record["disconnect"])),
    ]
    return Block("Call", rows=[fact for fact in facts if fact[1] not in _EMPTY])


_ENDS: Final = ("error_code", "error_class")
_EMPTY: Final = (_NONE, f"{_NONE} ms")


def _served_by(record: Mapping[str, str | int | None]) -> str:
    if record["target_provider"] is None:
        return _NONE
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
    return ", ".join(counts) or _NONE


def _charged(record: Mapping[str, str | int | None]) -> str:
    """Return what budgets were charged, where that is not what is on record."""
    tokens = record["charged_tokens"]
    if tokens is None:
        return _NONE
    return f"{tokens:,} tokens, {_cost(record['charged_cost_nusd'])}"


def _cost(nusd: str | int | None) -> str:
    return _NONE if nusd is None else f"${int(nusd) / NUSD_PER_USD:.9f}"


def _blocks_of(kept: KeptDecision) -> Iterator[Block]:
    """Yield what there is to show of a decision."""
    decision = kept.decision
    yield Block("Decision", rows=_outcome(decision))
    yield Block("Needs", rows=list(_needs(decision.needs)))
    yield Block(
        "Targets",
        _TARGETS,
        [_candidate(each) for each in decision.candidates],
        texts=4,
        note=_left_out(kept),
    )
    yield Block("What would help", ("missing", "do this"), _hints(decision), ours=True)
    yield Block("Scores", _SCORES, list(_terms(decision)))
    yield Block("Policy", _POLICY, list(_policy(decision)), texts=4)
    yield Block("Attempts", _ATTEMPTS, list(_attempts(decision)), texts=4)
    classes = _classes(decision)
    yield Block("What the classes mean", ("class", "what happened"), classes, ours=True)


def _outcome(decision: Decision) -> list[tuple[str, str]]:
    facts = [("group", decision.group), ("strategy", decision.strategy)]
    if decision.affinity != "none":
        facts.append(("affinity", decision.affinity))
    if decision.error_code is not None:
        facts.append(("failed with", decision.error_code))
    return facts


def _needs(needs: Needs) -> Iterator[tuple[str, str]]:
    """Yield what a request needs, and nothing of what it does not."""
    for field in msgspec.structs.fields(Needs):
        value = getattr(needs, field.name)
        if value is True:
            yield field.name.replace("_", " "), "yes"
        elif value:
            yield field.name.replace("_", " "), _shown(value)


def _candidate(each: Candidate) -> tuple[str, ...]:
    return (
        each.label,
        each.dialect,
        each.lane,
        ", ".join(each.missing) or _NONE,
        f"{each.weight:,}",
        _NONE if each.rank is None else str(each.rank + 1),
        _shown(each.score),
        _shown(each.observations),
    )


def _left_out(kept: KeptDecision) -> str:
    if not kept.candidates_left_out and not kept.reasons_left_out:
        return ""
    return (
        f"Not kept: {kept.candidates_left_out:,} more targets "
        f"(`diagnostics.max_candidates`) and {kept.reasons_left_out:,} more reasons "
        "(`diagnostics.max_filter_reasons`)."
    )


def _hints(decision: Decision) -> list[tuple[str, str]]:
    codes = dict.fromkeys(code for each in decision.candidates for code in each.missing)
    return [(code, hint_for(code)) for code in codes]


def _terms(decision: Decision) -> Iterator[tuple[str, ...]]:
    for each in decision.candidates:
        for term in each.read_terms:
            numbers = (term.observed, term.value, term.weight, term.contribution)
            yield (each.label, term.name, *map(_shown, numbers))


def _policy(decision: Decision) -> Iterator[tuple[str, ...]]:
    run = decision.policy
    if run is not None:
        error, took = _shown(run.error), _ms(run.duration_us)
        yield (run.kind, run.outcome, _shown(run.class_label), error, took)


def _attempts(decision: Decision) -> Iterator[tuple[str, ...]]:
    for each in decision.attempts:
        yield (
            each.label,
            each.lane,
            _shown(each.error_class),
            each.then,
            _ms(each.began_us),
            _ms(each.duration_us),
            _ms(each.first_byte_us),
            _ms(each.first_event_us),
            _shown(each.status),
            _shown(each.retry_after_s),
        )


def _classes(decision: Decision) -> list[tuple[str, str]]:
    classes = dict.fromkeys(each.error_class for each in decision.attempts)
    return [
        (each, MEANINGS[each].what) for each in classes if each and each in MEANINGS
    ]


def _shown(value: object) -> str:
    """Return a value as people read it; nothing is a dash."""
    match value:
        case None:
            return _NONE
        case tuple():
            return ", ".join(map(str, value))
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case _:
            return str(value)


def _ms(us: str | int | None) -> str:
    return _NONE if us is None else f"{int(us) / _US_PER_MS:,.1f}"


def _markdown(blocks: Iterable[Block]) -> str:
    parts = []
    for block in blocks:
        lines = []
        if block.rows:
            rows = [_inert_row(row, ours=block.ours) for row in block.rows]
            head = block.head or ("what", "value")
            lines.append(table(head, rows, texts=block.texts))
        if block.note:
            lines.append(block.note)
        if lines:
            parts.append("\n\n".join([f"## {block.title}", *lines]))
    return "\n\n".join(parts) + "\n"


def _inert_row(row: Sequence[str], *, ours: bool) -> list[str]:
    cells = [inert(cell) for cell in row]
    return [*cells[:-1], row[-1]] if ours else cells


def _text(blocks: Iterable[Block]) -> str:
    parts = []
    for block in blocks:
        lines = [*_aligned(block), *([f"  {block.note}"] if block.note else [])]
        if lines:
            parts.append("\n".join([block.title, *lines]))
    return "\n\n".join(parts) + "\n"


def _aligned(block: Block) -> Iterator[str]:
    """Yield the lines of a table: text to the left, numbers to the right."""
    rows = [[_printable(cell) for cell in row] for row in block.rows]
    if not rows:
        return
    if block.head:
        rows.insert(0, list(block.head))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if at < block.texts else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield ("  " + "  ".join(cells)).rstrip()


def _printable(cell: str) -> str:
    """Return a value that moves no cursor and ends no line."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in cell
    )


_RENDERERS: Final[Mapping[TextFormat, Callable[[Iterable[Block]], str]]] = {
    "table": _text,
    "markdown": _markdown,
}
