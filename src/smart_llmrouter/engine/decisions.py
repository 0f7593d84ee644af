"""What is learned of a decision while a call runs, and becomes `core.decisions`."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.decisions import (
    AttemptRun,
    Candidate,
    Decision,
    Needs,
    PolicyRun,
)
from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.eligibility import Found
from smart_llmrouter.routing.features import shown_level
from smart_llmrouter.routing.ordering import NO_SCORES
from smart_llmrouter.routing.plan import Plan

_UNRANKED: Final[Mapping[str, int]] = {}


class Deciding(msgspec.Struct, kw_only=True, eq=False):
    """How a call is being decided: `plan` is there when there is one.

    With `only_failed` nothing is kept of a call whose first attempt has answered, and
    whose policy, where it has one, has decided.
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
        if self.only_failed and error is None and self._went_as_planned():
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

    def _went_as_planned(self) -> bool:
        """Say whether the first attempt has answered, and any policy has decided."""
        run = None if self.plan is None else self.plan.policy
        decided = run is None or run.outcome == "decided"
        return decided and len(self.runs) <= 1

    def _candidates(self) -> Iterable[Candidate]:
        plan, spoken = self.plan, self.needs.dialect
        missing, scores, ranks = self.found.missing, NO_SCORES, _UNRANKED
        if plan is not None:
            missing, scores = plan.missing, plan.scores
            ranks = {each.label: rank for rank, each in enumerate(plan.targets)}
        for target in self.group.targets:
            label, dialect = target.label, target.provider.dialect
            score = scores.get(label)
            yield Candidate(
                label=label,
                dialect=dialect,
                lane="relay" if dialect == spoken else "translate",
                weight=target.weight,
                missing=missing.get(label, ()),
                rank=ranks.get(label),
                score=None if score is None else score.value,
                observations=None if score is None else score.observations,
                terms=() if score is None else score.encoded_terms,
            )


def needs_of(needs: Requirements) -> Needs:
    """Return requirements as they are shown: without the request itself."""
    return Needs(
        dialect=needs.dialect,
        stream=needs.stream,
        tools=tuple(sorted(needs.tools)),
        tool_count=needs.tool_count,
        tool_schema_bytes=needs.tool_schema_bytes,
        forced_choice=needs.forced_choice,
        parallel_tools=needs.parallel_tools,
        output_format=needs.output_format,
        image_urls=needs.image_urls,
        image_data=needs.image_data,
        image_files=needs.image_files,
        audio=needs.audio,
        documents=needs.documents,
        reasoning=needs.reasoning,
        reasoning_level=shown_level(needs),
        reasoning_budget=needs.reasoning_budget,
        output_cap=needs.output_cap,
        estimated_input_tokens=needs.counted_input_tokens,
        request_bytes=needs.request_bytes,
        goes_on=needs.goes_on,
    )
