"""What a router tells a caller of its limits, and what the rows say to that."""

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2

from tests.support.gauges import Reachable
from tests.support.wait import eventually

_DAYS: Final = itertools.cycle(range(1, 300))


async def limits_told(
    router: Reachable, key: str = "k1"
) -> dict[str, tuple[float, float]]:
    """Return what the caller has used of each limit of its only scope, and reserved.

    A report is kept for a while, so each time others days are asked for. It is made
    when nobody else wants the processor: who is told to ask again does so.
    """

    async def told() -> list[dict[str, Any]] | None:
        first = datetime.now(UTC).date() - timedelta(days=next(_DAYS))
        async with router.http(key) as client:
            answer = await client.get(f"/v1/usage?from={first}")
        if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
            return None
        scopes: list[dict[str, Any]] = answer.json()["limits"]
        return scopes

    found = await eventually(told, what="a report")
    assert found is not None
    (scope,) = found
    return {
        each["limit"]: (float(each["used"]), float(each["reserved"]))
        for each in scope["limits"]
    }


def spent_by(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return what budgets were charged in all, as the rows have it."""
    asked = [row for row in rows if row["attempts"]]
    tokens = sum(_charged(row, "charged_tokens", _tokens(row)) for row in asked)
    cost = [
        _charged(row, "charged_cost_nusd", row["total_cost_nusd"] or 0) for row in asked
    ]
    return {"requests": len(asked), "tokens": tokens, "usd": sum(cost) / 10**9}


def _charged(row: Mapping[str, Any], column: str, usual: int) -> int:
    charged: int | None = row[column]
    return usual if charged is None else charged


def _tokens(row: Mapping[str, Any]) -> int:
    return (row["input_tokens"] or 0) + (row["output_tokens"] or 0)
