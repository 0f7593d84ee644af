"""The strategy `rules`: the first rule that holds says who comes first."""

from typing import Final

import msgspec

from smart_llmrouter.config.expressions import (
    EvaluationFailed,
    Expression,
    NotYesOrNo,
)
from smart_llmrouter.config.policies import Rule, Rules
from smart_llmrouter.core.decisions import PolicyKind
from smart_llmrouter.routing.features import FeatureValue, features_of
from smart_llmrouter.routing.policy import (
    NobodyLeft,
    PolicyFault,
    Question,
    Verdict,
)


class _Compiled(msgspec.Struct, frozen=True):
    rule: Rule
    expression: Expression


class RulesPolicy:
    """The rules of one group, compiled."""

    kind: Final[PolicyKind] = "rules"

    def __init__(self, rules: Rules) -> None:
        """Compile them. Raises `config.expressions.BadExpression`."""
        self._rules = tuple(
            _Compiled(rule, Expression(rule.when)) for rule in rules.rules
        )

    async def decide(self, question: Question) -> Verdict:
        """Return what the first rule says that holds and has an eligible target.

        Where there is none, the order of the file holds. Raises `PolicyFault` where an
        expression has no value for this request, or one that is no truth, and
        `NobodyLeft` where a rule that holds wants no others than who cannot be called.
        """
        eligible = tuple(target.label for target in question.eligible)
        known: dict[str, FeatureValue] = {}
        for compiled in self._rules:
            rule = compiled.rule
            usable = tuple(label for label in rule.use if label in eligible)
            if not (usable or rule.only):
                continue
            if _holds(compiled.expression, question, known):
                if not usable:
                    raise NobodyLeft(rule.use, class_label=rule.label)
                return Verdict(order=usable, complete=rule.only, class_label=rule.label)
        return Verdict(order=eligible)


def _holds(
    expression: Expression, question: Question, known: dict[str, FeatureValue]
) -> bool:
    """Evaluate an expression; `known` keeps features for the rules that follow."""
    missing = expression.names.difference(known)
    if missing:
        known |= features_of(question, missing)
    try:
        return expression.holds(known)
    except EvaluationFailed:
        raise PolicyFault("raised") from None
    except NotYesOrNo:
        raise PolicyFault("malformed") from None
