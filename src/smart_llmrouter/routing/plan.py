"""The plan of one call: eligible targets in order, and why the others are not.

`static` and `failover` both keep the order of the configuration; `static` has exactly
one target, which the configuration check sees to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from smart_llmrouter.config.snapshot import DialectName, Group, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`targets` are tried in this order; `missing` names what the others lack."""

    targets: tuple[Target, ...]
    missing: Mapping[str, list[str]]


def plan_of(group: Group, *, dialect: DialectName) -> Plan:
    """Plan a request in `dialect` over the targets of `group`.

    Depends on its arguments only, so the caller may keep the result for a snapshot.
    """
    missing = {
        target.label: ["dialect"]
        for target in group.targets
        if target.provider.dialect != dialect
    }
    targets = [target for target in group.targets if target.label not in missing]
    return Plan(targets=tuple(targets[: group.max_attempts]), missing=missing)
