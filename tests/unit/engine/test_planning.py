"""Plans: who is called, in which order, and why the others are not."""

from typing import Any, Final

import pytest

from smart_llmrouter.core.errors import (
    NoEligibleTarget,
    UnknownResponseId,
    UpstreamCapacityThrottled,
)
from smart_llmrouter.routing.observations import Observation
from smart_llmrouter.routing.plan import Plan
from tests.support.planning import Desk, desk, group_of

RESPONSES: Final = "openai-responses"
A, B, C = {"name": "a"}, {"name": "b"}, {"name": "c"}
HELLO: dict[str, Any] = {
    "model": "chat",
    "messages": [{"role": "user", "content": "hello"}],
}


def labels(plan: Plan) -> list[str]:
    """Return who is tried, in order."""
    return [target.label for target in plan.targets]


def fail(planner: Desk, label: str, error_class: str, times: int = 1) -> None:
    """Let attempts at a target fail."""
    for _ in range(times):
        begun = planner.known.health.begin(label)
        planner.known.health.note(label, error_class, begun=begun)


def test_targets_are_tried_in_their_order() -> None:
    """The configuration's order is kept; more than `max_attempts` may be in it."""
    plan = desk(group_of(A, B, C, max_attempts=2)).plan(HELLO)

    assert labels(plan) == ["a/mini", "b/mini", "c/mini"]
    assert plan.max_attempts == 2
    assert plan.missing == {}


def test_a_plan_that_depends_on_nothing_else_is_made_once() -> None:
    """Requests of one kind share it while all targets are well."""
    planner = desk(group_of(A, B))

    assert planner.plan(HELLO) is planner.plan(HELLO)


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({}, ["b/mini", "d/mini", "a/mini", "c/mini"]),
        ({"prefer_native": False}, ["a/mini", "b/mini", "c/mini", "d/mini"]),
        ({"bridges": "off"}, ["b/mini", "d/mini"]),
    ],
)
def test_targets_of_the_requests_dialect_come_first(
    settings: dict[str, Any], order: list[str]
) -> None:
    """Within each kind the order holds, unless the group says otherwise."""
    plan = desk(
        group_of(
            {"name": "a", "dialect": "anthropic-messages"},
            {"name": "b"},
            {"name": "c", "dialect": "openai-responses"},
            {"name": "d"},
            **settings,
        )
    ).plan(HELLO)

    assert labels(plan) == order


def test_nobody_eligible_is_told_target_by_target() -> None:
    """With what each of them misses, and what would help."""
    planner = desk(
        group_of(
            {"name": "a", "model": {"tools": ["function"]}},
            {"name": "b", "model": {"input": ["text", "image"]}},
        )
    )
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    asked = {
        **HELLO,
        "tools": tools,
        "messages": [{"role": "user", "content": [image]}],
    }

    with pytest.raises(NoEligibleTarget) as refused:
        planner.plan(asked)

    assert refused.value.details["targets"] == {
        "a/mini": ["image"],
        "b/mini": ["tools"],
    }
    assert refused.value.details["requirements"] == ["image", "tools"]


def test_a_resting_target_is_passed_over_and_comes_back() -> None:
    """The others serve until its rest is over."""
    planner = desk(group_of(A, B))
    fail(planner, "a/mini", "upstream_server_error", times=5)

    resting = planner.plan(HELLO)
    planner.clock.now_s += 1.0

    assert labels(resting) == ["b/mini"]
    assert resting.missing == {"a/mini": ("cooling-down",)}
    assert labels(planner.plan(HELLO)) == ["a/mini", "b/mini"]


def test_capacity_alone_is_told_with_the_time_of_the_first() -> None:
    """Who could never serve the request does not count."""
    planner = desk(
        group_of(
            A,
            {"name": "b", "shaping": {"requests_per_second": 0.5, "burst": 1}},
            {"name": "c", "only_with_tools": True, "model": {"tools": ["function"]}},
        )
    )
    fail(planner, "a/mini", "upstream_quota_exhausted")
    sought = planner.sought(HELLO)
    planner.known.capacity.take("chat", sought.found.targets[0], sought.needs)

    with pytest.raises(UpstreamCapacityThrottled) as refused:
        planner.plan(HELLO)

    assert refused.value.retry_after_s == 2
    assert refused.value.details["target_count"] == 2


def test_a_request_that_goes_on_from_a_stored_answer_has_one_target() -> None:
    """The others say that somebody else keeps it; nobody knows other answers."""
    planner = desk(group_of({**A, "dialect": RESPONSES}, {**B, "dialect": RESPONSES}))
    caller = planner.entry(RESPONSES).arrival.caller.id
    planner.known.pins.keep("resp_1", caller_id=caller, label="b/mini")
    asked = {"model": "chat", "input": "go on", "previous_response_id": "resp_1"}

    plan = planner.plan(asked, RESPONSES)

    assert labels(plan) == ["b/mini"]
    assert plan.missing == {"a/mini": ("pinned",)}
    with pytest.raises(UnknownResponseId):
        planner.plan({**asked, "previous_response_id": "resp_2"}, RESPONSES)


def test_a_stored_answer_waits_for_its_target_to_rest() -> None:
    """Nobody else can go on from it, and that will pass."""
    planner = desk(group_of({**A, "dialect": RESPONSES}, {**B, "dialect": RESPONSES}))
    caller = planner.entry(RESPONSES).arrival.caller.id
    planner.known.pins.keep("resp_1", caller_id=caller, label="b/mini")
    fail(planner, "b/mini", "upstream_rate_limited")

    with pytest.raises(UpstreamCapacityThrottled):
        planner.plan(
            {"model": "chat", "input": "go on", "previous_response_id": "resp_1"},
            RESPONSES,
        )


def talk(*turns: str) -> dict[str, Any]:
    """Return a conversation, in which callers and models take turns."""
    roles = ("user", "assistant")
    messages = [
        {"role": roles[at % 2], "content": text} for at, text in enumerate(turns)
    ]
    return {"model": "chat", "messages": messages}


def test_a_conversation_stays_on_the_target_that_took_it_over() -> None:
    """After a fallback, although the first target is well again; others go there."""
    planner = desk(group_of(A, B))
    began = planner.answered(talk("hello"), "b/mini")

    going_on = planner.plan(talk("hello", "hi", "and now"))
    another = planner.plan(talk("something else", "yes", "and now"))

    assert began.affinity == "none"
    assert (labels(going_on), going_on.affinity) == (["b/mini", "a/mini"], "kept")
    assert labels(another) == ["a/mini", "b/mini"]


def test_a_conversation_leaves_a_target_that_rests() -> None:
    """It is where it is answered then, and stays there."""
    planner = desk(group_of(A, B, C))
    planner.answered(talk("hello"), "b/mini")
    fail(planner, "b/mini", "upstream_rate_limited")

    moved = planner.answered(talk("hello", "hi", "more"), "c/mini")
    planner.clock.now_s += 60
    later = planner.plan(talk("hello", "hi", "more", "so", "on"))

    assert (labels(moved), moved.affinity) == (["a/mini", "c/mini"], "moved")
    assert labels(later)[0] == "c/mini"


def test_weighted_groups_keep_their_conversations() -> None:
    """Only a conversation that begins is drawn for."""
    draws = iter([0.9, 0.1, 0.1])
    planner = desk(group_of(A, B, strategy="weighted"), draw=lambda: next(draws))
    began = planner.answered(talk("hello"), "b/mini")

    going_on = planner.plan(talk("hello", "hi", "more"))
    another = planner.plan(talk("something else"))

    assert (labels(began)[0], began.affinity) == ("b/mini", "new")
    assert (labels(going_on)[0], going_on.affinity) == ("b/mini", "kept")
    assert labels(another)[0] == "a/mini"


def test_affinity_can_be_switched_off_and_is_forgotten() -> None:
    """By the group, or by time."""
    off = desk(group_of(A, B, affinity={"enabled": False}))
    brief = desk(group_of(A, B, affinity={"ttl_s": 5}))
    for planner in (off, brief):
        planner.answered(talk("hello"), "b/mini")
    brief.clock.now_s += 5

    assert labels(off.plan(talk("hello", "hi", "more")))[0] == "a/mini"
    assert labels(brief.plan(talk("hello", "hi", "more")))[0] == "a/mini"


def test_thresholds_keep_out_who_was_not_good_enough() -> None:
    """By what was observed of it, where that is enough to judge."""
    planner = desk(group_of(A, B, thresholds={"max_error_rate": 0.1}))
    for _ in range(30):
        planner.known.observations.note(
            "a/mini", Observation("upstream_server_error", 0.1)
        )

    plan = planner.plan(HELLO)

    assert labels(plan) == ["b/mini"]
    assert plan.missing == {"a/mini": ("threshold-error-rate",)}
