"""Whose use is limited, found by name."""

import pytest

from smart_llmrouter.config.scopes import all_scopes, scope_of, scopes_of_caller
from smart_llmrouter.config.snapshot import Snapshot
from tests.support.configuration import HASH, SMALL, loaded

LIMITED = (
    SMALL.replace(
        "users:\n  - id: alice\n",
        "users:\n  - {id: alice, limits: {rpm: 1}}\n",
    )
    .replace(
        "projects:\n  - id: search\n",
        "projects:\n"
        "  - id: search\n"
        "    limits: {rpm: 1}\n"
        "    environments: {dev: {limits: {rpm: 1}}, prod: {limits: {rpm: 1}}}\n",
    )
    .replace(
        "    targets:\n      - use: acme/mini\n",
        "    targets:\n      - use: acme/mini\n"
        "    limits: {rpm: 1}\n    per_caller: {limits: {rpm: 1}}\n",
    )
    + f"""\
    limits: {{rpm: 1}}
  - id: bob
    owner_user: alice
    project: search
    environment: dev
    token_id: rtr_alice_search_dev_k2
    token_sha256: {HASH[::-1]}
    allow: []
"""
)
OF_ALICE = [
    "caller:alice-search-dev",
    "owner:alice",
    "project:search",
    "environment:search/dev",
    "group:chat",
    "group-caller:chat/alice-search-dev",
]


@pytest.fixture
def snapshot() -> Snapshot:
    """Return a configuration with limits of every kind."""
    given = loaded(LIMITED)
    assert given.snapshot is not None, given.findings
    return given.snapshot


def test_every_scope_with_limits_is_listed(snapshot: Snapshot) -> None:
    """Also those of places where nobody calls from."""
    keys = [scope.key for scope in all_scopes(snapshot)]

    assert keys == [*OF_ALICE[:4], "environment:search/prod", *OF_ALICE[4:]]


def test_each_is_found_by_its_key(snapshot: Snapshot) -> None:
    """With its limits."""
    for scope in all_scopes(snapshot):
        assert scope_of(snapshot.allowances, scope.key) == scope


@pytest.mark.parametrize(
    "key", ["", "caller", "caller:", "caller:bob", "team:a", "group-caller:chat"]
)
def test_what_is_not_limited_is_not_found(snapshot: Snapshot, key: str) -> None:
    """Whether it is there or not."""
    assert scope_of(snapshot.allowances, key) is None


def test_the_scopes_of_a_caller(snapshot: Snapshot) -> None:
    """Are those of its calls to any of its groups."""
    of_alice = scopes_of_caller(snapshot, "alice-search-dev")
    of_bob = scopes_of_caller(snapshot, "bob")

    assert of_alice is not None
    assert [scope.key for scope in of_alice] == OF_ALICE
    assert of_bob == ()
    assert scopes_of_caller(snapshot, "carol") is None
