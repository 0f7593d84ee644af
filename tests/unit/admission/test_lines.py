"""Who is next at one bucket."""

from smart_llmrouter.admission.counters import Chain, chain_of
from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.lines import Flow, Line
from smart_llmrouter.config.allowances import Scope
from tests.support.allowances import demand, shaped
from tests.support.clock import Clock

TOKENS = shaped(0, input_tokens=100, wait_s=60)
SCOPE = Scope("group", "group:chat", TOKENS)


def chain(who: str, weight: int = 1) -> Chain:
    """Return a chain of this caller."""
    return chain_of(who, (SCOPE,), weight=weight)


def line() -> Line:
    """Return a line for the tokens of the group."""
    return Line(SCOPE, "input_tokens_per_second", now=Clock())


def waiting(at: Line, who: str, *calls: Demand) -> Flow:
    """Let calls of a caller wait."""
    flow = Flow(chain(who), at)
    flow.calls.update(enumerate(calls))
    at.join(flow, calls)
    return flow


def test_calls_that_take_nothing_hold_nobody_up() -> None:
    """A wait is foreseen by what is taken, and such calls are no reason to wait."""
    at = line()
    waiting(at, "nothing", demand(), demand())

    assert at.predict_s(chain("b"), demand(input_tokens=50)) == 0.5
    assert at.longest_s(demand(input_tokens=50)) == 0.5


def test_a_wait_is_foreseen_in_fair_order() -> None:
    """Of another caller as much is reckoned in as has its turn before."""
    at = line()
    waiting(at, "a", *(demand(input_tokens=10) for _ in range(10)))

    one = at.predict_s(chain("b"), demand(input_tokens=10))
    own = at.predict_s(chain("a"), demand(input_tokens=10))
    heavy = at.predict_s(chain("b", weight=100), demand(input_tokens=10))

    assert (one, own, heavy) == (0.2, 1.1, 0.2)


def test_callers_that_come_and_go_are_forgotten() -> None:
    """However often they do, whoever stays has its turn, once."""
    at = line()
    stays = waiting(at, "stays", demand(input_tokens=1))
    for number in range(500):
        passing = waiting(at, f"c{number % 7}", demand(input_tokens=1))
        passing.calls.clear()
        at.leave(passing, [demand(input_tokens=1)])

    assert at.first() is stays
    at.serve(stays.chain, demand(input_tokens=1), here=True)
    stays.calls.clear()
    at.leave(stays, [demand(input_tokens=1)])
    assert at.first() is None
    assert not at


def test_turns_survive_tidying_up() -> None:
    """Among callers that are served again and again, nobody is lost."""
    at = line()
    flows = {
        who: waiting(at, who, *(demand(input_tokens=1) for _ in range(200)))
        for who in ("a", "b", "c")
    }
    served = []
    for _ in range(600):
        flow = at.first()
        assert flow is not None
        number = flow.head
        needs = flow.calls.pop(number)
        at.leave(flow, [needs])
        at.serve(flow.chain, needs, here=True)
        served.append(flow.chain.caller_id)

    assert not at
    assert all(not flow.calls for flow in flows.values())
    for nth in range(0, 600, 3):
        assert {*served[nth : nth + 3]} == {"a", "b", "c"}
