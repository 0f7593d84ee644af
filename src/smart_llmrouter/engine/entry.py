"""What is learned about a call while it runs, and becomes its record."""

from dataclasses import dataclass
from typing import Final

from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage, cost_of
from smart_llmrouter.engine.client import Arrival
from smart_llmrouter.ledger.record import UsageRecord

_US_PER_S: Final = 1_000_000


@dataclass(slots=True)
class Entry:
    """The open entry of one call in the ledger. It is closed by `record`, once."""

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
    closed: bool = False

    def record(
        self,
        *,
        status: int,
        error: RouterError | None,
        now_s: float,
        config_fingerprint: str,
        router_version: str,
    ) -> UsageRecord:
        """Close the entry: this call ended with `status` at `now_s`."""
        self.closed = True
        arrival, caller, usage = self.arrival, self.arrival.caller, self.usage
        group, target = self.group, self.target
        price = target.price if target else None
        cost = cost_of(usage, price)
        began_s = arrival.began_s
        return UsageRecord(
            request_id=arrival.request_id,
            ts_ms=arrival.ts_ms,
            caller_id=caller.id,
            caller_user=caller.owner_user,
            caller_project=caller.project,
            caller_environment=caller.environment,
            token_id=caller.token_id,
            client=arrival.client,
            inbound_dialect=self.dialect,
            status=status,
            attempts=self.attempts,
            latency_us=_us(began_s, now_s) or 0,
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
            ttfb_us=_us(began_s, self.first_byte_s),
            ttft_us=_us(began_s, self.first_event_s),
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            input_cost_nusd=cost.input_nusd,
            cached_input_cost_nusd=cost.cached_input_nusd,
            output_cost_nusd=cost.output_nusd,
            total_cost_nusd=cost.total_nusd,
            upstream_reported_cost_nusd=usage.reported_cost_nusd,
            price_fingerprint=price.fingerprint if price else None,
        )


def _us(began_s: float, at_s: float | None) -> int | None:
    return None if at_s is None else round((at_s - began_s) * _US_PER_S)
