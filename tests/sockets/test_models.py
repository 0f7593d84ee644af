"""`GET /v1/models`: what a caller may name as `model`, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import caller, configuration, provider
from tests.support.mock import Mock
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
