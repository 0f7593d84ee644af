"""Explains a request by a configuration alone: as a router that has just begun."""

import random
import time

from smart_llmrouter.bootstrap.routing import Known, build_planning
from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.explaining import Explainer, Explanation, spoken_in
from smart_llmrouter.engine.policies.opening import policies_of
from smart_llmrouter.engine.routes import routes_of


async def explain(
    snapshot: Snapshot,
    body: bytes,
    *,
    caller: Caller,
    client: str,
    dialect: DialectName | None = None,
) -> Explanation:
    """Explain how a caller's request would be decided.

    Without a `dialect` the body shows it. Raises `RouterError`, `PolicyUnusable`.
    """
    known = Known(snapshot, now=time.monotonic, draw=random.random)
    user_agent = read_build_info().user_agent
    routes = routes_of(snapshot, DIALECTS, user_agent=user_agent)
    async with (
        open_transport(snapshot.upstream) as transport,
        policies_of(snapshot, transport, user_agent=user_agent) as policies,
    ):
        planning = build_planning(snapshot, known, routes, policies)
        spoken = spoken_in(body, dialect)
        arrival = Arrival(
            request_id="req_explained",
            caller=caller,
            client=client,
            began_s=0.0,
            ts_ms=0,
            dialect=spoken,
        )
        entry = Entry(arrival=arrival, dialect=spoken)
        return await Explainer(snapshot, planning, DIALECTS).explained(
            entry, body, spoken
        )
