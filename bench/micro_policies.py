"""What a decision costs by each kind of policy: rules, a script, and a policy service.

The script and the service do nothing but answer, so that what is timed is how they are
asked: two processes and a socket for the script, a connection for the service.
"""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from bench.micro_paths import best_us, provider_saying
from bench.workload import chat_body
from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.policies import External, Policy, Rule, Rules, Script
from smart_llmrouter.config.snapshot import Group, Snapshot
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.engine.policies.opening import policies_of
from smart_llmrouter.routing.policy import Question

_TARGETS: Final = 3
_GENEROUS_MS: Final = 5000
_DECISION: Final = b'{"targetIndex": 0, "classLabel": "bench"}'
_SCRIPT: Final = """\
def route(ctx):
    return {"targetIndex": 0, "classLabel": "bench"}
"""


def policy_steps(
    snapshot: Snapshot, directory: Path, *, turns: int, rounds: int
) -> list[tuple[str, float]]:
    """Measure each kind of policy; return its name and its microseconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured(snapshot, directory, turns=turns, rounds=rounds))


async def _measured(
    snapshot: Snapshot, directory: Path, *, turns: int, rounds: int
) -> list[tuple[str, float]]:
    script = directory / "policy.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    async with (
        provider_saying(_DECISION) as port,
        open_transport(snapshot.upstream) as transport,
    ):
        kinds: dict[str, Policy] = {
            "decide by 3 rules": _rules(),
            "decide by a script: both processes": Script(
                file=script, timeout_ms=_GENEROUS_MS
            ),
            "decide by a policy service: both ends": External(
                url=f"http://127.0.0.1:{port}/route",
                timeout_ms=_GENEROUS_MS,
            ),
        }
        groups = {
            name: _group(snapshot, name, policy) for name, policy in kinds.items()
        }
        deciding = replace(snapshot, groups=groups)
        async with policies_of(deciding, transport, user_agent="bench") as policies:
            return [
                (
                    name,
                    await best_us(
                        partial(policy.decide, _question(snapshot, groups[name])),
                        turns=turns,
                        rounds=rounds,
                    ),
                )
                for name, policy in policies.items()
            ]


def _rules() -> Rules:
    """Return rules of which the last holds, over features that cost little."""
    conditions = (
        "has_tools && estimated_input_tokens > 8000",
        "'image' in requirements || reasoning_level == 'high'",
        "caller.environment == 'dev'",
    )
    return Rules(
        rules=tuple(Rule(when=when, use=("mock-0/mini",)) for when in conditions)
    )


def _group(snapshot: Snapshot, name: str, policy: Policy) -> Group:
    group = snapshot.groups["chat"]
    target = group.targets[0]
    targets = tuple(replace(target, label=f"mock-{n}/mini") for n in range(_TARGETS))
    return replace(group, name=name, targets=targets, policy=policy)


def _question(snapshot: Snapshot, group: Group) -> Question:
    return Question(
        group=group,
        needs=Requirements(body=chat_body(stream=False), dialect="openai-chat"),
        eligible=group.targets,
        caller=next(iter(snapshot.callers_by_digest.values())),
        client="other",
        requested_model=group.name,
    )
