"""The page for troubleshooting: its queries run on what its example left behind."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.record import UsageRecord, encode_record
from tests.support.ledger import NOON_MS, a_record, state_in
from tools.troubleshooting_page import EXAMPLE, troubleshooting_page

_QUERIES = re.compile(r"```sql\n(.*?)```", re.DOTALL)
_OF_A_CALL = frozenset({"details.error", "tool_choice"})
_ROWS = re.compile(r"^\| `.*\|$", re.MULTILINE)
_SETTINGS = re.compile(r"`([a-z]+(?:[._][a-z]+)+)(?::[^`]*)?`")


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


def test_the_page_advises_settings_that_there_are() -> None:
    """What to do names keys of the file, columns of a record, or parts of a call."""
    schema = json.dumps(Settings.model_json_schema())
    record = {field.name for field in msgspec.structs.fields(UsageRecord)}
    advice = [row.rsplit("|", 2)[1] for row in _ROWS.findall(troubleshooting_page())]

    named = {key for each in advice for key in _SETTINGS.findall(each)} - _OF_A_CALL
    unknown = {
        part
        for key in named
        for part in key.split(".")
        if f'"{part}"' not in schema and part not in record
    }

    assert "attempt_timeout_s" in named
    assert unknown == set()
