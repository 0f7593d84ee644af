"""Whose use is limited, found by name: for those who look from outside of a call."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    Scope,
    ScopeKind,
)
from smart_llmrouter.config.snapshot import Snapshot


def scope_of(allowances: Allowances, key: str) -> Scope | None:
    """Return the scope of a key such as `caller:alice-dev`; `None`: it has no limits.

    That a caller exists is not checked: a group's part for each caller is for all.
    """
    kind, _, name = key.partition(":")
    for known, find in _FINDERS.items():
        if kind == known:
            allowance = find(allowances, name)
            return Scope(known, key, allowance) if allowance else None
    return None


def all_scopes(snapshot: Snapshot) -> tuple[Scope, ...]:
    """Return all scopes that have limits, in the order of their kinds and names."""
    found = (scope_of(snapshot.allowances, key) for key in _keys(snapshot))
    return tuple(scope for scope in found if scope is not None)


def scopes_of_caller(snapshot: Snapshot, caller_id: str) -> tuple[Scope, ...] | None:
    """Return the scopes whose limits a caller's calls must keep, in any of its groups.

    `None`: there is no such caller.
    """
    callers = [
        each for each in snapshot.callers_by_digest.values() if each.id == caller_id
    ]
    if not callers:
        return None
    found = {
        scope.key: scope
        for caller in callers
        for group in sorted(caller.allowed_groups)
        for scope in snapshot.allowances.scopes_of(caller, group)
    }
    return tuple(sorted(found.values(), key=_place))


def _place(scope: Scope) -> tuple[int, str]:
    return list(_FINDERS).index(scope.kind), scope.key


def _keys(snapshot: Snapshot) -> Iterator[str]:
    allowances = snapshot.allowances
    callers = {each.id: each for each in snapshot.callers_by_digest.values()}
    yield from (f"caller:{name}" for name in sorted(allowances.callers))
    yield from (f"owner:{name}" for name in sorted(allowances.owners))
    yield from (f"project:{name}" for name in sorted(allowances.projects))
    for project, name in sorted(allowances.environments):
        yield f"environment:{project}/{name}"
    yield from (f"group:{name}" for name in sorted(allowances.groups))
    for group in sorted(allowances.per_caller):
        for caller_id in sorted(callers):
            if group in callers[caller_id].allowed_groups:
                yield f"group-caller:{group}/{caller_id}"


def _of_environment(allowances: Allowances, name: str) -> Allowance | None:
    project, _, environment = name.rpartition("/")
    return allowances.environments.get((project, environment))


def _of_group_caller(allowances: Allowances, name: str) -> Allowance | None:
    # A group's name may hold a slash, a caller's id never does.
    return allowances.per_caller.get(name.rpartition("/")[0])


_FINDERS: Final[Mapping[ScopeKind, Callable[[Allowances, str], Allowance | None]]] = {
    "caller": lambda allowances, name: allowances.callers.get(name),
    "owner": lambda allowances, name: allowances.owners.get(name),
    "project": lambda allowances, name: allowances.projects.get(name),
    "environment": _of_environment,
    "group": lambda allowances, name: allowances.groups.get(name),
    "group-caller": _of_group_caller,
}
