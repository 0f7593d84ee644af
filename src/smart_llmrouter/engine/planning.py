"""Plans calls: what `routing` decides, with what the engine knows beside it.

The real call and its explanation both go this way, so that they cannot disagree.

    seek      what the request needs, and who may be called: or nobody, and why
    order     the strategy's order, and what the conversation is bound to
    decide    the same, where the operator's policy has the last word
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog

from smart_llmrouter.config.policies import Decisions
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.errors import (
    RequestFault,
    RouterError,
    RoutingPolicyError,
    UnknownResponseId,
)
from smart_llmrouter.core.requirements import PASSING, POLICY, Requirements
from smart_llmrouter.dialects.base import NotBridged
from smart_llmrouter.engine.deciding import decide
from smart_llmrouter.engine.decisions import Deciding
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.images import refuse_private_urls
from smart_llmrouter.engine.pins import Pins
from smart_llmrouter.engine.refusals import unservable
from smart_llmrouter.engine.routes import Route
from smart_llmrouter.engine.translation import Asked, Translation
from smart_llmrouter.routing.eligibility import Found
from smart_llmrouter.routing.plan import Plan
from smart_llmrouter.routing.planner import Planner
from smart_llmrouter.routing.policy import NobodyLeft, Policy, Question

_UNNAMED: Final = "req_explained"

log = structlog.get_logger()


class Sought(msgspec.Struct, kw_only=True, eq=False):
    """A request, who may serve it, and what the plan depends on beside that.

    `deciding` is what is written down about it, where that is wanted.
    """

    asked: Asked
    needs: Requirements
    planner: Planner
    found: Found
    maker: str | None = None
    deciding: Deciding | None = None


class Planning:
    """Plans the calls of one configuration."""

    def __init__(
        self,
        planners: Mapping[str, Planner],
        policies: Mapping[str, Policy],
        routes: Mapping[str, Route],
        *,
        pins: Pins,
        now: Monotonic,
        allows_private_urls: bool = False,
    ) -> None:
        """Plan by the group's name; `policies` are those of groups that have one.

        `allows_private_urls` says that callers may name images at addresses that are
        not public.
        """
        self._planners = planners
        self._policies = policies
        self._routes = routes
        self._pins = pins
        self._now = now
        self._allows_private_urls = allows_private_urls

    def seek(
        self, asked: Asked, body: bytes, entry: Entry, *, keep: Decisions = "off"
    ) -> Sought:
        """Find who may be called for a request.

        Raises `NoEligibleTarget`, `UpstreamCapacityThrottled`, `UnknownResponseId` and
        `ImageUrlForbidden`.
        `keep` says whether the entry keeps how it was decided.
        """
        dialect = asked.dialect
        needs = dialect.requirements_of(asked.peek, body=body)
        if (needs.image_urls or needs.other_urls) and not self._allows_private_urls:
            refuse_private_urls(dialect, asked.peek, needs)
        planner = self._planners[asked.group.name]
        keeper = self._keeper(asked, entry) if dialect.stores_answers else None
        found = planner.found(needs, keeper=keeper)
        deciding = None
        if keep != "off":
            if planner.dialects != {dialect.name}:
                found = self._bridging(found, asked)
            deciding = entry.deciding = Deciding(
                group=asked.group,
                needs=needs,
                found=found,
                only_failed=keep == "failed",
            )
            entry.runs = deciding.runs
        if not found.targets:
            raise unservable(
                asked.group.name,
                dialect=dialect.name,
                missing=found.missing,
                wait_s=found.wait_s,
                client=entry.arrival.client,
            )
        return Sought(
            asked=asked,
            needs=needs,
            planner=planner,
            found=found,
            maker=self._maker(asked, planner) if dialect.proof_mark else None,
            deciding=deciding,
        )

    def order(self, sought: Sought, entry: Entry) -> Plan:
        """Return the plan, by the group's strategy."""
        planner, maker, conversation = sought.planner, sought.maker, None
        if planner.stays and planner.looks_for_conversations:
            conversation = conversation_of(sought.asked, entry)
        plan = planner.ordered(sought.found, sought.needs)
        if maker is not None or conversation is not None:
            plan = planner.led(plan, maker, conversation)
        if sought.deciding is not None:
            sought.deciding.plan = plan
        return plan

    async def decide(self, sought: Sought, entry: Entry) -> Plan:
        """Return the plan, by the group's policy.

        Raises `RoutingPolicyError`, and what `seek` does where the policy wants none of
        those who may be called.
        """
        group, arrival = sought.asked.group, entry.arrival
        question = Question(
            group=group,
            needs=sought.needs,
            eligible=sought.found.targets,
            caller=arrival.caller,
            client=arrival.client,
            requested_model=entry.requested_model,
            began_ms=arrival.ts_ms,
        )
        try:
            targets, run = await decide(
                self._policies[group.name],
                question,
                on_error="fail_closed"
                if group.policy is None
                else group.policy.on_error,
                now=self._now,
            )
        except RoutingPolicyError as error:
            if sought.deciding is not None:
                sought.deciding.policy = error.run
            raise
        except NobodyLeft as left:
            raise _nobody(sought, left, entry) from None
        if run.outcome == "fallback":
            log.warning(
                "policy failed",
                request_id=arrival.request_id,
                group=group.name,
                strategy=run.kind,
                reason=run.error,
            )
        plan = sought.planner.decided(sought.found, sought.needs, targets, run)
        if sought.deciding is not None:
            sought.deciding.plan = plan
        return plan

    def remember(self, sought: Sought, plan: Plan, entry: Entry) -> None:
        """Keep a conversation on the target that has answered, where that matters."""
        planner, target = sought.planner, entry.target
        if target is None:
            return
        conversation = plan.conversation
        if conversation is None:
            # Where the order is fixed, the first target is where it would go anyhow.
            if target.label == plan.targets[0].label:
                return
            conversation = conversation_of(sought.asked, entry)
        if conversation is not None:
            planner.keep(conversation, target.label)

    def _keeper(self, asked: Asked, entry: Entry) -> str | None:
        """Return who keeps the answer that a request goes on from, if it does."""
        answer_id = asked.dialect.goes_on_from(asked.peek)
        if answer_id is None:
            return None
        label = self._pins.keeper(answer_id, caller_id=entry.arrival.caller.id)
        if all(target.label != label for target in asked.group.targets):
            raise UnknownResponseId
        return label

    def _maker(self, asked: Asked, planner: Planner) -> str | None:
        """Return who gave the conversation's last proof, if that is known.

        Whoever else takes over is not shown the proofs of others.
        """
        if asked.dialect.name not in planner.siblings:
            return None
        asked.maker = self._pins.maker
        proof = asked.dialect.last_proof(asked.peek)
        return None if proof is None else self._pins.maker(proof)

    def _bridging(self, found: Found, asked: Asked) -> Found:
        """Return what was found without those that cannot say what is asked for."""
        spoken = asked.dialect.name
        foreign = [each for each in found.targets if each.provider.dialect != spoken]
        missing = dict(found.missing)
        for target in foreign:
            faults = self._not_bridged(asked, self._routes[target.label])
            if faults:
                missing[target.label] = faults
        if len(missing) == len(found.missing):
            return found
        targets = [each for each in found.targets if each.label not in missing]
        return msgspec.structs.replace(
            found, targets=targets, missing=missing, again=False
        )

    @staticmethod
    def _not_bridged(asked: Asked, route: Route) -> tuple[str, ...]:
        try:
            _translated(asked, route)
        except NotBridged as lacking:
            return lacking.missing
        except RequestFault:
            # That is told when this target's turn comes: others may take it as it is.
            return ()
        return ()

    def check_first(self, asked: Asked, plan: Plan) -> None:
        """Raise the `RequestFault` that translating for the first target would."""
        route = self._routes[plan.targets[0].label]
        if route.dialect is not asked.dialect:
            _translated(asked, route)


def _nobody(sought: Sought, left: NobodyLeft, entry: Entry) -> RouterError:
    """Return what a caller is told whose policy wants who cannot be called now."""
    found, missing = sought.found, dict(sought.found.missing)
    missing |= dict.fromkeys((each.label for each in found.targets), (POLICY,))
    if sought.deciding is not None:
        sought.deciding.policy = left.run
        sought.deciding.found = msgspec.structs.replace(
            found, targets=(), missing=missing
        )
    resting = any(PASSING.issuperset(missing.get(each, "-")) for each in left.named)
    return unservable(
        sought.asked.group.name,
        dialect=sought.asked.dialect.name,
        missing=missing,
        wait_s=found.wait_s if resting else math.inf,
        client=entry.arrival.client,
    )


def _translated(asked: Asked, route: Route) -> None:
    Translation(asked, route.dialect, route.serving, request_id=_UNNAMED)


def conversation_of(asked: Asked, entry: Entry) -> bytes | None:
    """Return the key of the conversation that a request goes on with, if it tells."""
    key = asked.dialect.conversation_of(asked.peek)
    if key is None:
        return None
    return b"%b\0%b\0%b" % (
        entry.arrival.caller.id.encode(),
        asked.group.name.encode(),
        key,
    )
