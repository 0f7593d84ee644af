"""CEL expressions over the features of a request."""

import pytest

from smart_llmrouter.config.expressions import (
    BadExpression,
    EvaluationFailed,
    Expression,
    NotYesOrNo,
)


@pytest.mark.parametrize(
    ("source", "at", "message"),
    [
        ("tool_count >", (1, 13), "Syntax error: mismatched input '<EOF>'"),
        ("stream &&\n nosuch", (2, 2), "undeclared reference to 'nosuch'"),
        (
            "stream > 3",
            (1, 8),
            "found no matching overload for '_>_' applied to '(bool, int)'",
        ),
        ("tool_count", (1, 1), "its value is of the type int, and never true or false"),
        (
            "(" * 500 + "true" + ")" * 500,
            (1, 1),
            "Expression recursion limit exceeded. limit: 32",
        ),
        ("18446744073709551616 > 1", (1, 1), "invalid int literal"),
        ("", (1, 1), "Syntax error: mismatched input '<EOF>'"),
    ],
)
def test_a_bad_expression_says_where(
    source: str, at: tuple[int, int], message: str
) -> None:
    """What is wrong, and its line and column within the expression."""
    with pytest.raises(BadExpression) as refused:
        Expression(source)

    assert (refused.value.line, refused.value.column) == at
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("source", "features", "holds"),
    [
        ("true", {}, True),
        ("estimated_input_tokens > 8000", {"estimated_input_tokens": 8001}, True),
        ("estimated_input_tokens > 8000", {"estimated_input_tokens": 8000}, False),
        ("'image' in requirements", {"requirements": ["tools", "image"]}, True),
        ("caller.project == 'search'", {"caller": {"project": "search"}}, True),
        ("output_cap > 0", {"output_cap": None}, False),
        ("reasoning_level == ''", {"reasoning_level": None}, True),
        ("requested_model.startsWith('fast')", {"requested_model": "fast-1"}, True),
        ("targets.exists(t, t.matches('^acme/'))", {"targets": ["acme/x"]}, True),
    ],
)
def test_an_expression_holds_or_not(
    source: str, features: dict[str, object], *, holds: bool
) -> None:
    """What a request does not have is an empty text, or 0."""
    expression = Expression(source)

    assert expression.names == set(features)
    assert expression.holds(features) is holds


@pytest.mark.parametrize(
    ("source", "features"),
    [
        ("1 / tool_count == 1", {"tool_count": 0}),
        ("caller.nosuch == 'x'", {"caller": {"id": "x"}}),
        ("group.matches('(')", {"group": "chat"}),
        (
            "targets.all(a, targets.all(b, targets.all(c, a != '' || b != c)))",
            {"targets": ["acme/mini"] * 64},
        ),
    ],
    ids=["divided by zero", "no such key", "bad pattern", "endless loops"],
)
def test_an_expression_may_have_no_value(
    source: str, features: dict[str, object]
) -> None:
    """What cannot be evaluated neither holds nor does not; loops are bounded."""
    with pytest.raises(EvaluationFailed):
        Expression(source).holds(features)


def test_a_value_that_is_neither_true_nor_false() -> None:
    """Where the type is not known before, the value is looked at."""
    expression = Expression("stream ? dyn(tool_count) : dyn(true)")

    assert expression.holds({"stream": False, "tool_count": 1})
    with pytest.raises(NotYesOrNo):
        expression.holds({"stream": True, "tool_count": 1})
