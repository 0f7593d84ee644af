"""Records that are written together, and what each caller is told."""

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.core.errors import (
    JournalUnwritable,
    ModelNotAllowed,
    RouterError,
)
from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.decisions import Deciding
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.ledger.decision_line import decode_decision, parted
from smart_llmrouter.ledger.journal_room import JournalRoom
from smart_llmrouter.ledger.record import decode_record
from smart_llmrouter.routing.eligibility import Eligibility
from smart_llmrouter.stores.journal import JournalHealth
from smart_llmrouter.stores.journal import JournalUnwritable as Unwritable
from tests.support.decisions import a_candidate, a_decision
from tests.support.targets import group, needs, target
from tests.support.wait import eventually
from tests.unit.engine.test_entry import ARRIVAL, GROUP, TARGET

REASON = "No space left on device"


@dataclass
class ShortJournal:
    """A journal with room for so many records, whose disk may refuse."""

    room: int = 1000
    disk_refuses: bool = False
    writes: list[int] = field(default_factory=list)
    synced: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    space: JournalRoom = field(default_factory=lambda: JournalRoom(max_bytes=1))

    def append(self, *records: bytes) -> int:
        """Take what there is room for."""
        written = min(self.room, len(records))
        self.room -= written
        self.writes.append(written)
        self.lines += records[:written]
        if written < len(records):
            raise Unwritable(REASON, written=written)
        return len(self.writes)

    def sync(self, mark: int) -> None:
        """Bring all to the disk, unless that refuses."""
        if self.disk_refuses:
            raise Unwritable("Input/output error")
        self.synced.append(mark)

    def probe(self) -> JournalHealth:
        """Say whether there is room."""
        return JournalHealth(None if self.room else REASON)


@dataclass
class Told:
    """An ending that notes what it was told."""

    codes: list[str | None] = field(default_factory=list)
    request_id: str = "req_told"

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Note it."""
        self.codes.append(None if unwritable is None else unwritable.code)


class Broken:
    """An ending that fails."""

    request_id = "req_broken"

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Fail."""
        raise ZeroDivisionError(unwritable)


def recorder_on(
    journal: ShortJournal,
    tally: Tally,
    *,
    sync_always: bool = False,
    bounds: Diagnostics = Diagnostics(),  # noqa: B008 - it is frozen
) -> Recorder:
    """Return a recorder on the running loop."""
    return Recorder(
        journal,
        tally,
        loop=asyncio.get_running_loop(),
        sync_always=sync_always,
        config_fingerprint="f",
        router_version="1",
        now=lambda: 101.0,
        bounds=bounds,
    )


def entry(number: int = 1) -> Entry:
    """Return an open entry."""
    arrival = Arrival(
        request_id=f"req_{number}",
        caller=ARRIVAL.caller,
        client="curl",
        began_s=100.0,
        ts_ms=1_700_000_000_000,
    )
    return Entry(arrival=arrival, dialect="openai-chat")


async def closed(recorder: Recorder, count: int) -> list[Told]:
    """Close so many entries in one turn of the loop; return what each was told."""
    endings = [Told() for _ in range(count)]
    for number, ending in enumerate(endings):
        recorder.close(entry(number), status=200, ending=ending)
    assert all(ending.codes == [] for ending in endings)
    await eventually(lambda: all(ending.codes for ending in endings))
    return endings


async def test_a_line_is_the_record_of_its_call() -> None:
    """What is put together from parts reads as the record that was meant."""
    journal, refusal, ending = ShortJournal(), ModelNotAllowed(), Told()
    recorder, refused = recorder_on(journal, Tally()), entry(2)
    answered = Entry(
        arrival=ARRIVAL,
        dialect="openai-chat",
        group=GROUP,
        target=TARGET,
        attempts=1,
        upstream_status=200,
        usage=Usage(input_tokens=10, output_tokens=5),
    )

    recorder.close(answered, status=200, ending=Told())
    recorder.close(refused, status=403, error=refusal, ending=ending)
    await eventually(lambda: ending.codes)

    facts = {"now_s": 101.0, "config_fingerprint": "f", "router_version": "1"}
    assert [decode_record(line) for line in journal.lines] == [
        answered.record(status=200, error=None, **facts),  # type: ignore[arg-type]  # a number and two texts
        refused.record(status=403, error=refusal, **facts),  # type: ignore[arg-type]  # the same
    ]


async def test_a_line_tells_what_is_rare() -> None:
    """Cache writes stand in the line of their call, notes in what calls share."""
    journal, ending, tally = ShortJournal(), Told(), Tally()
    recorder, note = recorder_on(journal, tally), Note("dropped", "seed", "why")
    facts = {"arrival": ARRIVAL, "dialect": "x", "group": GROUP, "target": TARGET}
    written = Usage(
        input_tokens=10,
        cache_write_5m_tokens=0,
        cache_write_1h_tokens=4,
        output_tokens=5,
    )
    noted = Entry(**facts, usage=written, lane="translate", notes=(note,))  # type: ignore[arg-type]  # by name
    plain = Entry(**facts, usage=Usage(estimated=True))  # type: ignore[arg-type]  # by name

    recorder.close(noted, status=200, ending=Told())
    recorder.close(plain, status=200, ending=ending)
    await eventually(lambda: ending.codes)

    first, second = (decode_record(line) for line in journal.lines)
    assert (first.cache_write_5m_tokens, first.cache_write_1h_tokens) == (0, 4)
    assert (first.lane, first.notes) == ("translate", (note,))
    assert (second.usage_estimated, second.notes) == (True, ())
    assert tally.tokens == {("chat", "input"): 10, ("chat", "output"): 5}


async def test_calls_that_end_together_share_one_write() -> None:
    """Nobody is answered before it, and everybody after."""
    journal = ShortJournal()

    endings = await closed(recorder_on(journal, Tally()), 5)

    assert journal.writes == [5]
    assert [each.codes for each in endings] == [[None]] * 5


async def test_an_entry_is_closed_once() -> None:
    """The first time counts; nothing is done a second time."""
    journal, tally, first, second = ShortJournal(), Tally(), Told(), Told()
    recorder, call = recorder_on(journal, tally), entry()

    recorder.close(call, status=200, ending=first)
    recorder.close(call, status=500, ending=second)
    await eventually(lambda: first.codes)

    assert (journal.writes, second.codes) == ([1], [])
    assert tally.calls == {("none", 200, False): 1}


async def test_what_was_written_of_a_batch_is_answered_and_the_rest_is_not() -> None:
    """A journal that fills up in the middle withholds only what it did not take."""
    journal, tally = ShortJournal(room=2), Tally()

    with capture_logs() as logs:
        endings = await closed(recorder_on(journal, tally), 5)

    assert [each.codes for each in endings] == [[None]] * 2 + [
        ["journal-unwritable"]
    ] * 3
    assert tally.unwritable == 3
    assert [(each["event"], each["request_id"], each["reason"]) for each in logs] == [
        ("call not on record", "req_told", REASON)
    ] * 3


async def test_nothing_of_a_broken_batch_is_answered_where_all_is_synced() -> None:
    """What only the kernel has may still be lost."""
    tally = Tally()

    endings = await closed(
        recorder_on(ShortJournal(room=2), tally, sync_always=True), 3
    )

    assert [each.codes for each in endings] == [["journal-unwritable"]] * 3
    assert tally.unwritable == 3


@pytest.mark.parametrize(
    ("disk_refuses", "code"), [(False, None), (True, "journal-unwritable")]
)
async def test_a_batch_waits_for_the_disk_once(
    disk_refuses: bool,  # noqa: FBT001 - a parameter of the test
    code: str | None,
) -> None:
    """With `journal_sync: always` all calls of a turn share one sync, and its fate."""
    journal = ShortJournal(disk_refuses=disk_refuses)

    endings = await closed(recorder_on(journal, Tally(), sync_always=True), 3)

    assert [each.codes for each in endings] == [[code]] * 3
    assert journal.synced == ([] if disk_refuses else [1])


async def test_no_call_is_begun_until_the_journal_can_be_written_again() -> None:
    """After a failure it is asked before each call; before one it is not."""
    journal = ShortJournal(room=0)
    recorder = recorder_on(journal, Tally())
    recorder.check()

    await closed(recorder, 1)
    with pytest.raises(JournalUnwritable):
        recorder.check()
    journal.room = 1
    recorder.check()

    assert await closed(recorder, 1) == [Told([None])]


async def test_what_one_recorder_has_found_the_next_one_asks_about() -> None:
    """Another configuration has another recorder, but the disk is still full."""
    journal, tally = ShortJournal(room=0), Tally()
    await closed(recorder_on(journal, tally), 1)

    with pytest.raises(JournalUnwritable):
        recorder_on(journal, tally).check()


async def test_an_answer_that_cannot_be_ended_hinders_no_other() -> None:
    """It is a defect, and in the log as one."""
    recorder, ending = recorder_on(ShortJournal(), Tally()), Told()

    with capture_logs() as logs:
        recorder.close(entry(1), status=200, ending=Broken())
        recorder.close(entry(2), status=200, ending=ending)
        await eventually(lambda: ending.codes)

    assert ending.codes == [None]
    told = [(each["event"], each["log_level"], each["request_id"]) for each in logs]
    assert told == [("answer could not be ended", "error", "req_broken")]


class Settled(Deciding, kw_only=True):
    """A call about which everything is decided."""

    settled: Decision

    def decision(self, error: RouterError | None) -> Decision:  # noqa: ARG002 - however it ended
        """Return what was decided."""
        return self.settled


class Faulty(Settled, kw_only=True):
    """A call of which nobody can say how it was decided."""

    def decision(self, error: RouterError | None) -> Decision:
        """Fail."""
        raise ZeroDivisionError(error)


def settled(decision: Decision) -> Settled:
    """Return what keeps this decision, whatever is asked for."""
    chosen = group(target("a"))
    found = Eligibility(chosen, fetches_images=False).of(needs())
    return Settled(group=chosen, needs=needs(), found=found, settled=decision)


async def decided(journal: ShortJournal, *decisions: Decision | None) -> Told:
    """Close calls that were decided so, within narrow bounds."""
    recorder = recorder_on(journal, Tally(), bounds=Diagnostics(max_candidates=2))
    ending = Told()
    for number, decision in enumerate(decisions):
        open_entry = entry(number)
        open_entry.deciding = None if decision is None else settled(decision)
        recorder.close(open_entry, status=200, ending=ending)
    await eventually(lambda: len(ending.codes) == len(decisions))
    return ending


async def test_a_kept_decision_stands_in_the_line_of_its_call() -> None:
    """One line holds both, so that neither is there without the other."""
    journal, small = ShortJournal(), a_decision(candidates=(a_candidate(0),))

    await decided(journal, None, small, a_decision())

    lines = [parted(line) for line in journal.lines]
    assert [decode_record(record).request_id for record, _ in lines] == [
        "req_0",
        "req_1",
        "req_2",
    ]
    assert lines[0][1] == b""
    kept = [decode_decision(tail) for _, tail in lines[1:]]
    assert kept[0].decision == small
    assert (kept[1].candidates_left_out, kept[1].reasons_left_out) == (1, 2)
    assert journal.writes == [3]


async def test_a_decision_that_cannot_be_written_costs_no_call() -> None:
    """The record is there without it, the caller is answered, and a line is logged."""
    journal = ShortJournal()

    with capture_logs() as logs:
        ending = await decided(journal, a_decision(error_code="half a \ud83d"))

    assert ending.codes == [None]
    assert decode_record(journal.lines[0]).request_id == "req_0"
    assert [each["event"] for each in logs] == ["decision not kept"]


async def test_a_fault_in_explaining_costs_no_call() -> None:
    """Whatever goes wrong about a decision, the call is on record and answered."""
    journal, ending = ShortJournal(), Told()
    faulty, sound = entry(), settled(a_decision())
    faulty.deciding = Faulty(
        group=sound.group, needs=sound.needs, found=sound.found, settled=sound.settled
    )

    with capture_logs() as logs:
        recorder_on(journal, Tally()).close(faulty, status=200, ending=ending)
        await eventually(lambda: ending.codes)

    assert ending.codes == [None]
    assert decode_record(journal.lines[0]).request_id == "req_1"
    assert [each["event"] for each in logs] == ["decision not kept"]


async def test_a_call_that_is_refused_for_lack_of_room_takes_none() -> None:
    """It is told and counted, and nothing is written of it; others end as ever."""
    journal, tally = ShortJournal(), Tally()
    recorder = recorder_on(journal, tally)
    refused, other = Told(), Told()
    journal.space.see(unread_bytes=1, free_bytes=None)

    with pytest.raises(JournalUnwritable) as raised:
        recorder.check()
    recorder.close(entry(1), status=503, error=raised.value, ending=refused)
    recorder.close(entry(2), status=200, ending=other)
    await asyncio.sleep(0)
    journal.space.see(unread_bytes=0, free_bytes=None)
    recorder.check()

    assert refused.codes == ["journal-unwritable"]
    assert other.codes == [None]
    assert [decode_record(line).request_id for line in journal.lines] == ["req_2"]
    assert tally.unwritable == 1
