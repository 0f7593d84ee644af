"""The policies of a configuration, opened and closed together."""

import json
from pathlib import Path
from typing import Any

import pytest

from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.engine.policies.opening import policies_of
from smart_llmrouter.engine.policies.unusable import PolicyUnusable
from smart_llmrouter.routing.policy import Verdict
from tests.support.gateway import configuration, provider
from tests.support.policies import question
from tests.support.transports import KINDS
from tests.support.upstream_server import answering, plain, running_upstream


def settings(url: str) -> dict[str, Any]:
    """Return a configuration with a group of each kind."""
    targets = [{"use": "a/mini"}, {"use": "b/mini"}]
    return configuration(
        {name: provider("http://127.0.0.1:9/v1") for name in "ab"},
        groups={
            "chat": {"targets": targets},
            "ruled": {
                "strategy": "rules",
                "targets": targets,
                "rules": {"rules": [{"when": "true", "use": ["b/mini"]}]},
            },
            "scripted": {
                "strategy": "script",
                "targets": targets,
                "script": {"file": "policy.py", "timeout_ms": 5000},
            },
            "asked": {
                "strategy": "external",
                "targets": targets,
                "external": {
                    "url": url,
                    "allow_hosts": ["127.0.0.1"],
                    "timeout_ms": 5000,
                },
            },
        },
    )


async def test_each_group_has_its_policy(tmp_path: Path) -> None:
    """Groups whose order needs no policy have none."""
    (tmp_path / "policy.py").write_text("def route(ctx): return 'a/mini'")

    async with (
        running_upstream(answering(plain(b'{"targetIndex": 1}'))) as upstream,
        KINDS[1].open() as transport,
    ):
        config = tmp_path / "router.yaml"
        config.write_text(
            json.dumps(settings(f"http://127.0.0.1:{upstream.port}/route"))
        )
        snapshot = load_snapshot(config, environment={})
        async with policies_of(snapshot, transport, user_agent="x") as policies:
            kinds = {name: policy.kind for name, policy in policies.items()}
            verdicts = {
                name: await policy.decide(question("a", "b"))
                for name, policy in policies.items()
            }

    assert kinds == {"ruled": "rules", "scripted": "script", "asked": "external"}
    assert verdicts == {
        "ruled": Verdict(order=("b/mini",)),
        "scripted": Verdict(order=("a/mini",)),
        "asked": Verdict(order=("b/mini",)),
    }


async def test_a_policy_that_cannot_be_opened_opens_none(tmp_path: Path) -> None:
    """The router does not start without it."""
    (tmp_path / "policy.py").write_text("import nosuch_module\ndef route(ctx): ...")
    config = tmp_path / "router.yaml"
    config.write_text(json.dumps(settings("http://127.0.0.1:9/route")))
    snapshot = load_snapshot(config, environment={})

    async with KINDS[1].open() as transport:
        with pytest.raises(PolicyUnusable, match="ModuleNotFoundError in line 1"):
            async with policies_of(snapshot, transport, user_agent="x"):
                pass
