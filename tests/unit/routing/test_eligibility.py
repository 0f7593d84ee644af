"""Each requirement has a code, and each target lists all of those that it misses."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config.policies import Contract
from smart_llmrouter.core.estimates import input_tokens
from smart_llmrouter.routing.eligibility import Eligibility
from tests.support.targets import BODY, EVERYTHING, group, needs, target

TOOLS = frozenset({"function"})
PLAIN: dict[str, Any] = {}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # code: what is asked, facts of a target that misses it, of one that does not
    "tools": ({"tools": TOOLS}, PLAIN, {"tools": ("function",)}),
    "forced-tool-choice": (
        {"tools": TOOLS, "forced_choice": True},
        {"tools": ("function",)},
        {"tools": ("function", "forced_choice")},
    ),
    "parallel-tools": (
        {"tools": TOOLS, "parallel_tools": True},
        {"tools": ("function",)},
        {"tools": ("function", "parallel")},
    ),
    "only-with-tools": (PLAIN, {"only_with_tools": True}, PLAIN),
    "structured-output": (
        {"output_format": "json_schema"},
        {"structured_outputs": False},
        {"structured_outputs": True},
    ),
    "image": ({"image_data": 1}, PLAIN, {"input": ("text", "image")}),
    "image-url": (
        {"image_urls": 1},
        {"input": ("text", "image"), "image_sources": ("data",)},
        {"input": ("text", "image"), "image_sources": ("url",)},
    ),
    "image-data": (
        {"image_data": 1},
        {"input": ("text", "image"), "image_sources": ("url",)},
        {"input": ("text", "image"), "image_sources": ("data",)},
    ),
    "image-count": (
        {"image_data": 3},
        {"input": ("image",), "max_images": 2},
        {"input": ("image",), "max_images": 3},
    ),
    "audio": ({"audio": True}, PLAIN, {"input": ("text", "audio")}),
    "document": ({"documents": 1}, PLAIN, {"input": ("text", "document")}),
    "reasoning": ({"reasoning": "effort"}, PLAIN, {"reasons": True}),
    "output-cap": (
        {"output_cap": 101},
        {"max_output_tokens": 100},
        {"max_output_tokens": 101},
    ),
    "context": (
        {"output_cap": 50},
        {"context_tokens": input_tokens(BODY) + 49},
        {"context_tokens": input_tokens(BODY) + 50},
    ),
    "request-bytes": (
        PLAIN,
        {"max_request_bytes": len(BODY) - 1},
        {"max_request_bytes": len(BODY)},
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_a_target_fits_or_says_what_it_misses(code: str) -> None:
    """One requirement at a time: who has it is eligible, who has not names it."""
    asked, lacking, having = CASES[code]
    chosen = group(target("without", **lacking), target("with", **having))

    fit = Eligibility(chosen, fetches_images=False).of(needs(**asked))

    assert [each.label for each in fit.targets] == ["with/mini"]
    assert fit.missing == {"without/mini": (code,)}


def test_a_target_lists_all_that_it_misses() -> None:
    """In an order that does not depend on the request."""
    asked = needs(
        tools=TOOLS,
        forced_choice=True,
        parallel_tools=True,
        output_format="json_object",
        image_urls=2,
        audio=True,
        documents=1,
        reasoning="budget",
        output_cap=1000,
    )
    weak = target("weak", max_output_tokens=10, context_tokens=20, max_request_bytes=5)

    fit = Eligibility(group(weak), fetches_images=False).of(asked)

    assert fit.targets == ()
    assert fit.missing["weak/mini"] == (
        "tools",
        "forced-tool-choice",
        "parallel-tools",
        "image",
        "audio",
        "document",
        "structured-output",
        "reasoning",
        "output-cap",
        "context",
        "request-bytes",
    )


def test_all_needs_must_hold_on_one_target() -> None:
    """Two targets that have one each of two needs serve nobody who has both."""
    chosen = group(
        target("hands", tools=("function",)), target("eyes", input=("text", "image"))
    )

    fit = Eligibility(chosen, fetches_images=False).of(needs(tools=TOOLS, image_data=1))

    assert fit.targets == ()
    assert fit.missing == {"hands/mini": ("image",), "eyes/mini": ("tools",)}


def test_what_is_not_declared_is_not_there_and_no_limit_excludes_nobody() -> None:
    """A model of which the file says nothing takes text of any size, and no more."""
    bare = Eligibility(group(target("bare")), fetches_images=False)
    long = BODY.replace(b"hello", b"word " * 100_000)

    assert [each.label for each in bare.of(needs(long)).targets] == ["bare/mini"]
    assert [each.label for each in bare.of(needs(output_cap=10**9)).targets] == [
        "bare/mini"
    ]
    assert bare.of(needs(tools=TOOLS)).targets == ()


def test_functions_stand_for_what_can_be_said_as_functions() -> None:
    """Custom tools, namespaces and a search for tools go where functions go."""
    mapped = frozenset({"custom", "namespace", "tool_search", "function"})
    able = Eligibility(
        group(
            target("functions", tools=("function",)),
            target("natively", dialect="openai-responses", tools=("custom",)),
        ),
        fetches_images=False,
    )

    everything = able.of(needs(tools=mapped))
    custom = able.of(needs(tools=frozenset({"custom"})))

    assert [each.label for each in everything.targets] == ["functions/mini"]
    assert [each.label for each in custom.targets] == [
        "functions/mini",
        "natively/mini",
    ]


def test_a_capped_request_never_goes_to_who_does_not_keep_to_caps() -> None:
    """`honors_output_cap: false` says so; without a cap it is as good as others."""
    chosen = Eligibility(
        group(target("loose", honors_output_cap=False), target("unknown")),
        fetches_images=False,
    )

    capped, free = chosen.of(needs(output_cap=1)), chosen.of(needs())

    assert [each.label for each in capped.targets] == ["unknown/mini"]
    assert capped.missing == {"loose/mini": ("output-cap",)}
    assert [each.label for each in free.targets] == ["loose/mini", "unknown/mini"]


def test_an_image_by_url_is_served_where_the_router_fetches_it() -> None:
    """Then a target that takes only the data of images does not miss the URL."""
    chosen = group(target("eyes", input=("image",), image_sources=("data",)))

    fetched = Eligibility(chosen, fetches_images=True).of(needs(image_urls=1))

    assert [each.label for each in fetched.targets] == ["eyes/mini"]


def test_without_bridges_only_the_dialect_of_the_request_is_eligible() -> None:
    """`bridges: off` is a requirement like the others."""
    chosen = group(
        target("same", **EVERYTHING),
        target("other", dialect="anthropic-messages", **EVERYTHING),
        bridges="off",
    )

    fit = Eligibility(chosen, fetches_images=False).of(needs(tools=TOOLS))

    assert [each.label for each in fit.targets] == ["same/mini"]
    assert fit.missing == {"other/mini": ("dialect",)}


def test_the_verdict_on_a_kind_of_request_is_remembered() -> None:
    """Two requests of one kind are given the very same value."""
    chosen = Eligibility(group(target("a"), target("b")), fetches_images=False)

    assert chosen.of(needs(output_cap=5)) is chosen.of(needs(output_cap=7))
    assert chosen.of(needs()) is not chosen.of(needs(output_cap=7))


def test_a_small_request_is_not_counted() -> None:
    """The estimate is made only where the request may be too large for somebody."""
    chosen = Eligibility(
        group(target("a", context_tokens=128_000)), fetches_images=False
    )
    small, large = needs(), needs(BODY.replace(b"hello", b"word " * 20_000))

    chosen.of(small)
    chosen.of(large)

    assert small._estimate is None
    assert large._estimate is not None


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5),
            st.one_of(
                st.text(max_size=60),
                st.integers(),
                st.lists(st.text(max_size=20), max_size=3),
                st.none(),
            ),
            max_size=5,
        ),
        max_size=8,
    ),
    st.lists(st.fixed_dictionaries({"type": st.just("function")}), max_size=9),
    st.integers(0, 20_000),
)
def test_the_quick_bound_never_excludes_what_the_estimate_allows(
    messages: list[Any], tools: list[Any], context: int
) -> None:
    """With the bound or without it, the same targets hold the same requests."""
    body = msgspec.json.encode({"messages": messages, "tools": tools})
    chosen = group(target("a", context_tokens=context))

    fit = Eligibility(chosen, fetches_images=False).of(needs(body))

    assert bool(fit.targets) == (input_tokens(body) <= context)


def test_what_a_group_promises_is_asked_of_each_target() -> None:
    """A contract filters every call, whatever it needs."""
    promise = Contract(
        dialects=("openai-chat", "anthropic-messages"),
        input=("text", "image"),
        tools=("function",),
        structured_outputs=True,
        reasoning=True,
        honors_output_cap=True,
        min_context_tokens=1000,
    )
    full = target("full", **EVERYTHING, context_tokens=1000)
    chosen = group(
        full,
        target("bare", honors_output_cap=False),
        replace(full, label="small/mini", context_tokens=999),
        contract=promise,
        bridges="off",
    )

    fit = Eligibility(chosen, fetches_images=False).of(needs())

    assert fit.missing == {
        "full/mini": ("contract-required-api-shape",),
        "bare/mini": (
            "contract-required-api-shape",
            "contract-required-modality",
            "contract-required-tools",
            "contract-required-structured-output",
            "contract-required-reasoning",
            "contract-required-output-cap",
            "contract-required-context",
        ),
        "small/mini": ("contract-required-api-shape", "contract-required-context"),
    }
    kept = Eligibility(replace(chosen, bridges="best-effort"), fetches_images=False)
    assert [each.label for each in kept.of(needs()).targets] == ["full/mini"]
