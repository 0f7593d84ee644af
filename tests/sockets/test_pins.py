"""What is a provider's own goes back to that provider: proofs, and stored answers."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx2
import pytest

from smart_llmrouter.mockprovider.provider import Settings
from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import caller, configuration, provider, token
from tests.support.mock import Mock, running_mock
from tests.support.plain_clients import anthropic_without_tls
from tests.support.router import Router, running_router

Json = dict[str, Any]
Ask = Callable[..., Json]
GoingOn = Callable[[httpx2.Response], list[Json]]

USER: Final = {"role": "user", "content": "hi"}


@pytest.fixture
async def first() -> AsyncIterator[Mock]:
    """Return a provider that takes nobody else's proofs."""
    async with running_mock(Settings(name="first")) as running:
        yield running


@pytest.fixture
async def second() -> AsyncIterator[Mock]:
    """Return another one."""
    async with running_mock(Settings(name="second")) as running:
        yield running


@asynccontextmanager
async def siblings(
    directory: Path, first: Mock, second: Mock, dialect: str
) -> AsyncGenerator[Router]:
    """Serve a group that fails over between two providers of one dialect."""
    settings = configuration(
        {
            "first": provider(first.base_url, dialect=dialect),
            "second": provider(second.base_url, dialect=dialect),
        },
        callers=[caller(), caller("k2")],
    )
    async with running_router(directory, settings) as router:
        yield router


async def asked(router: Router, path: str, body: Json, key: str = "k1") -> Any:  # noqa: ANN401 - JSON
    """Return the answer to a request."""
    async with router.http(key) as http:
        return await http.post(path, json=body)


def thinking(*turns: Json) -> Json:
    """Return a request of Messages for an answer with a thought."""
    return {
        "model": "chat",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [USER, *turns],
    }


async def test_a_signature_goes_back_to_its_maker(
    tmp_path: Path, first: Mock, second: Mock
) -> None:
    """A conversation that failed over stays where its last thought was signed."""
    first.will(Step(status=503))
    async with siblings(tmp_path, first, second, "anthropic-messages") as router:
        begun = await asked(router, "/v1/messages", thinking())
        said = {"role": "assistant", "content": begun.json()["content"]}
        gone_on = await asked(router, "/v1/messages", thinking(said, USER))

    assert begun.headers["x-router-target"] == "second/mini"
    assert any(block["type"] == "thinking" for block in said["content"])
    assert gone_on.status_code == 200, gone_on.text
    assert gone_on.headers["x-router-target"] == "second/mini"
    assert len(first.received) == 1


async def test_a_streamed_signature_goes_back_to_its_maker(
    tmp_path: Path, first: Mock, second: Mock
) -> None:
    """What was proved in a stream is known, too."""
    first.will(Step(status=503))
    async with siblings(tmp_path, first, second, "anthropic-messages") as router:
        client = anthropic.AsyncAnthropic(
            base_url=router.url, api_key=token(), http_client=anthropic_without_tls()
        )
        async with client, client.messages.stream(**thinking()) as stream:
            begun = await stream.get_final_message()
        blocks = [block.model_dump(exclude_none=True) for block in begun.content]
        said = {"role": "assistant", "content": blocks}
        gone_on = await asked(router, "/v1/messages", thinking(said, USER))

    assert blocks[0]["type"] == "thinking"
    assert gone_on.headers["x-router-target"] == "second/mini", gone_on.text
    assert gone_on.status_code == 200, gone_on.text


async def test_encrypted_reasoning_goes_back_to_its_maker(
    tmp_path: Path, first: Mock, second: Mock
) -> None:
    """A sibling could not read it, and would refuse the request."""
    ask: Json = {
        "model": "chat",
        "input": [USER],
        "store": False,
        "reasoning": {"effort": "high"},
        "include": ["reasoning.encrypted_content"],
    }
    first.will(Step(status=503))
    async with siblings(tmp_path, first, second, "openai-responses") as router:
        begun = await asked(router, "/v1/responses", ask)
        turns = [USER, *begun.json()["output"], USER]
        gone_on = await asked(router, "/v1/responses", ask | {"input": turns})

    assert begun.headers["x-router-target"] == "second/mini"
    assert any(item.get("encrypted_content") for item in begun.json()["output"])
    assert gone_on.status_code == 200, gone_on.text
    assert gone_on.headers["x-router-target"] == "second/mini"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stored_answer_is_gone_on_from_where_it_is(
    tmp_path: Path, first: Mock, second: Mock, *, stream: bool
) -> None:
    """`previous_response_id` leads to the provider that keeps the answer."""
    first.will(Step(status=503))
    async with siblings(tmp_path, first, second, "openai-responses") as router:
        begun = await asked(
            router, "/v1/responses", {"model": "chat", "input": "hi", "stream": stream}
        )
        answer_id = begun.text.partition('"id":"')[2].partition('"')[0]
        more = {"model": "chat", "input": "more", "previous_response_id": answer_id}
        gone_on = await asked(router, "/v1/responses", more)

    assert answer_id.startswith("resp_")
    assert gone_on.status_code == 200, gone_on.text
    assert gone_on.headers["x-router-target"] == "second/mini"
    assert len(first.received) == 1


@pytest.mark.parametrize(
    ("answer_id", "key"), [("resp_never_heard_of", "k1"), (None, "k2")]
)
async def test_an_answer_of_somebody_else_is_not_gone_on_from(
    tmp_path: Path, first: Mock, second: Mock, answer_id: str | None, key: str
) -> None:
    """An id that is unknown, or another caller's, is a clear 400, and asks nobody."""
    async with siblings(tmp_path, first, second, "openai-responses") as router:
        begun = await asked(router, "/v1/responses", {"model": "chat", "input": "hi"})
        more = {
            "model": "chat",
            "input": "more",
            "previous_response_id": answer_id or begun.json()["id"],
        }
        refused = await asked(router, "/v1/responses", more, key)

    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unknown-response-id"
    assert len(first.received) + len(second.received) == 1


@pytest.mark.parametrize("dialect", ["anthropic-messages", "openai-responses"])
async def test_a_sibling_takes_over_without_the_proofs_of_others(
    tmp_path: Path, first: Mock, second: Mock, dialect: str
) -> None:
    """When the maker of a proof is away, another goes on without it, and so back."""
    path, ask, going_on = _CONVERSATIONS[dialect]
    async with siblings(tmp_path, first, second, dialect) as router:
        begun = await asked(router, path, ask())
        first.will(Step(status=503))
        taken_over = await asked(router, path, ask(*going_on(begun)))
        second.will(Step(status=503))
        history = (*going_on(begun), *going_on(taken_over))
        taken_back = await asked(router, path, ask(*history))

    answers = (begun, taken_over, taken_back)
    assert [answer.status_code for answer in answers] == [200] * 3, taken_back.text
    served = [answer.headers["x-router-target"] for answer in answers]
    assert served == ["first/mini", "second/mini", "first/mini"]
    noted = [answer.headers.get("x-router-notes") for answer in answers]
    assert noted == [None, "dropped reasoning", "dropped reasoning"]


def responding(*items: Json) -> Json:
    """Return a request of Responses for an answer with a thought."""
    return {
        "model": "chat",
        "input": [USER, *items],
        "store": False,
        "reasoning": {"effort": "high"},
        "include": ["reasoning.encrypted_content"],
    }


def _messages_of(answer: httpx2.Response) -> list[Json]:
    return [{"role": "assistant", "content": answer.json()["content"]}, USER]


def _items_of(answer: httpx2.Response) -> list[Json]:
    return [*answer.json()["output"], USER]


_CONVERSATIONS: Final[Mapping[str, tuple[str, Ask, GoingOn]]] = {
    "anthropic-messages": ("/v1/messages", thinking, _messages_of),
    "openai-responses": ("/v1/responses", responding, _items_of),
}
