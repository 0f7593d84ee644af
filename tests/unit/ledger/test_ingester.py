"""One step of ingesting: what arrives, what is set aside, what is deleted."""

from dataclasses import replace
from pathlib import Path

import pytest

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.ledger.decision_line import TAB, with_decision
from smart_llmrouter.ledger.ingester import Ingester, Progress
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.stores.segments import MAX_LINE_BYTES, segment_name
from smart_llmrouter.stores.sqlite_store import SqliteStore
from smart_llmrouter.stores.usage_store import DatabaseAway
from tests.support.decisions import a_candidate, a_decision, an_attempt
from tests.support.ledger import StateDirectory, a_record, state_in

LINE = encode_record(a_record(1))


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def segment_of_a_dead_writer(state: StateDirectory, content: bytes) -> None:
    """Leave a segment that nobody writes to any more."""
    state.journal.mkdir(exist_ok=True)
    name = segment_name(start_ms=5, writer_id="dead", sequence=0)
    (state.journal / name).write_bytes(content)


def test_a_record_becomes_a_row_field_by_field(state: StateDirectory) -> None:
    """Each value stands in the column of its name; unknown stays empty."""
    full = a_record(1, stream=True, ttft_us=7, total_cost_nusd=12, error_code="x")
    state.journalled([full])

    done = state.ingester().advance()

    columns = "stream, ttft_us, total_cost_nusd, error_code, input_tokens, latency_us"
    assert done == Progress(records=1)
    assert state.rows(columns) == [(1, 7, 12, "x", None, 1001)]


def test_a_finished_segment_is_deleted_and_forgotten(state: StateDirectory) -> None:
    """After its writer's end a segment goes once all of it is committed."""
    state.journalled(a_record(number) for number in range(10))
    ingester = state.ingester(block_bytes=1000)

    done = ingester.advance()

    assert done.records == 10
    assert state.segments() == []
    assert ingester.advance() == Progress()
    assert state.ingester().advance() == Progress()


def test_a_living_writers_segment_stays(state: StateDirectory) -> None:
    """What is there is ingested while the writer goes on."""
    writer = state.writer()
    ingester = state.ingester()

    writer.append(encode_record(a_record(1)))
    first = ingester.advance()
    writer.append(encode_record(a_record(2)))
    second = ingester.advance()

    assert (first.records, second.records) == (1, 1)
    assert len(state.segments()) == 1
    writer.close()
    ingester.advance()
    assert state.segments() == []


def test_nothing_is_counted_twice_after_a_restart(state: StateDirectory) -> None:
    """A new ingester goes on where the database says that the old one was."""
    writer = state.writer()
    writer.append(encode_record(a_record(1)))
    state.ingester().advance()
    writer.append(encode_record(a_record(2)))

    done = state.ingester().advance()

    assert done == Progress(records=1)
    assert len(state.request_ids()) == 2


def test_a_repeated_request_id_is_counted_as_a_duplicate(
    state: StateDirectory,
) -> None:
    """Two records of one call make one row."""
    state.journalled([a_record(1), a_record(1), a_record(2)])

    done = state.ingester().advance()

    assert done == Progress(records=2, duplicates=1)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"request_id":"x"}', "not a usage record"),
        (b"[]", "not a usage record"),
        (LINE.replace(b",200,", b',"200",'), "not a usage record"),
        (LINE[:-1] + b",null]", "not a usage record"),
        (LINE[: LINE.rindex(b',"openai-chat"')] + b"]", "not a usage record"),
        (b",".join([*LINE.split(b",")[:14]]) + b"]", "not a usage record"),
        (LINE.replace(b"alice-search-dev", b"\xc3\x28"), "not JSON"),
        (b'{"x":' * 5000, "not a usage record"),
    ],
)
def test_a_line_that_is_no_record_is_set_aside(
    state: StateDirectory, bad: bytes, reason: str
) -> None:
    """A poisoned line is kept for a person, and the ones around it arrive."""
    segment_of_a_dead_writer(
        state, b"\n".join([LINE, bad, b"", encode_record(a_record(2)), b""])
    )

    done = state.ingester().advance()

    assert done == Progress(records=2, rejected=1)
    [rejected] = state.rejected()
    assert rejected["reason"] == reason
    assert rejected["offset"] == len(LINE) + 1
    assert rejected["bytes"] == len(bad)
    assert (state.journal / "rejected.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_line_of_an_older_version_is_ingested(state: StateDirectory) -> None:
    """What a router left behind before it was replaced had names in it."""
    old = (
        b'{"request_id":"req_1","ts_ms":5,"caller_id":"c","caller_user":"u",'
        b'"caller_project":"p","caller_environment":"e","token_id":"t","client":"curl",'
        b'"inbound_dialect":"openai-chat","status":200,"attempts":1,"latency_us":7,'
        b'"config_fingerprint":"f","router_version":"v","ttft_us":3,"stream":true}'
    )
    segment_of_a_dead_writer(state, old + b"\n" + LINE + b"\n")

    done = state.ingester().advance()

    assert done == Progress(records=2)
    columns = "ts_ms, request_id, client, latency_us, ttft_us, stream, error_code"
    assert state.rows(columns)[0] == (5, "req_1", "curl", 7, 3, 1, None)


def test_an_id_with_commas_moves_nothing(state: StateDirectory) -> None:
    """Where a line is cut does not depend on what its first value holds."""
    odd = a_record(1, request_id='a,"b,,[', ttft_us=9, client="x,y")
    state.journalled([odd, a_record(2)])

    done = state.ingester().advance()

    assert done == Progress(records=2)
    rows = state.rows("ts_ms, request_id, ttft_us, client")
    assert rows[0] == (odd.ts_ms, 'a,"b,,[', 9, "x,y")


def test_a_number_beyond_64_bits_is_set_aside(state: StateDirectory) -> None:
    """A record that no column can hold does not stop its neighbours."""
    state.journalled([a_record(1), a_record(2, latency_us=1 << 64), a_record(3)])

    done = state.ingester().advance()

    assert done == Progress(records=2, rejected=1)
    assert state.rejected()[0]["reason"] == "unstorable"
    assert state.segments() == []


def test_a_torn_last_line_is_set_aside_when_its_writer_is_dead(
    state: StateDirectory,
) -> None:
    """A killed writer's half line was never answered: it is no record."""
    segment_of_a_dead_writer(state, LINE + b"\n" + LINE[:50])

    done = state.ingester().advance()

    assert done == Progress(records=1, rejected=1)
    assert state.rejected()[0]["reason"] == "torn"
    assert state.segments() == []


def test_something_endless_is_set_aside_in_pieces(state: StateDirectory) -> None:
    """Garbage without a newline cannot block the journal."""
    segment_of_a_dead_writer(state, b"x" * (MAX_LINE_BYTES + 5) + b"\n" + LINE + b"\n")

    done = state.ingester().advance()

    assert done == Progress(records=1, rejected=2)
    assert [entry["reason"] for entry in state.rejected()] == ["oversized", "not JSON"]


def test_a_long_backlog_is_ingested_in_bounded_steps(state: StateDirectory) -> None:
    """One step ends after a while and says that there is more."""
    state.journalled(a_record(number) for number in range(100))
    ingester = state.ingester(block_bytes=1)

    first = ingester.advance()
    rest = ingester.advance()

    assert first.more
    assert not rest.more
    assert first.records + rest.records == 100


def test_a_database_that_is_away_loses_nothing(state: StateDirectory) -> None:
    """The journal waits, and what it holds arrives when the database is back."""
    state.journalled([a_record(1)])
    ingester = state.ingester()
    elsewhere = state.database.rename(state.path / "elsewhere")

    with pytest.raises(DatabaseAway):
        ingester.advance()
    elsewhere.rename(state.database)
    done = ingester.advance()

    assert done.records == 1


def test_positions_of_vanished_segments_are_dropped(state: StateDirectory) -> None:
    """The table of positions does not grow for ever."""
    writer = state.writer()
    writer.append(encode_record(a_record(1)))
    state.ingester().advance()
    (state.journal / state.segments()[0]).unlink()

    state.ingester().advance()

    assert state.ingester()._store.positions() == {}


def test_what_comes_during_a_small_batch_gathers_for_the_next(
    state: StateDirectory,
) -> None:
    """A commit for each record that just came would cost more than all its rows."""
    writer = state.writer()
    writer.append(encode_record(a_record(1)))

    def write_one_more() -> None:
        writer.append(encode_record(a_record(2)))

    store = SqliteStore(state.url, between=write_one_more)
    done = Ingester(state.journal, store, block_bytes=1 << 16).advance()

    assert done == Progress(records=1)
    assert state.ingester().advance().records == 1


def decided_line(number: int, **fields: object) -> bytes:
    """Return the line of a call whose decision is kept."""
    line = encode_record(a_record(number))
    return with_decision(line, a_decision(**fields), Diagnostics())


def all_ingested(state: StateDirectory, *, block_bytes: int = 1 << 16) -> Progress:
    """Ingest until there is nothing more to do."""
    ingester = state.ingester(block_bytes=block_bytes)
    done = step = ingester.advance()
    while step.more:
        step = ingester.advance()
        done += step
    return replace(done, more=False)


def test_a_decision_arrives_with_its_record(state: StateDirectory) -> None:
    """Beside calls without one, and what they share is stored once."""
    lines = [LINE, decided_line(2), decided_line(3), encode_record(a_record(4))]
    segment_of_a_dead_writer(state, b"\n".join(lines) + b"\n")

    done = all_ingested(state)

    assert done == Progress(records=4)
    assert state.decided_ids() == [a_record(n).request_id for n in (2, 3)]
    assert state.count("request_attempts") == 4
    assert state.count("decision_kinds") == 1


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"", None),
        (b"x", "no decision"),
        (b"{}", "no decision"),
        (b'{"decision":{}}', "no decision"),
        (b"[" * 100_000, "no decision"),
        (decided_line(2).split(TAB)[1] + b"{}", "no decision"),
        (
            decided_line(
                2, attempts=(an_attempt("acme/mini", duration_us=2**63),)
            ).split(TAB)[1],
            "unstorable",
        ),
        (
            decided_line(2, candidates=(a_candidate(0, weight=-(2**64)),)).split(TAB)[
                1
            ],
            "unstorable",
        ),
    ],
)
def test_what_is_no_decision_costs_no_record(
    state: StateDirectory, tail: bytes, reason: str | None
) -> None:
    """It is set aside alone; its call and all others are stored."""
    lines = [LINE, encode_record(a_record(2)) + TAB + tail, decided_line(3)]
    segment_of_a_dead_writer(state, b"\n".join(lines) + b"\n")

    done = all_ingested(state)

    assert done == Progress(records=3, rejected=1 if reason else 0)
    assert [each["reason"] for each in state.rejected()] == ([reason] * bool(reason))
    assert len(state.request_ids()) == 3
    assert state.decided_ids() == [a_record(3).request_id]


def test_bad_records_and_bad_decisions_in_one_batch(state: StateDirectory) -> None:
    """Each is set aside for itself, and every decision stays with its call."""
    huge = encode_record(a_record(2, latency_us=2**64))
    badly_decided = decided_line(3, attempts=(an_attempt("x", status=2**64),))
    lines = [
        b"nonsense" + TAB + b"{}",
        huge + TAB + decided_line(2).split(TAB)[1],
        badly_decided,
        decided_line(4),
        encode_record(a_record(5)) + TAB + b"nonsense",
        decided_line(6),
    ]
    segment_of_a_dead_writer(state, b"\n".join(lines) + b"\n")

    done = all_ingested(state)

    assert done == Progress(records=4, rejected=4)
    assert sorted(str(each["reason"]) for each in state.rejected()) == [
        "no decision",
        "not JSON",
        "unstorable",
        "unstorable",
    ]
    assert state.request_ids() == [a_record(n).request_id for n in (3, 4, 5, 6)]
    assert state.decided_ids() == [a_record(n).request_id for n in (4, 6)]


def test_a_line_torn_in_its_decision_is_torn(state: StateDirectory) -> None:
    """Its call was never answered, whatever of its record had been written."""
    segment_of_a_dead_writer(state, LINE + b"\n" + decided_line(2)[:-1])

    done = all_ingested(state)

    assert done == Progress(records=1, rejected=1)
    assert state.decided_ids() == []


def test_records_go_before_decisions(state: StateDirectory) -> None:
    """However many decisions there are, all records are in the database first."""
    lines = [decided_line(number) for number in range(100)]
    segment_of_a_dead_writer(state, b"\n".join(lines) + b"\n")
    ingester = state.ingester(block_bytes=5 * len(lines[0]))

    first = ingester.advance()

    assert (first.records, first.more) == (100, True)
    assert 0 < len(state.decided_ids()) < 10
    all_ingested(state)
    assert state.decided_ids() == state.request_ids()
    assert state.segments() == []


def test_decisions_of_a_living_writer_do_not_keep_the_ingester_awake(
    state: StateDirectory,
) -> None:
    """When the last of them is stored, what comes next may gather."""
    writer, ingester = state.writer(), state.ingester()
    writer.append(decided_line(1))

    first = ingester.advance()
    writer.append(decided_line(2), LINE)
    writer.append(encode_record(a_record(3)))
    second = ingester.advance()
    writer.append(encode_record(a_record(4)))
    third = ingester.advance()

    assert [step.more for step in (first, second, third)] == [False, False, False]
    assert state.decided_ids() == [a_record(n).request_id for n in (1, 2)]
    assert list(ingester.positions.values()) == [
        sum(path.stat().st_size for path in state.journal.glob("0*.jsonl"))
    ]
    writer.close()


def test_a_decision_waits_for_nobody_elses_database(state: StateDirectory) -> None:
    """An ingester that was killed between both goes on with the decisions."""
    segment_of_a_dead_writer(state, decided_line(1) + b"\n")

    class OnlyRecords(SqliteStore):
        def add_decisions(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ingester(state.journal, OnlyRecords(state.url)).advance()
    before = state.decided_ids()
    done = all_ingested(state)

    assert before == []
    assert done.records == 0
    assert state.decided_ids() == state.request_ids() == [a_record(1).request_id]


def test_decisions_of_a_vanished_segment_are_not_waited_for(
    state: StateDirectory,
) -> None:
    """Somebody took the file away before they were read: that is their business."""
    lines = [decided_line(number) for number in range(40)]
    segment_of_a_dead_writer(state, b"\n".join(lines) + b"\n")
    ingester = state.ingester(block_bytes=5 * len(lines[0]))
    ingester.advance()
    (state.journal / state.segments()[0]).unlink()

    step = ingester.advance()

    assert step == Progress()
    assert len(state.request_ids()) == 40
