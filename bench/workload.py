"""What is asked, and the configuration of the router that is asked."""

import hashlib
import json
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
GROUP: Final = "chat"
TOKEN: Final = "rtr_bench_load_dev_k1_" + "0be7c4" * 10 + "0be7"
"""A token that opens the bench's own router only, for as long as it runs."""


def chat_body(*, stream: bool, gap_ms: int = 0) -> bytes:
    """Return a request of about 1.5 KB for a plain or a streamed answer.

    With `gap_ms` the mock provider waits so long between two events.
    """
    messages = [{"role": "system", "content": _SYSTEM}]
    messages += [{"role": role, "content": text} for role, text in _TURNS]
    if gap_ms:
        messages[-1]["content"] += f" mock-gap-{gap_ms}"
    body: dict[str, object] = {
        "model": GROUP,
        "messages": messages,
        "temperature": 0.2,
        "max_tokens": 256,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body).encode()


def router_configuration(*, port: int, upstream_port: int) -> dict[str, Any]:
    """Return a configuration with one priced target, one user and one caller."""
    return {
        "server": {"listen": f"127.0.0.1:{port}"},
        "state": {"directory": "./state"},
        "providers": {
            "mock": {
                "dialect": "openai-chat",
                "base_url": f"http://127.0.0.1:{upstream_port}/v1",
                "models": {
                    "mini": {
                        "model": "mock-mini",
                        "price": {
                            "input_per_million": "0.25",
                            "cached_input_per_million": "0.025",
                            "output_per_million": "2.00",
                        },
                    }
                },
            }
        },
        "groups": {GROUP: {"strategy": "failover", "targets": [{"use": "mock/mini"}]}},
        "users": [{"id": "bench", "name": "Bench", "status": "active"}],
        "projects": [{"id": "load", "name": "Load", "status": "active"}],
        "project_memberships": [
            {"user": "bench", "project": "load", "role": "dev", "status": "active"}
        ],
        "callers": [_caller()],
    }


def write_configuration(path: Path, *, port: int, upstream_port: int) -> None:
    """Write the configuration file. JSON is YAML, too."""
    settings = router_configuration(port=port, upstream_port=upstream_port)
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _caller() -> dict[str, object]:
    return {
        "id": "bench-load-dev-k1",
        "owner_user": "bench",
        "project": "load",
        "environment": "dev",
        "status": "active",
        "token_id": TOKEN.rpartition("_")[0],
        "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
        "allow": [GROUP],
    }
