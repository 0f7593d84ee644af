"""How a request would be decided: a call that calls nobody and is charged nothing.

It goes the way of the real call as far as the plan, by the same `Planning`, and shows
the same `Decision` that is kept of real calls. Its caller is known and allowed, and one
record is left behind.

    record    `inbound_dialect` is that of the request with `/explain` behind it
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.core.errors import (
    CapabilityRejected,
    Details,
    InternalError,
    JournalUnwritable,
    RequestFault,
    RouterError,
)
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Dialect
from smart_llmrouter.engine.client import Client, header_lines
from smart_llmrouter.engine.decisions import Deciding
from smart_llmrouter.engine.endings import CallEnding, tell
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.groups import allowed_group
from smart_llmrouter.engine.planning import Planning
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.refusals import dialect_headers
from smart_llmrouter.engine.translation import Asked
from smart_llmrouter.engine.vigil import Watch
from smart_llmrouter.routing.plan import Plan
from smart_llmrouter.wire.jsonobject import NotAnObject, RawMembers, parse_members

SUFFIX: Final = "/explain"
_NOTHING_USED: Final = Usage(input_tokens=0, output_tokens=0)
_JSON: Final = (b"content-type", b"application/json")
_MESSAGES_ONLY: Final = ("system", "thinking", "stop_sequences", "anthropic_version")

_encode: Final = msgspec.json.Encoder().encode


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller of the real request would have been told instead of an answer."""

    status: int
    code: str
    message: str
    details: Details


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How a request would be decided now.

    `order` are the labels of the targets that would be tried, of which `selected` is
    the first. `error` is there where nobody would be called.
    """

    object: str = "route.explanation"
    model: str | None
    selected: str | None
    order: tuple[str, ...]
    decision: Decision
    error: Refusal | None = None


class Explainer:
    """Explains how requests would be decided; it calls nobody and writes nothing."""

    def __init__(
        self,
        snapshot: Snapshot,
        planning: Planning,
        dialects: Mapping[DialectName, Dialect],
    ) -> None:
        """Explain what `planning` would plan."""
        self._snapshot = snapshot
        self._planning = planning
        self._dialects = dialects

    async def explained(
        self, entry: Entry, body: bytes, spoken: DialectName
    ) -> Explanation:
        """Explain a request; what is wrong with the request itself is raised."""
        dialect = self._dialects[spoken]
        peek = dialect.peek(body)
        group = allowed_group(peek.model, entry, self._snapshot)
        asked, plan, refused = Asked(dialect, peek, group), None, None
        try:
            sought = self._planning.seek(asked, body, entry, keep="all")
            if group.policy is None:
                plan = self._planning.order(sought, entry)
            else:
                plan = await self._planning.decide(sought, entry)
            self._planning.check_first(asked, plan)
        except RouterError as error:
            if entry.deciding is None or _is_the_requests(error):
                raise
            refused = error
        decision = _decided(entry.deciding, refused)
        order = _labels(plan)
        return Explanation(
            model=peek.model,
            selected=order[0] if order else None,
            order=order,
            decision=decision,
            error=_told(refused) if refused else None,
        )


class Explaining:
    """The steps of a call that asks how a request would be decided."""

    suffix: str = SUFFIX

    def __init__(
        self, explainer: Explainer, *, total_s: float, recorder: Recorder, watch: Watch
    ) -> None:
        """Let `explainer` take `total_s` for a call, 0: as long as it likes."""
        self._explainer = explainer
        self._total_s = total_s
        self._recorder = recorder
        self._watch = watch

    async def take(self, entry: Entry, body: bytes, client: Client) -> None:
        """Take the steps in their order; whatever ends the call early is raised."""
        arrived = entry.arrival.dialect
        # Who has not said which dialect it is has been taken for Chat so far.
        spoken = spoken_in(body, None if arrived == "openai-chat" else arrived)
        entry.dialect = spoken + SUFFIX
        self._recorder.check()
        with self._watch.over_this_task(total_s=self._total_s):
            explanation = await self._explainer.explained(entry, body, spoken)
        entry.usage, entry.deciding = _NOTHING_USED, None
        ending = _Explained(entry, client, _encode(explanation))
        self._recorder.close(entry, status=200, ending=ending)


def _is_the_requests(error: RouterError) -> bool:
    """Say whether the request itself is wrong, whoever would serve it."""
    return isinstance(error, RequestFault) and not isinstance(error, CapabilityRejected)


def _decided(deciding: Deciding | None, error: RouterError | None) -> Decision:
    if deciding is not None:
        # Who asks for an explanation wants to know, whatever depends on it.
        _ = deciding.needs.estimated_input_tokens
        decision = deciding.decision(error)
        if decision is not None:
            return decision
    raise InternalError


def _labels(plan: Plan | None) -> tuple[str, ...]:
    return () if plan is None else tuple(target.label for target in plan.targets)


def _told(error: RouterError) -> Refusal:
    return Refusal(
        status=error.status,
        code=error.code,
        message=error.message,
        details=error.details,
    )


def spoken_in(body: bytes, named: DialectName | None = None) -> DialectName:
    """Return the dialect of a request: what its caller has said, or what it shows.

    What looks like none of the others is Chat.
    """
    if named is not None:
        return named
    try:
        members: RawMembers = parse_members(body)
    except NotAnObject:
        return "openai-chat"
    if "messages" not in members and "input" in members:
        return "openai-responses"
    if any(field in members for field in _MESSAGES_ONLY):
        return "anthropic-messages"
    return "openai-chat"


class _Explained(CallEnding, frozen=True, eq=False):
    """An explanation, ready to be sent."""

    body: bytes

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Send it, unless its call is not on record."""
        if unwritable is None:
            arrival = self.entry.arrival
            more = dialect_headers(arrival.dialect, request_id=arrival.request_id)
            self.client.answer(200, header_lines(_JSON, *more), self.body)
        else:
            tell(unwritable, self.entry, self.client)
