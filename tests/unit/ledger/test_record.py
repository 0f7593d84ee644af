"""The line of a call: what is in it, and who can read it."""

import msgspec
import pytest

from smart_llmrouter.core.notes import Note
from smart_llmrouter.ledger.record import (
    UsageRecord,
    call_of,
    caller_labels,
    check_labels,
    decode_record,
    encode_record,
    join_line,
    named_measures,
    other_labels,
    split_lines,
    split_record,
)
from tests.support.ledger import a_record

OF_BEFORE = (
    b'["req_1",1790000000001,1001,500,700,10,0,5,0,250,0,380,630,null,'
    b'"alice-search-dev","alice","search","dev","rtr_alice_search_dev_k1",'
    b'"openai-python","openai-chat",200,1,"c0ffee","0.1.0","mini","chat","failover",'
    b'"acme","mini","openai-chat",true,null,null,200,"price_1"]'
)
WRITER_OF_BEFORE = OF_BEFORE.replace(b'"req_1"', b'["req_1",1,2,3]')
NOTES = (
    Note("dropped", "seed", "the target has no such field"),
    Note("approximated", "reasoning_effort", 'as a budget, of "tokens"'),
)
RECORDS = {
    "an ordinary one": a_record(1, stream=True, target_dialect="openai-chat"),
    "reads": a_record(2, input_tokens=5, cached_input_tokens=4),
    "writes": a_record(
        3,
        cache_write_5m_tokens=10,
        cache_write_1h_tokens=20,
        cache_write_cost_nusd=30,
    ),
    "no writes": a_record(4, cache_write_5m_tokens=0),
    "only the last usual": a_record(5, lane="translate", usage_estimated=True),
    "notes": a_record(6, lane="translate", notes=NOTES),
    "notes of a writer": a_record(7, cache_write_1h_tokens=1, notes=NOTES),
    "an estimate": a_record(8, usage_estimated=True),
    "a fallback": a_record(10, fallback_used=True),
    "a caller that left": a_record(11, disconnect="drained"),
    "a cut-off call": a_record(12, charged_tokens=900, charged_cost_nusd=4_500),
    "charged tokens alone": a_record(13, charged_tokens=0),
    "a wait": a_record(14, queued_us=250_000),
    "writes and a wait": a_record(15, cache_write_1h_tokens=1, queued_us=1),
    "a refusal": a_record(16, refused_by="caller:rpm"),
    "a warning": a_record(17, budget_warning="group-caller:day.usd"),
    "reasoning that cost": a_record(19, reasoning_cost_nusd=7),
    "images and a failed attempt": a_record(
        20, image_cost_nusd=5, failed_attempts_cost_nusd=0, queued_us=3
    ),
    "a hit": a_record(21, cache="hit"),
    "no cache for it": a_record(22, cache="bypass", cache_reason="tools"),
    "commas in an id": a_record(9, request_id="a,b,[[c"),
    "brackets in an id": a_record(18, request_id="a],b", cache_write_5m_tokens=1),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_line_is_read_as_the_record_that_was_written(record: UsageRecord) -> None:
    """Whatever is rare about it."""
    assert decode_record(encode_record(record)) == record


def test_lines_of_all_kinds_are_split_together() -> None:
    """As their records are, and the labels of each are sound."""
    records = [record for name, record in RECORDS.items() if "in an id" not in name]

    measures, labels = split_lines([encode_record(record) for record in records])

    assert list(zip(measures, labels, strict=True)) == list(map(split_record, records))
    for each in labels:
        check_labels(each)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_whose_line_it_is_stands_at_its_beginning(record: UsageRecord) -> None:
    """Whatever is rare about the record."""
    assert call_of(encode_record(record)) == (record.request_id, record.ts_ms)


@pytest.mark.parametrize("name", [name for name in RECORDS if "in an id" in name])
def test_a_cut_at_the_wrong_place_is_noticed(name: str) -> None:
    """An id with such signs moves it, and then the labels are none."""
    [_], [labels] = split_lines([encode_record(RECORDS[name])])

    with pytest.raises(msgspec.DecodeError):
        check_labels(labels)


def test_a_line_of_before_is_a_line_of_today() -> None:
    """A call that was relayed and wrote nothing is written as it always was."""
    record = decode_record(OF_BEFORE)

    assert (record.lane, record.usage_estimated, record.notes) == ("relay", False, ())
    assert (record.fallback_used, record.disconnect) == (False, None)
    assert (record.refused_by, record.budget_warning) == (None, None)
    assert (record.charged_tokens, record.queued_us) == (None, None)
    assert record.cache_write_5m_tokens is None
    assert (record.total_cost_nusd, record.price_fingerprint) == (630, "price_1")
    assert encode_record(record) == OF_BEFORE


def test_a_line_of_one_who_wrote_into_a_cache_is_as_it_was() -> None:
    """Four values stand at its beginning as long as nothing else is rare about it."""
    record = decode_record(WRITER_OF_BEFORE)

    assert (record.cache_write_5m_tokens, record.cache_write_cost_nusd) == (1, 3)
    assert (record.charged_tokens, record.queued_us) == (None, None)
    assert encode_record(record) == WRITER_OF_BEFORE


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_line_put_together_from_parts_is_the_same(record: UsageRecord) -> None:
    """The path encodes what calls share only once."""
    values = msgspec.structs.astuple(record)
    measures = values[:14]
    for end in (23, 20, 17):
        if values[end - 3 : end] != (None, None, None):
            measures = ((values[0], *values[14:end]), *values[1:14])
            break
    caller = caller_labels(
        record.caller_id,
        record.caller_user,
        record.caller_project,
        record.caller_environment,
        token_id=record.token_id,
    )

    line = join_line(measures, caller, other_labels(record))

    assert line == encode_record(record)
    named = named_measures(measures)
    assert all(getattr(record, name) == value for name, value in named.items())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[[",
        b"[]",
        b"[[]]",
        b"5",
        OF_BEFORE.replace(b'"req_1"', b'["req_1",1,2]'),
        OF_BEFORE.replace(b'"req_1"', b'["req_1",1,2,3,"4"]'),
        OF_BEFORE.replace(b'"req_1"', b'["req_1",1,2,3,4,5,6,7,8,9,10]'),
        OF_BEFORE.replace(b'"req_1"', b'[["req_1"],1,2,3]'),
        OF_BEFORE.replace(b'"price_1"', b'"price_1","sideways"'),
        OF_BEFORE.replace(b'"price_1"', b'"price_1","relay",false,[],1'),
        OF_BEFORE.replace(b'"price_1"', b'"price_1","relay",false,[],true,"stayed"'),
        OF_BEFORE.replace(b'"price_1"', b'"price_1","relay",false,[],true,null,1'),
        OF_BEFORE.replace(
            b'"price_1"',
            b'"price_1","relay",false,[],true,null,null,null,null,null,null',
        ),
        OF_BEFORE.replace(b'"price_1"', b'"price_1","relay",false,[{"field":"x"}]'),
    ],
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    """By value and as a whole."""
    with pytest.raises(msgspec.DecodeError):
        decode_record(line)
