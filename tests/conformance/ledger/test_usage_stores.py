"""Rows and positions: together or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_llmrouter.core.notes import Note
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.usage_store import (
    DatabaseAway,
    UnstorableRows,
    UsageStore,
    open_store,
)
from tests.support.databases import change
from tests.support.ledger import StateDirectory, a_record, add


@pytest.fixture
def store(state: StateDirectory) -> Iterator[UsageStore]:
    """Return a store on the database."""
    store = open_store(state.url)
    yield store
    store.close()


def test_rows_and_position_arrive_together(
    state: StateDirectory, store: UsageStore
) -> None:
    """One call adds the rows and moves the position."""
    new = add(store, a_record(1), a_record(2), segment="s", end_offset=10)
    again = add(store, segment="s", end_offset=20)

    assert (new, again) == (2, 0)
    assert len(state.request_ids()) == 2
    assert store.positions() == {"s": 20}


def test_a_known_request_is_not_added_twice(
    state: StateDirectory, store: UsageStore
) -> None:
    """The first row wins, and the answer counts only what is new."""
    add(store, a_record(1, client="first"))

    new = add(
        store, a_record(1, client="second"), a_record(2), segment="t", end_offset=1
    )

    assert new == 1
    assert state.rows("client") == [("first",), ("openai-python",)]


def test_a_value_that_fits_nowhere_commits_nothing(
    state: StateDirectory, store: UsageStore
) -> None:
    """The caller learns which rows to leave out, and the rest can be added."""
    rows = [a_record(1), a_record(2, latency_us=1 << 70), a_record(3)]

    with pytest.raises(UnstorableRows) as caught:
        add(store, *rows)

    assert caught.value.indexes == {1}
    assert state.request_ids() == []
    assert store.positions() == {}
    assert add(store, rows[0], rows[2]) == 2


@pytest.mark.parametrize("number", [1 << 70, -(1 << 63) - 1])
def test_labels_that_fit_nowhere_are_told_with_all_their_rows(
    state: StateDirectory, store: UsageStore, number: int
) -> None:
    """What is wrong with shared labels is wrong with each row that shares them."""
    rows = [a_record(1, status=number), a_record(2), a_record(3, status=number)]

    with pytest.raises(UnstorableRows) as caught:
        add(store, *rows)

    assert caught.value.indexes == {0, 2}
    assert add(store, rows[1]) == 1
    assert state.rows("request_id, status") == [(rows[1].request_id, 200)]


def test_labels_are_stored_once_and_found_again(
    state: StateDirectory, store: UsageStore
) -> None:
    """Calls that have everything but measures in common share one row of labels."""
    add(store, a_record(1), a_record(2, client="curl"), a_record(3))
    store.close()
    another = open_store(state.url)

    add(another, a_record(4), a_record(5, client="curl"), end_offset=2)

    another.close()
    query = "SELECT client FROM request_labels ORDER BY 1"
    assert state.ask(query) == [("curl",), ("openai-python",)]
    clients = [client for _, client in state.rows("ts_ms, client")]
    assert clients == [
        "openai-python", "curl", "openai-python", "openai-python", "curl",
    ]  # fmt: skip


def test_more_labels_than_are_remembered_change_nothing(
    state: StateDirectory, store: UsageStore
) -> None:
    """However many different labels come, each row has its own."""
    models = [f"model-{number % 5000}" for number in range(20_000)]
    for at in range(0, len(models), 1000):
        batch = [
            a_record(number, requested_model=models[number])
            for number in range(at, at + 1000)
        ]
        add(store, *batch, end_offset=at)

    assert [model for _, model in state.rows("ts_ms, requested_model")] == models


def test_settled_rows_survive_and_forgotten_positions_do_not(
    state: StateDirectory, store: UsageStore
) -> None:
    """Settling keeps everything; forgetting drops positions only."""
    add(store, a_record(1))

    store.settle("s")
    store.forget(["s", "never-there"])
    store.forget([])

    assert store.positions() == {}
    assert len(state.request_ids()) == 1


def test_a_database_with_another_schema_is_away(
    state: StateDirectory, store: UsageStore
) -> None:
    """The ingester never writes into a schema that it does not know."""
    change(state.url, "UPDATE alembic_version SET version_num = 'other'")

    with pytest.raises(DatabaseAway, match="has schema other"):
        store.positions()


def test_charges_and_waits_are_beside_rows_that_have_none(
    state: StateDirectory,
) -> None:
    """Each value is in its column, and so are the labels that belong to them."""
    records = [
        a_record(1),
        a_record(2, charged_tokens=900, charged_cost_nusd=4_500),
        a_record(3, queued_us=7, refused_by="caller:rpm"),
        a_record(4, cache_write_1h_tokens=5, budget_warning="owner:month.tokens"),
    ]
    state.journalled(records)

    done = state.ingester().advance()

    assert (done.records, done.rejected) == (4, 0)
    columns = (
        "ts_ms, charged_tokens, charged_cost_nusd, queued_us, cache_write_1h_tokens, "
        "refused_by, budget_warning"
    )
    ids = [record.ts_ms for record in records]
    assert state.rows(columns) == [
        (ids[0], None, None, None, None, None, None),
        (ids[1], 900, 4_500, None, None, None, None),
        (ids[2], None, None, 7, None, "caller:rpm", None),
        (ids[3], None, None, None, 5, None, "owner:month.tokens"),
    ]


def test_cache_writes_are_beside_rows_that_have_none(
    state: StateDirectory, store: UsageStore
) -> None:
    """Each value stands in the column of its name, whatever its neighbours have."""
    writer = a_record(
        2,
        upstream_reported_cost_nusd=5,
        cache_write_5m_tokens=10,
        cache_write_1h_tokens=0,
        cache_write_cost_nusd=700,
    )

    new = add(store, a_record(1), writer, a_record(3, client="other"))

    columns = (
        "request_id, client, upstream_reported_cost_nusd, cache_write_5m_tokens, "
        "cache_write_1h_tokens, cache_write_cost_nusd"
    )
    assert new == 3
    assert [row[1:] for row in state.rows(columns)] == [
        ("openai-python", None, None, None, None),
        ("openai-python", 5, 10, 0, 700),
        ("other", None, None, None, None),
    ]


def test_a_write_that_fits_nowhere_is_named(
    state: StateDirectory, store: UsageStore
) -> None:
    """The others can be added without it."""
    rows = [a_record(1), a_record(2, cache_write_5m_tokens=1 << 70), a_record(3)]

    with pytest.raises(UnstorableRows) as caught:
        add(store, *rows)

    assert caught.value.indexes == {1}
    assert state.request_ids() == []


def test_notes_are_stored_once_for_all_calls_that_have_them(
    state: StateDirectory, store: UsageStore
) -> None:
    """Each call has its field events; the sentences stand once."""
    notes = (
        Note("dropped", "seed", "the target has no such field"),
        Note("approximated", "reasoning_effort", "as a budget of tokens"),
    )
    translated = {
        "lane": "translate",
        "target_dialect": "anthropic-messages",
        "attempts": 2,
        "notes": notes,
    }

    add(store, a_record(1), a_record(2, **translated), a_record(3, **translated))

    events = state.ask(
        "SELECT request_id, attempt_index, seq, field_name, action, reason "
        "FROM request_translation_field_events ORDER BY request_id, seq"
    )
    assert events == [
        (a_record(number).request_id, 1, seq, note.field, note.action, note.reason)
        for number in (2, 3)
        for seq, note in enumerate(notes)
    ]
    assert state.count("label_notes") == len(notes)
    assert [row[1:] for row in state.rows("request_id, lane, notes_count")] == [
        (None, 0),
        ("translate", 2),
        ("translate", 2),
    ]


def test_only_a_call_with_a_target_has_a_lane(
    state: StateDirectory, store: UsageStore
) -> None:
    """A call that reached nobody was neither passed on nor translated."""
    add(store, a_record(1), a_record(2, target_dialect="openai-chat"))

    assert [row[1:] for row in state.rows("request_id, lane, usage_estimated")] == [
        (None, 0),
        ("relay", 0),
    ]


def test_a_model_name_with_a_nul_keeps_its_row(
    state: StateDirectory, store: UsageStore
) -> None:
    """A caller cannot keep a call out of the ledger by what it asks for."""
    new = add(store, a_record(1, requested_model="a\0b\\u0000"), a_record(2))

    assert new == 2
    assert state.ask(
        "SELECT requested_model FROM request_usage WHERE ts_ms % 2 = 1"
    ) == [("a\ufffdb\\u0000",)]


def test_an_id_with_a_nul_is_set_aside(store: UsageStore) -> None:
    """No router makes such a one, and no kind of database shall be asked to hold it."""
    with pytest.raises(UnstorableRows) as caught:
        add(store, a_record(1), a_record(2, request_id="req_\0"))

    assert caught.value.indexes == {1}


@pytest.mark.parametrize(
    "request_id",
    ['a"b', "a\\b", "a,b", "{a}", "None", "NULL", "", " ", "\x1f", "é\n", "%s"],
)
def test_any_other_text_is_an_id(
    state: StateDirectory, store: UsageStore, request_id: str
) -> None:
    """It is found as it was written, among others."""
    new = add(store, a_record(1), a_record(2, request_id=request_id), a_record(3))

    assert new == 3
    assert (request_id,) in state.rows()


def test_numbers_at_the_ends_of_what_a_column_holds(
    state: StateDirectory, store: UsageStore
) -> None:
    """They are kept as they are, also when the clock was absurd."""
    most = (1 << 63) - 1
    add(
        store,
        a_record(1, ts_ms=-most - 1),
        a_record(2, ts_ms=most, latency_us=most),
        a_record(3, ts_ms=0),
    )

    assert state.rows("ts_ms, latency_us") == [
        (-most - 1, 1001),
        (0, 1003),
        (most, most),
    ]


def test_calls_of_many_days_are_found_in_their_order(
    state: StateDirectory, store: UsageStore
) -> None:
    """Also where each day is kept apart, and a later batch has earlier days."""
    day_ms = 86_400_000
    later = [a_record(number, ts_ms=number * day_ms) for number in (20_000, 20_002)]
    earlier = [a_record(number, ts_ms=number * day_ms) for number in (20_001, 19_999)]

    new = add(store, *later) + add(store, *earlier, end_offset=2)

    assert new == 4
    assert [ts_ms for (ts_ms,) in state.rows("ts_ms")] == [
        number * day_ms for number in (19_999, 20_000, 20_001, 20_002)
    ]


def test_two_writers_share_labels_and_keep_their_own_positions(
    state: StateDirectory, tmp_path: Path
) -> None:
    """What one journal's ingester forgets is never another one's."""
    here = open_store(state.url, journal=tmp_path / "here")
    there = open_store(state.url, journal=tmp_path / "there")
    try:
        new = [
            add(here, a_record(1), a_record(2, client="curl"), segment="a"),
            add(there, a_record(3, client="curl"), a_record(2), segment="b"),
        ]
        one_file = backend_of(state.url) == "sqlite"

        assert new == [2, 1]
        assert here.positions() == ({"a": 1, "b": 1} if one_file else {"a": 1})
        assert state.count("request_labels") == 2
    finally:
        here.close()
        there.close()
