"""Settings of the process itself: where it listens, keeps state, and how it calls."""

import ipaddress
import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from smart_llmrouter.config.references import (
    WRITE_IN_FULL,
    holds_reference,
    is_reference,
    unexpanded,
)
from smart_llmrouter.config.schema.connections import FilePath
from smart_llmrouter.config.schema.kinds import (
    ID_PATTERN,
    Bytes,
    Flag,
    Name,
    Seconds,
    SecondsOrNone,
    Section,
    Whole,
    refusal,
)

_LISTEN: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9._-]*)):(?P<port>\d{1,5})"
)
_HIGHEST_PORT: Final = 65_535
_COUNTER_SCHEMES: Final = frozenset({"valkey", "valkeys", "redis", "rediss"})
EMBEDDED_VALKEY: Final = "embedded-valkey"
DATABASE_SCHEMES: Final = frozenset({"postgresql", "postgres", "sqlite"})


def parse_listen(text: str) -> tuple[str, int]:
    """Split `host:port`, `[::1]:port` or `:port` into its parts.

    All interfaces have no name: their host is empty.
    Raises a refusal for anything else.
    """
    match = _LISTEN.fullmatch(text)
    port = int(match["port"]) if match else 0
    if match is None or not 1 <= port <= _HIGHEST_PORT:
        raise refusal(
            "an address to listen on is expected",
            "write host:port, such as 127.0.0.1:8080, [::1]:8080 or :8080",
        )
    if match["v6"] is not None:
        try:
            return str(ipaddress.IPv6Address(match["v6"])), port
        except ValueError:
            raise refusal(
                "the brackets hold no IPv6 address", "write it such as [::1]:8080"
            ) from None
    return match["host"], port


def _listen(text: str) -> str:
    parse_listen(text)
    return text


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise refusal(
            "an IP network is expected", "write a CIDR such as 10.0.0.0/8 or ::1/128"
        ) from None


def _directory(text: str) -> str:
    problem = unexpanded(text)
    # About `${NAME}` there is a finding already: it is not a secret's place.
    if problem is not None and not holds_reference(text):
        raise refusal(problem, WRITE_IN_FULL)
    return text


def _database(text: str) -> str:
    if text == "sqlite" or is_reference(text):
        return text
    if "://" in text:
        raise refusal(
            "a database URL must not stand in the file: it tends to hold a password",
            "put the whole URL into a variable and write ${ITS_NAME} here",
        )
    raise refusal(
        "`sqlite` or a reference to a database URL is expected",
        "write sqlite, or ${ROUTER_DATABASE_URL} and set that variable",
    )


def _counters(text: str) -> str:
    if text in {"memory", EMBEDDED_VALKEY} or is_reference(text):
        return text
    parts = urlsplit(text)
    local = parts.scheme == "unix" and parts.path.startswith("/")
    if not local and (parts.scheme not in _COUNTER_SCHEMES or not parts.hostname):
        raise refusal(
            "`memory` or the URL of a counter store is expected",
            "write memory, embedded-valkey, valkey://host:6379/0, or a reference such"
            " as ${VALKEY_URL}",
        )
    if "@" in parts.netloc:
        raise refusal(
            "the URL holds a user name or password",
            "put the whole URL into a variable and write ${ITS_NAME} here",
        )
    return text


class ServerTls(Section):
    """The certificate that the public surface shows; HTTP/1.1 over TLS 1.2 or 1.3."""

    cert_file: FilePath = Field(
        description="PEM file of the certificate, followed by its chain."
    )
    key_file: FilePath | None = Field(
        default=None,
        description=(
            "PEM file of the certificate's key, without a passphrase; may be left out"
            " where `cert_file` holds the key, too."
        ),
    )


class Server(Section):
    """Where and how the public surface listens."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        default="127.0.0.1:8080",
        description=(
            "Address of the public surface: `host:port`, `[::1]:port`, or `:port` for"
            " all interfaces, by IPv4 and IPv6."
        ),
    )
    tls: ServerTls | None = Field(
        default=None,
        description="Speak TLS with callers; without it, plain HTTP.",
    )
    workers: Whole = Field(
        default=1,
        ge=1,
        le=256,
        description=(
            "Processes that serve on this address, best one for each core. Where"
            " anything is limited they need `state.counters` that they share."
        ),
    )
    default_group: Name | None = Field(
        default=None, description="The group (or alias) of requests that name no model."
    )
    max_request_bytes: Bytes = Field(
        default=33_554_432,
        description="Largest request body; `413 request-too-large` above it.",
    )
    max_connections: Annotated[Whole, Field(ge=0, le=1_000_000)] = Field(
        default=10_000,
        description=(
            "Most open connections of a process. A further one is answered"
            " `503 too-many-connections` and closed. 0 means no bound."
        ),
    )
    max_connections_per_address: Annotated[Whole, Field(ge=0, le=1_000_000)] = Field(
        default=0,
        description=(
            "Most open connections of a process from one address (a /64 of IPv6) that"
            " is no trusted proxy. 0 means no bound."
        ),
    )
    auth_failures_per_minute: Annotated[Whole, Field(ge=0, le=1_000_000)] = Field(
        default=60,
        description=(
            "Failed authentications of one address (a /64 of IPv6) that are told what"
            " is wrong; `429 too-many-auth-failures` above it, while good tokens from"
            " there pass. 0 means no bound."
        ),
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(),
        description=(
            "CIDRs of the proxies whose `X-Forwarded-For` is believed: whose address"
            " counts for the two bounds above."
        ),
    )
    keepalive_after_s: Seconds = Field(
        default=15.0,
        description="Silence after which a stream is opened and kept alive.",
    )
    client_timeout_s: Seconds = Field(
        default=60.0,
        description=(
            "How long a caller may be silent in the middle of its request, or take"
            " nothing of its answer; a request that drips is cut off, too."
        ),
    )
    shutdown_grace_s: SecondsOrNone = Field(
        default=30.0, description="How long calls in flight may go on after SIGTERM."
    )


class State(Section):
    """Where durable state lives."""

    directory: Annotated[str, AfterValidator(_directory)] = Field(
        default="./state",
        min_length=1,
        max_length=1024,
        description=(
            "Directory of the journal, the SQLite file and the configuration backups."
            " A relative path starts at the directory of the configuration file; `~`"
            " and variables are not expanded."
        ),
    )
    database: Annotated[str, AfterValidator(_database)] = Field(
        default="sqlite",
        description=(
            "`sqlite` (a file in `state.directory`), or a reference such as"
            " `${ROUTER_DATABASE_URL}` to a `postgresql://` URL, which needs"
            " `smart-llmrouter[postgres]`."
        ),
    )
    counters: Annotated[str, AfterValidator(_counters)] = Field(
        default="memory",
        description=(
            "Where limits and budgets are counted: `memory` (one process), the URL of a"
            " Valkey or Redis such as `valkey://host:6379/0` or `unix:///path.sock`, or"
            " `embedded-valkey` (the router starts its own)."
        ),
    )
    counters_namespace: Annotated[str, StringConstraints(pattern=ID_PATTERN)] = Field(
        default="smart-llmrouter",
        description="What the keys in a shared counter store begin with.",
    )
    counters_lease_s: Annotated[Whole, Field(ge=1, le=600)] = Field(
        default=15,
        description=(
            "How long what a process has reserved in a shared counter store outlives"
            " the process."
        ),
    )
    counters_away: Literal["closed", "local"] = Field(
        default="closed",
        description=(
            "What a lost counter store means: `closed` refuses calls, `local` counts"
            " in each process."
        ),
    )
    journal_sync: Literal["interval", "always", "off"] = Field(
        default="interval",
        description=(
            "When the journal reaches the disk: every second, with each write, or when"
            " the system likes. It is written before each answer ends in any case."
        ),
    )
    journal_max_bytes: Annotated[Whole, Field(ge=0, le=1 << 50)] = Field(
        default=0,
        description=(
            "How much of the journal may wait for the database. From there on calls are"
            " refused with `503 journal-unwritable`; from 80 % of it on `/readyz`, the"
            " metrics and the log warn. 0 means as much as the disk takes."
        ),
    )
    min_free_bytes: Annotated[Whole, Field(ge=0, le=1 << 50)] = Field(
        default=16_777_216,
        description=(
            "How much must be free on the disk of the journal. Below it calls are"
            " refused with `503 journal-unwritable`; below twice as much there is a"
            " warning."
        ),
    )


class FetchImages(Section):
    """How images are fetched for targets that take only their data."""

    max_bytes: Bytes = Field(
        default=5_242_880, description="Largest image that is fetched."
    )
    timeout_s: Seconds = Field(
        default=5.0, description="How long fetching all images of a call may take."
    )
    types: tuple[Literal["image/png", "image/jpeg", "image/gif", "image/webp"], ...] = (
        Field(
            default=("image/png", "image/jpeg", "image/gif", "image/webp"),
            description="The media types that are passed on.",
        )
    )


class Upstream(Section):
    """Defaults for calls to all providers."""

    transport: Literal["lean", "aiohttp"] = Field(
        default="lean",
        description=(
            "The HTTP client that calls providers: the router's own, or aiohttp's,"
            " which needs about twice the CPU."
        ),
    )
    max_connections: Annotated[Whole, Field(ge=1, le=65_535)] = Field(
        default=4096,
        description=(
            "Most connections of a process to one origin. Who finds them all in use"
            " waits for one, first come, first served."
        ),
    )
    idle_connection_s: Seconds = Field(
        default=30.0,
        description=(
            "How long a connection is kept for the next call; best a little shorter"
            " than the providers do."
        ),
    )
    dns_ttl_s: SecondsOrNone = Field(
        default=30.0,
        description=(
            "How long the addresses of a host are kept. 0 asks for each connection."
        ),
    )
    connect_timeout_s: Seconds = Field(
        default=5.0,
        description=(
            "Until a connection stands: waiting for a free one, finding the address,"
            " connecting and the TLS handshake together."
        ),
    )
    first_event_timeout_s: Seconds = Field(
        default=120.0,
        description=(
            "Until the first meaningful event of a stream, or the whole of an answer"
            " that is not one. The next target is tried after it."
        ),
    )
    idle_timeout_s: Seconds = Field(
        default=120.0, description="Between two events of the answer."
    )
    total_timeout_s: SecondsOrNone = Field(
        default=600.0,
        description=(
            "The whole call: all attempts, the open stream included. 0 means none."
        ),
    )
    max_response_bytes: Bytes = Field(
        default=33_554_432,
        description="Largest answer that is accepted from a provider.",
    )
    drain_s: Seconds = Field(
        default=30.0,
        description=(
            "How long an answer is read on whose caller has left, where its target has"
            " `on_disconnect: drain`."
        ),
    )
    allow_private_image_urls: Flag = Field(
        default=False,
        description=(
            "Whether callers may name images at private, loopback and link-local"
            " addresses."
        ),
    )
    fetch_images: FetchImages | None = Field(
        default=None,
        description=(
            "How the router fetches images for targets that take only their data; it"
            " fetches none where this is not given."
        ),
    )


class Diagnostics(Section):
    """What is written down of how calls were decided, beside their usage."""

    decisions: Literal["off", "failed", "all"] = Field(
        default="off",
        description=(
            "Of which calls candidates, reasons, score terms, attempts and policy runs"
            " are kept: none, those that failed or fell back, or all."
        ),
    )
    max_candidates: Annotated[Whole, Field(ge=1, le=1024)] = Field(
        default=64, description="Most targets that are written down of one call."
    )
    max_filter_reasons: Annotated[Whole, Field(ge=1, le=4096)] = Field(
        default=256,
        description="Most missing requirements that are written down of one call.",
    )
