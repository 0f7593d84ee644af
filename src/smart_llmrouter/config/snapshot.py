"""The configuration as the request path sees it: compiled once, never changed.

A call keeps the snapshot it began with. Everything that can be computed when the
configuration is loaded has been computed here: nothing on the path looks at the
YAML, the environment or a default again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from smart_llmrouter.config.allowances import Allowances
from smart_llmrouter.config.policies import (
    Affinity,
    Backoffs,
    Cache,
    Contract,
    Diagnostics,
    Dynamic,
    FetchImages,
    Flow,
    ImageSource,
    OnDisconnect,
    Policy,
    Retention,
    Thresholds,
)
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.money import Price
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.secrets import Secret

StrategyName = Literal[
    "static", "failover", "weighted", "dynamic", "rules", "script", "external"
]
Modality = Literal["text", "image", "audio", "document"]
ToolKind = Literal[
    "function", "forced_choice", "parallel", "custom", "namespace", "tool_search"
]
ReasoningControl = Literal["effort", "token_budget"]
Bridges = Literal["off", "lossless", "best-effort"]
HostedTools = Literal["forward", "drop", "refuse"]

_TEXT_ONLY: Final[tuple[Modality, ...]] = ("text",)
TransportName = Literal["lean", "aiohttp"]
JournalSync = Literal["interval", "always", "off"]
CountersAway = Literal["closed", "local"]
MEMORY: Final = "memory"
"""The `counters` of a router that counts in its own memory."""
EMBEDDED_VALKEY: Final = "embedded-valkey"
"""The `counters` of a router that starts a store of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """The certificate, with its chain, that is shown to callers.

    Without `key_file` the key is in `cert_file`, too.
    """

    cert_file: str
    key_file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where and how the public surface listens; `workers` processes share the port.

    All interfaces are an empty `host`. A bound of 0 is none; each is of one process.
    `trusted_proxies` are CIDRs.
    """

    host: str
    port: int
    workers: int = 1
    default_group: str | None
    max_request_bytes: int
    keepalive_after_s: float
    client_timeout_s: float
    shutdown_grace_s: float
    tls: ServerTls | None = None
    trusted_proxies: tuple[str, ...] = ()
    max_connections: int = 0
    max_connections_per_address: int = 0
    auth_failures_per_minute: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where durable state lives, and where limits and budgets are counted.

    `database_url` is a SQLAlchemy URL; it is a `Secret` because it may hold a password.
    So may `counters`, which is `memory`, `embedded-valkey` or a URL. What a process has
    reserved in a shared store outlives it by `counters_lease_s`. Of the journal
    `journal_max_bytes` may be unread (0: any number), and beside it there must be
    `min_free_bytes`.
    """

    directory: Path
    database_url: Secret
    journal_sync: JournalSync
    journal_max_bytes: int = 0
    min_free_bytes: int = 16_777_216
    counters: Secret = field(default_factory=lambda: Secret(MEMORY, source=MEMORY))
    counters_namespace: str = "smart-llmrouter"
    counters_lease_s: float = 15.0
    counters_away: CountersAway = "closed"
    retention: Retention = field(default_factory=Retention)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Time-outs (seconds) and bounds towards providers; `total_s` 0 means none.

    `max_connections` counts for each origin by itself. `proxied` says whether some
    provider is reached through a proxy.
    """

    transport: TransportName
    proxied: bool
    max_connections: int
    idle_connection_s: float
    dns_ttl_s: float
    connect_timeout_s: float
    first_event_timeout_s: float
    idle_timeout_s: float
    total_timeout_s: float
    max_response_bytes: int
    drain_s: float = 30.0
    allow_private_image_urls: bool = False
    fetch_images: FetchImages | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom to trust, and who we are; without anything, the system's authorities.

    `server_name` is the name to ask for and to insist on, where it is not the host's.
    """

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One endpoint of a provider, and the credentials for it.

    `headers` are sent with each request; a value that came from the environment or a
    file is a `Secret`. `unix_socket` is where to connect instead of the URL's host,
    `proxy` the URL of the proxy that leads there: it may hold a password.
    """

    name: str
    dialect: DialectName
    base_url: str
    api_key: Secret | None
    headers: tuple[tuple[str, Secret | str], ...]
    tls: Tls = field(default_factory=Tls)
    unix_socket: str | None = None
    proxy: Secret | None = None
    shaping: Flow | None = None
    backoff: Backoffs = field(default_factory=Backoffs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One provider model as a group uses it; `label` is its public name.

    What follows `price` is what the configuration says of the model, and `None` where
    it says nothing. `context_tokens` is input and output together. `reasoning_levels`
    are the levels of effort that the model knows, and empty where none are listed.
    From `weight` on it is what the group says of the target.
    """

    label: str
    provider: Provider
    key: str
    model: str
    price: Price | None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    input: tuple[Modality, ...] | None = None
    tools: tuple[ToolKind, ...] | None = None
    structured_outputs: bool | None = None
    reasons: bool = False
    reasoning_control: ReasoningControl | None = None
    reasoning_levels: tuple[str, ...] = ()
    image_sources: tuple[ImageSource, ...] = ("url", "data")
    max_images: int | None = None
    max_request_bytes: int | None = None
    honors_output_cap: bool | None = None
    quality: float | None = None
    model_shaping: Flow | None = None
    weight: int = 1
    only_with_tools: bool = False
    on_disconnect: OnDisconnect = "cancel"
    shaping: Flow | None = None

    @property
    def reads(self) -> tuple[Modality, ...]:
        """What the model reads: text alone where `input` says nothing."""
        return self.input or _TEXT_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One model group: the name that callers use, and who may serve it.

    `first_event_timeout_s` is the group's `attempt_timeout_s` where it has one.
    `bridges` says whether targets of another dialect may serve a call, `prefer_native`
    whether those of its own come first. `policy` decides for the strategies `rules`,
    `script` and `external`. `max_attempts` bounds all attempts of a call together, and
    `same_target_retries` those on one target after its first.
    """

    name: str
    aliases: tuple[str, ...]
    strategy: StrategyName
    targets: tuple[Target, ...]
    max_attempts: int
    first_event_timeout_s: float
    bridges: Bridges = "best-effort"
    hosted_tools: HostedTools = "drop"
    prefer_native: bool = True
    same_target_retries: int = 1
    affinity: Affinity = field(default_factory=Affinity)
    dynamic: Dynamic = field(default_factory=Dynamic)
    policy: Policy | None = None
    thresholds: Thresholds | None = None
    contract: Contract | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """How reports tell of usage: in which time zone, compared with what.

    `baselines` are prices by the names of their models; the first one is the usual one.
    """

    timezone: str = "UTC"
    baselines: Mapping[str, Price] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One checked configuration.

    `groups` holds each group once, by name; `groups_by_name` finds it by name and by
    alias. `callers_by_digest` is keyed by the SHA-256 digest of the whole token;
    callers of the statuses `removed` and `archived` are not in it. Without a `cache` no
    answer is served again.
    """

    fingerprint: str
    server: Server
    state: State
    upstream: Upstream
    groups: Mapping[str, Group]
    groups_by_name: Mapping[str, Group]
    callers_by_digest: Mapping[bytes, Caller] = field(repr=False)
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    allowances: Allowances = field(default_factory=Allowances)
    cache: Cache | None = None
    reports: Reports = field(default_factory=Reports)
