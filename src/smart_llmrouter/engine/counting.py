"""How many tokens a request would have: a call that is no answer.

It goes the way of every other call: its caller is known and allowed, the gate lets it
pass, one record is left behind. It uses a request of what its caller may use, and no
tokens; where no provider was asked, nothing.

    peek      which group?
    admit     the gate: a request without tokens
    ask       the group's targets that count in the caller's dialect, one after another
    estimate  only where none of them does
    record    `inbound_dialect` is that of the caller with `/count` behind it
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.config.snapshot import Group, Snapshot
from smart_llmrouter.core.errors import JournalUnwritable, UnknownResponseId
from smart_llmrouter.core.estimates import input_tokens
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.admission import Admission
from smart_llmrouter.engine.client import Client, HeaderLines, header_lines
from smart_llmrouter.engine.endings import CallEnding, tell
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.groups import allowed_group
from smart_llmrouter.engine.images import refuse_private_urls
from smart_llmrouter.engine.pins import Pins
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.refusals import dialect_headers
from smart_llmrouter.engine.routes import name_header
from smart_llmrouter.engine.spending import UNLIMITED, Limited, Spending
from smart_llmrouter.engine.token_counters import Counter, Counters
from smart_llmrouter.engine.vigil import Vigil, Watch

NOTHING_USED: Final = Usage(input_tokens=0, output_tokens=0)
_JSON: Final = (b"content-type", b"application/json")
_ESTIMATED: Final = (b"x-router-estimate", b"true")
_OBJECT: Final[Mapping[DialectName, dict[str, object]]] = {
    "openai-responses": {"object": "response.input_tokens"},
}

_encode: Final = msgspec.json.Encoder().encode


class Counting:
    """The steps of a call that counts tokens."""

    suffix: str = "/count"

    def __init__(
        self,
        snapshot: Snapshot,
        admission: Admission,
        counters: Counters,
        *,
        pins: Pins,
        recorder: Recorder,
        watch: Watch,
    ) -> None:
        """Ask `counters`."""
        self._snapshot = snapshot
        self._admission = admission
        self._counters = counters
        self._pins = pins
        self._recorder = recorder
        self._watch = watch

    async def take(self, entry: Entry, body: bytes, client: Client) -> None:
        """Take the steps in their order; whatever ends the call early is raised."""
        dialect = DIALECTS[entry.arrival.dialect]
        peek = dialect.peek(body)
        group = allowed_group(peek.model, entry, self._snapshot)
        if not self._snapshot.upstream.allow_private_image_urls:
            # Who counts the tokens of an image may fetch it.
            refuse_private_urls(dialect, peek, dialect.requirements_of(peek, body=body))
        self._recorder.check()
        total_s = self._snapshot.upstream.total_timeout_s
        with (
            self._watch.over_this_task(total_s=total_s) as vigil,
            await self._admitted(group, entry, vigil) as spending,
        ):
            counted = await self._counters.first_to_count(
                self._counters_for(peek, group, entry),
                peek,
                entry=entry,
                vigil=vigil,
                first_event_timeout_s=group.first_event_timeout_s,
                reservation=spending.reservation,
            )
            entry.usage = NOTHING_USED
            spending.settle(complete=True)
        headers = dialect_headers(
            entry.arrival.dialect, request_id=entry.arrival.request_id
        )
        if counted is None or entry.target is None:
            entry.target = None
            counted = _estimate(entry.arrival.dialect, body)
            headers.append(_ESTIMATED)
        else:
            headers.append(name_header(entry.target))
        lines = header_lines(_JSON, *headers) + entry.limit_lines
        ending = _Counted(entry, client, lines, counted)
        self._recorder.close(entry, status=200, ending=ending)

    async def _admitted(self, group: Group, entry: Entry, vigil: Vigil) -> Spending:
        """Take what a call needs that has no answer: a request, and no tokens."""
        arrival = entry.arrival
        chain = self._admission.chain_for(arrival.caller, group.name)
        if chain is None:
            return UNLIMITED
        demand = Demand(request_id=arrival.request_id, began_ms=arrival.ts_ms)
        spending = self._admission.admit(chain, demand, entry=entry, vigil=vigil)
        return spending if isinstance(spending, Limited) else await spending

    def _counters_for(
        self, peek: Peek, group: Group, entry: Entry
    ) -> tuple[Counter, ...]:
        """Return who may be asked: what one provider keeps, no other can count.

        Raises `UnknownResponseId`.
        """
        dialect = entry.arrival.dialect
        counters = self._counters.of(group, dialect)
        answer_id = DIALECTS[dialect].goes_on_from(peek)
        if answer_id is None:
            return counters
        keeper = self._pins.keeper(answer_id, caller_id=entry.arrival.caller.id)
        kept = tuple(each for each in counters if each.target.label == keeper)
        if not kept:
            raise UnknownResponseId
        return kept


def _estimate(dialect: DialectName, body: bytes) -> bytes:
    """Return a count of our own, which says that it is an estimate."""
    count = {"input_tokens": input_tokens(body), "estimate": True}
    return _encode(_OBJECT.get(dialect, {}) | count)


class _Counted(CallEnding, frozen=True, eq=False):
    """A count, ready to be sent."""

    headers: HeaderLines
    body: bytes

    def send(self, unwritable: JournalUnwritable | None) -> None:
        """Send it, unless its call is not on record."""
        if unwritable is None:
            self.client.answer(200, self.headers, self.body)
        else:
            tell(unwritable, self.entry, self.client)
