"""What the strategies of groups and the rests of targets are set to, compiled.

These are part of the snapshot; see `config.snapshot`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from smart_llmrouter.core.secrets import Secret

OnError = Literal["fail_closed", "fallback"]
OnDisconnect = Literal["cancel", "drain"]
ImageSource = Literal["url", "data"]
Decisions = Literal["off", "failed", "all"]
CacheStore = Literal["memory", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A token bucket for call starts and one for input tokens; 0 means no limit."""

    requests_per_second: float = 0.0
    burst: int = 0
    input_tokens_per_second: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """How long a target is left alone: first `min_s`, doubled each time up to `max_s`.

    `after` is how many times in a row something must happen before it is.
    """

    min_s: float
    max_s: float
    after: int = 1
    honor_retry_after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoffs:
    """How long a target rests after a rate limit, an empty account, and failures."""

    on_429: Rest = Rest(min_s=1.0, max_s=60.0, honor_retry_after=True)
    on_quota: Rest = Rest(min_s=30.0, max_s=300.0)
    on_failure: Rest = Rest(min_s=1.0, max_s=30.0, after=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """Whether conversations stay on their target, and until when after a call."""

    enabled: bool = True
    ttl_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWeights:
    """How much each score counts, from 0 to 1."""

    latency: float = 0.3
    first_token: float = 0.2
    throughput: float = 0.1
    reliability: float = 0.4
    price: float = 0.0
    quality: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """How targets are scored; see `config.schema.policies.Dynamic`."""

    window_s: float = 600.0
    min_observations: int = 20
    explore: float = 0.05
    max_adjustment: float = 1.0
    weights: ScoreWeights = field(default_factory=ScoreWeights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Where the expression `when` holds, the targets `use` come first."""

    when: str
    use: tuple[str, ...]
    only: bool = False
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules in their order; the first that holds decides."""

    rules: tuple[Rule, ...]
    on_error: OnError = "fail_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A Python file with `route(ctx)`; `file` is absolute."""

    file: Path
    timeout_ms: int = 50
    processes: int = 1
    on_error: OnError = "fail_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A policy service; that its `url` may be asked at all is checked with the file."""

    url: str
    timeout_ms: int = 200
    max_response_bytes: int = 65_536
    headers: tuple[tuple[str, Secret | str], ...] = ()
    include_request: bool = False
    on_error: OnError = "fail_closed"


Policy = Rules | Script | External


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a target must keep, where it was observed; `None`: nothing is asked."""

    max_error_rate: float | None = None
    max_timeout_rate: float | None = None
    max_p95_latency_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What each target of a group must be able to do; see `routing.contract`."""

    dialects: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    structured_outputs: bool = False
    reasoning: bool = False
    honors_output_cap: bool = False
    min_context_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchImages:
    """Within which bounds images are fetched."""

    max_bytes: int
    timeout_s: float
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How many whole days what is on record is kept; `None` is for ever.

    What is too old is removed each day `at_minute` minutes after midnight, UTC.
    """

    usage_detail_days: int | None = None
    usage_diagnostics_days: int | None = None
    security_access_days: int | None = None
    rollup_hourly_days: int | None = None
    rollup_daily_days: int | None = None
    batch_rows: int = 5000
    at_minute: int = 195


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """Of which calls decisions are kept, and how much of one at most."""

    decisions: Decisions = "off"
    max_candidates: int = 64
    max_filter_reasons: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Where answers are kept that may be served again, how many, and for how long.

    `max_bytes` are of each process for `memory`, and of the whole store for `shared`.
    """

    store: CacheStore = "memory"
    max_bytes: int = 134_217_728
    max_entry_bytes: int = 1_048_576
    ttl_s: float = 900.0
