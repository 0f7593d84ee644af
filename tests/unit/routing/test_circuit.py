"""When a target is left alone, for how long, and who finds out whether it is back."""

import sys
from dataclasses import dataclass, field

import pytest

from smart_llmrouter.config.policies import Backoffs, Rest
from smart_llmrouter.routing.circuit import ASK_AGAIN_S, LATE
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.upstream.failure_classes import MEANINGS
from tests.support.clock import Clock

TARGET = "acme/mini"
BROKEN = "upstream_server_error"
LIMITED = "upstream_rate_limited"
EMPTY = "upstream_quota_exhausted"


@dataclass
class Desk:
    """A book of one target, and the clock that it goes by."""

    backoffs: Backoffs = field(default_factory=Backoffs)
    clock: Clock = field(default_factory=Clock)
    health: HealthBook = field(init=False)

    def __post_init__(self) -> None:
        """Open the book."""
        self.health = HealthBook({TARGET: self.backoffs}, now=self.clock)

    @property
    def resting_s(self) -> float:
        """For how long the target rests."""
        return self.health.resting_s(TARGET)

    @property
    def state(self) -> str:
        """The state of the circuit."""
        return self.health.circuit(TARGET)

    def begin(self) -> int:
        """Begin an attempt."""
        return self.health.begin(TARGET)

    def end(
        self, begun: int, outcome: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """End an attempt."""
        self.health.note(TARGET, outcome, retry_after_s=retry_after_s, begun=begun)

    def call(self, outcome: str | None, retry_after_s: int | None = None) -> None:
        """Make an attempt that ends at once."""
        self.end(self.begin(), outcome, retry_after_s)

    def called_when_due(self, outcome: str | None, *, for_s: float) -> int:
        """Call once a second whenever it may be, and return how many calls went."""
        calls = 0
        for _ in range(round(for_s)):
            if self.resting_s == 0.0 and (begun := self.begin()):
                calls += 1
                self.end(begun, outcome)
            self.clock.turn(1.0)
        return calls

    def rests(self, outcome: str, times: int) -> list[float]:
        """Fail as often, each time as soon as may be; return the rests in seconds."""
        found = []
        for _ in range(times):
            self.call(outcome)
            found.append(self.resting_s)
            self.clock.turn(self.resting_s)
        return found


def test_failures_in_a_row_open_it() -> None:
    """Four are too few, and a fifth is enough."""
    desk = Desk()
    for _ in range(4):
        desk.call(BROKEN)

    before = desk.state, desk.resting_s
    desk.call(BROKEN)

    assert before == ("closed", 0.0)
    assert (desk.state, desk.resting_s) == ("open", 1.0)


def test_a_success_ends_the_row() -> None:
    """What counts is in a row."""
    desk = Desk()
    for outcome in [BROKEN] * 4 + [None] + [BROKEN] * 4:
        desk.call(outcome)

    assert desk.state == "closed"


def test_twenty_five_failures_open_it_and_keep_it_open() -> None:
    """Nothing goes to the target but the probes, and they become rarer."""
    desk = Desk()

    sent = desk.called_when_due(BROKEN, for_s=25)
    later = desk.called_when_due(BROKEN, for_s=300)

    assert sent == 5 + 4
    assert later == 10
    assert desk.state == "open"


def test_a_recovered_target_is_back_within_one_probe_interval() -> None:
    """The first probe after the recovery closes it, and all calls go there again."""
    desk = Desk()
    desk.called_when_due(BROKEN, for_s=300)
    longest_s = desk.backoffs.on_failure.max_s

    waited_s = desk.resting_s
    desk.clock.turn(waited_s)
    desk.call(None)

    assert waited_s <= longest_s
    assert (desk.state, desk.resting_s) == ("closed", 0.0)
    assert desk.called_when_due(None, for_s=10) == 10


def test_twenty_concurrent_calls_send_one_probe() -> None:
    """Whoever comes first finds out; the others are told to ask again soon."""
    desk = Desk()
    desk.call(LIMITED)
    desk.clock.turn(1.0)

    begun = [desk.begin() for _ in range(20) if desk.resting_s == 0.0]

    assert len(begun) == 1
    assert desk.state == "half-open"
    assert 0.0 < desk.resting_s <= ASK_AGAIN_S
    assert [desk.begin() for _ in range(19)] == [LATE] * 19


@pytest.mark.parametrize(
    ("outcome", "rests"),
    [
        (LIMITED, [1, 2, 4, 8, 16, 32, 60, 60]),
        (EMPTY, [30, 60, 120, 240, 300, 300]),
    ],
)
def test_each_further_one_in_a_row_doubles_the_rest(
    outcome: str, rests: list[int]
) -> None:
    """Up to the longest."""
    assert Desk().rests(outcome, len(rests)) == rests


def test_failed_probes_double_the_rest() -> None:
    """After failures in a row each failed probe counts by itself."""
    desk = Desk()
    for _ in range(4):
        desk.call(BROKEN)

    assert desk.rests(BROKEN, 7) == [1, 2, 4, 8, 16, 30, 30]


def test_rests_begin_anew_after_a_success() -> None:
    """And the row does, too."""
    desk = Desk()
    desk.rests(LIMITED, 4)
    desk.call(None)

    assert desk.rests(LIMITED, 2) == [1, 2]


def test_another_reason_goes_on_from_the_rest_before() -> None:
    """A target that fails now like this and now like that is not tried more often."""
    desk = Desk()
    desk.rests(LIMITED, 4)

    assert desk.rests(EMPTY, 1) + desk.rests(BROKEN, 1) + desk.rests(LIMITED, 1) == [
        30,
        30,
        60,
    ]


@pytest.mark.parametrize(
    ("told_s", "honored", "rest_s"),
    [(20, True, 20), (0, True, 1), (3600, True, 60), (20, False, 1), (None, True, 1)],
)
def test_retry_after_counts_within_bounds(
    told_s: int | None, *, honored: bool, rest_s: float
) -> None:
    """It is the shortest rest where it is honored, and never beyond the longest."""
    on_429 = Rest(min_s=1.0, max_s=60.0, honor_retry_after=honored)
    desk = Desk(Backoffs(on_429=on_429))

    desk.call(LIMITED, told_s)

    assert desk.resting_s == rest_s


@pytest.mark.parametrize(
    "fault",
    [
        "upstream_bad_request",
        "upstream_request_too_large",
        "upstream_context_overflow",
        "upstream_content_filter",
    ],
)
def test_a_fault_of_the_request_shows_a_living_target(fault: str) -> None:
    """It ends a row, and a probe as a success."""
    desk = Desk()
    for outcome in [BROKEN] * 4 + [fault] + [BROKEN] * 4:
        desk.call(outcome)
    still = desk.state
    desk.call(BROKEN)
    desk.clock.turn(1.0)
    desk.call(fault)

    assert (still, desk.state) == ("closed", "closed")


@pytest.mark.parametrize("outcome", [None, BROKEN, LIMITED, "upstream_bad_request"])
def test_late_results_change_nothing(outcome: str | None) -> None:
    """What began before it opened neither closes it nor prolongs the rest."""
    desk = Desk()
    early = [desk.begin() for _ in range(10)]
    desk.call(LIMITED)

    for begun in early:
        desk.clock.turn(0.05)
        desk.end(begun, outcome)

    assert desk.state == "open"
    assert desk.resting_s == pytest.approx(0.5)
    assert desk.health.openings == {TARGET: 1}


@pytest.mark.parametrize("outcome", [None, BROKEN])
def test_late_results_are_not_taken_for_the_probes(outcome: str | None) -> None:
    """Also while it is under way, and after it has closed the circuit."""
    desk = Desk()
    early = [desk.begin() for _ in range(10)]
    desk.call(LIMITED)
    desk.clock.turn(1.0)
    probe = desk.begin()

    for begun in early[:5]:
        desk.end(begun, outcome)
    during = desk.state
    desk.end(probe)
    for begun in early[5:]:
        desk.end(begun, outcome)

    assert (during, desk.state) == ("half-open", "closed")


def test_a_late_word_of_how_long_to_wait_is_believed() -> None:
    """The provider has said so itself, whoever it was said to."""
    desk = Desk()
    early = desk.begin()
    desk.call(LIMITED)

    desk.end(early, LIMITED, 20)

    assert desk.resting_s == 20
    assert desk.health.openings == {TARGET: 1}


def test_a_call_that_should_not_be_made_finds_out_nothing() -> None:
    """Whoever calls a resting target nevertheless changes nothing by it."""
    desk = Desk()
    desk.call(LIMITED)

    begun = desk.begin()
    desk.end(begun)

    assert begun == LATE
    assert (desk.state, desk.resting_s) == ("open", 1.0)


@pytest.mark.parametrize("outcome", ["abandoned", "upstream_total_timeout"])
def test_a_probe_without_a_verdict_is_given_back(outcome: str) -> None:
    """The next call finds out, at once."""
    desk = Desk()
    desk.call(LIMITED)
    desk.clock.turn(1.0)

    begun = desk.begin()
    if outcome == "abandoned":
        desk.health.abandon(TARGET, begun=begun)
    else:
        desk.end(begun, outcome)

    assert (desk.state, desk.resting_s) == ("half-open", 0.0)
    assert desk.begin() != LATE


def test_only_the_probe_can_be_given_back() -> None:
    """A caller of before who leaves does not let another probe begin."""
    desk = Desk()
    early = desk.begin()
    desk.call(LIMITED)
    desk.clock.turn(1.0)
    desk.begin()

    desk.health.abandon(TARGET, begun=early)

    assert desk.resting_s > 0.0


def test_a_probe_that_never_ends_is_taken_for_lost() -> None:
    """Another begins after the longest rest; either closes the circuit."""
    desk = Desk()
    desk.call(LIMITED)
    desk.clock.turn(1.0)
    slow = desk.begin()

    desk.clock.turn(59.0)
    before = desk.begin()
    desk.clock.turn(1.0)
    second = desk.begin()
    desk.end(slow)
    desk.end(second, BROKEN)

    assert (before, second) == (LATE, slow)
    assert desk.state == "closed"


def test_a_late_word_does_not_prolong_the_wait_for_a_probe() -> None:
    """Whoever finds out knows better, and is waited for as long as before."""
    desk = Desk()
    early = desk.begin()
    desk.call(LIMITED)
    desk.clock.turn(1.0)
    desk.begin()
    desk.clock.turn(50.0)

    desk.end(early, LIMITED, 60)
    desk.clock.turn(10.0)

    assert desk.resting_s == 0.0


def test_streams_that_always_break_off_open_it() -> None:
    """Their beginnings are answers, but end no row."""
    desk = Desk()

    for _ in range(5):
        begun = desk.begin()
        desk.end(begun)
        desk.health.note(TARGET, BROKEN, begun=begun, broke_off=True)

    assert desk.state == "open"


def test_a_probe_whose_stream_breaks_off_has_failed() -> None:
    """Its beginning closes the circuit, its end opens it for twice as long."""
    desk = Desk()
    desk.rests(LIMITED, 3)

    begun = desk.begin()
    desk.end(begun)
    closed = desk.state
    desk.health.note(TARGET, BROKEN, begun=begun, broke_off=True)

    assert closed == "closed"
    assert (desk.state, desk.resting_s) == ("open", 8)


def test_whole_answers_end_the_row_of_broken_streams() -> None:
    """One stream that breaks off now and then is no reason to rest."""
    desk = Desk()

    for _ in range(10):
        begun = desk.begin()
        desk.end(begun)
        desk.health.note(TARGET, BROKEN, begun=begun, broke_off=True)
        desk.call(None)
        desk.call(None)

    assert desk.state == "closed"


def test_asking_a_healthy_target_allocates_nothing() -> None:
    """A plan asks for each target of each call."""
    desk = Desk()
    desk.call(None)

    before = sys.getallocatedblocks()
    for _ in range(1000):
        desk.health.resting_s(TARGET)
        desk.health.begin(TARGET)
    grown = sys.getallocatedblocks() - before

    assert grown < 100


@pytest.mark.parametrize("error_class", MEANINGS)
def test_failures_count_as_their_table_says(error_class: str) -> None:
    """A rate limit and an empty account open at once, other failures in a row."""
    desk, standing = Desk(), MEANINGS[error_class].standing
    backoffs = desk.backoffs

    desk.call(error_class)
    after_one_s = desk.resting_s
    for _ in range(backoffs.on_failure.after):
        desk.call(error_class)

    at_once_s = {"rate-limit": backoffs.on_429.min_s, "quota": backoffs.on_quota.min_s}
    assert after_one_s == at_once_s.get(standing, 0.0)
    assert desk.state == ("closed" if standing in {"request", "none"} else "open")
