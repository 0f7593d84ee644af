"""Giving the core away between two pieces of work, but not for ever."""

from pathlib import Path

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.ledger.courtesy import Courtesy
from smart_llmrouter.ledger.ingester import Ingester, Progress
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.stores.sqlite_store import SqliteStore
from tests.support.ledger import StateDirectory, a_record, state_in


class Others:
    """Those who get the core, and need so long with it."""

    def __init__(self, *, taking_s: float) -> None:
        """Begin with a clock that stands at 100 s."""
        self.served = 0
        self._now_s = 100.0
        self._taking_s = taking_s

    @property
    def clock(self) -> Monotonic:
        """Return what tells the time."""
        return lambda: self._now_s

    def run(self) -> None:
        """Have the core once."""
        self.served += 1
        self._now_s += self._taking_s


def ingester_of(state: StateDirectory, courtesy: Courtesy) -> Ingester:
    """Return an ingester whose blocks hold about two hundred records."""
    store = SqliteStore(state.url, between=courtesy.show)
    return Ingester(state.journal, store, block_bytes=1 << 16, courtesy=courtesy)


def journalled(tmp_path: Path, records: int) -> StateDirectory:
    """Return the state of a living router with so many records in its journal."""
    state = state_in(tmp_path)
    writer = state.writer()
    for number in range(records):
        writer.append(encode_record(a_record(number)))
    return state


def test_a_small_batch_lets_others_run_between_its_pieces(tmp_path: Path) -> None:
    """Reading 64 lines gives the core away twice, adding their rows four times."""
    others = Others(taking_s=0.0001)
    state = journalled(tmp_path, 64)

    done = ingester_of(state, Courtesy(others.run, monotonic=others.clock)).advance()

    assert done == Progress(records=64)
    assert others.served == 2 + 4


def test_whoever_does_not_get_the_core_back_soon_gives_it_away_no_more(
    tmp_path: Path,
) -> None:
    """Beside others that never rest the batch is done all the same."""
    others = Others(taking_s=0.04)
    state = journalled(tmp_path, 64)

    done = ingester_of(state, Courtesy(others.run, monotonic=others.clock)).advance()

    assert done == Progress(records=64)
    assert others.served == 2


def test_whoever_is_behind_gives_nothing_away(tmp_path: Path) -> None:
    """While whole blocks are waiting each of them is ingested at one go."""
    others = Others(taking_s=0.0001)
    state = journalled(tmp_path, 170)

    done = ingester_of(state, Courtesy(others.run, monotonic=others.clock)).advance()

    assert done == Progress(records=170)
    assert others.served == 0
