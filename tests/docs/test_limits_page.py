"""The refusal on the page about what callers see is what the router really says."""

import json
import re
from datetime import UTC, datetime

from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.refusing import exceeded
from smart_llmrouter.admission.verdicts import Refusal
from smart_llmrouter.config.allowances import Allowance, Limits, Scope
from smart_llmrouter.engine.refusals import render_refusal
from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "limits-for-callers.md").read_text(encoding="utf-8")
ID = "req_0123456789abcdef0123456789abcdef"


def test_the_example_is_what_is_told() -> None:
    """Word by word, as OpenAI's clients get it."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    scope = Scope(
        kind="caller",
        key="caller:alice-search-dev",
        allowance=Allowance(limits=Limits(rpm=120)),
    )
    refusal = Refusal(
        scope=scope,
        limit="rpm",
        value=120,
        left=0,
        wait_s=6.2,
        resets_at_s=datetime(2026, 11, 23, 18, 30, 42, tzinfo=UTC).timestamp(),
    )

    error = exceeded(refusal, Demand(request_id=ID, began_ms=0))

    body = render_refusal(error, dialect="openai-chat", request_id=ID)
    assert json.loads(body) == json.loads(example)
