"""A retention job once loaded what it was to delete, and was killed for it each day."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import SOAK
from tests.support.ledger import a_record, state_in
from tests.support.rollups import DAY, MIDNIGHT, added, row_ids
from tests.support.wait import PATIENCE_S

ROWS: Final = 1_000_000 if SOAK else 12_000
_BATCH: Final = 4_000
_MOST_MB: Final = 12
_JOB: Final = """
import resource, sys
from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.retention import JobOrder, run_retention
from smart_llmrouter.ledger.rollups import next_due, roll_up
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.writing import transaction

url, now_ms = sys.argv[1], int(sys.argv[2])
while True:
    with connect_for_reading(url) as reading:
        due = next_due(reading, now_ms=now_ms)
    if due is None:
        break
    with transaction(url) as writing:
        roll_up(writing, due, now_ms=now_ms, router_version="1")
job = run_retention(
    lambda: transaction(url),
    Retention(usage_detail_days=7, batch_rows=1000),
    JobOrder(now_ms, "somebody", "1"),
    now=lambda: now_ms,
)
next(job)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
removed = sum(did.removed for did in job)
print(removed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.timeout(1800 if SOAK else 600)
def test_memory_stays_flat_however_many_rows_go(tmp_path: Path) -> None:
    """All of them go, in batches, in a process that does nothing else."""
    state = state_in(tmp_path)
    for first in range(0, ROWS, _BATCH):
        numbers = range(first, min(first + _BATCH, ROWS))
        added(
            state.url,
            (a_record(n, ts_ms=MIDNIGHT + n * 3 * 3_600_000 // ROWS) for n in numbers),
        )

    job = subprocess.run(
        [sys.executable, "-c", _JOB, state.url, str(MIDNIGHT + 20 * DAY)],
        capture_output=True,
        text=True,
        check=True,
        timeout=1500 if SOAK else PATIENCE_S,
    )

    removed, grown_kb = map(int, job.stdout.split())
    assert removed == ROWS - 1000
    assert grown_kb < _MOST_MB * 1024
    assert row_ids(state.url) == []
