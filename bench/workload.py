"""What is asked, and the configuration of the router that is asked."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_SYSTEM: Final = (
    "You are a careful assistant that routes, summarises and answers questions about "
    "distributed systems. Answer briefly, name your assumptions, and never invent a "
    "number. "
) * 2
_TURNS: Final = (
    (
        "user",
        "Explain how a token bucket differs from a leaky bucket, and when each is the "
        "better choice for an API that bills per token. " * 2,
    ),
    (
        "assistant",
        "A token bucket allows bursts up to its capacity, a leaky bucket smooths them "
        "away. Use the former for interactive clients. " * 2,
    ),
    (
        "user",
        "Now apply that to a gateway with three tenants, one of which sends long "
        "prompts. What should the limiter count, and at which moment? " * 2,
    ),
)
_FILLER: Final = (
    'A paragraph of a document, with "quotes", that the model is to read.\n'
)
GROUP: Final = "chat"
TLS_GROUP: Final = "chat-tls"
LIMITED_GROUP: Final = "chat-limited"
"""A group with every limit and every budget that there is; none is ever reached."""
_PLENTY: Final = 10**12
_CAP: Final = {"requests": _PLENTY, "tokens": _PLENTY, "usd": 10**9}
EVERYTHING_LIMITED: Final = {
    "limits": {"rpm": _PLENTY, "tpm": _PLENTY, "concurrent": _PLENTY},
    "budgets": {"day": _CAP, "month": _CAP, "lifetime": _CAP},
    "shaping": {
        "requests_per_second": 10**6,
        "burst": 10**6,
        "input_tokens_per_second": 10**9,
    },
}
ANY_GROUP: Final = "GROUP"
"""Stands in a body where each request names another group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much a router is configured for."""

    callers: int = 1
    groups: int = 1
    workers: int = 1
    counters: str | None = None
    tls_port: int | None = None
    limited: bool = False


SMALL: Final = Scale()


def token_of(number: int) -> str:
    """Return the token of a caller; they are counted from 1.

    It opens the bench's own router only, for as long as that runs.
    """
    if number == 1:
        return "rtr_bench_load_dev_k1_" + "0be7c4" * 10 + "0be7"
    secret = hashlib.sha256(b"bench %d" % number).hexdigest()
    return f"rtr_bench_load_dev_k{number}_{secret}"


def group_of(number: int) -> str:
    """Return the name of a group; they are counted from 1."""
    return GROUP if number == 1 else f"{GROUP}-{number}"


TOKEN: Final = token_of(1)


def chat_body(
    *,
    stream: bool,
    gap_ms: int = 0,
    first_ms: int = 0,
    size_bytes: int = 0,
    group: str = GROUP,
) -> bytes:
    """Return a request of about 1.5 KB for a plain or a streamed answer.

    With `gap_ms` the mock provider waits so long between two events, with `first_ms`
    before it answers at all. With `size_bytes` the request is about so large, and the
    plain answer to it, too.
    """
    messages = [{"role": "system", "content": _SYSTEM}]
    messages += [{"role": role, "content": text} for role, text in _TURNS]
    wishes = {"gap": gap_ms, "first": first_ms, "size": size_bytes}
    for wish, amount in wishes.items():
        if amount:
            messages[-1]["content"] += f" mock-{wish}-{amount}"
    body: dict[str, object] = {
        "model": group,
        "messages": messages,
        "temperature": 0.2,
        "max_tokens": 256,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    missing = size_bytes - len(json.dumps(body))
    if missing > 0:
        messages[0]["content"] += _FILLER * (missing // (len(json.dumps(_FILLER)) - 2))
    return json.dumps(body).encode()


def messages_body(*, stream: bool) -> bytes:
    """Return the same request as `chat_body`, in Anthropic's Messages."""
    body: dict[str, object] = {
        "model": GROUP,
        "max_tokens": 256,
        "system": _SYSTEM,
        "messages": [{"role": role, "content": text} for role, text in _TURNS],
        "temperature": 0.2,
    }
    if stream:
        body["stream"] = True
    return json.dumps(body).encode()


def router_configuration(
    *, port: int, upstream_port: int, scale: Scale = SMALL
) -> dict[str, Any]:
    """Return a configuration with priced targets, one user, and callers."""
    groups = {group_of(number): _group("mock") for number in _counted(scale.groups)}
    providers = {"mock": _provider(f"http://127.0.0.1:{upstream_port}/v1")}
    if scale.tls_port is not None:
        providers["secure"] = _provider(f"https://127.0.0.1:{scale.tls_port}/v1")
        groups[TLS_GROUP] = _group("secure")
    if scale.limited:
        groups[LIMITED_GROUP] = _group("mock") | EVERYTHING_LIMITED
    server: dict[str, object] = {"listen": f"127.0.0.1:{port}"}
    if scale.workers > 1:
        server["workers"] = scale.workers
    state: dict[str, object] = {"directory": "./state"}
    if scale.counters is not None:
        state["counters"] = scale.counters
    return {
        "server": server,
        "state": state,
        "providers": providers,
        "groups": groups,
        "users": [{"id": "bench", "name": "Bench", "status": "active"}],
        "projects": [{"id": "load", "name": "Load", "status": "active"}],
        "project_memberships": [
            {"user": "bench", "project": "load", "role": "dev", "status": "active"}
        ],
        "callers": [
            _caller(number, allow=list(groups)) for number in _counted(scale.callers)
        ],
    }


def _counted(many: int) -> range:
    return range(1, many + 1)


def _provider(base_url: str) -> dict[str, object]:
    price = {
        "input_per_million": "0.25",
        "cached_input_per_million": "0.025",
        "output_per_million": "2.00",
    }
    return {
        "dialect": "openai-chat",
        "base_url": base_url,
        "models": {"mini": {"model": "mock-mini", "price": price}},
    }


def _group(provider: str) -> dict[str, object]:
    return {"strategy": "failover", "targets": [{"use": f"{provider}/mini"}]}


def write_configuration(
    path: Path, *, port: int, upstream_port: int, scale: Scale = SMALL
) -> None:
    """Write the configuration file. JSON is YAML, too."""
    settings = router_configuration(port=port, upstream_port=upstream_port, scale=scale)
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _caller(number: int, *, allow: list[str]) -> dict[str, object]:
    token = token_of(number)
    return {
        "id": f"bench-load-dev-k{number}",
        "owner_user": "bench",
        "project": "load",
        "environment": "dev",
        "status": "active",
        "token_id": token.rpartition("_")[0],
        "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
        "allow": allow,
    }
