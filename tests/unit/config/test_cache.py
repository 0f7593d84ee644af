"""The section `cache`: what it comes to, and what is wrong with it."""

from smart_llmrouter.config.policies import Cache
from tests.support.configuration import SMALL, loaded

SHARED = "state: {counters: 'unix:///run/valkey.sock'}\n"


def cache(text: str, before: str = "") -> Cache | None:
    """Return what a section comes to."""
    snapshot = loaded(f"{before}cache: {text}\n{SMALL}").snapshot
    assert snapshot is not None
    return snapshot.cache


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    """Whatever else the section says."""
    assert cache("{}") is None
    assert cache("{max_bytes: 5000, store: memory}") is None


def test_what_it_comes_to() -> None:
    """With what is not said as documented."""
    small = cache("{enabled: true, max_bytes: 5000, max_entry_bytes: 2000, ttl_s: 5}")

    assert cache("{enabled: true}") == Cache(
        store="memory", max_bytes=134_217_728, max_entry_bytes=1_048_576, ttl_s=900.0
    )
    assert small == Cache(
        store="memory", max_bytes=5000, max_entry_bytes=2000, ttl_s=5.0
    )
    assert cache("{enabled: true, store: shared}", SHARED) == Cache(store="shared")


def test_a_shared_store_must_be_there() -> None:
    """Where limits are counted in memory nobody shares anything."""
    found = loaded(f"cache: {{enabled: true, store: shared}}\n{SMALL}").findings

    assert [(each.severity, each.key_path, each.message) for each in found] == [
        (
            "error",
            "cache.store",
            "there is no shared store: `state.counters` counts in memory",
        )
    ]


def test_an_answer_that_fits_nowhere_is_told() -> None:
    """Its bound is above that of all answers together."""
    found = loaded(f"cache: {{enabled: true, max_bytes: 5000}}\n{SMALL}").findings

    assert [(each.severity, each.key_path) for each in found] == [
        ("warning", "cache.max_entry_bytes")
    ]


def test_an_answer_cannot_be_kept_for_ever() -> None:
    """Neither for no time at all."""
    for ttl_s in ("0", "null", "100000"):
        found = loaded(f"cache: {{enabled: true, ttl_s: {ttl_s}}}\n{SMALL}").findings

        assert [each.key_path for each in found] == ["cache.ttl_s"]
