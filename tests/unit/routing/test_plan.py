"""The plan of a call: who is asked, in which order, and why others are not."""

from smart_llmrouter.config.snapshot import DialectName, Group, Provider, Target
from smart_llmrouter.routing.plan import plan_of


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
    """The configuration's order is kept, up to `max_attempts`."""
    targets = [target(name) for name in "abcd"]

    plan = plan_of(group(*targets), dialect="openai-chat")

    assert plan.targets == tuple(targets[:3])
    assert plan.missing == {}


def test_targets_of_another_dialect_are_left_out() -> None:
    """Each is named with what it misses, and does not use up an attempt."""
    chosen = group(
        target("a", "anthropic-messages"), target("b"), target("c"), max_attempts=2
    )

    plan = plan_of(chosen, dialect="openai-chat")

    assert [each.label for each in plan.targets] == ["b/mini", "c/mini"]
    assert plan.missing == {"a/mini": ["dialect"]}


def test_nobody_can_serve() -> None:
    """A plan without targets still says what each of them misses."""
    chosen = group(target("a", "anthropic-messages"), target("b", "openai-responses"))

    plan = plan_of(chosen, dialect="openai-chat")

    assert plan.targets == ()
    assert plan.missing == {"a/mini": ["dialect"], "b/mini": ["dialect"]}
