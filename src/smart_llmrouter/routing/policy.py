"""The port of policies: what an operator's own code is asked, and may answer.

A policy sees safe features of a request and the targets that are eligible for it. It
picks among them and nobody else; what it answers is checked here, whoever it is.
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.decisions import PolicyKind, PolicyRun
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.requirements import Requirements

FaultCode = Literal[
    "timeout",
    "unreachable",
    "bad-status",
    "too-large",
    "malformed",
    "unknown-target",
    "raised",
    "busy",
]
"""What can go wrong with a policy; it is told and kept by this name alone."""

UNSAFE_LABEL: Final = "unsafe_class_label"


class PolicyFault(Exception):
    """A policy has not decided."""

    def __init__(self, code: FaultCode) -> None:
        """Say what went wrong."""
        super().__init__(code)
        self.code: FaultCode = code


class NobodyLeft(Exception):
    """A policy wants none but targets that cannot be called now.

    `named` are their labels. `run` is how the policy went, once that is known.
    """

    def __init__(self, named: Sequence[str], *, class_label: str | None) -> None:
        """Say whom it wants, and what the record calls the decision."""
        super().__init__(class_label)
        self.named = named
        self.class_label = class_label
        self.run: PolicyRun | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy is asked. `eligible` are in the order of the configuration.

    `began_ms` is when the call began, in milliseconds since 1970 UTC.
    """

    group: Group
    needs: Requirements
    eligible: Sequence[Target]
    caller: Caller
    client: str
    requested_model: str | None
    began_ms: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy answered: labels of targets, the first is tried first.

    With `complete` no other target may be tried; otherwise the rest follow.
    `class_label` is what the record calls the decision.
    """

    order: tuple[str, ...]
    complete: bool = False
    class_label: str | None = None


class Policy(Protocol):
    """An operator's policy for one group."""

    @property
    def kind(self) -> PolicyKind:
        """Which strategy it serves."""

    async def decide(self, question: Question) -> Verdict:
        """Decide one call. Raises `PolicyFault` and `NobodyLeft`."""


def chosen(verdict: Verdict, eligible: Sequence[Target]) -> list[Target]:
    """Return the targets that a verdict leaves, in its order.

    Raises `PolicyFault` where it names a target that it was not offered, or one twice.
    """
    by_label = {target.label: target for target in eligible}
    if len(set(verdict.order)) != len(verdict.order) or not verdict.order:
        raise PolicyFault("malformed")
    if any(label not in by_label for label in verdict.order):
        raise PolicyFault("unknown-target")
    picked = [by_label[label] for label in verdict.order]
    if verdict.complete:
        return picked
    return picked + [each for each in eligible if each.label not in verdict.order]
