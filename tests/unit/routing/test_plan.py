"""The plan of a call: who is asked, in which order, and why others are not."""

from dataclasses import replace

from smart_llmrouter.config.snapshot import Group, Provider, Target
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.routing.plan import first, only, plan_of


def target(name: str, dialect: DialectName = "openai-chat") -> Target:
    """Return a target of a provider of its own."""
    speaker = Provider(
        name=name, dialect=dialect, base_url="http://x", api_key=None, headers=()
    )
    return Target(
        label=f"{name}/mini", provider=speaker, key="mini", model="m", price=None
    )


def group(*targets: Target, max_attempts: int = 3) -> Group:
    """Return a group that fails over between these targets."""
    return Group(
        name="chat",
        aliases=(),
        strategy="failover",
        targets=targets,
        max_attempts=max_attempts,
        first_event_timeout_s=60,
    )


def test_targets_are_tried_in_their_order() -> None:
    """The configuration's order is kept; more than `max_attempts` may be in it."""
    targets = [target(name) for name in "abcd"]

    plan = plan_of(group(*targets), dialect="openai-chat")

    assert plan.targets == tuple(targets)
    assert plan.max_attempts == 3
    assert plan.missing == {}


def test_targets_of_the_requests_dialect_come_first() -> None:
    """Within each kind the order of the configuration holds."""
    chosen = group(
        target("a", "anthropic-messages"),
        target("b"),
        target("c", "openai-responses"),
        target("d"),
    )

    plan = plan_of(chosen, dialect="openai-chat")

    assert [each.label for each in plan.targets] == [
        "b/mini",
        "d/mini",
        "a/mini",
        "c/mini",
    ]
    assert plan.missing == {}


def test_the_order_may_be_that_of_the_configuration() -> None:
    """`prefer_native: false` asks whoever is listed first."""
    chosen = replace(
        group(target("a", "anthropic-messages"), target("b")), prefer_native=False
    )

    plan = plan_of(chosen, dialect="openai-chat")

    assert [each.label for each in plan.targets] == ["a/mini", "b/mini"]


def test_targets_of_another_dialect_are_left_out_without_bridges() -> None:
    """Each is named with what it misses."""
    chosen = replace(
        group(target("a", "anthropic-messages"), target("b")), bridges="off"
    )

    plan = plan_of(chosen, dialect="openai-chat")

    assert [each.label for each in plan.targets] == ["b/mini"]
    assert plan.missing == {"a/mini": ["dialect"]}


def test_a_plan_for_one_target_only() -> None:
    """What is pinned to a target goes nowhere else."""
    plan = plan_of(group(target("a"), target("b")), dialect="openai-chat")

    assert [each.label for each in only(plan, "b/mini").targets] == ["b/mini"]
    assert only(plan, "gone/mini").targets == ()
    assert only(plan, None).targets == ()


def test_a_plan_that_begins_with_one_target() -> None:
    """The others keep their order behind it; who is not there changes nothing."""
    plan = plan_of(group(target("a"), target("b"), target("c")), dialect="openai-chat")

    moved = [each.label for each in first(plan, "c/mini").targets]
    assert moved == ["c/mini", "a/mini", "b/mini"]
    assert first(plan, "gone/mini") == plan
