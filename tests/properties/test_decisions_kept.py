"""Law: a decision comes out of the database as it went into the journal."""

import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.decisions import Decision, Term
from smart_llmrouter.ledger.decision_line import bounded, with_decision
from smart_llmrouter.ledger.explained import Explained, explained
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.stores.database import open_for_reading
from tests.support.decisions import DECISIONS, a_candidate, a_decision
from tests.support.ledger import StateDirectory, a_record, state_in

BOUNDS = Diagnostics()
_TERM = Term(name="cost", value=0.5, weight=1.0, contribution=0.5, observed=None)


def ingested(
    state: StateDirectory, decisions: list[Decision], bounds: Diagnostics
) -> list[Explained | None]:
    """Bring decisions from the journal to the database; return what is read there."""
    writer = state.writer()
    records = [a_record(number) for number in range(len(decisions))]
    lines = map(encode_record, records)
    for line, decision in zip(lines, decisions, strict=True):
        writer.append(with_decision(line, decision, bounds))
    writer.close()
    done = state.ingester().advance()
    assert (done.records, done.rejected) == (len(decisions), 0)
    with open_for_reading(state.url).connect() as connection:
        return [explained(connection, record.request_id) for record in records]


@settings(max_examples=20, deadline=None)
@example([a_decision(candidates=(a_candidate(1, terms=(_TERM,)),))])
@given(st.lists(DECISIONS, min_size=1, max_size=6))
def test_nothing_is_changed_on_the_way(decisions: list[Decision]) -> None:
    """Journal line, rows and views give back each decision, whatever it holds."""
    with tempfile.TemporaryDirectory() as directory:
        found = ingested(state_in(Path(directory)), decisions, BOUNDS)

    assert [each and each.kept and each.kept.decision for each in found] == decisions
    assert all(
        each and each.kept == bounded(decision, BOUNDS)
        for each, decision in zip(found, decisions, strict=True)
    )


@settings(max_examples=20, deadline=None)
@given(DECISIONS, st.integers(1, 3), st.integers(1, 4))
def test_what_is_left_out_is_counted(
    decision: Decision, candidates: int, reasons: int
) -> None:
    """Bounds hold, nobody becomes eligible by them, and the sums are right."""
    bounds = Diagnostics(max_candidates=candidates, max_filter_reasons=reasons)

    with tempfile.TemporaryDirectory() as directory:
        [found] = ingested(state_in(Path(directory)), [decision], bounds)

    assert found is not None
    kept = found.kept
    assert kept is not None
    shown = kept.decision.candidates
    shown_reasons = sum(len(each.missing) for each in shown)
    assert len(shown) <= candidates
    assert shown_reasons <= reasons
    assert len(shown) + kept.candidates_left_out == len(decision.candidates)
    assert shown_reasons + kept.reasons_left_out == sum(
        len(each.missing) for each in decision.candidates
    )
    fitting = [each for each in decision.candidates if not each.missing]
    assert all(each in fitting for each in shown if not each.missing)
