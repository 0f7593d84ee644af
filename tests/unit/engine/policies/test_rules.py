"""The strategy `rules`."""

import pytest

from smart_llmrouter.config.expressions import BadExpression
from smart_llmrouter.config.policies import Rule, Rules
from smart_llmrouter.engine.policies.rules import RulesPolicy
from smart_llmrouter.routing.policy import NobodyLeft, Policy, PolicyFault, Verdict
from tests.support.policies import question


def policy(*rules: Rule) -> Policy:
    """Return a policy of these rules."""
    return RulesPolicy(Rules(rules=rules))


async def test_the_first_rule_that_holds_decides() -> None:
    """Those before it do not hold, those after it are not looked at."""
    rules = policy(
        Rule(when="tool_count > 5", use=("a/mini",)),
        Rule(when="tool_count > 2", use=("c/mini", "b/mini"), label="some-tools"),
        Rule(when="1 / tool_count == 0", use=("a/mini",)),
    )

    verdict = await rules.decide(question("a", "b", "c", tool_count=3))

    assert rules.kind == "rules"
    assert verdict == Verdict(order=("c/mini", "b/mini"), class_label="some-tools")


async def test_a_rule_may_leave_no_others() -> None:
    """`only` makes the verdict complete."""
    rules = policy(Rule(when="true", use=("b/mini",), only=True))

    verdict = await rules.decide(question("a", "b"))

    assert verdict == Verdict(order=("b/mini",), complete=True)


async def test_a_target_that_is_not_eligible_is_skipped() -> None:
    """The others of the rule are used."""
    rules = policy(Rule(when="true", use=("gone/mini", "b/mini"), only=True))

    verdict = await rules.decide(question("a", "b"))

    assert verdict.order == ("b/mini",)


async def test_a_rule_that_leaves_no_others_is_not_passed_over() -> None:
    """Where it holds and none of its targets is eligible, nobody may answer."""
    only = Rule(when="tool_count > 0", use=("gone/mini",), only=True, label="here")
    rules = policy(only, Rule(when="true", use=("b/mini",)))

    with pytest.raises(NobodyLeft) as nobody:
        await rules.decide(question("a", "b", tool_count=1))
    verdict = await rules.decide(question("a", "b", tool_count=0))

    assert nobody.value.named == ("gone/mini",)
    assert nobody.value.class_label == "here"
    assert verdict == Verdict(order=("b/mini",))


async def test_a_rule_without_an_eligible_target_is_passed_over() -> None:
    """The next rule is looked at, and it is as if the first were not there."""
    rules = policy(
        Rule(when="1 / tool_count == 0", use=("gone/mini",), label="first"),
        Rule(when="true", use=("b/mini",), label="second"),
    )

    verdict = await rules.decide(question("a", "b", tool_count=0))

    assert verdict == Verdict(order=("b/mini",), class_label="second")


async def test_where_no_rule_holds_the_file_decides() -> None:
    """All eligible targets, in their order."""
    rules = policy(Rule(when="stream", use=("b/mini",), label="streams"))

    verdict = await rules.decide(question("a", "b"))

    assert verdict == Verdict(order=("a/mini", "b/mini"))


@pytest.mark.parametrize(
    ("when", "code"),
    [("1 / tool_count == 1", "raised"), ("dyn(tool_count)", "malformed")],
)
async def test_a_rule_that_cannot_be_told_is_a_fault(when: str, code: str) -> None:
    """An error is `raised`, a value that is no truth `malformed`."""
    rules = policy(Rule(when=when, use=("a/mini",)))

    with pytest.raises(PolicyFault) as fault:
        await rules.decide(question("a"))

    assert fault.value.code == code


def test_rules_are_compiled_when_they_are_loaded() -> None:
    """A bad one is refused before the first call."""
    with pytest.raises(BadExpression):
        policy(Rule(when="nosuch", use=("a/mini",)))
