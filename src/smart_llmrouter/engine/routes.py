"""How targets are reached: what of that can be computed with the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from smart_llmrouter.config.snapshot import Snapshot, Target
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.base import Dialect, Serving
from smart_llmrouter.engine.client import Arrival, HeaderLines, header_lines
from smart_llmrouter.upstream.endpoints import Endpoint, endpoint_of, spoken_as

JSON: Final = "application/json"
NAME: Final = "x-router-target"
"""The header that tells which target gave an answer."""

ATTEMPTS: Final = "x-router-attempts"
"""The header that tells how many attempts there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How one target is reached, and what of it can be computed once.

    `dialect` is what it speaks, `model` its JSON-encoded model id, and `serving` what a
    translation must know of it. `name_line` is the header that tells callers who
    answered, and `headers` are those of a plain answer of the usual type. `anthropic`
    says that callers' headers of Anthropic's API go along, `seals` that requests of its
    dialect may hold what a router has sealed.
    """

    target: Target
    endpoint: Endpoint
    dialect: Dialect
    model: bytes
    serving: Serving
    name_line: HeaderLines
    headers: HeaderLines
    anthropic: bool
    seals: bool


def route_to(target: Target, dialect: Dialect, *, user_agent: str) -> Route:
    """Compute how `target` is reached; `user_agent` is what the provider is told."""
    name_line = header_lines(name_header(target))
    return Route(
        target=target,
        endpoint=endpoint_of(target.provider, user_agent=user_agent),
        dialect=dialect,
        model=msgspec.json.encode(target.model),
        serving=Serving(
            label=target.label,
            model=target.model,
            output_cap=target.max_output_tokens,
            reasoning_control=target.reasoning_control,
            reasoning_levels=target.reasoning_levels,
        ),
        name_line=name_line,
        headers=header_lines((b"content-type", JSON.encode())) + name_line,
        anthropic=target.provider.dialect == "anthropic-messages",
        seals=target.provider.dialect != "openai-chat",
    )


def routes_of(
    snapshot: Snapshot, dialects: Mapping[DialectName, Dialect], *, user_agent: str
) -> dict[str, Route]:
    """Compute how all targets of a configuration are reached, by their labels."""
    return {
        target.label: route_to(
            target, dialects[target.provider.dialect], user_agent=user_agent
        )
        for group in snapshot.groups.values()
        for target in group.targets
    }


def addressed(endpoint: Endpoint, arrival: Arrival) -> Endpoint:
    """Return an endpoint of Anthropic's with what the caller said in its headers."""
    version, beta = arrival.anthropic_version, arrival.anthropic_beta
    if version is None and beta is None:
        return endpoint
    return spoken_as(endpoint, version, beta)


def name_header(target: Target) -> tuple[bytes, bytes]:
    """Return the header that tells which target gave an answer."""
    return NAME.encode(), target.label.encode()


def attempts_header(attempts: int) -> tuple[bytes, bytes]:
    """Return the header that tells how many attempts there were."""
    return ATTEMPTS.encode(), b"%d" % attempts


ATTEMPTS_LINES: Final = tuple(header_lines(attempts_header(n)) for n in range(21))
"""The same, encoded, by the number; no group allows more."""
