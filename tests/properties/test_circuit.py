"""The circuit breaker against a plain model of it, in any order of events."""

from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smart_llmrouter.config.policies import Backoffs, Rest
from smart_llmrouter.routing.health import HealthBook
from tests.support.clock import Clock

TARGET: Final = "acme/mini"
ROW: Final = 3
BACKOFFS: Final = Backoffs(
    on_429=Rest(min_s=1.0, max_s=16.0, honor_retry_after=True),
    on_quota=Rest(min_s=8.0, max_s=32.0),
    on_failure=Rest(min_s=2.0, max_s=16.0, after=ROW),
)
RESTS: Final = {
    "upstream_rate_limited": BACKOFFS.on_429,
    "upstream_quota_exhausted": BACKOFFS.on_quota,
    "upstream_server_error": BACKOFFS.on_failure,
    "upstream_connect_failed": BACKOFFS.on_failure,
}
ALIVE: Final = (None, "upstream_bad_request", "upstream_content_filter")
WAITS: Final = st.sampled_from([None, 0, 5, 100])


@dataclass(eq=False)
class Call:
    """A call under way, and what was the case when it began."""

    begun: int
    since: int
    """How often the circuit had changed."""
    was_probe: bool = False


@dataclass
class Model:
    """What is expected, told the long way."""

    open: bool = False
    changes: int = 0
    openings: int = 0
    row: int = 0
    step_s: float = 0.0
    rest_ends_s: float = 0.0
    probe_lost_s: float = 0.0
    longest_s: float = 0.0
    probing: bool = False
    calls: list[Call] = field(default_factory=list)


class CircuitMachine(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes."""

    def __init__(self) -> None:
        """Begin with a healthy target."""
        super().__init__()
        self.clock = Clock()
        self.health = HealthBook({TARGET: BACKOFFS}, now=self.clock)
        self.model = Model()

    def is_due(self) -> bool:
        """Say whether a call may be made now, by the model."""
        model = self.model
        if not model.open:
            return True
        ends_s = model.probe_lost_s if model.probing else model.rest_ends_s
        return self.clock.now_s >= ends_s

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 4.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        """Let some time pass."""
        self.clock.turn(seconds)

    @rule()
    def a_call_begins(self) -> None:
        """Call where it is allowed; the first one then is the probe."""
        model = self.model
        due = self.is_due()
        assert (self.health.resting_s(TARGET) == 0.0) == due
        begun = self.health.begin(TARGET)
        assert bool(begun) == due
        if not due:
            return
        if model.open:
            model.probing = True
            model.probe_lost_s = self.clock.now_s + model.longest_s
        model.calls.append(Call(begun, model.changes, was_probe=model.open))

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), outcome=st.sampled_from(ALIVE))
    def a_call_succeeds(self, data: st.DataObject, outcome: str | None) -> None:
        """End one with an answer, or with a fault of its own."""
        model, call = self.model, self.one_of_the_calls(data)
        self.health.note(TARGET, outcome, begun=call.begun)
        if call.since != model.changes:
            return
        if model.open:
            model.open, model.probing = False, False
            model.changes += 1
        model.row, model.step_s = 0, 0.0

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(RESTS)), wait_s=WAITS)
    def a_call_fails(
        self, data: st.DataObject, outcome: str, wait_s: int | None
    ) -> None:
        """End one with a failure."""
        model, call, rest = self.model, self.one_of_the_calls(data), RESTS[outcome]
        self.health.note(TARGET, outcome, begun=call.begun, retry_after_s=wait_s)
        told_s = min(wait_s or 0, rest.max_s) if rest.honor_retry_after else 0
        now_s = self.clock.now_s
        if call.since != model.changes:
            if model.open and not model.probing:
                model.rest_ends_s = max(model.rest_ends_s, now_s + told_s)
            return
        model.row += 1
        if model.open or outcome not in {*list(RESTS)[2:]} or model.row == ROW:
            model.step_s = min(max(model.step_s * 2, rest.min_s), rest.max_s)
            model.rest_ends_s = now_s + max(model.step_s, told_s)
            model.longest_s = rest.max_s
            model.open, model.probing, model.row = True, False, 0
            model.changes += 1
            model.openings += 1

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data())
    def a_caller_leaves(self, data: st.DataObject) -> None:
        """End one without a verdict."""
        model, call = self.model, self.one_of_the_calls(data)
        self.health.abandon(TARGET, begun=call.begun)
        if model.probing and call.since == model.changes:
            model.probing = False
            model.rest_ends_s = self.clock.now_s

    def one_of_the_calls(self, data: st.DataObject) -> Call:
        """Take any of the calls under way."""
        call = data.draw(st.sampled_from(self.model.calls))
        self.model.calls.remove(call)
        return call

    @invariant()
    def they_agree(self) -> None:
        """The state and the count of openings are as expected."""
        model = self.model
        due = model.probing or self.clock.now_s >= model.rest_ends_s
        state = ("half-open" if due else "open") if model.open else "closed"
        assert self.health.circuit(TARGET) == state
        assert self.health.are_closed(frozenset({TARGET})) == (state == "closed")
        assert self.health.openings.get(TARGET, 0) == model.openings

    @invariant()
    def only_probes_are_under_way(self) -> None:
        """While it is open, whoever counts began as a probe."""
        model = self.model
        assert all(
            call.was_probe == model.open
            for call in model.calls
            if call.since == model.changes
        )


TestCircuit = CircuitMachine.TestCase
