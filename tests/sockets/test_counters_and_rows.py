"""What counters say of budgets is what the records add up to, however calls end."""

import asyncio
import random
import time
from functools import reduce
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest

from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.verdicts import Use
from smart_llmrouter.config.allowances import Scope
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.scopes import all_scopes
from smart_llmrouter.ledger.budget_sums import NOTHING_USED, Used
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.mockprovider.script import Drip, Step, StreamError
from tests.conftest import SOAK
from tests.support.calendar import MIDDAY
from tests.support.gateway import RESTLESS, caller, configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.spending import used_by
from tests.support.wait import eventually

CALLS: Final = 2000 if SOAK else 96
MOST_CALLS: Final = 10 * CALLS
AT_ONCE: Final = 16
SEED: Final = random.randrange(2**32)
STEPS: Final = (
    Step(prompt_tokens=20, completion_tokens=30),
    Step(prompt_tokens=20, completion_tokens=30, cached_tokens=5),
    Step(no_usage=True),
    *(Step(wrong_usage=each) for each in ("absent", "null", "partial", "zero")),
    Step(status=500),
    Step(status=429),
    Step(status=400),
    Step(hang_up_at_byte=0),
    Step(hang_up_at_byte=150),
    Step(hang_up_after_events=2),
    Step(rst=True, hang_up_after_events=1),
    Step(error_in_stream=StreamError(after_events=2)),
    Step(malformed_json=True),
    Step(no_done=True),
    Step(drip=Drip(bytes=50, every_ms=5)),
    Step(delay_first_ms=100),
    Step(delay_between_ms=30),
)
PATHS: Final = ("/v1/chat/completions", "/v1/responses", "/v1/messages")

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 300)]


async def call(router: Router, chance: random.Random) -> None:
    """Make one call of any kind, and leave early now and then."""
    # The answer to some may be one that was kept, or be waited for by others.
    kept = chance.random() < 0.5
    path, steps = chance.choice(PATHS), STEPS[:2] if kept else STEPS
    step = msgspec.json.encode(chance.choice(steps))
    said = f"hi [[mock: {step.decode()}]]"
    body: dict[str, object] = {"model": "chat", "stream": chance.random() < 0.5}
    if path == "/v1/responses":
        body["input"] = said
    else:
        body |= {"messages": [{"role": "user", "content": said}], "max_tokens": 50}
    if kept:
        body |= {"temperature": 0}
        body |= {"store": False} if path == "/v1/responses" else {}
    patience_s = chance.choice([0.05, 0.2, 1.0, 5.0])
    async with router.http() as client:
        try:
            async with asyncio.timeout(patience_s):
                await client.post(path, json=body)
        except (TimeoutError, httpx2.HTTPError):
            return


def has_all(records: list[UsageRecord]) -> bool:
    """Say whether there are enough calls of each kind.

    On a machine that is busy most callers may leave before anything is asked.
    """
    used = reduce(Used.plus, map(used_by, records), NOTHING_USED)
    return (
        used.requests > CALLS // 4
        and any(each.charged_tokens is not None for each in records)
        and any(each.cache == "hit" for each in records)
    )


async def standing(counters: Memory, scopes: tuple[Scope, ...]) -> dict[str, Used]:
    """Return what is settled in each scope; nothing may be in flight."""
    found = {}
    for scope, each in zip(scopes, await counters.standing(scopes), strict=True):
        uses: dict[str, Use] = {use.limit: use for use in each.uses}
        assert all(use.reserved == 0 for use in each.uses)
        assert uses["concurrent"].used == 0
        day = (uses[f"day.{unit}"].used for unit in ("requests", "tokens", "usd"))
        found[scope.key] = Used(*day)
    return found


async def test_counters_are_the_sum_of_the_records(tmp_path: Path, mock: Mock) -> None:
    """After answers of all kinds, failures, and callers who left, in all dialects."""
    chance = random.Random(SEED)
    plenty: dict[str, Any] = {
        "limits": {"concurrent": 1000},
        "budgets": {
            "timezone": MIDDAY,
            "day": {"requests": 10**6, "tokens": 10**12, "usd": 10**6},
        },
    }
    settings = configuration(
        {"acme": provider(mock.base_url, backoff=RESTLESS)},
        callers=[caller(**plenty)],
        cache={"enabled": True},
    )
    settings["groups"]["chat"] |= plenty
    settings["upstream"] = {"drain_s": 0.2}
    counters = Memory(now=time.monotonic, wall=time.time)
    async with running_router(tmp_path, settings, counters) as router:
        for batch in range(MOST_CALLS // AT_ONCE):
            await asyncio.gather(*(call(router, chance) for _ in range(AT_ONCE)))
            if batch >= CALLS // AT_ONCE and has_all(router.records()):
                break
        scopes = all_scopes(load_snapshot(tmp_path / "router.yaml", environment={}))

        async def quiet() -> bool:
            [of_group] = await counters.standing([scopes[-1]])
            return all(
                use.used == 0 for use in of_group.uses if use.limit == "concurrent"
            )

        await eventually(quiet, what="the end of all calls")
    records = router.records()

    used = reduce(Used.plus, map(used_by, records), NOTHING_USED)
    found = await standing(counters, scopes)
    assert has_all(records), f"seed {SEED}"
    assert found == dict.fromkeys(found, used), f"seed {SEED}"
