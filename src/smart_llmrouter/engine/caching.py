"""The step that serves some answers again: after the gate, before the plan.

    look      may the answer be one that was kept, and may this one be kept?
    find      what is kept under the key of the request, or what a call with the same
              key, which is on its way already, will bring
    replay    its bytes as they were, on record as a hit that cost nothing
    ask       a target; its answer is followed, and kept if it is whole

A call goes through this step only where there is a cache.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from smart_llmrouter.cache.answers import Answer, Answers, Found
from smart_llmrouter.cache.directives import Directives, directives_in
from smart_llmrouter.cache.flights import Flight, Flights
from smart_llmrouter.cache.keys import Key, Question, identity_of, key_of
from smart_llmrouter.cache.recording import Recording
from smart_llmrouter.cache.requests import bypass_of, fixing
from smart_llmrouter.cache.words import HIT, MISS, VERDICTS, Reason, Verdict
from smart_llmrouter.config.policies import Cache
from smart_llmrouter.config.snapshot import Group, Snapshot, Target
from smart_llmrouter.core.errors import JournalUnwritable
from smart_llmrouter.core.usage import Cost
from smart_llmrouter.engine.attempt import notes_line
from smart_llmrouter.engine.client import Client, HeaderLines, header_lines
from smart_llmrouter.engine.endings import CallEnding, tell
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.heads import stream_headers, usual_lines
from smart_llmrouter.engine.keeping import Keeping
from smart_llmrouter.engine.planning import Sought
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.routes import ATTEMPTS_LINES, JSON, name_header
from smart_llmrouter.engine.spending import Spending
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.vigil import Vigil

Serve = Callable[[Sought, Entry, Client, Vigil, Spending], Coroutine[Any, Any, None]]
"""Asks targets, and sends on what one of them answers; see `engine.pipeline`."""

_JSON_LINE: Final = header_lines((b"content-type", JSON.encode()))
_NOTHING: Final = Cost(input_nusd=0, cached_input_nusd=0, output_nusd=0, total_nusd=0)
"""What an answer costs that was paid for before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A target as answers name it, and the header that tells of it."""

    target: Target
    identity: bytes
    line: HeaderLines


# A `Struct` is made several times as fast as another object.
class _Call(msgspec.Struct, frozen=True, eq=False):
    """One call on its way through this step."""

    sought: Sought
    entry: Entry
    client: Client
    vigil: Vigil
    spending: Spending


class Caching:
    """Serves answers that are kept, and keeps others."""

    def __init__(
        self,
        snapshot: Snapshot,
        cache: Cache,
        answers: Answers,
        *,
        flights: Flights,
        recorder: Recorder,
        tally: Tally,
    ) -> None:
        """Keep answers as `cache` says; `flights` are those of the process."""
        self._answers = answers
        self._flights = flights
        self._recorder = recorder
        self._tally = tally
        self._max_entry_bytes = cache.max_entry_bytes
        self._known = {
            name: _known_of(group) for name, group in snapshot.groups.items()
        }

    def around(self, serve: Serve) -> Serve:
        """Return what serves answers that are kept, and others as `serve` does."""
        return partial(self._serve, serve)

    async def _serve(
        self,
        serve: Serve,
        sought: Sought,
        entry: Entry,
        client: Client,
        vigil: Vigil,
        spending: Spending,
    ) -> None:
        wants = directives_in(client.cache_control)
        members = sought.asked.peek.members
        reason = "no-store" if wants.no_store else bypass_of(members, sought.needs)
        try:
            if reason is not None:
                _mark(entry, VERDICTS[reason])
                await serve(sought, entry, client, vigil, spending)
                return
            call = _Call(sought, entry, client, vigil, spending)
            if wants.no_cache:
                _mark(entry, VERDICTS["no-cache"])
                await self._ask(serve, call, self._key_of(call), None)
            else:
                await self._find(serve, call, wants)
        finally:
            self._count(entry.cache)

    def _count(self, verdict: Verdict | None) -> None:
        """Count what was done; nothing was with a call that was left as it waited."""
        if verdict is not None:
            self._tally.cache[verdict.status, verdict.reason or ""] += 1

    async def _find(self, serve: Serve, call: _Call, wants: Directives) -> None:
        """Serve what is kept, or what the same call in front brings, or ask."""
        key = self._key_of(call)
        flight = self._flights.of(key)
        if flight is None:
            await self._lead(serve, call, self._flights.begin(key), key, wants)
            return
        call.vigil.wait()
        turn = await flight.turn()
        call.vigil.rest()
        if turn == "lead":
            await self._lead(serve, call, flight, key, wants)
        elif isinstance(turn, Answer) and self._is_current(turn, call):
            await self._replay(Found(turn, 0.0), call, VERDICTS["waited"])
        else:
            _mark(call.entry, MISS)
            await self._ask(serve, call, key, None)

    async def _lead(
        self, serve: Serve, call: _Call, flight: Flight, key: Key, wants: Directives
    ) -> None:
        """Go in front of those that ask for the same; see `cache.flights`."""
        left = False
        try:
            found = await self._kept(key, call, wants)
            if found is not None:
                flight.land(found.answer)
                await self._replay(found, call, HIT)
                return
            _mark(call.entry, MISS)
            await self._ask(serve, call, key, flight)
        except asyncio.CancelledError:
            left = call.vigil.expired is None
            raise
        finally:
            # What has landed already stays so.
            if left:
                flight.pass_on()
            else:
                flight.land(None)

    async def _kept(self, key: Key, call: _Call, wants: Directives) -> Found | None:
        """Return what is kept, and may be served to this call."""
        found = self._answers.get(key)
        if found is not None and not isinstance(found, Found):
            found = await found
        if found is None or not self._is_current(found.answer, call):
            return None
        most_s = wants.max_age_s
        return None if most_s is not None and found.age_s > most_s else found

    def _is_current(self, answer: Answer, call: _Call) -> bool:
        """Say whether the target that gave an answer is there, and what it was."""
        known = self._known[call.sought.asked.group.name].get(answer.label)
        return known is not None and known.identity == answer.identity

    async def _replay(self, found: Found, call: _Call, verdict: Verdict) -> None:
        """Serve an answer that is kept."""
        entry, client, answer = call.entry, call.client, found.answer
        known = self._known[call.sought.asked.group.name][answer.label]
        entry.target, entry.notes, entry.cost = known.target, answer.notes, _NOTHING
        _mark(entry, verdict)
        call.spending.settle(complete=True)
        lines = (
            known.line
            + ATTEMPTS_LINES[0]
            + notes_line(answer.notes)
            + b"age: %d\r\n" % found.age_s
        )
        if not entry.stream:
            headers = _JSON_LINE + lines + usual_lines(entry)
        else:
            headers = b""
            if call.vigil.beating is not None:
                await call.vigil.beating
            if not client.began:
                client.begin(stream_headers(entry) + lines)
        ending = _Replayed(entry, client, headers, answer.body)
        self._recorder.close(entry, status=200, ending=ending)

    async def _ask(
        self, serve: Serve, call: _Call, key: Key, flight: Flight | None
    ) -> None:
        """Ask targets, and keep what one of them answers, if it may be kept."""
        sought, entry = call.sought, call.entry
        recording = Recording(sought.asked.dialect, most_bytes=self._max_entry_bytes)

        def ended(complete: bool) -> None:  # noqa: FBT001 - one answer, one fact
            if not complete:
                _tell(entry, "left" if call.client.left else "error")
                return
            answer = self._keep(key, recording, call)
            if flight is not None:
                flight.land(answer)

        with Keeping(call.spending, recording, ended) as keeping:
            await serve(sought, entry, call.client, call.vigil, keeping)

    def _keep(self, key: Key, recording: Recording, call: _Call) -> Answer | None:
        """Keep an answer that has ended; return it, unless it is one not to be kept."""
        entry, asked = call.entry, call.sought.asked
        fault = recording.fault(entry.notes, fixing(asked.peek.members))
        if fault is not None or entry.target is None:
            _tell(entry, fault or "error")
            return None
        label = entry.target.label
        answer = Answer(
            label=label,
            identity=self._known[asked.group.name][label].identity,
            notes=entry.notes,
            body=recording.body,
        )
        _tell(entry, self._answers.put(key, answer))
        return answer

    def _key_of(self, call: _Call) -> Key:
        arrival, asked = call.entry.arrival, call.sought.asked
        question = Question(
            caller_id=arrival.caller.id,
            group=asked.group.name,
            dialect=arrival.dialect,
            stream=asked.peek.stream,
            members=asked.peek.members,
            said=(arrival.anthropic_version, arrival.anthropic_beta),
        )
        return key_of(question, self._answers.salt)


def _known_of(group: Group) -> Mapping[str, _Known]:
    return {
        target.label: _Known(
            target=target,
            identity=identity_of(target),
            line=header_lines(name_header(target)),
        )
        for target in group.targets
    }


def _mark(entry: Entry, verdict: Verdict) -> None:
    """Note what the cache does with a call, for its record and its caller."""
    entry.cache = verdict
    entry.limit_lines += verdict.line


def _tell(entry: Entry, reason: Reason) -> None:
    """Note what became of the answer to a call for which nothing was kept."""
    if entry.cache is MISS:
        entry.cache = VERDICTS[reason]


class _Replayed(CallEnding, frozen=True, eq=False):
    """An answer that was kept, or all events of one."""

    headers: HeaderLines
    body: bytes

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Send it, unless its call is not on record."""
        if unwritable is not None:
            tell(unwritable, self.entry, self.client)
        elif self.entry.stream:
            self.client.end(self.body)
        else:
            self.client.answer(200, self.headers, self.body)
