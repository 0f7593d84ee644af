"""The one gate in front of all providers."""

import asyncio

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import NOTHING, Spent
from smart_llmrouter.admission.gate import FREE, Gate, Reservation
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    Budgets,
    Cap,
    Limits,
)
from smart_llmrouter.core.errors import (
    ConcurrencyExceeded,
    CountersAway,
    QuotaExhausted,
    RpmExceeded,
)
from tests.support.allowances import caller, demand
from tests.support.clock import Clock
from tests.support.counters import Exact, Remote
from tests.support.wait import eventually

ALICE = caller("alice-dev")
ONE_CALL = Spent(1, 10, 0)


def gate_of(allowance: Allowance) -> tuple[Gate, Exact, Chain]:
    """Return a gate that limits Alice's token, its store, and her chain."""
    counters = Exact(Clock())
    gate = Gate(Allowances(callers={ALICE.id: allowance}), counters)
    chain = gate.chain(ALICE, "chat")
    assert chain is not None
    return gate, counters, chain


def reserved(gate: Gate, chain: Chain, name: str = "req_1") -> Reservation:
    """Reserve at a store that says so at once."""
    reservation = gate.reserve(chain, demand(name))
    assert isinstance(reservation, Reservation)
    return reservation


def test_a_caller_whom_nothing_limits() -> None:
    """There is no chain, and its reservation costs nothing."""
    gate = Gate(Allowances(), Exact(Clock()))

    with FREE as reservation:
        reservation.settle(ONE_CALL)

    assert gate.chain(ALICE, "chat") is None
    assert gate.chain(ALICE, "chat") is None


def test_a_chain_is_made_once() -> None:
    """The same caller and group have the same chain; others have their own."""
    both = Allowances(
        callers={ALICE.id: Allowance(limits=Limits(rpm=1), weight=3)},
        groups={"chat": Allowance(limits=Limits(rpm=9))},
    )
    gate = Gate(both, Exact(Clock()))

    chain = gate.chain(ALICE, "chat")
    other = gate.chain(ALICE, "code")

    assert chain is gate.chain(ALICE, "chat")
    assert chain is not None
    assert [each.key for each in chain.scopes] == ["caller:alice-dev", "group:chat"]
    assert (chain.caller_id, chain.weight) == ("alice-dev", 3)
    assert other is not None
    assert [each.key for each in other.scopes] == ["caller:alice-dev"]


def test_chains_do_not_gather_without_an_end() -> None:
    """The oldest are forgotten, and made again."""
    gate, _, chain = gate_of(Allowance(limits=Limits(rpm=1)))

    for number in range(65_536):
        gate.chain(ALICE, f"group-{number}")

    assert gate.chain(ALICE, "chat") is not chain
    assert gate.chain(ALICE, "group-65535") is gate.chain(ALICE, "group-65535")


def test_a_reservation_is_settled_once() -> None:
    """What is said first counts; the end of the block adds nothing."""
    gate, counters, chain = gate_of(Allowance(limits=Limits(concurrent=1)))

    with reserved(gate, chain) as reservation:
        reservation.settle(ONE_CALL)
        reservation.settle(Spent(1, 99, 0))

    assert counters.settled == [ONE_CALL]
    assert reservation.demand == demand()
    assert reservation.queued_s == 0.0


def test_a_block_that_fails() -> None:
    """It is settled with nothing, and the error goes on."""
    gate, counters, chain = gate_of(Allowance(limits=Limits(concurrent=1)))

    with pytest.raises(KeyError), reserved(gate, chain):
        raise KeyError

    assert counters.settled == [NOTHING]


def test_a_limit_that_refuses() -> None:
    """The caller is told which and whose it is, and when to ask again."""
    gate, counters, chain = gate_of(Allowance(limits=Limits(rpm=1)))
    reserved(gate, chain)

    with pytest.raises(RpmExceeded) as raised:
        gate.reserve(chain, demand())

    assert str(raised.value) == (
        "the limit of 1 requests a minute of caller alice-dev is reached; try again in"
        " 60 s"
    )
    assert raised.value.retry_after_s == 60
    assert len(counters.taken) == 1


async def test_a_store_that_answers_later() -> None:
    """What it grants and refuses is the same, when awaited."""
    exact = Exact(Clock())
    allowance = Allowance(limits=Limits(concurrent=1))
    gate = Gate(Allowances(callers={ALICE.id: allowance}), Remote(exact))
    chain = gate.chain(ALICE, "chat")
    assert chain is not None

    granted = gate.reserve(chain, demand())
    assert not isinstance(granted, Reservation)
    with await granted:
        refused = gate.reserve(chain, demand())
        assert not isinstance(refused, Reservation)
        with pytest.raises(ConcurrencyExceeded):
            await refused

    assert exact.settled == [NOTHING]


async def test_whoever_leaves_while_a_store_decides() -> None:
    """What is granted to nobody is given back."""
    exact = Exact(Clock())
    store = Remote(exact)
    allowance = Allowance(limits=Limits(concurrent=1))
    gate = Gate(Allowances(callers={ALICE.id: allowance}), store)
    chain = gate.chain(ALICE, "chat")
    assert chain is not None
    store.hold.clear()

    async def call() -> None:
        granted = gate.reserve(chain, demand())
        assert not isinstance(granted, Reservation)
        await granted

    calling = asyncio.create_task(call())
    await eventually(lambda: exact.taken)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    store.hold.set()
    await eventually(lambda: exact.settled)

    assert exact.settled == [NOTHING]
    assert exact.flushed == 1


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_store_that_is_away(*, leaves: bool) -> None:
    """The caller is told, unless it has left; nobody else hears of it."""
    exact = Exact(Clock())
    store = Remote(exact)
    allowance = Allowance(limits=Limits(concurrent=1))
    gate = Gate(Allowances(callers={ALICE.id: allowance}), store)
    chain = gate.chain(ALICE, "chat")
    assert chain is not None
    exact.away = CountersAway()

    async def call() -> None:
        granted = gate.reserve(chain, demand())
        assert not isinstance(granted, Reservation)
        await granted

    calling = asyncio.create_task(call())
    await asyncio.sleep(0)
    if leaves:
        calling.cancel()

    with pytest.raises(asyncio.CancelledError if leaves else CountersAway):
        await calling
    await eventually(lambda: exact.asked)
    assert exact.settled == []


def test_a_budget_that_is_nearly_used_up() -> None:
    """It is logged once, by the names of the configuration."""
    budgets = Budgets(caps={"day": Cap(requests=5)}, warn_at_percent=50)
    gate, _, chain = gate_of(Allowance(budgets=budgets))

    with capture_logs() as logged:
        for _ in range(5):
            reserved(gate, chain).settle(ONE_CALL)

    assert logged == [
        {
            "event": "budget warning",
            "log_level": "warning",
            "scope": "caller:alice-dev",
            "period": "day",
            "unit": "requests",
            "percent": 60,
        }
    ]
    with pytest.raises(QuotaExhausted):
        gate.reserve(chain, demand())


def test_a_cut_stream_is_told_what_it_wanted_more() -> None:
    """The refusal has the growth that was refused, not what the call began with."""
    budgets = Budgets(caps={"day": Cap(tokens=1_000)}, on_overrun="cut")
    allowances = Allowances(callers={ALICE.id: Allowance(budgets=budgets)})
    gate = Gate(allowances, Memory(now=Clock(), wall=Clock()))
    chain = gate.chain(ALICE, "chat")
    assert chain is not None
    reservation = gate.reserve(chain, demand("req_1", tokens=800))
    assert isinstance(reservation, Reservation)

    cut = reservation.grow(tokens=256, nusd=0)

    assert isinstance(cut, QuotaExhausted)
    assert "has 200 left, and this call may use 256 more" in str(cut)
