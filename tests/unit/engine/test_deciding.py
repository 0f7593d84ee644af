"""What becomes of a policy's answer."""

from collections.abc import Callable
from typing import Final

import pytest

from smart_llmrouter.core.decisions import PolicyKind, PolicyRun
from smart_llmrouter.core.errors import RoutingPolicyError
from smart_llmrouter.engine.deciding import decide
from smart_llmrouter.routing.policy import PolicyFault, Question, Verdict
from tests.support.policies import question


class Answering:
    """A policy whose answer is known before."""

    kind: Final[PolicyKind] = "script"

    def __init__(self, answer: Verdict | PolicyFault) -> None:
        """Give `answer`, or raise it."""
        self._answer = answer

    async def decide(self, question: Question) -> Verdict:  # noqa: ARG002 - a policy
        """Answer the same always."""
        if isinstance(self._answer, PolicyFault):
            raise self._answer
        return self._answer


def ticking() -> Callable[[], float]:
    """Return a clock on which each look takes 1.5 ms."""
    looks = iter(range(1000))
    return lambda: next(looks) * 0.0015


async def test_a_verdict_gives_the_order_and_is_recorded() -> None:
    """The rest follows where the verdict is not complete."""
    policy = Answering(Verdict(order=("b/mini",), class_label="cheap"))

    targets, run = await decide(
        policy, question("a", "b"), on_error="fail_closed", now=ticking()
    )

    assert [each.label for each in targets] == ["b/mini", "a/mini"]
    assert run == PolicyRun(
        kind="script", outcome="decided", duration_us=1500, class_label="cheap"
    )


async def test_a_complete_verdict_leaves_no_others() -> None:
    """Those that it does not name are not tried."""
    policy = Answering(Verdict(order=("b/mini",), complete=True))

    targets, _ = await decide(
        policy, question("a", "b"), on_error="fail_closed", now=ticking()
    )

    assert [each.label for each in targets] == ["b/mini"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (PolicyFault("timeout"), "timeout"),
        (Verdict(order=("nosuch/mini",)), "unknown-target"),
        (Verdict(order=()), "malformed"),
        (Verdict(order=("a/mini", "a/mini")), "malformed"),
    ],
)
async def test_a_fault_closes_the_group(
    answer: Verdict | PolicyFault, code: str
) -> None:
    """The error names group, strategy and fault, and holds what is recorded."""
    with pytest.raises(RoutingPolicyError) as refused:
        await decide(
            Answering(answer),
            question("a", "b"),
            on_error="fail_closed",
            now=ticking(),
        )

    assert refused.value.details == {
        "group": "chat",
        "strategy": "script",
        "error": code,
    }
    assert refused.value.run == PolicyRun(
        kind="script", outcome="failed", duration_us=1500, error=code
    )


async def test_a_fault_falls_back_where_that_is_wanted() -> None:
    """All eligible targets in the order of the file, and the fault is recorded."""
    targets, run = await decide(
        Answering(PolicyFault("busy")),
        question("b", "a"),
        on_error="fallback",
        now=ticking(),
    )

    assert [each.label for each in targets] == ["b/mini", "a/mini"]
    assert run == PolicyRun(
        kind="script", outcome="fallback", duration_us=1500, error="busy"
    )
