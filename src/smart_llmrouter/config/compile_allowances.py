"""Compiles limits, budgets and shaping of all holders; see `config.compile`."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from smart_llmrouter.config import schema
from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    Budgets,
    Cap,
    Limits,
    PeriodName,
    Queue,
    Shaping,
)
from smart_llmrouter.config.compile_policies import flow
from smart_llmrouter.config.schema import allowances as settings
from smart_llmrouter.core.money import nusd_from_usd

K = TypeVar("K")

_PERIODS: Final[tuple[PeriodName, ...]] = ("day", "month", "lifetime")
_MS_PER_S: Final = 1000
_NO_BUDGETS: Final = settings.Budgets()
_NO_LIMITS: Final = settings.Limits()


def allowances(given: schema.Settings) -> Allowances:
    """Compile who may use how much."""
    groups = given.groups
    return Allowances(
        callers=_holders((each.id, each) for each in given.callers),
        owners=_holders((each.id, each) for each in given.users),
        projects=_holders((each.id, each) for each in given.projects),
        environments=_holders(
            ((project.id, name), each)
            for project in given.projects
            for name, each in project.environments.items()
        ),
        groups=_holders(groups.items()),
        per_caller=_holders(
            (name, group.per_caller)
            for name, group in groups.items()
            if group.per_caller is not None
        ),
    )


def _holders(
    given: Iterable[tuple[K, settings.Allowances]],
) -> Mapping[K, Allowance]:
    """Compile those that are limited in anything, or have a weight of their own."""
    compiled = {key: allowance(each) for key, each in given}
    return MappingProxyType(
        {key: each for key, each in compiled.items() if each or each.weight != 1}
    )


def allowance(given: settings.Allowances) -> Allowance:
    """Compile what one holder may use."""
    limits = given.limits or _NO_LIMITS
    shaping = given.shaping
    queue = None if shaping is None else shaping.queue
    return Allowance(
        limits=Limits(
            rpm=limits.rpm or None,
            tpm=limits.tpm or None,
            concurrent=limits.concurrent or None,
        ),
        budgets=_budgets(given.budgets or _NO_BUDGETS),
        shaping=_shaping(shaping),
        weight=1 if queue is None else queue.weight,
    )


def _budgets(given: settings.Budgets) -> Budgets:
    caps = {name: _cap(getattr(given, name)) for name in _PERIODS}
    return Budgets(
        caps={name: cap for name, cap in caps.items() if cap},
        timezone=given.timezone,
        warn_at_percent=given.warn_at_percent,
        on_overrun=given.on_overrun,
    )


def _cap(given: settings.Budget | None) -> Cap:
    if given is None:
        return Cap()
    return Cap(
        requests=given.requests or None,
        tokens=given.tokens or None,
        nusd=nusd_from_usd(given.usd) if given.usd else None,
    )


def _shaping(given: settings.Shaping | None) -> Shaping | None:
    compiled = flow(given)
    if given is None or compiled is None:
        return None
    queue = given.queue
    waits = queue is not None and queue.max_wait_ms and queue.max_depth
    return Shaping(
        flow=compiled,
        queue=Queue(
            max_wait_s=queue.max_wait_ms / _MS_PER_S,
            max_depth=queue.max_depth,
            weight=queue.weight,
        )
        if queue is not None and waits
        else None,
    )
