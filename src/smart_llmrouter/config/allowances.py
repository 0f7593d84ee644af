"""How much somebody may use, compiled: who holds which limits, budgets and shaping.

These are part of the snapshot; see `config.snapshot`. What is not limited is `None`:
a 0 of the configuration means "no limit" and is not here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from smart_llmrouter.config.policies import Flow
from smart_llmrouter.core.identity import Caller

ScopeKind = Literal[
    "caller", "owner", "project", "environment", "group", "group-caller"
]
PeriodName = Literal["day", "month", "lifetime"]
OnOverrun = Literal["finish", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Most requests and tokens in a rolling minute, and most calls at one time."""

    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None

    def __bool__(self) -> bool:
        """Say whether anything is limited."""
        return (self.rpm, self.tpm, self.concurrent) != (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """What may be used in one period: calls, tokens, and nano-dollars."""

    requests: int | None = None
    tokens: int | None = None
    nusd: int | None = None

    def __bool__(self) -> bool:
        """Say whether anything is limited."""
        return (self.requests, self.tokens, self.nusd) != (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What may be used in a day, a month and for ever.

    A day and a month begin at midnight in `timezone`. `on_overrun` says what becomes
    of a stream that has used more than was reserved, once a budget is used up.
    """

    caps: Mapping[PeriodName, Cap] = field(default_factory=dict)
    timezone: str = "UTC"
    warn_at_percent: int = 80
    on_overrun: OnOverrun = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How calls wait for their turn; `weight` is a caller's share of the turns."""

    max_wait_s: float
    max_depth: int
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaping:
    """How evenly calls must come; without a `queue` nobody waits."""

    flow: Flow
    queue: Queue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one holder may use."""

    limits: Limits = field(default_factory=Limits)
    budgets: Budgets = field(default_factory=Budgets)
    shaping: Shaping | None = None
    weight: int = 1
    """The holder's share of the turns where callers wait together."""

    def __bool__(self) -> bool:
        """Say whether anything is limited."""
        return bool(self.limits or self.budgets.caps or self.shaping)


NO_ALLOWANCE: Final = Allowance()


@dataclass(frozen=True, slots=True)
class Scope:
    """Somebody whose use is counted, and what may be used.

    `key` is unique among all scopes, and stays the same when the allowance changes:
    `caller:alice-dev`, `owner:alice`, `project:search`, `environment:search/dev`,
    `group:chat`, `group-caller:chat/alice-dev`.
    """

    kind: ScopeKind
    key: str
    allowance: Allowance

    @property
    def name(self) -> str:
        """Who it is, without the kind."""
        return self.key.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowances:
    """Who may use how much; who is not here is not limited.

    `environments` are keyed by project and environment, `per_caller` by the group.
    """

    callers: Mapping[str, Allowance] = field(default_factory=dict)
    owners: Mapping[str, Allowance] = field(default_factory=dict)
    projects: Mapping[str, Allowance] = field(default_factory=dict)
    environments: Mapping[tuple[str, str], Allowance] = field(default_factory=dict)
    groups: Mapping[str, Allowance] = field(default_factory=dict)
    per_caller: Mapping[str, Allowance] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether anything is limited for anybody."""
        return any(self.each())

    def each(self) -> Iterator[Allowance]:
        """Yield what somebody may use, whoever it is."""
        holders: tuple[Mapping[Any, Allowance], ...] = (
            self.callers,
            self.owners,
            self.projects,
            self.environments,
            self.groups,
            self.per_caller,
        )
        for each in holders:
            yield from each.values()

    def scopes_of(self, caller: Caller, group: str) -> tuple[Scope, ...]:
        """Return whose limits a call of `caller` to `group` must keep, if any."""
        return tuple(self._scopes_of(caller, group))

    def _scopes_of(self, caller: Caller, group: str) -> Iterator[Scope]:
        project, environment = caller.project, caller.environment
        place = f"{project}/{environment}"
        found: tuple[tuple[ScopeKind, str, Allowance | None], ...] = (
            ("caller", caller.id, self.callers.get(caller.id)),
            ("owner", caller.owner_user, self.owners.get(caller.owner_user)),
            ("project", project, self.projects.get(project)),
            ("environment", place, self.environments.get((project, environment))),
            ("group", group, self.groups.get(group)),
            ("group-caller", f"{group}/{caller.id}", self.per_caller.get(group)),
        )
        for kind, name, allowance in found:
            if allowance:
                yield Scope(kind, f"{kind}:{name}", allowance)
