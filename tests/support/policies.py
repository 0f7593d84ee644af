"""Questions to policies, without a router around them."""

import json
from collections.abc import Mapping
from typing import Any

from smart_llmrouter.config.snapshot import Group, Provider, Target
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.money import Price, Rate
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.policy import Question

CALLER = Caller(
    id="alice-search-dev",
    owner_user="alice",
    project="search",
    environment="dev",
    token_id="rtr_alice_search_dev_k1",
    status="active",
    expires_on=None,
    allowed_groups=frozenset({"chat"}),
    metrics_admin=False,
)


def target(
    name: str,
    *,
    dialect: DialectName = "openai-chat",
    price: Price | None = None,
    **facts: Any,  # noqa: ANN401 - whatever a target has
) -> Target:
    """Return the target `name/mini`, of a provider of its own."""
    speaker = Provider(
        name=name, dialect=dialect, base_url="http://x", api_key=None, headers=()
    )
    return Target(
        label=f"{name}/mini",
        provider=speaker,
        key="mini",
        model="m",
        price=price,
        **facts,
    )


def price(*, usd_in: int, usd_out: int) -> Price:
    """Return a price in dollars for a million tokens."""
    return Price(
        input=Rate(usd_in * 1000, 1),
        cached_input=None,
        output=Rate(usd_out * 1000, 1),
        fingerprint="0" * 16,
    )


def question(
    *targets: Target | str,
    body: Mapping[str, object] | None = None,
    requested_model: str | None = "chat",
    **needs: Any,  # noqa: ANN401 - whatever a request needs
) -> Question:
    """Return a question about `targets`, the names of some or a and b, all eligible."""
    eligible = tuple(
        each if isinstance(each, Target) else target(each)
        for each in targets or ("a", "b")
    )
    group = Group(
        name="chat",
        aliases=(),
        strategy="rules",
        targets=eligible,
        max_attempts=3,
        first_event_timeout_s=60,
    )
    written = json.dumps(body or {"model": "chat", "messages": []}).encode()
    return Question(
        group=group,
        needs=Requirements(body=written, dialect="openai-chat", **needs),
        eligible=eligible,
        caller=CALLER,
        client="other",
        requested_model=requested_model,
    )
