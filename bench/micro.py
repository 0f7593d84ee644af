"""What each step of a call costs alone: `python -m bench.micro`.

Microseconds of one core, the best of several repetitions, without event loop, sockets
and server. What `make bench` measures for a whole call beyond their sum is spent there.
"""

import gc
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.report import aligned
from bench.workload import TOKEN, chat_body, write_configuration
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.openai_chat.answers import parse_answer
from smart_llmrouter.dialects.openai_chat.requests import (
    encode_model,
    parse_request,
    render_request,
)
from smart_llmrouter.dialects.openai_chat.streams import StreamMeter
from smart_llmrouter.edge.identity import Authenticator, token_of
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.ledger.record import UsageRecord, encode_record
from smart_llmrouter.routing.plan import plan_of
from smart_llmrouter.stores.journal import JournalWriter

_REPEAT: Final = 7
_CALLS: Final = 2000
_EVENTS: Final = 30

ANSWER: Final = (
    b'{"id":"chatcmpl-Bmock","object":"chat.completion","created":1750000000,'
    b'"model":"mock-mini","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"A gateway adds one hop, whose cost should stay well below the time '
    b'that the model needs."},"finish_reason":"stop"}],"usage":{"prompt_tokens":312,'
    b'"completion_tokens":30,"total_tokens":342,"prompt_tokens_details":'
    b'{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
)
_CHUNK: Final = (
    b'data: {"id":"chatcmpl-Bmock","object":"chat.completion.chunk","created":'
    b'1750000000,"model":"mock-mini","choices":[{"index":0,"delta":%b,'
    b'"finish_reason":%b}],"usage":null}\n\n'
)
OPENING: Final = _CHUNK % (b'{"role":"assistant","content":""}', b"null")
TEXT: Final = _CHUNK % (b'{"content":" token"}', b"null")
ENDING: Final = (
    _CHUNK
    % (b"{}", b'"stop"')
    + b'data: {"id":"chatcmpl-Bmock","choices":[],"usage":{"prompt_tokens":312,'
    b'"completion_tokens":30,"total_tokens":342}}\n\ndata: [DONE]\n\n'
)


def micro_table() -> list[list[str]]:
    """Measure every step; return rows of text."""
    with tempfile.TemporaryDirectory() as directory:
        return [
            [name, f"{_best_us(step):.2f}"] for name, step in _steps(Path(directory))
        ]


def _steps(directory: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    config = directory / "router.yaml"
    write_configuration(config, port=8080, upstream_port=8081)
    snapshot = load_snapshot(config, environment={})
    yield from _edge_steps(snapshot)
    yield from _dialect_steps()
    yield from _ledger_steps(snapshot, directory / "journal")


def _edge_steps(snapshot: Snapshot) -> Iterator[tuple[str, Callable[[], object]]]:
    authenticator = Authenticator(snapshot.callers_by_digest, wall_clock=time.time)
    header = b"Bearer " + TOKEN.encode()
    group = snapshot.groups["chat"]
    yield (
        "authenticate a token",
        lambda: authenticator.caller_of(token_of(header, None)),
    )
    yield "plan the targets", lambda: plan_of(group, dialect="openai-chat")


def _dialect_steps() -> Iterator[tuple[str, Callable[[], object]]]:
    body, streamed = chat_body(stream=False), chat_body(stream=True)
    request, model = parse_request(body), encode_model("mock-mini")
    yield "parse a request", lambda: parse_request(body)
    yield "parse a request for a stream", lambda: parse_request(streamed)
    yield "render a request", lambda: render_request(request, model=model)
    yield "read the usage of an answer", lambda: parse_answer(ANSWER)
    yield "meter a stream, event by event", _metered_by_events
    yield "meter a stream, all at once", _metered_at_once


def _metered_by_events() -> Usage:
    meter = StreamMeter(strip_usage=False)
    meter.feed(OPENING)
    for _ in range(_EVENTS):
        meter.feed(TEXT)
    meter.feed(ENDING)
    return meter.usage


def _metered_at_once() -> Usage:
    meter = StreamMeter(strip_usage=False)
    meter.feed(OPENING + _EVENTS * TEXT + ENDING)
    return meter.usage


def _ledger_steps(
    snapshot: Snapshot, directory: Path
) -> Iterator[tuple[str, Callable[[], object]]]:
    journal = JournalWriter(directory, writer_id="bench", now=time.time, sync="off")
    entry, tally = _entry(snapshot), Tally()
    record = _closed(entry)
    line = encode_record(record)
    yield "close the entry of a call", lambda: _closed(entry)
    yield "count a call", lambda: tally.count(record)
    yield "encode a record", lambda: encode_record(record)
    yield "append a record to the journal", lambda: journal.append(line)
    journal.close()


def _entry(snapshot: Snapshot) -> Entry:
    group = snapshot.groups["chat"]
    caller = next(iter(snapshot.callers_by_digest.values()))
    arrival = Arrival(
        request_id="req_" + "0" * 32,
        caller=caller,
        client="other",
        body=b"",
        began_s=1.0,
        ts_ms=1_750_000_000_000,
    )
    return Entry(
        arrival=arrival,
        dialect="openai-chat",
        requested_model=group.name,
        group=group,
        target=group.targets[0],
        attempts=1,
        upstream_status=200,
        first_byte_s=1.001,
        first_event_s=1.002,
        usage=Usage(
            input_tokens=312,
            cached_input_tokens=0,
            output_tokens=30,
            reasoning_tokens=0,
        ),
    )


def _closed(entry: Entry) -> UsageRecord:
    return entry.record(
        status=200,
        error=None,
        now_s=1.003,
        config_fingerprint="0" * 16,
        router_version="0.0.0",
    )


def _best_us(step: Callable[[], object]) -> float:
    gc.collect()
    best_s = min(timeit.repeat(step, number=_CALLS, repeat=_REPEAT))
    return 1e6 * best_s / _CALLS


if __name__ == "__main__":
    print("\n".join(aligned(micro_table())))
