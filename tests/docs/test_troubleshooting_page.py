"""The page for troubleshooting: its queries run on what its example left behind."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.record import encode_record
from tests.support.ledger import NOON_MS, a_record, state_in
from tools.troubleshooting_page import EXAMPLE, troubleshooting_page

_QUERIES = re.compile(r"```sql\n(.*?)```", re.DOTALL)


def test_the_queries_find_what_the_example_shows(tmp_path: Path) -> None:
    """Who was left out and why, and who was left for whom."""
    state = state_in(tmp_path)
    record = a_record(1, ts_ms=NOON_MS * 2)
    writer = state.writer()
    writer.append(with_decision(encode_record(record), EXAMPLE, Diagnostics()))
    writer.close()
    state.ingester().advance()

    left_out, left = _QUERIES.findall(troubleshooting_page())
    with closing(sqlite3.connect(state.database)) as connection:
        reasons = connection.execute(left_out).fetchall()
        transitions = connection.execute(left).fetchall()

    assert reasons == [("acme/mini", "image", 1)]
    assert transitions == [
        ("acme/large", "upstream_rate_limited", "other/vision", 1, 1)
    ]
