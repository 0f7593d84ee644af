"""What each step of a call costs alone: `python -m bench.micro`.

Microseconds of one core, the best of many short loops, in which nothing waits for the
network. What `make bench` measures for a whole call beyond the two whole paths is spent
by the event loop and the kernel. The steps that need a loop are in `bench.micro_paths`
and `bench.micro_policies`, those of strategies in `bench.micro_routing`.
"""

import gc
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.budgets import reference_us
from bench.figures import SCALED_STEPS, STEPS, Results
from bench.micro_answers import ANSWER, ENDING, OPENING, TEXTS
from bench.micro_gate import gate_steps
from bench.micro_paths import path_steps
from bench.micro_planning import planning_steps
from bench.micro_policies import policy_steps
from bench.micro_routing import routing_steps
from bench.report import aligned, steps_table
from bench.workload import TOKEN, chat_body, write_configuration
from smart_llmrouter.admission.gate import Gate
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.allocator import keep_freed_blocks
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.openai_chat.answers import parse_answer
from smart_llmrouter.dialects.openai_chat.requests import (
    parse_request,
    render_request,
)
from smart_llmrouter.dialects.openai_chat.streams import StreamMeter
from smart_llmrouter.edge.identity import Authenticator, token_of
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.ledger.record import encode_record, join_line, other_labels
from smart_llmrouter.stores.journal import JournalWriter

_REPEAT: Final = 60
_CALLS: Final = 50
_TOGETHER: Final = 16
Step = Callable[[], object]


def measure_steps(results: Results) -> None:
    """Measure every step, as it is and as it were on the reference machine."""
    keep_freed_blocks()  # as a router does when it begins to serve
    gc.collect()
    gc.disable()
    try:
        with tempfile.TemporaryDirectory() as directory:
            for name, us in _timed(Path(directory)):
                # The machine's speed changes, so it is looked at beside each step.
                speed = reference_us() / _best_us(reference_loop)
                results.figures["router", STEPS, name] = us
                results.figures["router", SCALED_STEPS, name] = us * speed
    finally:
        gc.enable()


def reference_loop() -> int:
    """Do a fixed amount of what Python does in a call: calls, dictionaries, bytes."""
    seen: dict[bytes, tuple[int, bytes]] = {}
    text = b"the reference loop, which does not change with the router"
    for at in range(24):
        word = text[at : at + 8]
        seen[word] = _pair(at, word)
    return sum(count for count, word in seen.values() if word.startswith(b"e"))


def _pair(count: int, word: bytes) -> tuple[int, bytes]:
    return count, word + b"."


def _timed(directory: Path) -> Iterator[tuple[str, float]]:
    config = directory / "router.yaml"
    write_configuration(config, port=8080, upstream_port=8081)
    snapshot = load_snapshot(config, environment={})
    steps = (
        *_request_steps(snapshot),
        *gate_steps(),
        *routing_steps(snapshot),
        *planning_steps(directory),
        *_answer_steps(),
        *_ledger_steps(snapshot, directory / "journal"),
    )
    for name, step in steps:
        yield name, _best_us(step)
    yield from path_steps(snapshot, directory, turns=_CALLS, rounds=_REPEAT)
    yield from policy_steps(snapshot, directory, turns=_CALLS, rounds=_REPEAT)


def _request_steps(snapshot: Snapshot) -> Iterator[tuple[str, Step]]:
    authenticator = Authenticator(snapshot.callers_by_digest, wall_clock=time.time)
    header = b"Bearer " + TOKEN.encode()
    group = snapshot.groups["chat"]
    body, streamed = chat_body(stream=False), chat_body(stream=True)
    large = chat_body(stream=False, size_bytes=64 * 1024)
    request, model = parse_request(body), msgspec.json.encode("mock-mini")
    gate = Gate(snapshot.allowances, Memory(now=time.monotonic, wall=time.time))
    caller = next(iter(snapshot.callers_by_digest.values()))
    yield (
        "authenticate a token",
        lambda: authenticator.caller_of(token_of(header, None)),
    )
    yield "parse a request", lambda: parse_request(body)
    yield "parse a request for a stream", lambda: parse_request(streamed)
    yield "parse a request of 64 KB", lambda: parse_request(large)
    yield "pass the gate without a limit", lambda: gate.chain(caller, group.name)
    yield "render a request", lambda: render_request(request, model=model)


def _answer_steps() -> Iterator[tuple[str, Step]]:
    yield "read the usage of an answer", lambda: parse_answer(ANSWER)
    yield "meter a stream, event by event", _metered_by_events
    yield "meter a stream, all at once", _metered_at_once


def _metered_by_events() -> Usage:
    meter = StreamMeter(strip_usage=False)
    meter.feed(OPENING)
    for text in TEXTS:
        meter.feed(text)
    meter.feed(ENDING)
    return meter.usage


_WHOLE: Final = OPENING + b"".join(TEXTS) + ENDING


def _metered_at_once() -> Usage:
    meter = StreamMeter(strip_usage=False)
    meter.feed(_WHOLE)
    return meter.usage


def _ledger_steps(snapshot: Snapshot, directory: Path) -> Iterator[tuple[str, Step]]:
    journal = JournalWriter(directory, writer_id="bench", now=time.time, sync="off")
    entry, tally = _entry(snapshot), Tally()
    record = entry.record(
        status=200,
        error=None,
        now_s=1.003,
        config_fingerprint="0" * 16,
        router_version="0.0.0",
    )
    series = tally.series("chat", status=200, stream=False, error_code=None)
    measures, labels = entry.measures(1.003), other_labels(record)
    caller = b'"bench","bench","bench","dev","rtr_bench"'
    line = encode_record(record)
    lines = [line] * _TOGETHER
    yield "measure a call: durations and costs", lambda: entry.measures(1.003)
    yield "find what calls like it share", lambda: entry.likeness(200, None)
    yield "count a call", lambda: series.count(measures)
    yield "encode the record", lambda: join_line(measures, caller, labels)
    yield "append a record to the journal", lambda: journal.append(line)
    yield f"append {_TOGETHER} records at once", lambda: journal.append(*lines)


def _entry(snapshot: Snapshot) -> Entry:
    group = snapshot.groups["chat"]
    caller = next(iter(snapshot.callers_by_digest.values()))
    arrival = Arrival(
        request_id="req_" + "0" * 32,
        caller=caller,
        client="other",
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


def _best_us(step: Step) -> float:
    """Return the best of many short loops: each fits between two interruptions."""
    best_s = min(timeit.repeat(step, number=_CALLS, repeat=_REPEAT))
    return 1e6 * best_s / _CALLS


if __name__ == "__main__":
    measured = Results()
    measure_steps(measured)
    print("\n".join(aligned(steps_table(measured.figures))))
