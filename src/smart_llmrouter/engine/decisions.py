"""What is learned of a decision while a call runs, and becomes `core.decisions`."""

from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.decisions import (
    AttemptRun,
    Candidate,
    Decision,
    Needs,
    PolicyRun,
)
from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.plan import Plan
from smart_llmrouter.routing.planner import Found

_NEEDS: Final = tuple(field.name for field in msgspec.structs.fields(Needs))


class Deciding(msgspec.Struct, kw_only=True, eq=False):
    """How a call is being decided: `plan` is there when there is one.

    With `only_failed` nothing is kept of a call whose first attempt has answered.
    `policy` is the run of a policy that has not decided. `runs` are the attempts.
    """

    group: Group
    needs: Requirements
    found: Found
    only_failed: bool = False
    plan: Plan | None = None
    policy: PolicyRun | None = None
    runs: list[AttemptRun] = msgspec.field(default_factory=list)

    def decision(self, error: RouterError | None) -> Decision | None:
        """Return all that was decided of a call that ended with `error`, if any."""
        plan = self.plan
        if self.only_failed and error is None and len(self.runs) <= 1:
            return None
        return Decision(
            group=self.group.name,
            strategy=self.group.strategy,
            needs=needs_of(self.needs),
            candidates=tuple(self._candidates()),
            affinity="none" if plan is None else plan.affinity,
            policy=self.policy if plan is None else plan.policy,
            attempts=tuple(self.runs),
            error_code=None if error is None else error.code,
        )

    def _candidates(self) -> Iterable[Candidate]:
        plan = self.plan
        missing = self.found.missing if plan is None else plan.missing
        order = [] if plan is None else [target.label for target in plan.targets]
        for target in self.group.targets:
            yield self._candidate(target, missing.get(target.label, ()), order)

    def _candidate(
        self, target: Target, missing: tuple[str, ...], order: list[str]
    ) -> Candidate:
        label, spoken = target.label, target.provider.dialect
        score = None if self.plan is None else self.plan.scores.get(label)
        return Candidate(
            label=label,
            dialect=spoken,
            lane="relay" if spoken == self.needs.dialect else "translate",
            weight=target.weight,
            missing=missing,
            rank=order.index(label) if label in order else None,
            score=None if score is None else score.value,
            observations=None if score is None else score.observations,
            terms=() if score is None else score.terms,
        )


def needs_of(needs: Requirements) -> Needs:
    """Return requirements as they are shown: without the request itself."""
    shown = {name: getattr(needs, name) for name in _NEEDS}
    return Needs(**shown | {"tools": tuple(sorted(needs.tools))})
