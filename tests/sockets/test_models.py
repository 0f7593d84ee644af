"""`GET /v1/models`: what a caller may name as `model`, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import pytest

from tests.support.gateway import caller, configuration, provider, token
from tests.support.mock import Mock
from tests.support.plain_clients import anthropic_without_tls
from tests.support.router import Router, running_router


@pytest.fixture
async def several(tmp_path: Path, mock: Mock) -> AsyncIterator[Router]:
    """Return a router with two groups for its caller, and one for nobody."""
    settings = configuration(
        {"acme": provider(mock.base_url)},
        callers=[caller(allow=["chat", "team/fast:1"]), caller("k2", allow=["chat"])],
    )
    one = {"strategy": "static", "targets": [{"use": "acme/mini"}]}
    settings["groups"]["chat"]["aliases"] = ["claude-haiku-4-5", "openai/gpt.mini"]
    settings["groups"] |= {"team/fast:1": one, "hidden": one}
    async with running_router(tmp_path, settings) as running:
        yield running


async def test_groups_and_aliases_are_listed(several: Router) -> None:
    """The list has OpenAI's shape, and no group of anybody else."""
    async with several.http() as client:
        answer = await client.get("/v1/models")

    document = answer.json()
    assert document["object"] == "list"
    assert [model["id"] for model in document["data"]] == [
        "chat",
        "claude-haiku-4-5",
        "openai/gpt.mini",
        "team/fast:1",
    ]
    assert document["data"][0] == {
        "id": "chat",
        "object": "model",
        "created": 0,
        "owned_by": "smart-llmrouter",
    }


async def test_each_caller_has_its_own_list(several: Router) -> None:
    """Another token sees what it may use."""
    models = [model.id async for model in several.openai("k2").models.list()]

    assert models == ["chat", "claude-haiku-4-5", "openai/gpt.mini"]


@pytest.mark.parametrize("name", ["chat", "openai/gpt.mini", "team/fast:1"])
async def test_one_model(several: Router, name: str) -> None:
    """A model is found by its name, slashes included, however they are escaped."""
    model = await several.openai().models.retrieve(name)
    async with several.http() as client:
        plain = await client.get(f"/v1/models/{name}")

    assert model.id == plain.json()["id"] == name


@pytest.mark.parametrize("name", ["hidden", "nothing", "Chat", "team", "chat/"])
async def test_no_such_model(several: Router, name: str) -> None:
    """Unknown and forbidden models are the same 404."""
    async with several.http() as client:
        answer = await client.get(f"/v1/models/{name}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model-not-found"
    assert name not in answer.json()["error"]["message"].split()


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/chat"])
async def test_models_need_a_token(several: Router, path: str) -> None:
    """Nobody may read the list."""
    async with several.http(None) as client:
        answer = await client.get(path)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("name", ["claude-haiku-4-5", "team/fast:1"])
async def test_what_is_listed_can_be_called(several: Router, name: str) -> None:
    """An alias leads to its group, and is kept on record as it was asked for."""
    answer = await several.openai().chat.completions.create(
        model=name, messages=[{"role": "user", "content": "hi"}]
    )
    record = await several.record()

    assert answer.choices[0].message.content
    assert record.requested_model == name
    assert record.resolved_group == ("team/fast:1" if "/" in name else "chat")


@pytest.fixture
async def known(tmp_path: Path, mock: Mock) -> AsyncIterator[Router]:
    """Return a router whose one group has an alias, and facts about its models."""
    model = {
        "model": "mock-mini",
        "context_tokens": 200_000,
        "max_output_tokens": 8192,
        "input": ["text"],
        "tools": ["function"],
        "reasoning": {"levels": ["low", "high", "max"]},
    }
    less = {**model, "context_tokens": 64_000, "reasoning": {"levels": ["high"]}}
    settings = configuration(
        {
            "acme": provider(mock.base_url, models={"mini": model}),
            "other": provider(mock.base_url, models={"mini": less}),
        }
    )
    settings["groups"]["chat"]["aliases"] = ["claude-haiku-4-5"]
    async with running_router(tmp_path, settings) as running:
        yield running


async def test_codex_finds_its_catalogue_in_the_same_list(known: Router) -> None:
    """One body serves both; told its version, the router sends Codex its own part."""
    async with known.http() as client:
        both = (await client.get("/v1/models")).json()
        own = (await client.get("/v1/models?client_version=0.169.0")).json()
        file = (await client.get("/v1/codex/models.json")).json()

    assert own == file == {"models": both["models"]}
    assert [model["slug"] for model in own["models"]] == ["chat", "claude-haiku-4-5"]
    assert [model["visibility"] for model in own["models"]] == ["list", "hide"]
    assert both["data"][0]["context_window"] == 64_000


async def test_a_catalogue_entry_says_the_least_of_all_targets(known: Router) -> None:
    """Whichever target serves, it keeps what the entry promises."""
    async with known.http() as client:
        document = (await client.get("/v1/codex/models.json")).json()

    entry = document["models"][0]
    assert (entry["context_window"], entry["input_modalities"]) == (64_000, ["text"])
    assert entry["supported_reasoning_levels"] == [
        {"effort": "high", "description": "Deep reasoning for hard problems"}
    ]
    assert entry["default_reasoning_level"] == "high"
    assert entry["supports_parallel_tool_calls"] is False
    assert entry["apply_patch_tool_type"] is None


async def test_a_catalogue_entry_of_an_unknown_model(router: Router) -> None:
    """Where the configuration is silent, it is what Codex would have assumed."""
    async with router.http() as client:
        document = (await client.get("/v1/codex/models.json")).json()

    (entry,) = document["models"]
    assert entry["context_window"] == 272_000
    assert entry["input_modalities"] == ["text", "image"]
    assert entry["supported_reasoning_levels"] == []
    assert "default_reasoning_level" not in entry
    assert "coding agent" in entry["base_instructions"]
    assert entry["model_messages"] == {
        "instructions_template": entry["base_instructions"]
    }


async def test_free_text_patches_need_a_responses_target(
    tmp_path: Path, mock: Mock
) -> None:
    """Only models that speak Responses are sure to know the tool of free text."""
    settings = configuration(
        {"acme": provider(mock.base_url, dialect="openai-responses")}
    )
    async with running_router(tmp_path, settings) as router, router.http() as client:
        document = (await client.get("/v1/codex/models.json")).json()

    assert document["models"][0]["apply_patch_tool_type"] == "freeform"


@pytest.mark.parametrize("path", ["/v1/models", "/anthropic/v1/models"])
async def test_anthropics_list(known: Router, path: str) -> None:
    """Its clients are known by their version header, or by the path."""
    version = {"anthropic-version": "2023-06-01"} if path == "/v1/models" else {}
    async with known.http() as client:
        answer = await client.get(f"{path}?limit=1000", headers=version)

    document = answer.json()
    assert [model["id"] for model in document["data"]] == ["chat", "claude-haiku-4-5"]
    assert document["data"][0] == {
        "type": "model",
        "id": "chat",
        "display_name": "chat",
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": 64_000,
        "max_tokens": 8192,
    }
    assert (document["first_id"], document["last_id"]) == ("chat", "claude-haiku-4-5")
    assert document["has_more"] is False
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ("limit=2", ["chat", "claude-haiku-4-5"], True),
        (
            "limit=2&after_id=claude-haiku-4-5",
            ["openai/gpt.mini", "team/fast:1"],
            False,
        ),
        (
            "limit=2&before_id=team/fast:1",
            ["claude-haiku-4-5", "openai/gpt.mini"],
            True,
        ),
        ("before_id=chat", [], False),
        ("after_id=team/fast:1", [], False),
    ],
)
async def test_anthropics_pages(
    several: Router, query: str, ids: list[str], *, has_more: bool
) -> None:
    """Pages go on from an id, in both directions, and say whether there is more."""
    async with several.http() as client:
        document = (await client.get(f"/anthropic/v1/models?{query}")).json()

    assert [model["id"] for model in document["data"]] == ids
    assert document["has_more"] is has_more
    assert document["last_id"] == (ids[-1] if ids else None)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "limit=99999", "after_id=no", "before_id=no",
     "after_id=chat&before_id=chat"],
)  # fmt: skip
async def test_a_page_that_cannot_be(several: Router, query: str) -> None:
    """What is wrong with it is said, and nothing of it repeated."""
    async with several.http() as client:
        answer = await client.get(f"/anthropic/v1/models?{query}")

    assert answer.status_code == 400


async def test_the_anthropic_sdk_lists_and_retrieves(several: Router) -> None:
    """Page by page, and one by one, whatever the base URL ends with."""
    for base_url in (several.url, f"{several.url}/anthropic"):
        async with anthropic.AsyncAnthropic(
            base_url=base_url,
            api_key=token(),
            max_retries=0,
            http_client=anthropic_without_tls(),
        ) as client:
            models = [model.id async for model in client.models.list(limit=2)]
            one = await client.models.retrieve("team/fast:1")
            with pytest.raises(anthropic.NotFoundError):
                await client.models.retrieve("hidden")

        assert models == ["chat", "claude-haiku-4-5", "openai/gpt.mini", "team/fast:1"]
        assert (one.id, one.type) == ("team/fast:1", "model")


async def test_a_list_that_has_not_changed_is_not_sent_again(several: Router) -> None:
    """Each list has a tag of its own; who has the list already is told so."""
    async with several.http() as client:
        first = await client.get("/v1/models")
        tag = first.headers["etag"]
        again = await client.get("/v1/models", headers={"If-None-Match": f"W/{tag}"})
        other = await client.get(
            "/v1/codex/models.json", headers={"If-None-Match": tag}
        )

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert (other.status_code, other.headers["etag"] != tag) == (200, True)
