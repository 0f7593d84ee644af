"""Callers, and what they and others may use, for tests of the gate."""

from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.config.allowances import Allowance, Queue, Shaping
from smart_llmrouter.config.policies import Flow
from smart_llmrouter.core.identity import Caller


def caller(name: str, *, owner: str = "alice") -> Caller:
    """Return a caller of this name, who may call the group `chat`."""
    return Caller(
        id=name,
        owner_user=owner,
        project="search",
        environment="dev",
        token_id=f"rtr_{name}",
        status="active",
        expires_on=None,
        allowed_groups=frozenset({"chat"}),
        metrics_admin=False,
    )


def demand(
    name: str = "req_1", *, input_tokens: int = 0, tokens: int = 0, nusd: int = 0
) -> Demand:
    """Return what a call needs."""
    return Demand(
        request_id=name,
        began_ms=1_700_000_000_000,
        input_tokens=input_tokens,
        tokens=tokens,
        nusd=nusd,
    )


def shaped(
    per_second: float,
    *,
    burst: int = 1,
    input_tokens: float = 0.0,
    wait_s: float = 0.0,
    depth: int = 1000,
) -> Allowance:
    """Return an allowance that is shaped; calls wait where `wait_s` is given."""
    flow = Flow(
        requests_per_second=per_second,
        burst=burst,
        input_tokens_per_second=input_tokens,
    )
    queue = Queue(max_wait_s=wait_s, max_depth=depth) if wait_s else None
    return Allowance(shaping=Shaping(flow=flow, queue=queue))
