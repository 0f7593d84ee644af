"""Whatever a policy answers, nobody is called whom it was not offered."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.engine.policies.answers import parsed, verdict_of
from smart_llmrouter.routing.policy import PolicyFault, chosen
from tests.support.policies import question

ELIGIBLE = question("a", "b", "c").eligible
LABELS = [target.label for target in ELIGIBLE]

names = st.sampled_from([*LABELS, "nosuch/mini", ""]) | st.text(max_size=8)
indexes = st.integers(-2, 5) | st.booleans() | st.none()
targets = names | st.fixed_dictionaries({"provider": names, "model": names}) | indexes
objects = st.fixed_dictionaries(
    {},
    optional={
        "target": targets,
        "targetIndex": indexes,
        "fallbacks": st.lists(targets, max_size=4) | st.none(),
        "fallbackIndexes": st.lists(indexes, max_size=4) | st.none(),
        "classLabel": st.text(max_size=70) | st.integers() | st.none(),
        "metadata": st.integers(),
        "else": st.none(),
    },
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
answers = objects | st.lists(targets, max_size=4) | names | anything


@given(answers)
def test_only_targets_that_were_offered_are_chosen(answer: object) -> None:
    """Each at most once, at least one, and nothing else is raised than a fault."""
    try:
        verdict = verdict_of(answer, ELIGIBLE)
        found = [target.label for target in chosen(verdict, ELIGIBLE)]
    except PolicyFault:
        return

    assert found
    assert len(set(found)) == len(found)
    assert set(found) <= set(LABELS)
    assert verdict.complete or set(found) == set(LABELS)
    assert verdict.class_label is None or len(verdict.class_label) <= 64


def read(data: bytes) -> object:
    """Return the value of a text, or the code of the fault."""
    try:
        return parsed(data)
    except PolicyFault as fault:
        return fault.code


@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer_or_malformed(data: bytes) -> None:
    """Nothing else happens to what is no JSON."""
    try:
        value = msgspec.json.decode(data)
    except ValueError:
        value = "malformed"

    assert read(data) == value


@given(anything)
def test_any_json_is_read_as_it_is(value: object) -> None:
    """What a policy says is what is looked at."""
    assert read(json.dumps(value).encode()) == value
