"""Paces and queues that would change nothing are told."""

import pytest

from tests.support.configuration import SMALL, brief, loaded

GROUP = "groups.chat.shaping"
NOBODY = "nobody waits: "


def told(
    shaping: str, *, at: str = "    strategy: failover\n"
) -> list[tuple[str, str]]:
    """Return what is said of a pace that stands behind a line of the configuration."""
    indent = at[: len(at) - len(at.lstrip())]
    text = SMALL.replace(at, f"{at}{indent}shaping: {shaping}\n", 1)
    return [brief(each)[1:] for each in loaded(text).findings]


@pytest.mark.parametrize(
    ("shaping", "key", "message"),
    [
        (
            "{burst: 5, input_tokens_per_second: 9}",
            ".burst",
            "this burst is of no pace",
        ),
        (
            "{requests_per_second: 1, queue: {max_wait_ms: 500}}",
            ".queue",
            NOBODY + "max_depth is 0",
        ),
        (
            "{requests_per_second: 1, queue: {max_depth: 5}}",
            ".queue",
            NOBODY + "max_wait_ms is 0",
        ),
        (
            "{queue: {max_wait_ms: 500, max_depth: 5}}",
            ".queue",
            NOBODY + "there is no pace",
        ),
        (
            "{requests_per_second: 1, queue: {weight: 3}}",
            ".queue.weight",
            "only callers take turns: this weight changes nothing",
        ),
    ],
)
def test_what_changes_nothing(shaping: str, key: str, message: str) -> None:
    """Each part without an effect is a warning, where it stands."""
    assert told(shaping) == [(GROUP + key, message)]


@pytest.mark.parametrize(
    "shaping",
    [
        "{requests_per_second: 0}",
        "{requests_per_second: 1, burst: 5}",
        "{requests_per_second: 1, queue: {max_wait_ms: 0, max_depth: 0}}",
        "{input_tokens_per_second: 9, queue: {max_wait_ms: 500, max_depth: 5}}",
    ],
)
def test_what_has_an_effect(shaping: str) -> None:
    """Nothing is said of paces, of queues for them, and of what is switched off."""
    assert told(shaping) == []


def test_the_weight_of_a_caller() -> None:
    """It counts in the queues of others, so that it needs no pace of its own."""
    assert told("{queue: {weight: 3}}", at="    environment: dev\n") == []


def test_every_holder_is_looked_at() -> None:
    """Callers, users, projects, environments, groups, and each caller in a group."""
    queue = "shaping: {requests_per_second: 1, queue: {max_depth: 5}}"
    text = (
        SMALL.replace("  - id: alice\n", f"  - id: alice\n    {queue}\n", 1)
        .replace(
            "  - id: search\n",
            f"  - id: search\n    {queue}\n    environments: {{dev: {{{queue}}}}}\n",
            1,
        )
        .replace("    allow: [chat]\n", f"    allow: [chat]\n    {queue}\n", 1)
        .replace(
            "    strategy: failover\n",
            f"    strategy: failover\n    {queue}\n    per_caller: {{{queue}}}\n",
            1,
        )
    )

    paths = {each.key_path for each in loaded(text).findings}

    assert paths == {
        f"{place}.shaping.queue"
        for place in (
            "callers[0]",
            "users[0]",
            "projects[0]",
            "projects[0].environments.dev",
            "groups.chat",
            "groups.chat.per_caller",
        )
    }


@pytest.mark.parametrize(("total_s", "times"), [("2", 1), ("2.1", 0), ("0", 0)])
def test_a_wait_for_which_there_is_no_time(total_s: str, times: int) -> None:
    """It is told where a call would be over before its longest wait is."""
    shaping = "{requests_per_second: 1, queue: {max_wait_ms: 2000, max_depth: 5}}"
    text = SMALL.replace(
        "    strategy: failover\n",
        f"    strategy: failover\n    shaping: {shaping}\n",
        1,
    )

    findings = loaded(f"upstream: {{total_timeout_s: {total_s}}}\n{text}").findings

    paths = [brief(each)[1] for each in findings]
    assert paths.count(f"{GROUP}.queue.max_wait_ms") == times
