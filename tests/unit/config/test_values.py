"""Single values, accepted or refused; and the promise that nothing is raised."""

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.support.configuration import ENVIRONMENT, SMALL, changed, errors, loaded
from tests.support.repository import ROOT

# What YAML gives has any type: these tests only move it about.
Tree = Any

EXAMPLE: Tree = YAML(typ="safe", pure=True).load(
    (ROOT / "examples" / "router.yaml").read_text()
)
CALLER = "    allow: [chat]\n"


@pytest.mark.parametrize(
    "line",
    [
        "server: {trusted_proxies: [10.0.0.0/8, 192.168.1.1, '::1/128']}",
        "state: {counters: 'valkey://cache.example:6379/0'}",
        "state: {counters: '${ACME_API_KEY}'}",
        "upstream: {total_timeout_s: 0}",
        "upstream: {connect_timeout_s: 0.25}",
        "server: {max_request_bytes: 1024}",
        "cache: {}",
    ],
)
def test_values_that_are_right(line: str) -> None:
    """Each is accepted without an error."""
    assert errors(f"{line}\n{SMALL}") == []


@pytest.mark.parametrize(
    ("line", "path", "message"),
    [
        (
            "server: {trusted_proxies: [10.0.0.0/33]}",
            "server.trusted_proxies[0]",
            "an IP network is expected",
        ),
        (
            "state: {counters: 'http://cache.example'}",
            "state.counters",
            "`memory` or the URL of a counter store is expected",
        ),
        (
            "state: {counters: 'valkey://:geheim@cache.example'}",
            "state.counters",
            "the URL holds a user name or password",
        ),
        (
            "state: {database: 'postgresql://db.example/x'}",
            "state.database",
            "a database URL must not stand in the file: it tends to hold a password",
        ),
        ("state: {directory: ''}", "state.directory", "the text is empty"),
        (
            "server: {workers: 1.5}",
            "server.workers",
            "a whole number is expected, not a number",
        ),
        (
            "server: {workers: true}",
            "server.workers",
            "a whole number is expected, not true or false",
        ),
        ("server: {workers: 257}", "server.workers", "the number must be at most 256"),
        (
            "server: {max_connections: -1}",
            "server.max_connections",
            "the number must be at least 0",
        ),
        (
            "server: {max_connections_per_address: -1}",
            "server.max_connections_per_address",
            "the number must be at least 0",
        ),
        (
            "server: {auth_failures_per_minute: -1}",
            "server.auth_failures_per_minute",
            "the number must be at least 0",
        ),
        (
            "server: {max_request_bytes: 1}",
            "server.max_request_bytes",
            "the number must be at least 1024",
        ),
        (
            "upstream: {idle_timeout_s: true}",
            "upstream.idle_timeout_s",
            "a number is expected",
        ),
        (
            "upstream: {idle_timeout_s: -1}",
            "upstream.idle_timeout_s",
            "the number must be greater than 0",
        ),
        ("server: []", "server", "a mapping is expected, not a list"),
        ("server:", "server", "a mapping is expected, but there is no value"),
        ("cache: {ttl_s: 1e99}", "cache.ttl_s", "the number must be at most 86400"),
    ],
)
def test_values_that_are_wrong(line: str, path: str, message: str) -> None:
    """Each is one finding that says what is expected."""
    assert errors(f"{line}\n{SMALL}") == [(1, path, message)]


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        ("{timezone: Europe/Berlin}", []),
        ("{day: {usd: '0.50', tokens: 5, requests: 0}}", []),
        ("{timezone: Mars/Base}", ["this time zone is not known here"]),
        ("{timezone: ../../etc/passwd}", ["this time zone is not known here"]),
        ("{day: {usd: -1}}", ["the amount is out of range"]),
        ("{day: {usd: true}}", ["an amount in US dollars is expected"]),
        ("{warn_at_percent: 101}", ["the number must be at most 100"]),
        ("{week: {usd: 1}}", ["the key week is not known"]),
    ],
)
def test_budgets(budgets: str, expected: list[str]) -> None:
    """Amounts are exact and bounded; a day begins somewhere that exists."""
    found = errors(changed(CALLER, f"{CALLER}    budgets: {budgets}\n"))

    assert [message for _, _, message in found] == expected


def test_an_amount_with_too_many_decimals_is_refused() -> None:
    """Eighteen decimals are more than any price has."""
    found = errors(changed("0.25", "0.1234567890123456789"))

    assert [message for _, _, message in found] == ["the amount has too many decimals"]


def paths(
    tree: Tree, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of everything in a tree but its root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for step, part in items:
        yield (*path, step)
        if isinstance(part, (dict, list)):
            yield from paths(part, (*path, step))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["chat", "acme/mini", "alice", "active", "${X}", "file:x", "0" * 64]
    ),
    st.just([]),
    st.just({}),
    st.lists(st.text(max_size=3), min_size=1, max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=2),
)


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(paths(EXAMPLE), key=str)), VALUES),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_is_written_is_compiled_or_told(
    changes: list[tuple[tuple[str | int, ...], object]],
) -> None:
    """Any value anywhere gives a snapshot or an error with a line, never a crash."""
    tree = copy.deepcopy(EXAMPLE)
    for path, value in changes:
        place = tree
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(tree, out)
    text = out.getvalue()

    outcome = loaded(text, environment={**ENVIRONMENT, "X": "x"})

    lines = text.count("\n") + 1
    assert (outcome.snapshot is None) == any(each.is_error for each in outcome.findings)
    assert all(1 <= each.line <= lines and each.remedy for each in outcome.findings)
