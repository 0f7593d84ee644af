"""Opens the policies of a configuration, and closes them with the router."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from smart_llmrouter.config.policies import External, Rules, Script
from smart_llmrouter.config.snapshot import Group, Snapshot
from smart_llmrouter.engine.policies.external import ExternalPolicy
from smart_llmrouter.engine.policies.script import open_script
from smart_llmrouter.routing.policy import Policy
from smart_llmrouter.upstream.transport import Transport


@asynccontextmanager
async def policies_of(
    snapshot: Snapshot, transport: Transport, *, user_agent: str
) -> AsyncIterator[Mapping[str, Policy]]:
    """Open the policy of each group that has one, by the group's name.

    The processes of scripts run until the block ends. Raises `PolicyUnusable`.
    """
    async with AsyncExitStack() as opened:
        policies = {}
        for group in snapshot.groups.values():
            policy = await _opened(group, transport, opened, user_agent=user_agent)
            if policy is not None:
                policies[group.name] = policy
        yield policies


async def _opened(
    group: Group, transport: Transport, opened: AsyncExitStack, *, user_agent: str
) -> Policy | None:
    match group.policy:
        case Rules() as rules:
            # The library of CEL is large, and most routers never need it.
            from smart_llmrouter.engine.policies.rules import (  # noqa: PLC0415
                RulesPolicy,
            )

            return RulesPolicy(rules)
        case Script() as script:
            return await opened.enter_async_context(
                open_script(script, group=group.name)
            )
        case External() as external:
            return ExternalPolicy(external, transport, user_agent=user_agent)
        case _:
            return None
