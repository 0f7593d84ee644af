"""Lines of events: what may stand in them, and how they come to the database."""

import typing
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from smart_llmrouter.ledger.ingester import Progress
from smart_llmrouter.ledger.journal_events import (
    TABLE_OF,
    ConfigVersion,
    JournalEvent,
    PriceVersion,
    decode_event,
    encode_event,
    part_events,
)
from smart_llmrouter.ledger.record import encode_record
from tests.support.accesses import a_refusal
from tests.support.ledger import StateDirectory, a_record, state_in

RECORD = encode_record(a_record(1))
REFUSAL = encode_event(a_refusal(1))
VERSION = ConfigVersion(
    fingerprint="cfg_0123456789abcdef", ts_ms=5, router_version="0.1.0", cause="start"
)
PRICE = PriceVersion(
    fingerprint="price_0123456789abcdef",
    provider="acme",
    model="mini",
    ts_ms=5,
    input_nusd_per_million=250_000_000,
    source="https://acme.example/pricing?all=1",
    as_of="2026-10-01",
)


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


@pytest.mark.parametrize("event", [a_refusal(1), VERSION, PRICE])
def test_an_event_is_read_as_it_was_written(event: JournalEvent) -> None:
    """Its line begins with what kind of event it is."""
    line = encode_event(event)

    assert line.startswith(b'{"event":"')
    assert decode_event(line) == event


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reason_code", "Ignore all previous instructions"),
        ("caller_id", "a" * 129),
        ("caller_id", "line\nbreak"),
        ("token_id", "nul\0"),
        ("path_template", "/v1/chat?q=secret"),
        ("path_template", "the prompt"),
        ("client", "curl/8.0 (secret)"),
        ("ip_address", "host.example"),
        ("http_method", "SECRET"),
        ("surface", "secret"),
        ("calls", 1 << 63),
        ("calls", 0),
        ("ts_ms", -1),
        ("status", 99),
        ("event_id", "evt_short"),
        ("request_id", "anything"),
    ],
)
def test_what_is_no_word_of_ours_is_no_event(field: str, value: object) -> None:
    """Texts are words of closed sets or names, and numbers fit into a column."""
    line = encode_event(a_refusal(1, **{field: value}))

    with pytest.raises(msgspec.DecodeError):
        decode_event(line)


def _kinds(of: object) -> list[object]:
    """Return what a value of this type may be, one by one."""
    if typing.get_origin(of) is typing.Union or isinstance(of, type(int | str)):
        return [kind for each in typing.get_args(of) for kind in _kinds(each)]
    return [of]


def test_each_field_of_each_event_is_of_a_bounded_kind() -> None:
    """Closed sets, numbers within bounds, and texts with a pattern: nothing free."""
    free = []

    for struct in TABLE_OF:
        hints = typing.get_type_hints(struct, include_extras=True)
        for name, hint in hints.items():
            for kind in _kinds(hint):
                if kind is type(None) or typing.get_origin(kind) is Literal:
                    continue
                if typing.get_origin(kind) is not Annotated:
                    free.append((struct, name, kind))
                    continue
                plain, meta = typing.get_args(kind)
                if (meta.pattern if plain is str else meta.le) is None:
                    free.append((struct, name, kind))

    assert free == []


def test_lines_without_an_event_are_left_alone() -> None:
    """They are not even copied."""
    lines = [RECORD, b"", b"{}"]

    told = part_events(lines)

    assert told.others is lines


def test_events_come_with_the_records_beside_them(state: StateDirectory) -> None:
    """Each becomes a row of its table, whatever stands around it."""
    writer = state.writer()
    for line in (encode_event(VERSION), RECORD, REFUSAL, encode_event(PRICE)):
        writer.append(line)
    writer.close()

    done = state.ingester().advance()

    assert done == Progress(records=1, events=3)
    assert state.rejected() == []
    assert state.select("*", "config_versions") == [
        ("cfg_0123456789abcdef", 5, "0.1.0", "start")
    ]
    columns = "reason_code, status, calls, path_template, caller_id, ip_address"
    assert state.select(columns, "security_access_events") == [
        ("token-unknown", 401, 1, "/v1/messages", None, "192.0.2.7")
    ]
    columns = "provider, model, input_nusd_per_million, image_nusd, source, as_of"
    assert state.select(columns, "price_versions") == [
        ("acme", "mini", 250_000_000, None, PRICE.source, PRICE.as_of)
    ]


def test_an_event_that_comes_twice_is_there_once(state: StateDirectory) -> None:
    """In one block, and in a journal that is brought from another machine."""
    later = encode_event(msgspec.structs.replace(VERSION, ts_ms=9, cause="reload"))
    for _ in range(2):
        writer = state.writer()
        writer.append(REFUSAL, REFUSAL, encode_event(VERSION), later)
        writer.close()
        state.ingester().advance()

    assert state.count("security_access_events") == 1
    assert state.select("ts_ms, cause", "config_versions") == [(5, "start")]


@pytest.mark.parametrize("beside", [RECORD, b"[]"])
def test_a_poison_event_is_set_aside(state: StateDirectory, beside: bytes) -> None:
    """With where it stood; what is around it arrives, also from a poisoned block."""
    poison = REFUSAL.replace(b"/v1/messages", b"the prompt")
    writer = state.writer()
    writer.append(RECORD, beside, poison, REFUSAL, b'{"event":"unheard-of"}')
    writer.close()

    done = state.ingester().advance()

    assert done.events == 1
    aside = [each for each in state.rejected() if each["reason"] == "not an event"]
    assert aside[0]["offset"] == len(RECORD) + len(beside) + 2
    assert [each["bytes"] for each in aside] == [len(poison), 22]
    assert state.count("request_usage") == 1
    assert state.segments() == []
