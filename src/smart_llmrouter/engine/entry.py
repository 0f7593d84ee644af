"""What is learned about a call while it runs, and becomes its record."""

from typing import Final

import msgspec

from smart_llmrouter.admission.demand import Spent
from smart_llmrouter.cache.words import Verdict
from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.decisions import AttemptRun, LaneName
from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.money import Price
from smart_llmrouter.core.notes import Note
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Cost, Usage, cost_of
from smart_llmrouter.engine.client import Arrival, HeaderLines
from smart_llmrouter.engine.decisions import Deciding
from smart_llmrouter.engine.failed import NOTHING_FAILED, Failed, tokens_of
from smart_llmrouter.ledger.record import (
    CallMeasures,
    Charges,
    Disconnect,
    RareCall,
    UsageRecord,
    named_measures,
)

_US_PER_S: Final = 1_000_000
Likeness = tuple[str | int | tuple[Note, ...] | Verdict | None, ...]


class Entry(msgspec.Struct, eq=False):
    """The open entry of one call in the ledger. The recorder closes it, once.

    `lane` is that of the last attempt, and `notes` are what its translation noted.
    `answer_id` is what a stream has been called in its first event, where its last one
    must repeat that. `fallback_used` says that a second target was tried, `disconnect`
    what became of the target's answer when the caller had left. `answering` says that a
    target is at work on the call, and `draining` that its answer is read to the end
    although the caller has left. `deciding` is how the call was decided, where that is
    kept beside its record, and `runs` are the attempts then.

    `charged` is what budgets were charged, where that is not what the usage says.
    `queued_s` is how long the call waited for its turn, where it did. `limit` is what
    refused it, and `warning` the budget whose mark it was the first to pass: the kind
    of the scope and the limit, such as `caller:rpm`. See `ledger.record`. `limit_lines`
    are the headers that tell how the caller's limits stand, and what the cache did.
    `cost` is that of the usage, where it was computed before the record is. `images`
    are those of the input, where a target takes money for them, and `failed` is what
    the attempts have used that failed, as far as their targets have said. `dated_price`
    is the fingerprint of the price in force, where it changes with time and was looked
    up. `cache` is what the response cache did, `None` where it has not looked.
    """

    arrival: Arrival
    dialect: str
    requested_model: str | None = None
    group: Group | None = None
    target: Target | None = None
    stream: bool = False
    attempts: int = 0
    error_class: str | None = None
    upstream_status: int | None = None
    first_byte_s: float | None = None
    first_event_s: float | None = None
    usage: Usage = UNKNOWN_USAGE
    lane: LaneName = "relay"
    notes: tuple[Note, ...] = ()
    answer_id: str | None = None
    fallback_used: bool = False
    disconnect: Disconnect | None = None
    answering: bool = False
    draining: bool = False
    runs: list[AttemptRun] | None = None
    deciding: Deciding | None = None
    closed: bool = False
    charged: Spent | None = None
    queued_s: float | None = None
    limit: str | None = None
    warning: str | None = None
    limit_lines: HeaderLines = b""
    cost: Cost | None = None
    images: int = 0
    failed: Failed | None = None
    dated_price: str | None = None
    cache: Verdict | None = None

    @property
    def is_hit(self) -> bool:
        """Whether the answer is one that was kept."""
        return self.cache is not None and self.cache.status == "hit"

    @property
    def price(self) -> Price | None:
        """The price of the target that was in force when the call began."""
        price = self.target.price if self.target else None
        return self._in_force(price) if price is not None and price.after else price

    def _in_force(self, price: Price) -> Price:
        """Return which of prices that follow one another it is, and note it."""
        now = price.at(self.arrival.ts_ms)
        self.dated_price = now.fingerprint
        return now

    def record(
        self,
        *,
        status: int,
        error: RouterError | None,
        now_s: float,
        config_fingerprint: str,
        router_version: str,
    ) -> UsageRecord:
        """Return the record of this call, which ended with `status` at `now_s`."""
        arrival, caller = self.arrival, self.arrival.caller
        group, target, price = self.group, self.target, self.price
        return UsageRecord(
            **named_measures(self.measures(now_s)),
            caller_id=caller.id,
            caller_user=caller.owner_user,
            caller_project=caller.project,
            caller_environment=caller.environment,
            token_id=caller.token_id,
            client=arrival.client,
            inbound_dialect=self.dialect,
            status=status,
            attempts=self.attempts,
            config_fingerprint=config_fingerprint,
            router_version=router_version,
            requested_model=self.requested_model,
            resolved_group=group.name if group else None,
            strategy=group.strategy if group else None,
            target_provider=target.provider.name if target else None,
            target_model=target.key if target else None,
            target_dialect=target.provider.dialect if target else None,
            stream=self.stream,
            error_code=error.code if error else None,
            error_class=self.error_class,
            upstream_status=self.upstream_status,
            price_fingerprint=price.fingerprint if price else None,
            lane=self.lane,
            usage_estimated=self.usage.estimated,
            notes=self.notes,
            fallback_used=self.fallback_used,
            disconnect=self.disconnect,
            refused_by=self.limit,
            budget_warning=self.warning,
            cache=None if self.cache is None else self.cache.status,
            cache_reason=None if self.cache is None else self.cache.reason,
        )

    def measures(self, now_s: float) -> CallMeasures:
        """Return what differs from call to call, in the order of a record's fields."""
        arrival, usage, cost = self.arrival, self.usage, self.cost
        if cost is None:
            target = self.target
            price = target.price if target else None
            if price is not None and price.after is not None:
                price = self._in_force(price)
            cost = cost_of(usage, price, self.images)
        began_s, byte_s, event_s = (
            arrival.began_s,
            self.first_byte_s,
            self.first_event_s,
        )
        short, long = usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
        call: str | RareCall = arrival.request_id
        if cost.has_rare_parts or self.failed is not None:
            call = self._with_rare_costs(cost)
        elif self.charged is not None or self.queued_s is not None:
            call = self._charged(cost)
        elif short is not None or long is not None:
            call = (arrival.request_id, short, long, cost.cache_write_nusd)
        return (
            call,
            arrival.ts_ms,
            round((now_s - began_s) * _US_PER_S),
            None if byte_s is None else round((byte_s - began_s) * _US_PER_S),
            None if event_s is None else round((event_s - began_s) * _US_PER_S),
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            cost.input_nusd,
            cost.cached_input_nusd,
            cost.output_nusd,
            cost.total_nusd,
            usage.reported_cost_nusd,
        )

    def _with_rare_costs(self, cost: Cost) -> RareCall:
        """Return the call's id with all that is rare about it.

        What failed attempts have cost is charged also where nothing is limited yet:
        budgets that come later begin with what is on record.
        """
        failed = self.failed
        if failed is not None and self.charged is None:
            used = Spent(1, tokens_of(self.usage), cost.known_nusd)
            self.charged = failed.beside(used)
        rare = self._charged(cost)
        failed_nusd = None if failed is None else failed.nusd
        return (*rare, cost.reasoning_nusd, cost.image_nusd, failed_nusd)

    def note_failed(self) -> None:
        """Take the usage for that of an attempt which has just failed."""
        usage, self.usage = self.usage, UNKNOWN_USAGE
        cost = cost_of(usage, self.price, self.images)
        self.failed = (self.failed or NOTHING_FAILED).plus(usage, cost)

    def _charged(self, cost: Cost) -> Charges:
        """Return the call's id with what is charged and waited for."""
        usage, charged, queued_s = self.usage, self.charged, self.queued_s
        return (
            self.arrival.request_id,
            usage.cache_write_5m_tokens,
            usage.cache_write_1h_tokens,
            cost.cache_write_nusd,
            None if charged is None else charged.tokens,
            None if charged is None else charged.nusd,
            None if queued_s is None else round(queued_s * _US_PER_S),
        )

    def likeness(self, status: int, error: RouterError | None) -> Likeness:
        """Return a key that calls share which ended alike, whosever they are."""
        arrival, group, target = self.arrival, self.group, self.target
        return (
            arrival.client,
            self.dialect,
            status,
            self.attempts,
            self.requested_model,
            group.name if group else None,
            target.label if target else None,
            self.stream,
            error.code if error else None,
            self.error_class,
            self.upstream_status,
            self.lane,
            self.usage.estimated,
            self.notes,
            self.fallback_used,
            self.disconnect,
            self.limit,
            self.warning,
            self.dated_price,
            self.cache,
        )
