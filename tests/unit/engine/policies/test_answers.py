"""What a script or a policy service may answer."""

import pytest

from smart_llmrouter.engine.policies.answers import verdict_of
from smart_llmrouter.routing.policy import PolicyFault, Verdict
from tests.support.policies import question

ELIGIBLE = question("a", "b", "c").eligible


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("b/mini", Verdict(order=("b/mini",))),
        (
            ["b/mini", "a/mini"],
            Verdict(order=("b/mini", "a/mini"), complete=True),
        ),
        ({"target": "b/mini"}, Verdict(order=("b/mini",))),
        ({"targetIndex": 2}, Verdict(order=("c/mini",))),
        (
            {"target": {"provider": "b", "model": "mini"}, "fallbacks": None},
            Verdict(order=("b/mini",)),
        ),
        (
            {"targetIndex": 0, "fallbackIndexes": [2], "classLabel": "cheap"},
            Verdict(order=("a/mini", "c/mini"), complete=True, class_label="cheap"),
        ),
        (
            {"target": "b/mini", "fallbacks": ["a/mini"], "metadata": {"seen": 1}},
            Verdict(order=("b/mini", "a/mini"), complete=True),
        ),
        (
            {"targetIndex": 0, "fallbacks": []},
            Verdict(order=("a/mini",), complete=True),
        ),
        # Who was offered is checked elsewhere.
        ("nosuch/mini", Verdict(order=("nosuch/mini",))),
    ],
)
def test_an_answer_is_read(answer: object, verdict: Verdict) -> None:
    """Labels, indexes, names and lists of them."""
    assert verdict_of(answer, ELIGIBLE) == verdict


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "malformed"),
        (0, "malformed"),
        ({}, "malformed"),
        ([["a/mini"]], "malformed"),
        ({"target": "a/mini", "targetIndex": 0}, "malformed"),
        ({"target": "a/mini", "fallbacks": [], "fallbackIndexes": []}, "malformed"),
        ({"target": "a/mini", "fallbacks": "b/mini"}, "malformed"),
        ({"target": "a/mini", "fallback": ["b/mini"]}, "malformed"),
        ({"target": {"provider": "a"}}, "malformed"),
        ({"target": 0}, "malformed"),
        ({"targetIndex": True}, "malformed"),
        ({"targetIndex": "0"}, "malformed"),
        ({"targetIndex": 3}, "unknown-target"),
        ({"targetIndex": -1}, "unknown-target"),
        ({"targetIndex": 0, "fallbackIndexes": [7]}, "unknown-target"),
    ],
)
def test_an_answer_that_is_not_believed(answer: object, code: str) -> None:
    """What says nothing clear is malformed, also a key that nobody knows."""
    with pytest.raises(PolicyFault) as fault:
        verdict_of(answer, ELIGIBLE)

    assert fault.value.code == code


@pytest.mark.parametrize("label", ["two words", "", "x" * 65, "naïve", 7, ["cheap"]])
def test_a_class_label_that_cannot_be_written_down(label: object) -> None:
    """The decision holds, and its label is replaced."""
    verdict = verdict_of({"targetIndex": 0, "classLabel": label}, ELIGIBLE)

    assert verdict == Verdict(order=("a/mini",), class_label="unsafe_class_label")
