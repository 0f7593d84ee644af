"""Groups that cannot serve what they seem to, and models that say too little."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from smart_llmrouter.config.load import load
from smart_llmrouter.routing.contract import breaches
from tests.support.configuration import ENVIRONMENT, SMALL, changed, loaded
from tests.support.repository import ROOT

PRICE: Final = {"input_per_million": 1, "output_per_million": 2}
ABLE: Final = {"tools": ["function"], "input": ["text", "image"], "price": PRICE}
TEXT: Final = {"tools": [], "price": PRICE}
DIALECTS: Final = {
    "acme": "openai-chat",
    "verne": "anthropic-messages",
    "lumen": "openai-responses",
}


def findings(
    models: dict[str, dict[str, Any]],
    *,
    backoff: dict[str, Any] | None = None,
    **group: object,
) -> list[tuple[str, str, str]]:
    """Check a group of `provider/model` keys; return what is said of the graph.

    `group` amends the group, whose `targets` are the models by default.
    """
    providers: dict[str, Any] = {}
    for use, model in models.items():
        name, key = use.split("/")
        fields = {
            "dialect": DIALECTS.get(name, "openai-chat"),
            "base_url": f"https://{name}.example/v1",
            "models": {},
            **({} if backoff is None else {"backoff": backoff}),
        }
        providers.setdefault(name, fields)["models"][key] = model
    targets = [{"use": use} for use in models]
    chat = {"bridges": "best-effort", "targets": targets, **group}
    chat = {key: value for key, value in chat.items() if value is not None}
    graph = {"providers": providers, "groups": {"chat": chat}}
    people = SMALL[SMALL.index("users:") :]
    lines = [f"{key}: {json.dumps(value, indent=1)}" for key, value in graph.items()]
    found = loaded("\n".join([*lines, people])).findings
    assert all(each.line > 1 and each.remedy for each in found)
    return [(each.severity, each.key_path, each.message) for each in found]


def one(found: list[tuple[str, str, str]]) -> tuple[str, str]:
    """Return severity and place of the only finding."""
    assert len(found) == 1, found
    return found[0][0], found[0][1]


def test_a_group_whose_members_can_the_same_is_left_alone() -> None:
    """Neither one target nor several like it are worth a word."""
    assert findings({"acme/mini": ABLE}) == []
    assert findings({"acme/mini": ABLE, "other/mini": ABLE}) == []
    assert findings({"acme/mini": TEXT, "other/mini": TEXT}) == []


def test_a_target_for_tools_whose_model_calls_none() -> None:
    """It is never eligible; others of the group are."""
    found = findings(
        {"acme/mini": TEXT, "other/mini": TEXT},
        targets=[{"use": "acme/mini"}, {"use": "other/mini", "only_with_tools": True}],
    )

    assert one(found) == ("warning", "groups.chat.targets[1].use")
    assert "only_with_tools is set" in found[0][2]


def test_a_group_of_which_no_target_ever_serves() -> None:
    """That is an error: each call would be refused."""
    found = findings(
        {"acme/mini": TEXT}, targets=[{"use": "acme/mini", "only_with_tools": True}]
    )

    assert one(found) == ("error", "groups.chat.targets")


LACKS: Final[list[tuple[dict[str, Any], dict[str, Any], str]]] = [
    ({"input": ["image"]}, {"input": ["text"]}, "input image"),
    ({"tools": ["function", "parallel"]}, {"tools": ["function"]}, "tools parallel"),
    ({"structured_outputs": True}, {}, "structured_outputs"),
    ({"reasoning": True}, {}, "reasoning"),
    ({"honors_output_cap": True}, {"honors_output_cap": False}, "honors_output_cap"),
    ({"min_context_tokens": 9}, {"context_tokens": 8}, "context_tokens of 9 or more"),
    ({"min_context_tokens": 9}, {}, "context_tokens of 9 or more"),
]


@pytest.mark.parametrize(("required", "model", "lacks"), LACKS)
def test_a_contract_that_one_target_does_not_keep(
    required: dict[str, Any], model: dict[str, Any], lacks: str
) -> None:
    """It never serves a call, and the finding says what it lacks."""
    all_of_it = {
        "input": ["text", "image"],
        "tools": ["function", "parallel"],
        "structured_outputs": True,
        "reasoning": {},
        "context_tokens": 10,
        "price": PRICE,
    }
    contract = {"required": required}
    found = findings(
        {
            "acme/mini": all_of_it,
            "third/mini": all_of_it,
            "other/mini": {"tools": [], "price": PRICE, **model},
        },
        contract=contract,
    )
    alone = findings({"other/mini": {**TEXT, **model}}, contract=contract)

    assert one(found) == ("warning", "groups.chat.targets[2].use")
    assert found[0][2].endswith(f"the group needs what it lacks: {lacks}")
    assert one(alone) == ("error", "groups.chat.contract.required")
    assert (
        f"`other/mini`: the contract of the group needs what it lacks: {lacks}"
        in (alone[0][2])
    )


def test_a_contract_about_dialects_without_bridges() -> None:
    """A target of another dialect never serves."""
    found = findings(
        {"acme/mini": ABLE, "other/mini": ABLE, "verne/mini": ABLE},
        contract={"required": {"dialects": ["openai-chat"]}},
        bridges="off",
    )

    assert one(found) == ("warning", "groups.chat.targets[2].use")
    assert "the dialect openai-chat" in found[0][2]


@pytest.mark.parametrize(("required", "model", "lacks"), LACKS)
def test_the_check_and_the_router_read_contracts_alike(
    required: dict[str, Any], model: dict[str, Any], lacks: str
) -> None:
    """What is said to break a contract does so when a call is planned."""
    fields = json.dumps({**TEXT, **model})
    text = changed(
        "      mini:\n        model: acme-mini-2026\n"
        "        price: {input_per_million: 0.25, output_per_million: 2.00}\n"
        "        tools: [function, forced_choice, parallel]\n",
        f"      mini: {fields}\n",
    )
    kept = loaded(text).snapshot
    broken = loaded(
        changed(
            "    strategy: failover\n",
            f"    contract: {json.dumps({'required': required})}\n",
            text,
        )
    )

    assert kept is not None
    assert broken.snapshot is None
    assert lacks in broken.findings[0].message
    assert loaded(text).findings == ()
    assert breaches(kept.groups["chat"], kept.groups["chat"].targets[0]) == ()


def test_a_target_that_is_listed_twice() -> None:
    """A larger share is what weights are for."""
    found = findings({"acme/mini": ABLE}, targets=[{"use": "acme/mini"}] * 2)

    assert one(found) == ("error", "groups.chat.targets[1].use")


@pytest.mark.parametrize("strategy", ["weighted", "dynamic"])
def test_weights_that_are_all_zero(strategy: str) -> None:
    """Nobody can be chosen; one weight is enough, and others need none."""
    models = {"acme/mini": ABLE, "other/mini": ABLE}
    zeros = [{"use": use, "weight": 0} for use in models]

    found = findings(models, strategy=strategy, targets=zeros)
    some = findings(
        models, strategy=strategy, targets=[zeros[0], {"use": "other/mini"}]
    )
    failover = findings(models, targets=zeros)

    assert one(found) == ("error", "groups.chat.targets")
    assert some == failover == []


def test_a_request_with_tools_and_an_image_finds_nobody() -> None:
    """Either is served, and both together are not; neither has a second target."""
    found = findings(
        {
            "acme/tools": {"tools": ["function"], "price": PRICE},
            "acme/eyes": {"input": ["text", "image"], "price": PRICE},
        }
    )

    assert [(severity, path) for severity, path, _ in found] == [
        ("warning", "groups.chat.targets")
    ] * 3
    assert any("finds no target" in message for _, _, message in found)


@pytest.mark.parametrize("lacking", ["tools", "input"])
def test_failover_that_is_thin(lacking: str) -> None:
    """One of three serves such requests alone."""
    other = {key: value for key, value in ABLE.items() if key != lacking}

    found = findings({"acme/mini": ABLE, "other/mini": other, "third/mini": other})
    two = findings({"acme/mini": ABLE, "other/mini": ABLE, "third/mini": other})

    assert one(found) == ("warning", "groups.chat.targets")
    assert "`acme/mini` alone" in found[0][2]
    assert two == []


def test_fallbacks_that_all_speak_another_dialect() -> None:
    """Whoever has not said that translation is meant is told of it."""
    models = {"acme/mini": ABLE, "verne/mini": ABLE}

    unsaid = findings(models, bridges=None)
    off = findings(models, bridges="off")
    said = findings(models, bridges="lossless")
    paired = findings({**models, "third/mini": ABLE}, bridges=None)

    assert one(unsaid) == ("warning", "groups.chat.targets")
    assert one(off) == ("warning", "groups.chat.bridges")
    assert said == paired == []


def test_attempts_that_do_not_reach_the_last_target() -> None:
    """Four targets, and three attempts of a call; by chance, that is meant."""
    models = {f"{name}/mini": ABLE for name in ("acme", "other", "third", "last")}

    found = findings(models)
    raised = findings(models, max_attempts=4)
    weighted = findings(models, strategy="weighted")

    assert one(found) == ("warning", "groups.chat.max_attempts")
    assert "at most 3 of the 4" in found[0][2]
    assert raised == weighted == []


def test_a_fallback_without_a_price() -> None:
    """Beside one that has one it is told once, where the group names it."""
    unpriced = {key: value for key, value in ABLE.items() if key != "price"}

    beside = findings({"acme/mini": ABLE, "other/mini": unpriced})
    alone = findings({"acme/mini": unpriced})
    free = findings(
        {"acme/mini": {**ABLE, "price": dict.fromkeys(PRICE, 0)}, "other/mini": ABLE}
    )

    assert one(beside) == ("warning", "groups.chat.targets[1].use")
    assert one(alone) == ("warning", "providers.acme.models.mini")
    assert free == []


def test_a_price_that_is_known_in_part() -> None:
    """Then the cost of a call is not known at all."""
    found = findings({"acme/mini": {**ABLE, "price": {"input_per_million": 1}}})

    assert one(found) == ("warning", "providers.acme.models.mini.price")


def test_a_model_of_which_nothing_is_declared() -> None:
    """It serves plain text alone; whoever says so is not asked again."""
    found = findings({"acme/mini": {"price": PRICE}})

    assert one(found) == ("warning", "providers.acme.models.mini")
    assert "neither tools nor input" in found[0][2]
    assert findings({"acme/mini": TEXT}) == []


def test_kinds_of_tool_calls_without_any_calls() -> None:
    """A choice can only be forced of what can be called."""
    found = findings({"acme/mini": {"tools": ["forced_choice"], "price": PRICE}})

    assert one(found) == ("warning", "providers.acme.models.mini.tools")


def test_images_that_may_not_come_in_any_way() -> None:
    """Neither by URL nor as data: nobody can send one."""
    found = findings({"acme/mini": {**ABLE, "image_sources": []}})

    assert one(found) == ("warning", "providers.acme.models.mini.image_sources")


@pytest.mark.parametrize(("score", "value"), [("price", PRICE), ("quality", 0.9)])
def test_scores_of_what_nobody_has(score: str, value: object) -> None:
    """One target that has it is enough; other strategies do not look at it."""
    without = {key: fields for key, fields in ABLE.items() if key != score}
    models = {"acme/mini": without, "other/mini": without}
    weights = {"weights": {score: 0.5}}

    found = findings(models, strategy="dynamic", dynamic=weights)
    able: dict[str, Any] = {**without, score: value}
    known = {**models, "other/mini": able}
    some = findings(known, strategy="dynamic", dynamic=weights)

    place = f"groups.chat.dynamic.weights.{score}"
    assert place in [path for _, path, _ in found]
    assert place not in [path for _, path, _ in some]


def test_scores_of_nothing() -> None:
    """Then no target is better than another."""
    nothing = dict.fromkeys(("latency", "first_token", "throughput", "reliability"), 0)
    models = {"acme/mini": ABLE, "other/mini": ABLE}

    found = findings(models, strategy="dynamic", dynamic={"weights": nothing})

    assert one(found) == ("error", "groups.chat.dynamic.weights")


@pytest.mark.parametrize("reason", ["on_429", "on_quota", "on_failure"])
def test_rests_that_begin_longer_than_they_may_be(reason: str) -> None:
    """What doubles must begin below its end."""
    found = findings({"acme/mini": ABLE}, backoff={reason: {"min_s": 9, "max_s": 5}})

    assert one(found) == ("error", f"providers.acme.backoff.{reason}.min_s")


def test_models_that_no_group_uses_may_stay_unfinished() -> None:
    """A catalogue is nobody's mistake."""
    text = changed("    models:\n", "    models:\n      large: {}\n")

    assert loaded(text).findings == ()


def test_names_that_do_not_exist_are_told_once() -> None:
    """The graph says nothing of a target that is not there."""
    found = loaded(changed("use: acme/mini", "use: acme/maxi")).findings

    assert [each.key_path for each in found] == ["groups.chat.targets[0].use"]


def test_findings_have_their_line() -> None:
    """And say what to do."""
    text = SMALL + "\n"
    text = changed("        price:", "        # price:", text)

    (found,) = loaded(text).findings

    assert str(found) == (
        "router.yaml:7:7: warning: providers.acme.models.mini: the model has no price:"
        " what its calls cost is unknown\n"
        "    → add price, with 0 if it costs nothing"
    )


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/**/*.yaml")))
def test_examples_are_beyond_reproach(example: Path) -> None:
    """Nothing in them is worth a finding, but for what is not built yet."""
    stores = {
        "ROUTER_DATABASE_URL": "postgresql://router@db.example/usage",
        "VALKEY_URL": "valkeys://counters.example:6379",
    }

    found = load(example, environment={**ENVIRONMENT, **stores}).findings

    assert [str(each) for each in found if "not built" not in each.message] == []


@pytest.mark.parametrize(
    ("limit", "allowed"), [("context_tokens", 0), ("max_request_bytes", 20)]
)
def test_a_limit_that_no_request_keeps(limit: str, allowed: int) -> None:
    """A target that can never be eligible is told; alone it is an error."""
    tight = {**ABLE, limit: allowed}

    alone = findings({"acme/tight": tight})
    beside = findings({"acme/tight": tight, "acme/wide": ABLE, "acme/wider": ABLE})

    assert [(kind, place) for kind, place, _ in alone] == [
        ("error", "groups.chat.targets")
    ]
    assert [(kind, place) for kind, place, _ in beside] == [
        ("warning", "groups.chat.targets[0].use")
    ]
    assert limit in beside[0][2]
