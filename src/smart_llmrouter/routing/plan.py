"""The plan of one call: eligible targets in order, and why the others are not.

`static` and `failover` both keep the order of the configuration; `static` has exactly
one target, which the configuration check sees to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.errors import OTHER_DIALECT
from smart_llmrouter.core.request import DialectName


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`targets` are tried in this order; `missing` names what the others lack.

    `has_siblings` says that several of them speak the dialect of the request. Of
    `targets` no more than `max_attempts` are called. Those that speak another
    dialect than the request may turn out not to be able to carry it.
    """

    group: str
    targets: tuple[Target, ...]
    missing: Mapping[str, list[str]]
    max_attempts: int
    has_siblings: bool = False


def plan_of(group: Group, *, dialect: DialectName) -> Plan:
    """Plan a request in `dialect` over the targets of `group`.

    Targets of its own dialect come first, unless the group says otherwise. Depends on
    its arguments only, so the caller may keep the result for a snapshot.
    """
    native = [each for each in group.targets if each.provider.dialect == dialect]
    if group.bridges == "off":
        missing = {
            target.label: [OTHER_DIALECT]
            for target in group.targets
            if target not in native
        }
        targets = native
    else:
        missing = {}
        targets = list(group.targets)
        if group.prefer_native:
            targets.sort(key=lambda target: target.provider.dialect != dialect)
    return Plan(
        group=group.name,
        targets=tuple(targets),
        missing=missing,
        max_attempts=group.max_attempts,
        has_siblings=len(native) > 1,
    )


def first(plan: Plan, label: str) -> Plan:
    """Return the plan with the target called `label` before all others."""
    targets = sorted(plan.targets, key=lambda target: target.label != label)
    return replace(plan, targets=tuple(targets))


def only(plan: Plan, label: str | None) -> Plan:
    """Return the plan with no target but the one called `label`."""
    targets = tuple(target for target in plan.targets if target.label == label)
    return replace(plan, targets=targets)
