"""What a model of the mock can be told to lack."""

import pytest

from smart_llmrouter.mockprovider.asked import Asked, Tool
from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.lacking import check, heeded
from smart_llmrouter.mockprovider.script import Lack

PLAIN = Asked(model="m", messages=())


@pytest.mark.parametrize(
    "choice",
    [
        b'"required"',
        b'{"type":"any"}',
        b'{"type":"tool","name":"x"}',
        b'{"type":"function","function":{"name":"x"}}',
    ],
)
def test_forced_choices_of_all_dialects_are_known(choice: bytes) -> None:
    """Each dialect spells them in its own way."""
    with pytest.raises(Refused, match="forced choice"):
        check(PLAIN, b'{"tool_choice":' + choice + b"}", ["forced-choice"])


@pytest.mark.parametrize(
    "body", [b"{}", b'{"tool_choice":"auto"}', b'{"tool_choice":{"type":"auto"}}']
)
def test_other_choices_are_not_forced(body: bytes) -> None:
    """They pass, and nothing is changed."""
    check(PLAIN, body, ["forced-choice"])

    assert heeded(PLAIN, ["forced-choice"]) == PLAIN


@pytest.mark.parametrize(
    ("lack", "asked"),
    [
        ("tools", Asked(model="m", messages=(), tools=(Tool(name="x"),))),
        ("structured-output", Asked(model="m", messages=(), structured=True)),
        ("reasoning", Asked(model="m", messages=(), effort="low")),
        ("reasoning", Asked(model="m", messages=(), thinks=True)),
    ],
)
def test_what_is_lacking_is_refused(lack: Lack, asked: Asked) -> None:
    """And what is there is not."""
    check(asked, b"{}", [])

    with pytest.raises(Refused, match="does not support"):
        check(asked, b"{}", [lack])


def test_parallel_calls_and_caps_are_not_heeded() -> None:
    """Nobody refuses them: they are just not kept."""
    asked = Asked(model="m", messages=(), max_tokens=5)

    left = heeded(asked, ["parallel-tools", "output-cap"])

    assert (left.parallel, left.max_tokens) == (False, None)
