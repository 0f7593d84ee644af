"""The path of a call, from the caller's bytes to the last byte of the answer.

    peek      which group, streamed or not; may this caller use it?
    seek      what it needs, and every target: may be called, or what it misses
    admit     the gate: a reservation, a wait in its queue, or a refusal
    cache     an answer that was kept, where there is one (and a cache; see `caching`)
    plan      who may be called, in the order of the group's strategy
    attempt   one target after another, until the first meaningful event
    relay     the provider's bytes to the caller, while a meter reads along
    settle    the reservation, with what was really used
    record    one row, written before the last byte leaves

However a call ends, the reservation is settled, exactly one record is written (see
`engine.carrier`), and whatever was open towards the provider is closed or cancelled.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing

from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.errors import JournalUnwritable, UpstreamError
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import Dialect
from smart_llmrouter.engine.admission import Admission
from smart_llmrouter.engine.attempts import CALLER_LEFT, Attempts
from smart_llmrouter.engine.caching import Caching, Serve
from smart_llmrouter.engine.client import Client
from smart_llmrouter.engine.endings import CallEnding, tell
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.groups import allowed_group
from smart_llmrouter.engine.heads import stream_headers, usual_lines
from smart_llmrouter.engine.leaving import Leaving, check_presence, drains
from smart_llmrouter.engine.pins import Pins
from smart_llmrouter.engine.planning import Planning, Sought
from smart_llmrouter.engine.reckoning import demand_of, pays_for_images
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.spending import UNLIMITED, Limited, Spending
from smart_llmrouter.engine.streaming import relay_stream
from smart_llmrouter.engine.translation import Asked
from smart_llmrouter.engine.vigil import Vigil, Watch
from smart_llmrouter.engine.wins import PlainWin, StreamWin


class Pipeline:
    """The steps of a call. Built once a configuration; a call keeps its own."""

    suffix: str = ""

    def __init__(
        self,
        snapshot: Snapshot,
        admission: Admission,
        attempts: Attempts,
        *,
        planning: Planning,
        dialects: Mapping[DialectName, Dialect],
        pins: Pins,
        recorder: Recorder,
        watch: Watch,
    ) -> None:
        """Put the steps together."""
        self._snapshot = snapshot
        self._admission = admission
        self._attempts = attempts
        self._recorder = recorder
        self._watch = watch
        self._total_timeout_s = snapshot.upstream.total_timeout_s
        self._planning = planning
        self._keep = snapshot.diagnostics.decisions
        self._leaving = Leaving(drain_s=snapshot.upstream.drain_s)
        groups = snapshot.groups.values()
        self._drains = {each.name for each in groups if drains(each)}
        self._pays_for_images = {each.name for each in groups if pays_for_images(each)}
        self._dialects = dialects
        self._pins = pins
        self._served: Serve = self._serve

    def keep_answers(self, caching: Caching) -> None:
        """Serve some answers again, from now on."""
        self._served = caching.around(self._serve)

    async def take(self, entry: Entry, body: bytes, client: Client) -> None:
        """Take the steps in their order; whatever ends the call early is raised."""
        dialect = self._dialects[entry.arrival.dialect]
        peek = dialect.peek(body)
        entry.stream = peek.stream
        group = allowed_group(peek.model, entry, self._snapshot)
        asked = Asked(dialect, peek, group)
        sought = self._planning.seek(asked, body, entry, keep=self._keep)
        if group.name in self._pays_for_images:
            entry.images = sought.needs.images
        self._recorder.check()
        chain = self._admission.chain_for(entry.arrival.caller, group.name)
        with self._watch.over_this_task(total_s=self._total_timeout_s) as vigil:
            if group.name in self._drains:
                self._leaving.watch(client, entry, vigil)
            if peek.stream:
                self._keep_alive(vigil, client, dialect=dialect, entry=entry)
            if chain is None:
                await self._served(sought, entry, client, vigil, UNLIMITED)
            else:
                needs, targets = sought.needs, sought.found.targets
                demand = demand_of(chain, needs, targets, entry.arrival)
                spending = self._admission.admit(
                    chain, demand, entry=entry, vigil=vigil
                )
                if not isinstance(spending, Limited):
                    spending = await spending
                try:
                    await self._served(sought, entry, client, vigil, spending)
                finally:
                    spending.settle()

    async def _serve(
        self,
        sought: Sought,
        entry: Entry,
        client: Client,
        vigil: Vigil,
        spending: Spending,
    ) -> None:
        """Call providers, and send on what one of them answers."""
        asked = sought.asked
        if asked.group.policy is None:
            plan = self._planning.order(sought, entry)
        else:
            plan = await self._planning.decide(sought, entry)
        win = await self._attempts.first_to_answer(
            plan,
            asked,
            entry=entry,
            vigil=vigil,
            first_event_timeout_s=asked.group.first_event_timeout_s,
            reservation=spending.reservation,
            needs=sought.needs,
        )
        if sought.planner.stays:
            self._planning.remember(sought, plan, entry)
        if isinstance(win, PlainWin):
            self._answer(win, entry, client, spending=spending)
        else:
            await self._stream(win, entry, client, vigil=vigil, spending=spending)

    def _pin(
        self, stored_id: str | None, proofs: Sequence[bytes], entry: Entry
    ) -> None:
        """Remember who keeps an answer, and who gave the proofs in it."""
        if entry.target is None:
            return
        label = entry.target.label
        if stored_id is not None:
            self._pins.keep(stored_id, caller_id=entry.arrival.caller.id, label=label)
        if proofs:
            self._pins.made(proofs, label=label)

    def _keep_alive(
        self, vigil: Vigil, client: Client, *, dialect: Dialect, entry: Entry
    ) -> None:
        codex = entry.arrival.codex
        sign = dialect.codex_keep_alive if codex else dialect.keep_alive

        async def beat() -> None:
            if not client.began:
                client.begin(stream_headers(entry))
            if (room := client.send(sign)) is not None:
                await room

        vigil.keep_alive(beat, self._snapshot.server.keepalive_after_s)

    def _answer(
        self, win: PlainWin, entry: Entry, client: Client, *, spending: Spending
    ) -> None:
        """Send a plain answer on, as it came, once it is on record."""
        entry.usage = win.usage
        entry.notes = win.lane.noted()
        spending.settle(body=win.body, complete=True)
        if win.stored_id is not None or win.proofs:
            self._pin(win.stored_id, win.proofs, entry)
        check_presence(entry)
        self._recorder.close(entry, status=200, ending=_Answered(entry, client, win))

    async def _stream(
        self,
        win: StreamWin,
        entry: Entry,
        client: Client,
        *,
        vigil: Vigil,
        spending: Spending,
    ) -> None:
        """Send a stream on, event by event, and its last one after the record."""
        with closing(win.answer):
            error_class: str | None = CALLER_LEFT
            last = b""
            try:
                if vigil.beating is not None:
                    await vigil.beating
                if not client.began:
                    client.begin(stream_headers(entry) + win.headers)
                last = await relay_stream(
                    win,
                    client,
                    vigil=vigil,
                    idle_timeout_s=self._snapshot.upstream.idle_timeout_s,
                    spending=spending,
                )
                error_class = None
            except UpstreamError as error:
                error_class = error.error_class
                raise
            except asyncio.CancelledError:
                if vigil.expired is not None:
                    error_class = f"upstream_{vigil.expired}_timeout"
                raise
            finally:
                self._attempts.ended(win, entry, error_class)
                entry.usage = win.meter.usage
                entry.notes = win.lane.noted()
                spending.settle(last=last, complete=error_class is None)
                entry.answer_id = win.meter.answer_id
                self._pin(win.meter.stored_id, win.proofs, entry)
            check_presence(entry)
            self._recorder.close(
                entry, status=200, ending=_Streamed(entry, client, last)
            )
            await win.answer.finish()


class _Answered(CallEnding, frozen=True, eq=False):
    """A plain answer, ready to be sent on as it came."""

    win: PlainWin

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Send it, unless its call is not on record."""
        win = self.win
        if unwritable is None:
            headers = win.headers + usual_lines(self.entry)
            self.client.answer(200, headers, win.body)
        else:
            tell(unwritable, self.entry, self.client)


class _Streamed(CallEnding, frozen=True, eq=False):
    """The last event of a stream."""

    last: bytes

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Send it, unless the call is not on record."""
        if unwritable is None:
            self.client.end(self.last)
        else:
            tell(unwritable, self.entry, self.client)
