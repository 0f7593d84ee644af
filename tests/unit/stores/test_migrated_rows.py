"""What was on record before a change of the schema is on record after it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from smart_llmrouter.stores.database import upgrade
from smart_llmrouter.stores.sqlite import create_or_check_schema, sqlite_url
from tests.support.ledger import StateDirectory
from tests.unit.stores.test_database import old_database

SCORES = (
    '[[1.5,37,[["latency",0.25,2.0,0.5,812.5],["errors",1.0,1.0,1.0,null]]],'
    "[0.0,0,[]],[null,null,[]]]"
)
CALLS = 1203
"""More than are moved at once, twice."""


def with_scores(path: Path) -> None:
    """Fill an older database: every third call has scores."""
    rows = [
        (n // 7, f"req_{n:04d}", 1, *range(10), SCORES if n % 3 == 0 else None)
        for n in range(CALLS)
    ]
    with closing(sqlite3.connect(path)) as connection:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(
            f"INSERT INTO request_decisions VALUES ({marks})",  # noqa: S608 - no input
            rows,
        )
        connection.commit()


def test_scores_become_rows(tmp_path: Path) -> None:
    """Each of each call, once, whatever calls share their moment."""
    state = StateDirectory(tmp_path / "state")
    with_scores(old_database(state.database, "usage_0009"))

    upgrade(sqlite_url(state.database))

    create_or_check_schema(state.url)
    scored = len(range(0, CALLS, 3))
    assert state.count("request_decisions") == CALLS
    assert state.count("request_target_scores") == 2 * scored
    assert state.count("request_dynamic_score_terms") == 2 * scored
    terms = "seq, term_name, value, weight, contribution, observed"
    last = "request_dynamic_score_terms WHERE request_id = 'req_1200' ORDER BY seq"
    assert state.select(terms, last) == [
        (0, "latency", 0.25, 2.0, 0.5, 812.5),
        (1, "errors", 1.0, 1.0, 1.0, None),
    ]
    scores = "candidate_index, score, observation_count"
    first = "request_target_scores WHERE request_id = 'req_0000'"
    assert state.select(scores, first) == [(0, 1.5, 37), (1, 0.0, 0)]
