"""Questions to policies, without a router around them."""

import json
from collections.abc import Mapping
from typing import Any

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.routing.policy import Question
from tests.support.targets import group, target

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
    written = json.dumps(body or {"model": "chat", "messages": []}).encode()
    return Question(
        group=group(*eligible, strategy="rules"),
        needs=Requirements(body=written, dialect="openai-chat", **needs),
        eligible=eligible,
        caller=CALLER,
        client="other",
        requested_model=requested_model,
    )
