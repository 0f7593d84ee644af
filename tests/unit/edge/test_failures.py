"""Failed authentications: how many an address may have, and what is written down."""

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.core.errors import TooManyAuthFailures
from smart_llmrouter.edge.addresses import Proxies, packed
from smart_llmrouter.edge.exchange import Fields
from smart_llmrouter.edge.failures import MOST_ADDRESSES, Failures, Reason
from smart_llmrouter.engine.tally import Tally
from tests.support.clock import Clock


@dataclass(frozen=True, slots=True)
class Asked:
    """A request without a good token."""

    peer: bytes = packed("192.0.2.7")
    fields: Fields = field(default_factory=list)


def asked(host: str) -> Asked:
    """Return a request from an address."""
    return Asked(packed(host))


def failures(
    clock: Clock, per_minute: int, *trusted: str, tally: Tally | None = None
) -> Failures:
    """Return failures of which so many a minute are told what is wrong."""
    judge = Failures(tally or Tally(), now=clock)
    judge.bound(Proxies(trusted), per_minute=per_minute)
    return judge


def told(judge: Failures, request: Asked, times: int) -> list[int | None]:
    """Fail so many times; return after how many seconds each shall ask again."""
    found = (judge.judged("unknown", request) for _ in range(times))
    return [None if each is None else each.retry_after_s for each in found]


def test_a_bucket_of_failures() -> None:
    """So many at once are told what is wrong, then one for each part of a minute."""
    clock = Clock()
    judge = failures(clock, 4)

    first = told(judge, Asked(), 6)
    clock.turn(14.9)
    early = told(judge, Asked(), 1)
    clock.turn(0.1)
    then = told(judge, Asked(), 2)
    clock.turn(600)
    later = told(judge, Asked(), 5)

    assert first == [None] * 4 + [15, 15]
    assert early == [1]
    assert then == [None, 15]
    assert later == [None] * 4 + [15]


@pytest.mark.parametrize("per_minute", [1, 3, 7, 60, 61, 100_000])
def test_the_wait_that_is_told_is_enough(per_minute: int) -> None:
    """Who waits as long as `Retry-After` says is told what is wrong with its token."""
    clock = Clock()
    judge = failures(clock, per_minute)
    while (refused := judge.judged("missing", Asked())) is None:
        pass

    assert isinstance(refused, TooManyAuthFailures)
    assert refused.retry_after_s is not None
    assert 1 <= refused.retry_after_s <= 60
    clock.turn(refused.retry_after_s)

    assert judge.judged("missing", Asked()) is None


def test_each_address_has_a_bucket_of_its_own() -> None:
    """Another address is not concerned, but all of one IPv6 line are one."""
    judge = failures(Clock(), 1)

    assert told(judge, asked("192.0.2.7"), 2) == [None, 60]
    assert told(judge, asked("192.0.2.8"), 2) == [None, 60]
    assert told(judge, asked("2001:db8::1"), 2) == [None, 60]
    assert told(judge, asked("2001:db8::2"), 1) == [60]
    assert told(judge, asked("2001:db8:0:1::2"), 1) == [None]


def test_what_a_trusted_proxy_says_decides() -> None:
    """Behind a proxy, clients are told apart by the addresses that it has added."""
    judge = failures(Clock(), 1, "192.0.2.0/24")
    one, two = (
        Asked(fields=[(b"x-forwarded-for", address)])
        for address in (b"203.0.113.1", b"203.0.113.1, 203.0.113.2")
    )

    assert told(judge, one, 2) == [None, 60]
    assert told(judge, two, 2) == [None, 60]


def test_nobody_is_slowed_down_without_a_bound() -> None:
    """0 counts, and lets every failure know what is wrong."""
    tally = Tally()
    judge = failures(Clock(), 0, tally=tally)

    assert told(judge, Asked(), 1000) == [None] * 1000
    assert tally.auth_failures == {"unknown": 1000}
    assert len(judge) == 0


def test_everything_is_counted() -> None:
    """By what was wrong, and whether it was told."""
    tally = Tally()
    judge = failures(Clock(), 3, tally=tally)

    reasons: tuple[Reason, ...] = ("missing", "unknown", "inactive", "missing")
    for reason in (*reasons, "missing"):
        judge.judged(reason, Asked())

    assert tally.auth_failures == {"missing": 3, "unknown": 1, "inactive": 1}
    assert tally.throttled == 2


def test_a_flood_from_everywhere_takes_a_bounded_part_of_the_memory() -> None:
    """The addresses that were seen least recently are forgotten."""
    clock = Clock()
    judge = failures(clock, 1)
    old, seen = asked("198.51.100.1"), asked("198.51.100.2")
    told(judge, old, 1)
    told(judge, seen, 1)

    for number in range(MOST_ADDRESSES - 1):
        flood = Asked(packed("2001:db8::")[:4] + number.to_bytes(12, "big"))
        judge.judged("unknown", flood)
        if number == 0:
            assert told(judge, seen, 1) == [60]
    for number in range(MOST_ADDRESSES):
        flood = Asked(packed("2001:db9::")[:4] + number.to_bytes(4, "big") + bytes(8))
        judge.judged("unknown", flood)
        if number % 1000 == 0:
            assert told(judge, seen, 1) == [60]

    assert len(judge) == MOST_ADDRESSES
    assert told(judge, old, 1) == [None]


def test_the_log_has_one_line_a_minute() -> None:
    """A flood is told with its numbers, and not by as many lines."""
    clock = Clock()
    judge = failures(clock, 2)

    with capture_logs() as logs:
        judge.tell()
        told(judge, Asked(), 5)
        for _ in range(60):
            judge.tell()
            clock.turn(1)
        told(judge, asked("2001:db8::1"), 1)
        judge.tell()
        clock.turn(61)
        judge.tell()

    assert logs == [
        {
            "event": "authentication failed",
            "log_level": "warning",
            "last_from": "192.0.2.7",
            "unknown": 5,
            "throttled": 3,
        },
        {
            "event": "authentication failed",
            "log_level": "warning",
            "last_from": "2001:db8::/64",
            "unknown": 1,
        },
    ]
