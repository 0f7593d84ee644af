"""Limits that limit nobody, refuse nothing, or let nothing pass are warned about."""

import json
from typing import Any, Final

import pytest

from tests.support.configuration import HASH, loaded

PRICE: Final = {"input_per_million": 1, "output_per_million": 10}
TOO_LONG: Final = (
    "a call that does not cap its answer reserves 1000 tokens for it, and never passes"
)
NOBODY: Final = "no caller is counted here: it limits nobody"


def found(
    *,
    caller: dict[str, Any] | None = None,
    user: dict[str, Any] | None = None,
    project: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    other: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
) -> list[tuple[str, str]]:
    """Check a configuration with these parts; return where it warns, and of what.

    Its caller may use the group `chat`, and not the group `other`.
    """
    fields = {"tools": [], "price": PRICE, "max_output_tokens": 1000, **(model or {})}
    provider = {"dialect": "openai-chat", "base_url": "https://acme.example/v1"}
    provider["models"] = {"mini": {k: v for k, v in fields.items() if v is not None}}  # type: ignore[assignment]  # a provider holds more than texts
    targets = {"targets": [{"use": "acme/mini"}]}
    settings = {
        "providers": {"acme": provider},
        "groups": {
            "chat": {**targets, **(group or {})},
            "other": {**targets, **(other or {})},
        },
        "users": [{"id": "alice", **(user or {})}],
        "projects": [{"id": "search", **(project or {})}],
        "project_memberships": [{"user": "alice", "project": "search"}],
        "callers": [
            {
                "id": "alice-dev",
                "owner_user": "alice",
                "project": "search",
                "environment": "dev",
                "token_sha256": HASH,
                "allow": ["chat"],
                **(caller or {}),
            }
        ],
    }
    told = loaded(json.dumps(settings, indent=1)).findings
    assert all(each.severity == "warning" and each.remedy for each in told), told
    return [
        (each.key_path, each.message)
        for each in told
        if each.key_path.rpartition(".")[2] != "mini"
    ]


def budget(period: str, **caps: object) -> dict[str, Any]:
    """Return a budget of one period."""
    return {"budgets": {period: caps}}


def test_what_has_an_effect_is_not_warned_about() -> None:
    """Limits of whoever is called, large enough for a call, with prices."""
    enough = {
        "limits": {"rpm": 60, "tpm": 1001, "concurrent": 2},
        "budgets": {"day": {"usd": "0.02", "tokens": 1001}, "month": {"usd": 1}},
        "shaping": {"requests_per_second": 1},
    }
    everywhere = {"environments": {"dev": enough}}

    assert (
        found(
            caller=enough,
            user=enough,
            project={**enough, **everywhere},
            group={**enough, "per_caller": enough},
        )
        == []
    )


@pytest.mark.parametrize("holder", ["caller", "user", "project", "group"])
def test_dollars_without_a_price_refuse_nothing(holder: str) -> None:
    """Whoever has such a budget: nobody would ever notice that it does nothing."""
    holders: dict[str, Any] = {holder: budget("month", usd=5)}

    told = found(model={"price": None}, **holders)

    assert [path.rpartition(".")[0] for path, _ in told] == [
        {
            "caller": "callers[0].budgets.month",
            "user": "users[0].budgets.month",
            "project": "projects[0].budgets.month",
            "group": "groups.chat.budgets.month",
        }[holder]
    ]
    assert told[0][1] == (
        "what costs nothing is never refused: `acme/mini` has no price"
    )


def test_an_environment_that_nobody_is_in_limits_nobody() -> None:
    """A name that is nearly right would switch the limit off without a word."""
    told = found(project={"environments": {"devel": {"limits": {"rpm": 5}}}})

    assert told == [("projects[0].environments.devel.limits", NOBODY)]


def test_a_group_that_nobody_may_use_limits_nobody() -> None:
    """Nor does what each caller may use of it."""
    told = found(other={"limits": {"rpm": 5}, "per_caller": budget("day", usd=1)})

    assert sorted(told) == [
        ("groups.other.limits", NOBODY),
        ("groups.other.per_caller.budgets", NOBODY),
    ]


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"limits": {"tpm": 1000}}, "limits.tpm", TOO_LONG),
        (budget("day", tokens=900), "budgets.day.tokens", TOO_LONG),
        (
            budget("day", usd="0.01"),
            "budgets.day.usd",
            TOO_LONG.replace("1000 tokens", "0.01 dollars"),
        ),
        (
            {"budgets": {"day": {"requests": 9}, "month": {"requests": 8}}},
            "budgets.day.requests",
            "9 is never reached: month.requests is 8",
        ),
        (
            {"budgets": {"timezone": "Europe/Berlin"}},
            "budgets",
            "no budget is set here: nothing is limited",
        ),
        (budget("day", usd=0), "budgets", "no budget is set here: nothing is limited"),
    ],
)
def test_a_limit_that_does_not_do_what_it_seems_to(
    given: dict[str, Any], path: str, message: str
) -> None:
    """It says why, and where."""
    assert found(caller=given) == [(f"callers[0].{path}", message)]


def test_a_model_without_a_longest_answer_has_the_usual_one() -> None:
    """That much is reserved for each of its calls."""
    told = found(caller={"limits": {"tpm": 4096}}, model={"max_output_tokens": None})

    assert told[0][1].startswith("a call that does not cap its answer reserves 4096")
