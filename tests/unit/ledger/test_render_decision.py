"""A decision as people and programs read it."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.core.notes import Note
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.explained import Explained, explained
from smart_llmrouter.ledger.record import UsageRecord, encode_record
from smart_llmrouter.ledger.render_decision import (
    TextFormat,
    render_call,
    render_decision,
)
from smart_llmrouter.stores.database import open_for_reading
from smart_llmrouter.stores.decision_rows import KeptDecision
from tests.support.decisions import a_candidate, a_decision, an_attempt, scored
from tests.support.ledger import a_record, state_in

TABLE = """\
Decision
  group     chat
  strategy  failover

Needs
  dialect                 openai-chat
  stream                  yes
  tools                   function
  tool count              3
  tool schema bytes       1,200
  image data              1
  reasoning               effort
  reasoning level         low
  output cap              1,000
  estimated input tokens  1,234
  request bytes           4,567

Targets
  target      dialect      lane   missing  weight  order  score  seen
  acme0/mini  openai-chat  relay  -             1      1      -     -
  acme1/mini  openai-chat  relay  image         1      -      -     -

What would help
  missing  do this
  image    send no images, or declare `image` in the `input` of a model that reads them

Attempts
  target      lane   class                  then  began ms  took ms  first byte ms\
  first event ms  status  retry after s
  acme0/mini  relay  upstream_rate_limited  stop       0.1     12.3           10.0\
               -     429              7

What the classes mean
  class                  what happened
  upstream_rate_limited  The provider limits the rate: 429.
"""


def test_a_decision_as_text() -> None:
    """Text stands to the left, numbers to the right; what is not there is left out."""
    refused = an_attempt(
        "acme0/mini",
        status=429,
        error_class="upstream_rate_limited",
        retry_after_s=7,
        first_event_us=None,
        then="stop",
    )
    decision = a_decision(
        candidates=(a_candidate(0), a_candidate(1, missing=("image",), rank=None)),
        attempts=(refused,),
    )

    assert render_decision(decision, to="table") == TABLE


@pytest.mark.parametrize("to", ["table", "markdown"])
def test_scores_policy_and_affinity_are_shown(to: TextFormat) -> None:
    """Each term with its figures, and what the policy called the request."""
    words = render_decision(scored(), to=to).replace("|", " ").split()

    shown = " ".join(words)
    assert "acme0/mini latency 812.5 0.25 2 0.5" in shown
    assert "rules decided small - 0.1" in shown
    assert "affinity moved" in shown
    assert "cooling-down wait until it is tried again" in shown


@pytest.mark.parametrize("to", ["table", "markdown"])
def test_what_was_left_out_is_said(tmp_path: Path, to: TextFormat) -> None:
    """Nobody takes a part for the whole."""
    call = on_record(tmp_path, a_record(1), a_decision())

    shown = render_call(replace(call, kept=KeptDecision(a_decision(), 3, 14)), to=to)

    assert "3 more targets (`diagnostics.max_candidates`) and 14 more reasons" in shown


@pytest.mark.parametrize("to", ["table", "markdown"])
def test_nothing_that_somebody_chose_is_markup_or_moves_a_cursor(
    to: TextFormat,
) -> None:
    """Labels are the operator's, but a class label may be anybody's text."""
    evil = "<b>\x1b[2J|\n# x"
    decision = a_decision(candidates=(a_candidate(0, label=evil),))

    shown = render_decision(decision, to=to)

    assert "\x1b" not in shown
    assert "\n# x" not in shown
    assert ("<b>" in shown) == (to == "table")


def on_record(
    directory: Path, record: UsageRecord, decision: Decision | None
) -> Explained:
    """Bring a call to the database and read it there."""
    state, line = state_in(directory), encode_record(record)
    writer = state.writer()
    writer.append(
        line if decision is None else with_decision(line, decision, Diagnostics())
    )
    writer.close()
    state.ingester().advance()
    with open_for_reading(state.url).connect() as connection:
        call = explained(connection, record.request_id)
    assert call is not None
    return call


@pytest.mark.parametrize("to", ["table", "markdown"])
def test_a_call_is_shown_with_its_record(tmp_path: Path, to: TextFormat) -> None:
    """What was answered, by whom, how fast and for how much stands before the rest."""
    record = a_record(
        1,
        target_provider="acme",
        target_model="mini",
        target_dialect="anthropic-messages",
        lane="translate",
        attempts=2,
        ttft_us=12_300,
        input_tokens=1000,
        output_tokens=5,
        total_cost_nusd=1_500,
        disconnect="drained",
    )

    text = render_call(on_record(tmp_path, record, a_decision()), to=to)

    shown = " ".join(text.replace("|", " ").replace("\\", "").split())
    assert f"request id {record.request_id}" in shown
    assert "served by acme/mini (translated, 2 attempts)" in shown
    assert "ended 200 took 1.0 ms first token 12.3 ms" in shown
    assert "tokens 1,000 in, 5 out cost $0.000001500 caller left drained" in shown
    assert "all of it $0.000001500" in shown
    assert "attempt-ended acme1/mini" in shown
    assert "acme1/mini relay - answered" in shown


def test_what_limits_did_to_a_call_is_shown(tmp_path: Path) -> None:
    """Who refused it, how long it waited, what it was charged, what it warns of."""
    refused = a_record(1, refused_by="caller:rpm", queued_us=250_000)
    charged = a_record(
        2,
        charged_tokens=1_900,
        charged_cost_nusd=4_500,
        budget_warning="group:day.usd",
    )

    of_refused = render_call(on_record(tmp_path / "1", refused, None), to="table")
    of_charged = render_call(on_record(tmp_path / "2", charged, None), to="table")

    assert "refused by caller:rpm waited 250.0 ms" in " ".join(of_refused.split())
    assert (
        "charged 1,900 tokens, $0.000004500 budget warning group:day.usd"
        in " ".join(of_charged.split())
    )


@pytest.mark.parametrize("to", ["table", "markdown"])
def test_a_call_whose_decision_is_not_kept_says_how_to_keep_it(
    tmp_path: Path, to: TextFormat
) -> None:
    """The record alone tells much; the setting is named that tells the rest."""
    record = a_record(1, status=502, error_code="no-eligible-target")

    text = render_call(on_record(tmp_path, record, None), to=to)

    assert "502, no-eligible-target" in text.replace("\\", "")
    assert "`diagnostics.decisions: all`" in text
    assert "Targets" not in text


def test_the_json_of_a_call_holds_its_row_and_its_decision(tmp_path: Path) -> None:
    """Columns keep their names and units; the decision is the same value as ever."""
    call = on_record(tmp_path, a_record(1), scored())

    document = json.loads(render_call(call, to="json"))

    assert document["record"]["latency_us"] == 1001
    assert document["decision"] == json.loads(msgspec.json.encode(scored()))
    assert (document["candidates_left_out"], document["reasons_left_out"]) == (0, 0)


@pytest.mark.parametrize("to", ["table", "markdown"])
def test_a_call_is_shown_with_its_timeline_costs_and_notes(
    tmp_path: Path, to: TextFormat
) -> None:
    """What happened when, what the cost is made of, and what was lost on the way."""
    record = a_record(
        1,
        latency_us=900_000,
        ttfb_us=200_000,
        ttft_us=300_000,
        queued_us=50_000,
        target_provider="acme",
        target_model="mini",
        target_dialect="openai-chat",
        input_tokens=100,
        cached_input_tokens=40,
        input_cost_nusd=6_000,
        cached_input_cost_nusd=400,
        output_cost_nusd=9_000,
        total_cost_nusd=15_400,
        notes=(Note("dropped", "seed", "the target has no such field"),),
        cache="miss",
        cache_reason="stored",
    )

    text = render_call(on_record(tmp_path, record, None), to=to)

    shown = " ".join(text.replace("|", " ").replace("\\", "").split())
    for told in (
        "first-event acme/mini",
        "300.0",
        "read from the provider's cache 40",
        "input that was not cached $0.000006000",
        "input from the provider's cache $0.000000400",
        "all of it $0.000015400",
        "seed dropped the target has no such field",
        "response cache miss (stored)",
    ):
        assert told in shown
    assert shown.index("received") < shown.index("first-byte")
