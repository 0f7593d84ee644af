"""The example on the page about `GET /v1/usage` is what the router really says."""

import json
import re
from datetime import UTC, datetime

from smart_llmrouter.admission.verdicts import Use
from smart_llmrouter.config.allowances import Allowance, Allowances, Limits
from smart_llmrouter.ledger.caller_usage import Amounts, UsageLine
from tests.support.repository import ROOT
from tests.unit.edge.test_usage import TODAY, Told

PAGE = (ROOT / "docs" / "usage-endpoint.md").read_text(encoding="utf-8")


async def test_the_example_is_what_is_told() -> None:
    """Field by field, with the same names, kinds and order."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    limited = Allowance(limits=Limits(rpm=1))
    minute_s = datetime(2026, 11, 23, 18, 30, 42, tzinfo=UTC).timestamp()
    month_s = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    told = Told(
        Allowances(callers={"alice-search-dev": limited}, projects={"search": limited}),
        lines=(
            UsageLine(
                TODAY, "chat", Amounts(3, 1, 3000, 1024, 0, 0, 800, 300, 1_800_000)
            ),
        ),
        uses_of={
            "caller": (
                Use(limit="rpm", value=120, used=3, reserved=0, resets_at_s=minute_s),
                Use(limit="concurrent", value=8, used=1, reserved=0),
            ),
            "project": (
                Use(
                    limit="month.usd",
                    value=200 * 10**9,
                    used=41_250_000_125,
                    reserved=750_000_000,
                    resets_at_s=month_s,
                ),
            ),
        },
    )

    report = await told.of(None, **{"from": "2026-11-01"})

    assert json.dumps(json.loads(example)) == json.dumps(report)
