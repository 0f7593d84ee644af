"""Steps, scripts and markers."""

from pathlib import Path

import pytest

from smart_llmrouter.mockprovider.script import (
    InvalidScript,
    Orders,
    Script,
    Step,
    marked_step,
    parse_orders,
    parse_step,
    read_orders,
    without_marker,
)


def test_a_step_is_read_from_json() -> None:
    """Each field of a step has its place."""
    step = parse_step('{"status": 429, "retry_after": 2.5, "drip": {"bytes": 3}}')

    assert step.status == 429
    assert step.retry_after == 2.5
    assert step.drip is not None
    assert (step.drip.bytes, step.drip.every_ms) == (3, 10)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"statsu": 1}', "statsu"),
        ('{"status": "x"}', "status"),
        ('{"status": 42}', "status"),
        ('{"times": 0}', "times"),
        ('{"wrong_usage": "odd"}', "wrong_usage"),
        ("{", "truncated"),
    ],
)
def test_a_wrong_step_is_refused_by_name(text: str, named: str) -> None:
    """The message names the field that is wrong."""
    with pytest.raises(InvalidScript, match=named):
        parse_step(text)


@pytest.mark.parametrize(
    "text",
    ['{"status": 503}', '[{"status": 503}]', '{"steps": [{"status": 503}]}'],
)
def test_a_script_may_be_a_step_a_list_or_an_object(text: str) -> None:
    """All three ways say the same."""
    orders = parse_orders(text)

    assert orders == Orders(steps=(Step(status=503),))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.json", '{"always": {"status": 500}}'),
        ("s.yaml", "always: {status: 500}\n"),
    ],
)
def test_a_script_is_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    """JSON and YAML files are read alike."""
    path = tmp_path / name
    path.write_text(text)

    orders = read_orders(path)

    assert orders == Orders(always=Step(status=500))


@pytest.mark.parametrize("text", ["a: [", "always: {boom: 1}", "- x"])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str) -> None:
    """What is neither YAML nor a script is told apart from success."""
    path = tmp_path / "s.yaml"
    path.write_text(text)

    with pytest.raises(InvalidScript):
        read_orders(path)


@pytest.mark.parametrize(
    ("text", "step", "rest"),
    [
        ("no marker", None, "no marker"),
        ('hi [[mock: {"status": 503}]]', Step(status=503), "hi"),
        ('[[mock: {"status": 503}]] hi', Step(status=503), "hi"),
        ('a [[mock: {"words": 3}]] b', Step(words=3), "a b"),
        (
            '[[mock: {"status": 400}]] [[mock: {"status": 503}]]',
            Step(status=503),
            '[[mock: {"status": 400}]]',
        ),
        (
            'x [[mock: {"raw": {"chunks": ["]]"]}}]] y',
            parse_step('{"raw": {"chunks": ["]]"]}}'),
            "x y",
        ),
    ],
)
def test_a_marker_is_found_and_taken_out(
    text: str, step: Step | None, rest: str
) -> None:
    """The last marker counts; what is around it is what was said."""
    assert marked_step(text) == step
    assert without_marker(text) == rest


def test_steps_are_used_up_in_order() -> None:
    """Each step serves `times` requests, then the standing orders hold."""
    script = Script(
        Orders(
            steps=(Step(status=500, times=2), Step(status=503)),
            always=Step(status=504),
        )
    )

    statuses = [script.take("m").status for _ in range(5)]

    assert statuses == [500, 500, 503, 504, 504]


def test_a_step_for_a_model_waits_for_it() -> None:
    """A step with a model is passed over by other models."""
    script = Script(Orders(steps=(Step(status=500, model="a"), Step(status=503))))

    statuses = [script.take(model).status for model in ("b", "b", "a", None)]

    assert statuses == [503, 200, 500, 200]


def test_a_model_may_have_standing_orders() -> None:
    """They hold for the model until the script is cleared."""
    script = Script(Orders(models={"a": Step(status=500)}))

    before = [script.take(model).status for model in ("a", "a", "b")]
    script.clear()

    assert before == [500, 500, 200]
    assert script.take("a").status == 200
