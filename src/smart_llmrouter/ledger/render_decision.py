"""A decision for people: aligned text or Markdown.

They show each target with what it missed and what would help, scores, the policy's run,
and each attempt with what it means. A call is also there as JSON, for programs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from smart_llmrouter.core.decisions import Candidate, Decision, Needs
from smart_llmrouter.core.errors.targets import hint_for
from smart_llmrouter.ledger.block import NONE_SHOWN, Block, ms, shown
from smart_llmrouter.ledger.call_blocks import call_blocks
from smart_llmrouter.ledger.explained import Explained
from smart_llmrouter.ledger.render_markdown import inert, table
from smart_llmrouter.stores.decision_rows import KeptDecision
from smart_llmrouter.upstream.failure_classes import MEANINGS

TextFormat = Literal["table", "markdown"]
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
    return _RENDERERS[to]([*call_blocks(call), *decided])


def _json(call: Explained) -> str:
    kept = call.kept
    document = {
        "record": call.record,
        "timeline": call.timeline,
        "notes": call.notes,
        "decision": kept and kept.decision,
        "candidates_left_out": kept.candidates_left_out if kept else None,
        "reasons_left_out": kept.reasons_left_out if kept else None,
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode() + "\n"


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
            yield field.name.replace("_", " "), shown(value)


def _candidate(each: Candidate) -> tuple[str, ...]:
    return (
        each.label,
        each.dialect,
        each.lane,
        ", ".join(each.missing) or NONE_SHOWN,
        f"{each.weight:,}",
        NONE_SHOWN if each.rank is None else str(each.rank + 1),
        shown(each.score),
        shown(each.observations),
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
            yield (each.label, term.name, *map(shown, numbers))


def _policy(decision: Decision) -> Iterator[tuple[str, ...]]:
    run = decision.policy
    if run is not None:
        error, took = shown(run.error), ms(run.duration_us)
        yield (run.kind, run.outcome, shown(run.class_label), error, took)


def _attempts(decision: Decision) -> Iterator[tuple[str, ...]]:
    for each in decision.attempts:
        yield (
            each.label,
            each.lane,
            shown(each.error_class),
            each.then,
            ms(each.began_us),
            ms(each.duration_us),
            ms(each.first_byte_us),
            ms(each.first_event_us),
            shown(each.status),
            shown(each.retry_after_s),
        )


def _classes(decision: Decision) -> list[tuple[str, str]]:
    classes = dict.fromkeys(each.error_class for each in decision.attempts)
    return [
        (each, MEANINGS[each].what) for each in classes if each and each in MEANINGS
    ]


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
