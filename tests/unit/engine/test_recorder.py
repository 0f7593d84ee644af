"""Closing entries: what is written, when, and what follows it."""

import asyncio

import pytest

from smart_llmrouter.core.errors import JournalUnwritable, ModelNotAllowed
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.ledger.record import decode_record
from smart_llmrouter.stores.journal import JournalHealth
from smart_llmrouter.stores.journal import JournalUnwritable as Unwritable
from tests.unit.engine.test_entry import ARRIVAL, GROUP, TARGET


class Notebook:
    """A journal in memory that can be told how much it still takes."""

    def __init__(self, *, takes: int = 1000) -> None:
        """Take so many records, and refuse those after them."""
        self.takes = takes
        self.writes: list[tuple[bytes, ...]] = []
        self.synced: list[int] = []

    def append(self, *records: bytes) -> int:
        """Keep records."""
        self.writes.append(records[: self.takes])
        if len(records) > self.takes:
            raise Unwritable("No space left on device", written=self.takes)
        return len(self.writes)

    def sync(self, mark: int) -> None:
        """Keep what was to be synced."""
        self.synced.append(mark)

    def probe(self) -> JournalHealth:
        """Say that all is well."""
        return JournalHealth(None)


class Ending:
    """Keeps what it was told."""

    def __init__(self, told: list[JournalUnwritable | None]) -> None:
        """Tell it to `told`."""
        self._told = told

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Keep it."""
        self._told.append(unwritable)


def recorder(notebook: Notebook, *, sync_always: bool = False) -> Recorder:
    """Return a recorder that writes into `notebook`."""
    return Recorder(
        notebook,
        Tally(),
        loop=asyncio.get_running_loop(),
        sync_always=sync_always,
        config_fingerprint="c1",
        router_version="1.0",
        now=lambda: 102.0,
    )


def answered() -> Entry:
    """Return the entry of a call that was answered."""
    return Entry(
        arrival=ARRIVAL,
        dialect="openai-chat",
        group=GROUP,
        target=TARGET,
        attempts=1,
        upstream_status=200,
        usage=Usage(input_tokens=10, output_tokens=5),
    )


async def test_a_line_is_the_record_of_its_call() -> None:
    """What is put together from parts reads as the record that was meant."""
    notebook, told = Notebook(), list[JournalUnwritable | None]()
    keeper, refusal = recorder(notebook), ModelNotAllowed()
    refused = Entry(arrival=ARRIVAL, dialect="openai-chat")

    keeper.close(answered(), status=200, ending=Ending(told))
    keeper.close(refused, status=403, error=refusal, ending=Ending(told))
    await asyncio.sleep(0)

    (lines,) = notebook.writes
    facts = {"now_s": 102.0, "config_fingerprint": "c1", "router_version": "1.0"}
    assert [decode_record(line) for line in lines] == [
        answered().record(status=200, error=None, **facts),  # type: ignore[arg-type]  # a number and two texts
        refused.record(status=403, error=refusal, **facts),  # type: ignore[arg-type]  # the same
    ]
    assert told == [None, None]


async def test_calls_of_one_turn_share_a_write() -> None:
    """Nothing is answered before it, and each is answered after it, in order."""
    notebook, told = Notebook(), list[JournalUnwritable | None]()
    keeper = recorder(notebook)

    for _ in range(3):
        keeper.close(answered(), status=200, ending=Ending(told))
    before = (list(notebook.writes), list(told))
    await asyncio.sleep(0)
    keeper.close(answered(), status=200, ending=Ending(told))
    await asyncio.sleep(0)

    assert before == ([], [])
    assert [len(lines) for lines in notebook.writes] == [3, 1]
    assert told == [None] * 4


@pytest.mark.parametrize(("sync_always", "sure"), [(False, 2), (True, 0)])
async def test_what_was_written_before_the_disk_was_full_is_answered(
    *, sync_always: bool, sure: int
) -> None:
    """The others are told so; where all must be synced, none is sure."""
    told: list[JournalUnwritable | None] = []
    keeper = recorder(Notebook(takes=2), sync_always=sync_always)

    for _ in range(5):
        keeper.close(answered(), status=200, ending=Ending(told))
    await asyncio.sleep(0)

    assert [unwritable is None for unwritable in told] == [True] * sure + [False] * (
        5 - sure
    )


async def test_with_sync_always_answers_wait_for_the_disk() -> None:
    """One wait for all calls of a turn."""
    notebook, told = Notebook(), list[JournalUnwritable | None]()
    keeper = recorder(notebook, sync_always=True)

    for _ in range(3):
        keeper.close(answered(), status=200, ending=Ending(told))
    await asyncio.sleep(0)
    at_once = list(told)
    async with asyncio.timeout(5):
        while keeper.pending:  # noqa: ASYNC110 - turns of the loop
            await asyncio.sleep(0)

    assert at_once == []
    assert (notebook.synced, told) == ([1], [None] * 3)


async def test_an_entry_is_closed_once() -> None:
    """However often a call is ended, it has one record and one answer."""
    notebook, told = Notebook(), list[JournalUnwritable | None]()
    keeper, entry = recorder(notebook), answered()

    keeper.close(entry, status=200, ending=Ending(told))
    keeper.close(entry, status=500, ending=Ending(told))
    await asyncio.sleep(0)

    assert [len(lines) for lines in notebook.writes] == [1]
    assert told == [None]
