"""What a caller is told of its limits and usage: only its own, and soon again."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from smart_llmrouter.admission.verdicts import Standing, Use
from smart_llmrouter.config.allowances import Allowance, Allowances, Limits, Scope
from smart_llmrouter.core.errors import (
    CountersAway,
    InvalidRequest,
    UsageUnavailable,
)
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.edge.usage import MOST_DAYS, Rows, UsageReports
from smart_llmrouter.ledger.caller_usage import Amounts, UsageLine, UsageUnread
from tests.support.clock import Clock
from tests.support.wait import PATIENCE_S, eventually
from tests.unit.edge.test_identity import known

NOW = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
TODAY = 20_780
LIMITED = Allowance(limits=Limits(rpm=10))


@dataclass(slots=True)
class Told:
    """Reports over rows and standings that a test decides."""

    allowances: Allowances = field(default_factory=Allowances)
    lines: Sequence[UsageLine] = ()
    uses: tuple[Use, ...] = (Use(limit="rpm", value=10, used=4, reserved=1),)
    uses_of: Mapping[str, tuple[Use, ...]] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    asked: list[tuple[str, range]] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    takes_s: float = 0.0
    fails: bool = False
    away: bool = False
    goes_on: threading.Event = field(default_factory=threading.Event)
    reports: UsageReports = field(init=False)

    def __post_init__(self) -> None:
        """Let nobody wait, until a test wants that."""
        self.goes_on.set()
        self.reports = UsageReports(
            self.allowances,
            standings=self.standings,
            read_rows=self.read_rows,
            now=self.clock,
            wall_clock=NOW.timestamp,
        )

    async def standings(self, scopes: Sequence[Scope]) -> Sequence[Standing]:
        """Say the same of each scope, or what is to be said of its kind."""
        self.scopes += [scope.key for scope in scopes]
        if self.away:
            raise CountersAway
        return [
            Standing(
                kind=scope.kind,
                name=scope.name,
                uses=self.uses_of.get(scope.kind, self.uses),
            )
            for scope in scopes
        ]

    def read_rows(self, caller_id: str, days: range) -> Rows:
        """Return the lines, once a test lets that go on."""
        self.asked.append((caller_id, days))
        assert self.goes_on.wait(PATIENCE_S)
        self.clock.turn(self.takes_s)
        if self.fails:
            raise UsageUnread("OperationalError")
        return Rows(self.lines, complete=True)

    async def of(self, caller: Caller | None = None, /, **query: str) -> dict[str, Any]:
        """Ask as a caller."""
        return await self.reports.of(caller or known(), query)


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, range(TODAY - 30, TODAY + 1)),
        ({"to": "2026-11-23"}, range(TODAY - 31, TODAY)),
        ({"from": "2026-11-23"}, range(TODAY, TODAY + 1)),
        ({"from": "2026-11-01", "to": "2026-11-03"}, range(TODAY - 22, TODAY - 20)),
        ({"from": "1970-01-01", "to": "1970-01-02", "x": "y"}, range(1)),
        ({"from": "2024-01-01", "to": "2025-01-01"}, range(19723, 20089)),
    ],
)
async def test_the_days_that_are_asked_for(query: dict[str, str], days: range) -> None:
    """The last 31 days by default, today among them; `to` itself does not count."""
    told = Told()

    report = await told.of(None, **query)

    assert told.asked == [("alice-search-dev", days)]
    first = datetime.fromtimestamp(days.start * 86_400, UTC)
    assert report["usage"]["from"] == first.date().isoformat()


@pytest.mark.parametrize(
    ("query", "field_name"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-31"}, "from"),
        ({"from": "20261101"}, "from"),
        ({"from": "2026-11-01T00:00:00Z"}, "from"),
        ({"from": "\u0662026-11-01"}, "from"),
        ({"from": ""}, "from"),
        ({"to": "0000-01-01"}, "to"),
        ({"to": "1" * 10_000}, "to"),
        ({"to": "0001-01-01"}, "from"),
        ({"from": "2026-11-03", "to": "2026-11-03"}, "from"),
        ({"from": "2026-11-03", "to": "2026-11-01"}, "from"),
        ({"from": "2999-01-01"}, "from"),
        ({"from": "2024-01-01", "to": "2025-01-02"}, "from"),
    ],
)
async def test_other_days_are_refused(query: dict[str, str], field_name: str) -> None:
    """The refusal names the parameter, and says what it must be."""
    told = Told()

    with pytest.raises(InvalidRequest) as raised:
        await told.of(None, **query)

    assert raised.value.details == {"field": field_name}
    assert str(MOST_DAYS) in raised.value.message or "`" in raised.value.message
    assert told.asked == []


async def test_usage_adds_up_by_day_and_by_group() -> None:
    """Each call is in one day and in one group, and in the total."""
    told = Told(
        lines=(
            UsageLine(TODAY - 1, None, Amounts(calls=1, errors=1)),
            UsageLine(TODAY - 1, "chat", Amounts(2, 0, 30, 20, 1, 2, 5, 4, 10**9)),
            UsageLine(TODAY, "chat", Amounts(calls=3, cost_nusd=1)),
        )
    )

    usage = (await told.of())["usage"]

    nothing = dict.fromkeys(Amounts._fields[2:-1], 0)
    tokens = {
        "input_tokens": 30,
        "cached_input_tokens": 20,
        "cache_write_5m_tokens": 1,
        "cache_write_1h_tokens": 2,
        "output_tokens": 5,
        "reasoning_tokens": 4,
    }
    assert usage["complete"] is True
    assert usage["total"] == {
        "calls": 6,
        "errors": 1,
        **tokens,
        "cost_usd": "1.000000001",
    }
    assert usage["by_day"] == [
        {"day": "2026-11-22", "calls": 3, "errors": 1, **tokens, "cost_usd": "1.00"},
        {
            "day": "2026-11-23",
            "calls": 3,
            "errors": 0,
            **nothing,
            "cost_usd": "0.000000001",
        },
    ]
    assert [line["group"] for line in usage["by_group"]] == [None, "chat"]
    assert [line["calls"] for line in usage["by_group"]] == [1, 5]


async def test_limits_are_those_that_concern_the_caller() -> None:
    """Its own and those that it shares, each once; never another caller's."""
    told = Told(
        Allowances(
            callers={"alice-search-dev": LIMITED, "bob": LIMITED},
            owners={"alice": LIMITED, "bob": LIMITED},
            projects={"search": LIMITED, "mail": LIMITED},
            environments={("search", "dev"): LIMITED, ("search", "prod"): LIMITED},
            groups={"chat": LIMITED, "secret": LIMITED},
            per_caller={"chat": LIMITED, "secret": LIMITED},
        )
    )

    report = await told.of()

    assert told.scopes == [
        "caller:alice-search-dev",
        "owner:alice",
        "project:search",
        "environment:search/dev",
        "group:chat",
        "group-caller:chat/alice-search-dev",
    ]
    assert [each["shared"] for each in report["limits"]] == [
        False, True, True, True, True, False,
    ]  # fmt: skip
    assert report["limits"][0]["limits"] == [
        {
            "limit": "rpm",
            "value": 10,
            "used": 4,
            "reserved": 1,
            "left": 5,
            "resets_at": None,
        }
    ]
    assert "bob" not in str(report)
    assert "secret" not in str(report)
    assert report["as_of"] == "2026-11-23T18:30:00Z"


async def test_money_is_told_as_text() -> None:
    """No amount goes through a float; more than all is left as nothing."""
    told = Told(
        Allowances(callers={"alice-search-dev": LIMITED}),
        uses=(
            Use(
                limit="day.usd",
                value=2 * 10**9,
                used=1_500_000_001,
                reserved=10**9,
                resets_at_s=NOW.timestamp() + 0.5,
            ),
        ),
    )

    (scope,) = (await told.of())["limits"]

    assert scope["limits"] == [
        {
            "limit": "day.usd",
            "value": "2.00",
            "used": "1.500000001",
            "reserved": "1.00",
            "left": "0.00",
            "resets_at": "2026-11-23T18:30:01Z",
        }
    ]


async def test_who_polls_is_told_the_same_for_a_second() -> None:
    """Many questions are one look at the rows; other callers have their own."""
    told = Told()

    await asyncio.gather(*(told.of() for _ in range(50)))
    told.clock.turn(0.9)
    await told.of()
    assert len(told.asked) == 1

    told.clock.turn(0.2)
    await told.of()
    assert len(told.asked) == 2

    await told.of(known(status="disabled"))
    assert len(told.asked) == 2


async def test_what_took_long_is_told_for_longer() -> None:
    """So a caller costs a tenth of a core at most, however often it asks."""
    told = Told(takes_s=3.0)

    await told.of()
    told.clock.turn(29)
    await told.of()
    assert len(told.asked) == 1

    told.clock.turn(2)
    await told.of()
    assert len(told.asked) == 2


async def test_what_cannot_be_read_is_not_tried_again_at_once() -> None:
    """All who ask are told, and when to ask again."""
    told = Told(fails=True)

    for _ in range(3):
        with pytest.raises(UsageUnavailable) as raised:
            await told.of()
        assert raised.value.retry_after_s == 30
    assert len(told.asked) == 1

    told.clock.turn(31)
    told.fails = False
    await told.of()

    assert len(told.asked) == 2


async def test_a_store_that_is_back_is_asked_when_that_was_promised() -> None:
    """What was told while it was away is not told for longer than it said."""
    told = Told(allowances=Allowances(callers={known().id: LIMITED}), away=True)

    with pytest.raises(CountersAway) as raised:
        await told.of()
    told.away = False
    told.clock.turn(raised.value.retry_after_s or 0)

    assert (await told.of())["limits"]


async def test_a_caller_has_one_report_made_at_a_time() -> None:
    """Whatever days it asks for, at once, the others get their turn."""
    told = Told()
    told.goes_on.clear()
    asking = [asyncio.create_task(told.of(to=f"2026-11-{day:02}")) for day in (3, 4, 5)]
    await eventually(lambda: bool(told.asked), what="the first look")
    leaving = asyncio.create_task(told.of(to="2026-11-03"))
    await asyncio.sleep(0)
    leaving.cancel()
    asked = len(told.asked)
    told.goes_on.set()

    reports = await asyncio.gather(*asking)

    assert asked == 1
    assert [report["usage"]["to"] for report in reports] == [
        "2026-11-03",
        "2026-11-04",
        "2026-11-05",
    ]
