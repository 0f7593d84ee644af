"""Checked settings become the snapshot of the request path."""

import hashlib
from datetime import date
from decimal import Decimal
from pathlib import Path

from smart_llmrouter.config.load import load, load_snapshot
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.money import Rate
from tests.support.configuration import ENVIRONMENT, HASH, KEY, SMALL, changed, loaded


def compiled(text: str) -> Snapshot:
    """Return the snapshot of a right configuration."""
    outcome = loaded(text)
    assert outcome.snapshot is not None, outcome.findings
    return outcome.snapshot


def test_a_token_leads_to_its_caller() -> None:
    """The digest of the whole token is the key; everything about it is there."""
    text = changed(
        "    allow: [chat]\n", "    allow: [chat]\n    expires_at: 2027-01-01\n"
    )

    snapshot = compiled(text)

    assert snapshot.callers_by_digest == {
        bytes.fromhex(HASH): Caller(
            id="alice-search-dev",
            owner_user="alice",
            project="search",
            environment="dev",
            token_id="rtr_alice_search_dev_k1",
            status="active",
            expires_on=date(2027, 1, 1),
            allowed_groups=frozenset({"chat"}),
            metrics_admin=False,
        )
    }


def test_callers_of_the_past_are_unknown() -> None:
    """`removed` and `archived` tokens are as if they had never been."""
    statuses = ("disabled", "suspended", "expired", "rotated", "removed", "archived")
    more = "".join(
        f"  - id: {status}\n    owner_user: alice\n    project: search\n"
        f"    environment: dev\n    status: {status}\n"
        f"    token_sha256: {hashlib.sha256(status.encode()).hexdigest()}\n"
        for status in statuses
    )

    snapshot = compiled(SMALL + more)

    assert {caller.status for caller in snapshot.callers_by_digest.values()} == {
        "active", "disabled", "suspended", "expired", "rotated",
    }  # fmt: skip


def test_a_caller_without_a_public_token_id_is_known_by_its_id() -> None:
    """Records always have something to name a token by."""
    snapshot = compiled(changed("    token_id: rtr_alice_search_dev_k1\n", ""))

    (caller,) = snapshot.callers_by_digest.values()
    assert caller.token_id == "alice-search-dev"


def test_prices_are_exact() -> None:
    """A price of 15 digits becomes an exact fraction; what is not given is unknown."""
    price = "price: {input_per_million: 0.000000000000015, output_per_million: 2.00}"

    snapshot = compiled(
        changed("price: {input_per_million: 0.25, output_per_million: 2.00}", price)
    )

    (target,) = snapshot.groups["chat"].targets
    assert target.price is not None
    assert target.price.input == Rate.per_million(Decimal("0.000000000000015"))
    assert target.price.cached_input is None
    assert target.price.output == Rate(2000, 1)
    assert target.price.cache_write is target.price.cache_write_1h is None


def test_prices_of_cache_writes() -> None:
    """A write for five minutes and one for an hour have a price each."""
    price = (
        "price: {input_per_million: 3, cache_write_per_million: 3.75, "
        "cache_write_1h_per_million: 6}"
    )

    snapshot = compiled(
        changed("price: {input_per_million: 0.25, output_per_million: 2.00}", price)
    )

    (target,) = snapshot.groups["chat"].targets
    assert target.price is not None
    assert target.price.cache_write == Rate(3750, 1)
    assert target.price.cache_write_1h == Rate(6000, 1)


def test_groups_are_found_by_name_and_alias() -> None:
    """An alias is the same group, which is listed once."""
    snapshot = compiled(
        changed("    strategy: failover\n", "    aliases: [fast, x/y]\n")
    )

    assert set(snapshot.groups) == {"chat"}
    assert set(snapshot.groups_by_name) == {"chat", "fast", "x/y"}
    assert snapshot.groups_by_name["fast"] is snapshot.groups["chat"]


def test_a_model_key_may_have_slashes_and_stands_in_for_the_model() -> None:
    """`use` is cut at the first slash; without `model` the key is the name."""
    text = changed("      mini:\n        model: acme-mini-2026\n", "      org/mini:\n")
    text = changed("acme/mini\n", "acme/org/mini\n", text)

    (target,) = compiled(text).groups["chat"].targets

    assert (target.label, target.key, target.model) == (
        "acme/org/mini", "org/mini", "org/mini",
    )  # fmt: skip


def test_a_group_has_the_attempt_time_out_of_its_own() -> None:
    """Without one it has the default of all providers."""
    own = compiled(changed("    strategy: failover\n", "    attempt_timeout_s: 7.5\n"))
    default = compiled(f"upstream: {{first_event_timeout_s: 9}}\n{SMALL}")

    assert own.groups["chat"].first_event_timeout_s == 7.5
    assert default.groups["chat"].first_event_timeout_s == 9.0


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    """The state is found from wherever the router is started."""
    path = tmp_path / "etc" / "router.yaml"
    path.parent.mkdir()
    path.write_text(f"state: {{directory: ../var}}\n{SMALL}")

    snapshot = load_snapshot(path, environment=ENVIRONMENT)

    assert snapshot.state.directory == tmp_path / "var"
    assert snapshot.state.database_url.reveal() == (
        f"sqlite:///{tmp_path}/var/usage.sqlite"
    )


def test_the_base_url_has_no_slash_at_its_end() -> None:
    """Paths can be put after it as they are."""
    snapshot = compiled(changed("/v1\n", "/v1//\n"))

    provider = snapshot.groups["chat"].targets[0].provider
    assert provider.base_url == "https://api.acme.example/v1"
    assert provider.api_key is not None
    assert provider.api_key.reveal() == KEY


def test_ten_thousand_callers_load(tmp_path: Path) -> None:
    """A large organisation is no problem."""
    lines = [
        f"  - {{id: c{n}, owner_user: alice, project: search, environment: dev,"
        f" token_sha256: {hashlib.sha256(str(n).encode()).hexdigest()}, allow: [chat]}}"
        for n in range(10_000)
    ]
    path = tmp_path / "router.yaml"
    path.write_text("\n".join([SMALL.rstrip(), *lines, ""]))

    outcome = load(path, environment=ENVIRONMENT)

    assert outcome.findings == ()
    assert outcome.snapshot is not None
    assert len(outcome.snapshot.callers_by_digest) == 10_001


def test_what_is_known_of_a_model_reaches_the_path() -> None:
    """Translation and the lists of models read it from the target."""
    snapshot = compiled(
        changed(
            "        model: acme-mini-2026\n",
            "        model: acme-mini-2026\n"
            "        context_tokens: 200000\n        max_output_tokens: 8192\n"
            "        input: [text, image]\n"
            "        reasoning: {control: token_budget, levels: [low, high]}\n",
        )
    )

    (target,) = snapshot.groups["chat"].targets
    assert (target.context_tokens, target.max_output_tokens) == (200_000, 8192)
    assert target.input == ("text", "image")
    assert target.tools == ("function", "forced_choice", "parallel")
    assert target.reasoning_control == "token_budget"
    assert target.reasoning_levels == ("low", "high")


def test_what_is_not_said_of_a_model_stays_unknown() -> None:
    """No fact is made up."""
    without = changed("        tools: [function, forced_choice, parallel]\n", "")
    (target,) = compiled(without).groups["chat"].targets

    assert (target.context_tokens, target.max_output_tokens) == (None, None)
    assert (target.input, target.tools, target.structured_outputs) == (None,) * 3
    assert (target.reasoning_control, target.reasoning_levels) == (None, ())


def test_how_a_group_bridges_dialects() -> None:
    """All three settings have a default, and each can be set."""
    usual = compiled(SMALL).groups["chat"]
    strict = compiled(
        changed(
            "    strategy: failover\n",
            "    strategy: failover\n    bridges: lossless\n"
            "    hosted_tools: forward\n    prefer_native: false\n",
        )
    ).groups["chat"]

    assert (usual.bridges, usual.hosted_tools) == ("best-effort", "drop")
    assert usual.prefer_native
    assert (strict.bridges, strict.hosted_tools) == ("lossless", "forward")
    assert not strict.prefer_native
