"""Asks the policy of a group; says what becomes of its answer, or of its failure."""

from typing import Final

from smart_llmrouter.config.policies import OnError
from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.decisions import PolicyRun
from smart_llmrouter.core.errors import RoutingPolicyError
from smart_llmrouter.routing.policy import (
    NobodyLeft,
    Policy,
    PolicyFault,
    Question,
    chosen,
)

_US_PER_S: Final = 1_000_000


async def decide(
    policy: Policy, question: Question, *, on_error: OnError, now: Monotonic
) -> tuple[list[Target], PolicyRun]:
    """Return the targets that a policy leaves, in its order, and how it went.

    Where the policy fails, `fallback` leaves the eligible targets as they are listed,
    and `fail_closed` raises `RoutingPolicyError`, which holds the run as well. So does
    `NobodyLeft`, where the policy wants none of the eligible targets.
    """
    began_s = now()
    try:
        verdict = await policy.decide(question)
        targets = chosen(verdict, question.eligible)
    except NobodyLeft as left:
        left.run = PolicyRun(
            kind=policy.kind,
            outcome="decided",
            duration_us=_us(now() - began_s),
            class_label=left.class_label,
        )
        raise
    except PolicyFault as fault:
        run = PolicyRun(
            kind=policy.kind,
            outcome="fallback" if on_error == "fallback" else "failed",
            duration_us=_us(now() - began_s),
            error=fault.code,
        )
        if on_error == "fallback":
            return list(question.eligible), run
        raise RoutingPolicyError(group=question.group.name, run=run) from None
    return targets, PolicyRun(
        kind=policy.kind,
        outcome="decided",
        duration_us=_us(now() - began_s),
        class_label=verdict.class_label,
    )


def _us(duration_s: float) -> int:
    return round(duration_s * _US_PER_S)
