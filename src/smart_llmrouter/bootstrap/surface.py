"""Puts the public surface of a process together: from the planners to the metrics."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from smart_llmrouter.admission.counters import Counters
from smart_llmrouter.admission.gate import Gate
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.queue import Queue
from smart_llmrouter.bootstrap.answers import bound, build_caching, new_memory
from smart_llmrouter.bootstrap.routing import Known, build_planning
from smart_llmrouter.bootstrap.transports import image_fetcher
from smart_llmrouter.cache.answers import Answers
from smart_llmrouter.cache.flights import Flights
from smart_llmrouter.cache.memory import AnswersInMemory
from smart_llmrouter.config.snapshot import Snapshot, State
from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.core.ids import RequestIds
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.edge.accesses import Accesses
from smart_llmrouter.edge.asgi import AsgiRoute
from smart_llmrouter.edge.crew import Alone, Crew, own_report
from smart_llmrouter.edge.door import Door
from smart_llmrouter.edge.exchange import Route
from smart_llmrouter.edge.hub import Hub
from smart_llmrouter.edge.identity import Authenticator
from smart_llmrouter.edge.inbound import Inbound
from smart_llmrouter.edge.inference import inference_routes
from smart_llmrouter.edge.metrics import Metrics
from smart_llmrouter.edge.readiness import Readiness
from smart_llmrouter.edge.site import Site
from smart_llmrouter.edge.usage import Rows, UsageReports
from smart_llmrouter.engine.admission import Admission
from smart_llmrouter.engine.attempt import Attempting
from smart_llmrouter.engine.attempts import Attempts
from smart_llmrouter.engine.caching import Caching
from smart_llmrouter.engine.carrier import Carrier
from smart_llmrouter.engine.counting import Counting
from smart_llmrouter.engine.explaining import Explainer, Explaining
from smart_llmrouter.engine.pipeline import Pipeline
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.routes import Route as TargetRoute
from smart_llmrouter.engine.routes import routes_of
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.telling import TellingJournal
from smart_llmrouter.engine.token_counters import Counters as TokenCounters
from smart_llmrouter.engine.vigil import Watch
from smart_llmrouter.ledger.caller_usage import CallerUsage
from smart_llmrouter.ledger.ingester_loop import unread_bytes
from smart_llmrouter.ledger.journal_room import ROOMY, JournalRoom
from smart_llmrouter.routing.policy import Policy
from smart_llmrouter.stores.backends import condition
from smart_llmrouter.stores.journal import JournalWriter
from smart_llmrouter.upstream.transport import Transport

_PROBE_WITHIN_S: Final = 2.0
_PIECE_S: Final = 2.0
_EVENT: Final = "evt_"
_RECORDED_WITHIN_S: Final = 600.0
_LONGEST_CALL_S: Final = 86_400.0

NO_POLICIES: Final[Mapping[str, Policy]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What a process keeps from one configuration to the next."""

    journal: JournalWriter
    room: JournalRoom
    tally: Tally
    watch: Watch
    crew: Crew
    ingester: Callable[[], str]
    inbound: Inbound
    counters: Counters
    queue: Queue
    answers: AnswersInMemory
    flights: Flights


def lasting(
    journal: JournalWriter,
    *,
    tally: Tally,
    ingester: Callable[[], str],
    counters: Counters,
    crew: Crew | None = None,
    room: JournalRoom = ROOMY,
) -> Lasting:
    """Put together what outlives configurations, on the running loop.

    `crew` are the other workers; there are none by default.
    """
    loop = asyncio.get_running_loop()
    return Lasting(
        journal=journal,
        room=room,
        tally=tally,
        watch=Watch(loop),
        crew=crew or Alone(),
        ingester=ingester,
        inbound=Inbound(
            tally,
            Accesses(
                room.writing(journal.append),
                new_id=RequestIds(os.urandom, prefix=_EVENT),
                wall=time.time,
            ),
            now=time.monotonic,
        ),
        counters=counters,
        queue=Queue(counters, loop, now=time.monotonic, waited=tally.waited),
        answers=new_memory(),
        flights=Flights(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """What serves requests by one configuration, and what is known by then."""

    snapshot: Snapshot
    known: Known
    hot: Mapping[str, Route]
    site: Route
    carriers: Sequence[Carrier]

    @property
    def in_flight(self) -> int:
        """How many calls it carries."""
        return sum(each.in_flight for each in self.carriers)


def build_surface(
    snapshot: Snapshot,
    kept: Lasting,
    transport: Transport,
    *,
    policies: Mapping[str, Policy] = NO_POLICIES,
    answers: Answers | None = None,
    before: Surface | None = None,
) -> Surface:
    """Put together what serves by one configuration, beside what is `kept`.

    `policies` are those of groups that have one, by the group's name. `answers` are in
    a store that others share, where that is wanted. What is known of targets goes on
    from that of the configuration `before`.
    """
    known = (
        Known(snapshot, now=time.monotonic, draw=random.random)
        if before is None
        else before.known.continued(snapshot)
    )
    authenticator = Authenticator(snapshot.callers_by_digest, wall_clock=time.time)
    door = Door(authenticator, kept.inbound.failures, kept.inbound.accesses)
    recorder = _recorder(snapshot, kept)
    caching = build_caching(
        snapshot, answers or kept.answers, kept.flights, recorder, kept.tally
    )
    carriers = _carriers(
        snapshot, kept, transport, known, policies, recorder=recorder, caching=caching
    )
    return Surface(
        snapshot=snapshot,
        known=known,
        hot=inference_routes(
            *carriers,
            door,
            tally=kept.tally,
            max_request_bytes=snapshot.server.max_request_bytes,
        ),
        site=AsgiRoute(_site(snapshot, door, kept), keeps_bodies=False),
        carriers=carriers,
    )


def serve_by(surface: Surface, kept: Lasting, hub: Hub, *, edition: int) -> None:
    """Let a hub serve by another configuration, which is the `edition`th one."""
    server = surface.snapshot.server
    hub.take(surface.hot, surface.site, client_timeout_s=server.client_timeout_s)
    surface.known.health.in_force()
    kept.counters.forget()
    speak_for(surface, kept, edition=edition)


def speak_for(surface: Surface, kept: Lasting, *, edition: int = 0) -> None:
    """Report what is found under this configuration to the crew from now on.

    From now on its bounds are those for what comes in, too.
    """
    known, counters = surface.known, kept.counters
    kept.inbound.bound(surface.snapshot.server)
    bound(kept.answers, surface.snapshot.cache)
    kept.crew.speak_for(
        own_report(
            kept.tally,
            known.health,
            capacity=known.capacity,
            journal=lambda: kept.room.condition(kept.journal.probe()),
            edition=edition,
            queue=kept.queue,
            counters=counters.condition,
            answers=kept.answers,
        )
    )


def build_hub(surface: Surface, kept: Lasting, *, edition: int = 0) -> Hub:
    """Return the hub of all connections, which serves by this configuration."""
    speak_for(surface, kept, edition=edition)
    hub = Hub(
        surface.hot,
        surface.site,
        loop=asyncio.get_running_loop(),
        client_timeout_s=surface.snapshot.server.client_timeout_s,
        now=time.monotonic,
        wall_clock=time.time,
        new_id=RequestIds(os.urandom),
        entrance=kept.inbound.entrance,
    )
    hub.each_second(kept.inbound.tell)
    hub.each_second(kept.answers.sweep)
    return hub


def build_edge(
    snapshot: Snapshot,
    transport: Transport,
    journal: JournalWriter,
    *,
    tally: Tally,
    ingester: Callable[[], str],
    policies: Mapping[str, Policy] = NO_POLICIES,
    counters: Counters | None = None,
    answers: Answers | None = None,
) -> Hub:
    """Put the public surface together for one configuration, on the running loop.

    `policies` are those of groups that have one, by the group's name; there are none by
    default. `counters` count what is limited; by default that is done in memory, where
    answers are kept, too, if any are.
    """
    counters = counters or Memory(now=time.monotonic, wall=time.time)
    kept = lasting(journal, tally=tally, ingester=ingester, counters=counters)
    surface = build_surface(
        snapshot, kept, transport, policies=policies, answers=answers
    )
    return build_hub(surface, kept)


def _carriers(
    snapshot: Snapshot,
    kept: Lasting,
    transport: Transport,
    known: Known,
    policies: Mapping[str, Policy],
    *,
    recorder: Recorder,
    caching: Caching | None,
) -> tuple[Carrier, Carrier, Carrier]:
    """Put together what answers requests, counts them, and explains them."""
    user_agent = read_build_info().user_agent
    watch, tally = kept.watch, kept.tally
    gate = Gate(snapshot.allowances, kept.counters, kept.queue)
    admission = Admission(gate, tally)
    routes = routes_of(snapshot, DIALECTS, user_agent=user_agent)
    planning = build_planning(snapshot, known, routes, policies)
    pipeline = Pipeline(
        snapshot,
        admission,
        _attempts(snapshot, transport, tally, known, routes),
        planning=planning,
        dialects=DIALECTS,
        pins=known.pins,
        recorder=recorder,
        watch=watch,
    )
    if caching is not None:
        pipeline.keep_answers(caching)
    counting = Counting(
        snapshot,
        admission,
        TokenCounters(snapshot, transport, tally=tally, user_agent=user_agent),
        pins=known.pins,
        recorder=recorder,
        watch=watch,
    )
    explaining = Explaining(
        Explainer(snapshot, planning, DIALECTS),
        total_s=snapshot.upstream.total_timeout_s,
        recorder=recorder,
        watch=watch,
    )
    denied = kept.inbound.accesses.denied
    return (
        Carrier(pipeline, recorder, tally, denied=denied),
        Carrier(counting, recorder, tally, denied=denied),
        Carrier(explaining, recorder, tally, denied=denied),
    )


def _recorder(snapshot: Snapshot, kept: Lasting) -> Recorder:
    """Put together what closes entries, as records in the journal."""
    return Recorder(
        TellingJournal(kept.journal, kept.counters.flush, kept.room),
        kept.tally,
        loop=asyncio.get_running_loop(),
        sync_always=snapshot.state.journal_sync == "always",
        config_fingerprint=snapshot.fingerprint,
        router_version=read_build_info().version,
        now=time.monotonic,
        bounds=snapshot.diagnostics,
    )


def _attempts(
    snapshot: Snapshot,
    transport: Transport,
    tally: Tally,
    known: Known,
    routes: Mapping[str, TargetRoute],
) -> Attempts:
    """Put together what calls the targets in `routes`."""
    attempting = Attempting(
        transport,
        now=time.monotonic,
        images=image_fetcher(snapshot.upstream, now=time.monotonic),
        routers=known.routers,
    )
    return Attempts(
        attempting,
        routes,
        health=known.health,
        capacity=known.capacity,
        retries=known.retries,
        tally=tally,
        now=time.monotonic,
        observed=known.observed,
    )


def _site(snapshot: Snapshot, door: Door, kept: Lasting) -> Site:
    """Put together what is served beside the hot paths."""
    build, crew = read_build_info(), kept.crew
    unread = partial(unread_bytes, snapshot.state.directory)
    readiness = Readiness(
        snapshot,
        crew,
        database=lambda: _database_condition(snapshot.state),
        ingester=kept.ingester,
        unread_bytes=unread,
    )
    return Site(
        snapshot,
        door,
        readiness=readiness,
        metrics=Metrics(crew, build, unread_bytes=unread),
        usage=_usage_reports(snapshot, kept, unread_bytes=unread),
        build=build,
    )


def _usage_reports(
    snapshot: Snapshot, kept: Lasting, *, unread_bytes: Callable[[], int | None]
) -> UsageReports:
    """Put together what tells callers what they have used."""
    total_s = snapshot.upstream.total_timeout_s or _LONGEST_CALL_S
    usage = CallerUsage(
        snapshot.state.database_url.reveal(),
        settled_after_s=total_s + _RECORDED_WITHIN_S,
        now=time.monotonic,
        wall=time.time,
    )

    def read_rows(caller_id: str, days: range) -> Rows | None:
        # Looked at first: what comes while rows are read may not be among them.
        complete = unread_bytes() == 0
        lines = usage.of(caller_id, days, within_s=_PIECE_S, complete=complete)
        return None if lines is None else Rows(lines, complete)

    return UsageReports(
        snapshot.allowances,
        standings=kept.counters.standing,
        read_rows=read_rows,
        now=time.monotonic,
        wall_clock=time.time,
    )


async def _database_condition(state: State) -> str:
    """Say `ok`, or in safe words why the database cannot be read now."""
    try:
        async with asyncio.timeout(_PROBE_WITHIN_S):
            return await asyncio.to_thread(condition, state.database_url.reveal())
    except TimeoutError:
        return "does not answer"
