"""Every counter store against a list of all calls, in any order of events."""

import asyncio
from typing import Any, ClassVar, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from smart_llmrouter.admission.memory import Taken, Used
from smart_llmrouter.admission.verdicts import Lease, Refusal, Verdict
from smart_llmrouter.config.allowances import Cap, Limits, PeriodName, Scope
from smart_llmrouter.config.policies import Flow
from tests.conftest import SOAK
from tests.support.counter_stores import Clocks, Store, chain, scope
from tests.support.counting import GUESS_S, PERIODS, Call, Model, Refused
from tests.support.every_store import EVERY_STORE
from tests.support.valkey_store import get_ready

# The last of February, ten seconds before midnight in UTC.
EVENING_S: Final = 1_772_323_190.0
ALICE, SEARCH, CHAT = "caller:alice", "project:search", "group:chat"
CHAINS: Final = ((ALICE,), (SEARCH, CHAT), (ALICE, SEARCH), (ALICE, SEARCH, CHAT))
SIZES: Final = st.integers(0, 12)
CAPS: Final = st.builds(
    Cap,
    requests=st.sampled_from([None, 3, 9]),
    tokens=st.sampled_from([5, 40, 200]),
    nusd=st.sampled_from([None, 25]),
)
LIMITS: Final = st.builds(
    Limits,
    rpm=st.sampled_from([2, 5, 50]),
    tpm=st.sampled_from([None, 10, 60]),
    concurrent=st.sampled_from([None, 1, 4]),
)
FAR_S: Final = 2 * 86_400


class CountersMachine(RuleBasedStateMachine):
    """Calls begin, grow and end in any order, while all else happens, too."""

    store_name: ClassVar[str]

    def __init__(self) -> None:
        """Begin in the evening."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store: Store = EVERY_STORE[self.store_name]()
        self.clocks: Clocks = self.store.clocks
        self.set_ahead_s = 0.0
        self.was_set_back = False
        self.leases: dict[Call, Lease] = {}
        self.leased: dict[Call, dict[str, Scope]] = {}
        self.over: list[Lease] = []
        self.model = Model({}, began_s=self.clocks.monotonic())

    @initialize(
        caps=st.tuples(CAPS, CAPS, CAPS),
        limits=LIMITS,
        wall_s=st.sampled_from([EVENING_S, EVENING_S - 40_000]),
    )
    def they_are_configured(
        self, caps: tuple[Cap, Cap, Cap], limits: Limits, wall_s: float
    ) -> None:
        """Read the configuration, in the evening or at noon."""
        self.clocks.wall.now_s = wall_s
        self.reads(caps, limits)
        self.they_agree()

    def reads(self, caps: tuple[Cap, Cap, Cap], limits: Limits) -> None:
        """Let scopes have these limits."""
        day, month, lifetime = caps
        flow = Flow(requests_per_second=0.5, burst=6, input_tokens_per_second=4.0)
        scopes = (
            scope(day=day, month=month, limits=limits),
            scope(
                "search",
                "project",
                day=month,
                lifetime=lifetime,
                timezone="Asia/Kolkata",
                warn_at_percent=50,
            ),
            scope("chat", "group", limits=limits, flow=flow),
        )
        self.model.scopes = {each.key: each for each in scopes}

    def run(self, said: Any) -> Any:  # noqa: ANN401 - what a store says is checked later
        """Wait for a store."""
        return self.loop.run_until_complete(said)

    @rule(seconds=st.sampled_from([0.125, 1.0, 9.5, 30.0, 59.875, 61.0, 22_000.0]))
    def time_passes(self, seconds: float) -> None:
        """Let some time pass."""
        self.clocks.turn(seconds)

    @rule(seconds=st.sampled_from([-86_400, -3600, -12, 12, 3600, 86_400]))
    def the_clock_on_the_wall_is_set(self, seconds: int) -> None:
        """Set it, forwards or back."""
        if abs(self.set_ahead_s + seconds) <= FAR_S:
            self.set_ahead_s += seconds
            self.was_set_back |= seconds < 0
            self.clocks.wall.turn(seconds)

    @rule(
        keys=st.sampled_from(CHAINS),
        tokens=SIZES,
        nusd=SIZES,
        input_tokens=SIZES,
        late_s=st.sampled_from([0, 0, 0, 15]),
        waits=st.booleans(),
    )
    def a_call_begins(
        self,
        keys: tuple[str, ...],
        tokens: int,
        nusd: int,
        input_tokens: int,
        late_s: int,
        *,
        waits: bool,
    ) -> None:
        """Ask for a call. Where it is refused for a while, wait for so long."""
        verdict, expected = self.asks(keys, tokens, nusd, input_tokens, late_s)
        if not (waits and isinstance(verdict, Refusal) and verdict.wait_s < FAR_S):
            return
        self.clocks.turn(verdict.wait_s)
        _, still = self.asks(keys, tokens, nusd, input_tokens, 0)
        surprises = {each.limit for each in still} - {
            each.limit for each in expected + still if each.wait_s == GUESS_S
        }
        if self.was_set_back:  # what comes has been, in part
            surprises = {each for each in surprises if "." not in each}
        assert late_s or not surprises

    def asks(
        self,
        keys: tuple[str, ...],
        tokens: int,
        nusd: int,
        input_tokens: int,
        late_s: int,
    ) -> tuple[Verdict, list[Refused]]:
        """Ask for a call, and hold what is said against what must be."""
        model, now_s = self.model, self.clocks.monotonic()
        began_ms = self.clocks.now_ms - late_s * 1000
        call = Call(
            keys=keys,
            granted_s=now_s,
            granted_ms=self.clocks.now_ms,
            tokens=tokens,
            nusd=nusd,
            input_tokens=input_tokens,
            tallies={
                place: model.tally(place, began_ms) for place in model.places(keys)
            },
        )
        expected = model.refusals(
            keys, call, now_s=now_s, now_ms=self.clocks.now_ms, began_ms=began_ms
        )
        verdict: Verdict = self.run(
            self.store.take(
                chain(*(model.scopes[key] for key in keys)),
                tokens=tokens,
                nusd=nusd,
                input_tokens=input_tokens,
                began_ms=began_ms,
            )
        )
        if isinstance(verdict, Refusal):
            self.holds(verdict, expected)
            return verdict, expected
        assert all(each.wait_s <= 2e-6 for each in expected), expected
        self.warns(verdict, call)
        model.calls.append(call)
        self.leases[call] = verdict
        self.leased[call] = model.scopes
        return verdict, []

    def holds(self, refusal: Refusal, expected: list[Refused]) -> None:
        """Check that a refusal is the tightest of those that there are."""
        assert expected, refusal
        longest_s = max(each.wait_s for each in expected)
        slack_s = self.store.precision_s + 0.002
        tightest = {
            (each.key, each.limit)
            for each in expected
            if each.wait_s >= longest_s - slack_s or each.wait_s == longest_s
        }
        assert (refusal.scope.key, refusal.limit) in tightest
        assert longest_s - 2e-6 <= refusal.wait_s
        assert refusal.wait_s <= longest_s + slack_s

    def warns(self, lease: Lease, call: Call) -> None:
        """Check that a warning is given when it is due, and once."""
        due = {
            (*place, tally, unit)
            for place, tally in call.tallies.items()
            for unit in self.model.warnings(place, tally)
        } - self.model.warned
        told = [(each.scope.key, each.period, each.unit) for each in lease.warned]
        assert sorted(told) == sorted(
            (key, period, unit) for key, period, _, unit in due
        )
        self.model.warned |= due

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), tokens=SIZES, nusd=SIZES)
    def a_call_grows(self, data: st.DataObject, tokens: int, nusd: int) -> None:
        """Take more for a call in flight, or be refused by a budget."""
        model, call = self.model, self.one_of_the_calls(data)
        if any(self.leased[call][key] is not model.scopes[key] for key in call.keys):
            return  # it may be held to the limits that it began with, or to the new
        expected = [
            refused
            for place, tally in call.tallies.items()
            for refused in model.refused_by_budget(
                place, tally, (0, tokens, nusd), GUESS_S
            )
        ]
        verdict = self.run(self.store.grow(self.leases[call], tokens=tokens, nusd=nusd))
        assert isinstance(verdict, Refusal) == bool(expected)
        if isinstance(verdict, Refusal):
            limits = {(each.key, each.limit) for each in expected}
            assert (verdict.scope.key, verdict.limit) in limits
        else:
            call.grown_tokens += tokens
            call.grown_nusd += nusd

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), tokens=st.integers(0, 30), nusd=SIZES, asked=st.booleans())
    def a_call_ends(
        self, data: st.DataObject, tokens: int, nusd: int, *, asked: bool
    ) -> None:
        """Settle it: with less or more than was reserved, or with nothing."""
        call = self.one_of_the_calls(data)
        lease = self.leases.pop(call)
        used = (1, tokens, nusd) if asked else (0, 0, 0)
        self.run(self.store.settle(lease, *used))
        call.state, call.used = "settled", used
        call.settled_s = self.clocks.monotonic()
        self.over.append(lease)

    @precondition(lambda self: self.over)
    @rule(data=st.data())
    def a_call_ends_again(self, data: st.DataObject) -> None:
        """Settle what is settled: nothing changes."""
        self.run(self.store.settle(data.draw(st.sampled_from(self.over)), 1, 20, 20))

    @rule(
        key=st.sampled_from([ALICE, SEARCH]),
        period=st.sampled_from(PERIODS),
        ahead_s=st.sampled_from([0, 3, 40]),
    )
    def a_budget_is_reset(self, key: str, period: PeriodName, ahead_s: int) -> None:
        """Let a period begin anew, now or soon."""
        resets = self.model.resets.setdefault((key, period), [])
        at_ms = self.clocks.now_ms + ahead_s * 1000
        if len(resets) < 4 and (key, period) in self.model.places([key]):
            resets.append(at_ms)
            self.run(
                self.store.counters.reset(self.model.scopes[key], period, at_ms=at_ms)
            )

    @rule(caps=st.tuples(CAPS, CAPS, CAPS), limits=LIMITS)
    def the_configuration_is_read_again(
        self, caps: tuple[Cap, Cap, Cap], limits: Limits
    ) -> None:
        """Have other limits from now on, which each call sees that begins now."""
        self.reads(caps, limits)

    @rule()
    def it_crashes(self) -> None:
        """Die, and start again with what the records say."""
        model = self.model
        now_ms = self.clocks.now_ms
        now = {
            place: model.tally(place, now_ms) for place in model.places([*model.scopes])
        }
        for call in self.leases:
            call.state = "lost"
        self.leases, self.over = {}, []
        minutes = [(each, self.rows(each.key)) for each in model.scopes.values()]
        if not self.store.outlives:
            self.forget(now)
        self.run(
            self.store.restart(
                [self.recorded(each, now) for each in model.scopes.values()],
                [
                    (model.scopes[key], period, at_ms)
                    for (key, period), resets in model.resets.items()
                    for at_ms in resets
                ],
                minutes,
            )
        )
        self.clocks.turn(self.store.settling_s)
        self.they_agree()

    def rows(self, key: str) -> list[Taken]:
        """Return what the records say that calls of a scope have used, and when."""
        return [
            Taken(call.granted_ms, call.used[0], call.used[1])
            for call in self.model.calls
            if call.state == "settled" and key in call.keys
        ]

    def recorded(
        self, each: Scope, now: dict[tuple[str, PeriodName], tuple[object, ...]]
    ) -> tuple[Scope, dict[PeriodName, Used]]:
        """Return what the records say has been used in the periods that are now."""
        return each, {
            period: Used(*self.model.used((key, period), tally)[0])
            for (key, period), tally in now.items()
            if key == each.key
        }

    def forget(self, now: dict[tuple[str, PeriodName], tuple[object, ...]]) -> None:
        """Forget what a store in memory forgets, and know what records tell it."""
        model = self.model
        model.began_s = self.clocks.monotonic()
        for call in model.calls:
            self.rebuild(call)
            call.tallies = {
                place: tally
                for place, tally in call.tallies.items()
                if now[place] == tally
            }
        model.warned = {
            (*place, tally, unit)
            for place, tally in now.items()
            for unit in model.warnings(place, tally)
        }

    def rebuild(self, call: Call) -> None:
        """Know of a call what is on record, by the clock on the wall of now."""
        call.in_buckets = False
        call.in_minute = call.state == "settled"
        ago_ms = max(0.0, self.clocks.wall() * 1000 - call.granted_ms)
        call.granted_s = self.clocks.monotonic() - ago_ms / 1000
        # What it used beyond its reservation counts from the grant, too.
        call.tokens = max(call.tokens, call.used[1])

    # Not an invariant: being asked must not be what keeps a store right.
    @rule()
    def they_agree(self) -> None:
        """The store says of each limit what the list of calls says."""
        for each in self.model.scopes.values():
            told = self.run(self.store.use(each))
            assert told == self.expected_use(each)

    def expected_use(self, each: Scope) -> dict[str, tuple[int, int]]:
        """Return what of each limit must be in use."""
        model, key = self.model, each.key
        minute = model.minute(key, self.clocks.monotonic())
        limits = each.allowance.limits
        every = {
            "rpm": (limits.rpm, (sum(requests for _, requests, _ in minute), 0)),
            "tpm": (limits.tpm, (sum(tokens for _, _, tokens in minute), 0)),
            "concurrent": (limits.concurrent, (model.in_flight(key), 0)),
        }
        found = {name: use for name, (limit, use) in every.items() if limit}
        for place in model.places([key]):
            tally = model.tally(place, self.clocks.now_ms)
            settled, held = model.used(place, tally)
            cap = each.allowance.budgets.caps[place[1]]
            caps = (cap.requests, cap.tokens, cap.nusd)
            for name, limit, *use in zip(
                ("requests", "tokens", "usd"), caps, settled, held, strict=True
            ):
                if limit is not None:
                    found[f"{place[1]}.{name}"] = (use[0], use[1])
        return found

    def one_of_the_calls(self, data: st.DataObject) -> Call:
        """Return any of the calls under way."""
        return data.draw(st.sampled_from(list(self.leases)))

    def teardown(self) -> None:
        """Agree in the end, and leave nothing behind."""
        self.they_agree()
        self.run(self.store.close())
        self.loop.close()


class MemoryMachine(CountersMachine):
    """The store of one process."""

    store_name = "memory"


TestMemory = MemoryMachine.TestCase


class ValkeyMachine(CountersMachine):
    """The store that many processes share: each step asks a real server."""

    store_name = "valkey"

    @invariant()
    def they_always_agree(self) -> None:
        """Ask after every step."""
        self.they_agree()

    def __init__(self) -> None:
        """Have a server that all examples share."""
        get_ready()
        super().__init__()


TestValkey = ValkeyMachine.TestCase
TestValkey.settings = settings(
    max_examples=2000 if SOAK else 30, stateful_step_count=30, deadline=None
)
