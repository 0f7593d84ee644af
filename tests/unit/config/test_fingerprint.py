"""Fingerprints change with what is in force, and with nothing else."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.support.configuration import ENVIRONMENT, SMALL, changed, loaded

# What YAML gives has any type: these tests only move it about.
Tree = Any


def fingerprint(text: str) -> str:
    """Return the fingerprint of a right configuration."""
    outcome = loaded(text)
    assert outcome.snapshot is not None, outcome.findings
    return outcome.snapshot.fingerprint


def price_fingerprint(text: str) -> str:
    """Return the fingerprint of the price of the one target."""
    outcome = loaded(text)
    assert outcome.snapshot is not None, outcome.findings
    price = outcome.snapshot.groups["chat"].targets[0].price
    assert price is not None
    assert price.fingerprint is not None
    return price.fingerprint


def shuffled(tree: Tree, chance: st.DataObject) -> Tree:
    """Return the same mappings with their keys in another order."""
    if isinstance(tree, dict):
        keys = chance.draw(st.permutations(list(tree)))
        return {key: shuffled(tree[key], chance) for key in keys}
    if isinstance(tree, list):
        return [shuffled(item, chance) for item in tree]
    return tree


@given(st.data(), st.booleans(), st.integers(2, 6))
def test_order_of_keys_layout_and_comments_do_not_matter(
    chance: st.DataObject,
    flow: bool,  # noqa: FBT001 - drawn by hypothesis
    indent: int,
) -> None:
    """The same settings, written in another way, have the same fingerprint."""
    tree = YAML(typ="safe", pure=True).load(SMALL)
    tree["providers"]["acme"]["models"]["mini"]["price"] = {
        "input_per_million": "0.250",
        "output_per_million": 2,
    }
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.indent = indent
    out = io.StringIO()
    yaml.dump(shuffled(tree, chance), out)

    written = f"# a comment\n{out.getvalue()}"

    assert fingerprint(written) == fingerprint(SMALL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("strategy: failover", "strategy: static"),
        ("0.25", "0.2500000000000001"),
        ("acme-mini-2026", "acme-mini-2027"),
        ("${ACME_API_KEY}", "${OTHER_API_KEY}"),
        ("    allow: [chat]\n", "    allow: [chat]\n    metrics_admin: true\n"),
        ("    allow: [chat]\n", "    allow: []\n"),
        ("    allow: [chat]\n", "    allow: [chat]\n    limits: {rpm: 5}\n"),
        ("  - id: alice\n", "  - id: alice\n    name: Alice\n"),
        ("providers:\n", "server: {shutdown_grace_s: 29}\nproviders:\n"),
    ],
)
def test_each_change_of_what_is_in_force_is_seen(old: str, new: str) -> None:
    """Any other effective value gives another fingerprint."""
    before, after = fingerprint(SMALL), fingerprint(changed(old, new))

    assert before != after
    assert before.startswith("cfg_")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("providers:\n", "server: {listen: 127.0.0.1:8080, workers: 1}\nproviders:\n"),
        ("    strategy: failover\n", ""),
        ("2.00", '"2"'),
        ("/v1\n", "/v1/\n"),
        ("  - id: alice\n", "  - {id: alice, status: active}\n"),
    ],
)
def test_writing_a_default_out_changes_nothing(old: str, new: str) -> None:
    """What was in force anyway may be written or not."""
    assert fingerprint(changed(old, new)) == fingerprint(SMALL)


def test_the_secret_itself_is_not_part_of_it() -> None:
    """A new value of a variable is no new configuration, and leaks nothing."""
    other = loaded(SMALL, environment={**ENVIRONMENT, "ACME_API_KEY": "another"})

    assert other.snapshot is not None
    assert other.snapshot.fingerprint == fingerprint(SMALL)


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ("{output_per_million: 2, input_per_million: '0.250'}", True),
        ("{output_per_million: 2.01, input_per_million: 0.25}", False),
        ("{output_per_million: 2}", False),
        ("{output_per_million: 2, input_per_million: 0.25, source: list}", False),
        ("{output_per_million: 2, input_per_million: 0.25, as_of: 2026-10-01}", False),
    ],
)
def test_a_price_is_told_apart_by_value_source_and_day(
    new: str,
    same: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The price fingerprint is exact, and blind to how a number is written."""
    text = changed("{input_per_million: 0.25, output_per_million: 2.00}", new)

    assert (price_fingerprint(text) == price_fingerprint(SMALL)) is same
