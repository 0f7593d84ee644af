"""The metrics that there are: their names, what they mean, and their labels.

All names begin with `smart_llmrouter_`, and every label has a bounded set of values.
"""

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "smart_llmrouter_"
_GROUP: Final = "group"
_TARGET: Final = "target"
WORKER: Final = "worker"
"""The label of what is told of each worker's process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric: its name without the prefix, what it means, and its labels."""

    name: str
    told: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Return the name under which it is shown, but for the endings of samples."""
        return PREFIX + self.name


BUILD: Final = Family(
    name="build", told="The build that is running.", labels=("version", "commit")
)
CONFIGURATION: Final = Family(
    name="configuration",
    told="The configuration that is served.",
    labels=("fingerprint",),
)
LOADED: Final = Family(
    name="configuration_loaded_timestamp_seconds",
    told="When the configuration took effect, in seconds since 1970 UTC.",
)
RELOADS: Final = Family(
    name="configuration_reloads",
    told="How often the configuration was read again, and what became of it.",
    labels=("outcome",),
)
IN_FLIGHT: Final = Family(name="calls_in_flight", told="Calls being served.")
WORKERS: Final = Family(name="workers", told="Workers that the router shall have.")
WORKERS_UP: Final = Family(name="workers_up", told="Workers that serve.")
RESTARTS: Final = Family(
    name="worker_restarts",
    told="Workers that were started again after one had ended.",
)
UNWRITTEN: Final = Family(
    name="journal_write_failures", told="Calls whose record could not be written."
)
UNREAD: Final = Family(
    name="journal_unread_bytes",
    told="Bytes of the journal that are not in the database yet.",
)
PRESSURE: Final = Family(
    name="journal_pressure",
    told="How little room the journal has: 0 enough, 1 little, 2 calls are refused.",
)
CALLS: Final = Family(
    name="calls", told="Finished calls.", labels=(_GROUP, "status", "stream")
)
ERRORS: Final = Family(
    name="call_errors", told="Failed calls.", labels=(_GROUP, "code")
)
TOKENS: Final = Family(
    name="tokens", told="Tokens that providers reported.", labels=(_GROUP, "kind")
)
ATTEMPTS: Final = Family(
    name="attempts", told="Attempts at targets.", labels=(_TARGET, "outcome")
)
CIRCUITS: Final = Family(
    name="target_circuits",
    told="Workers in which the circuit of a target is in this state.",
    labels=(_TARGET, "state"),
)
RESTING: Final = Family(
    name="target_resting_seconds",
    told="Until the next call that a target gets from any worker; 0: now.",
    labels=(_TARGET,),
)
OPENINGS: Final = Family(
    name="target_circuit_openings",
    told="How often the circuit of a target opened, after failed probes too.",
    labels=(_TARGET,),
)
FULL: Final = Family(
    name="target_capacity_refusals",
    told="How often a target was passed over because of its shaping.",
    labels=(_TARGET,),
)
COST: Final = Family(
    name="cost_usd", told="Computed cost in dollars.", labels=(_GROUP,)
)
REFUSED: Final = Family(
    name="refused_requests",
    told="Requests turned away before their caller was known.",
    labels=("code",),
)
QUEUED: Final = Family(
    name="queued_calls", told="Calls that wait for their turn, because they are shaped."
)
QUEUE_ENDINGS: Final = Family(
    name="queue_endings",
    told="Calls that came too fast, by what became of them.",
    labels=("ending",),
)
QUEUE_WAIT: Final = Family(
    name="queue_wait_seconds",
    told="How long calls waited that passed, by whose pace held them up.",
    labels=("scope",),
)
LIMIT_REFUSALS: Final = Family(
    name="limit_refusals",
    told="Calls that a limit or a budget refused, by whose it is and which.",
    labels=("scope", "limit"),
)
BUDGET_WARNINGS: Final = Family(
    name="budget_warnings",
    told="How often a budget passed its mark, at most once in its period.",
    labels=("scope", "limit"),
)
RESERVED_TOKENS: Final = Family(
    name="reservation_tokens",
    told="Tokens that ended calls had reserved, and those that they used of them.",
    labels=("kind",),
)
RESERVED_USD: Final = Family(
    name="reservation_usd",
    told="Dollars that ended calls had reserved, and what they used of them.",
    labels=("kind",),
)
COUNTERS_UP: Final = Family(
    name="counters_up", told="Whether limits can be counted: 1, or 0."
)
CONNECTIONS: Final = Family(name="connections", told="Open connections of callers.")
CONNECTIONS_REFUSED: Final = Family(
    name="connections_refused",
    told="Connections of callers that found no room.",
    labels=("full",),
)
AUTH_FAILURES: Final = Family(
    name="auth_failures", told="Failed authentications.", labels=("reason",)
)
THROTTLED: Final = Family(
    name="auth_failures_throttled",
    told="Failed authentications that were told that there are too many.",
)
CACHE_CALLS: Final = Family(
    name="cache_calls",
    told="Calls by what the response cache did with them, and why.",
    labels=("cache", "reason"),
)
CACHED: Final = Family(
    name="cached_answers", told="Answers that are kept in the memory of the workers."
)
CACHED_BYTES: Final = Family(
    name="cached_bytes", told="Bytes that these answers take, with all that is theirs."
)
CACHE_DROPS: Final = Family(
    name="cache_drops",
    told="Answers that were let go of: for others, or because of their age.",
    labels=("why",),
)
DURATION: Final = Family(
    name="call_duration_seconds",
    told="From arrival to the record.",
    labels=(_GROUP,),
)
FIRST_TOKEN: Final = Family(
    name="time_to_first_token_seconds",
    told="From arrival to the target's first meaningful event.",
    labels=(_GROUP,),
)
FAMILIES: Final = (
    BUILD, CONFIGURATION, LOADED, RELOADS, WORKERS, WORKERS_UP, RESTARTS, IN_FLIGHT,
    UNWRITTEN, UNREAD, PRESSURE, CALLS, ERRORS, TOKENS, ATTEMPTS, CIRCUITS, RESTING,
    OPENINGS,
    FULL, COST, REFUSED, QUEUED, QUEUE_ENDINGS, LIMIT_REFUSALS, BUDGET_WARNINGS,
    RESERVED_TOKENS, RESERVED_USD, COUNTERS_UP, CONNECTIONS, CONNECTIONS_REFUSED,
    AUTH_FAILURES, THROTTLED, CACHE_CALLS, CACHED, CACHED_BYTES, CACHE_DROPS, DURATION,
    FIRST_TOKEN, QUEUE_WAIT,
)  # fmt: skip
