"""What holds for the mock in every dialect: agents, faults, scripts, images."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import pytest

from smart_llmrouter.mockprovider.provider import Settings
from smart_llmrouter.mockprovider.script import parse_step
from tests.support.mock import Mock, running_mock
from tests.support.raw_http import Heard, exchange

Fields = dict[str, object]

SCHEMA: Final = {"type": "object", "properties": {"command": {"type": "string"}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one dialect asks, and where its last event is."""

    path: str
    body: Mapping[str, object]
    headers: Mapping[str, str]
    last: bytes

    def request(self, text: str, **fields: object) -> bytes:
        """Return a whole request as bytes, on a connection that closes after it."""
        spelt = json.dumps({**self.body, **fields}).replace("SAID", text)
        lines = [f"POST {self.path} HTTP/1.1", "host: mock", "connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"content-length: {len(spelt.encode())}")
        return ("\r\n".join(lines) + "\r\n\r\n" + spelt).encode()


USER: Final = [{"role": "user", "content": "SAID"}]
WAYS: Final = {
    "chat": Way(
        path="/v1/chat/completions",
        body={"model": "m", "messages": USER},
        headers={},
        last=b"[DONE]",
    ),
    "responses": Way(
        path="/v1/responses",
        body={"model": "m", "input": USER},
        headers={},
        last=b"response.completed",
    ),
    "messages": Way(
        path="/v1/messages",
        body={"model": "m", "messages": USER, "max_tokens": 4096},
        headers={"anthropic-version": "2023-06-01"},
        last=b"message_stop",
    ),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Each dialect in its turn."""
    return WAYS[str(request.param)]


@pytest.fixture
async def mock() -> AsyncGenerator[Mock]:
    """A mock of its own for each test."""
    async with running_mock() as mock:
        yield mock


async def heard(mock: Mock, way: Way, text: str = "hi", **fields: object) -> Heard:
    """Ask and return all that came."""
    return await exchange(mock.port, way.request(text, **fields))


def tell(mock: Mock, **step: object) -> None:
    """Queue one step, written as its users write it: in JSON."""
    mock.will(parse_step(json.dumps(step)))


async def test_a_stream_comes_whole(mock: Mock, way: Way) -> None:
    """With its last event, in chunks, on a connection that ends in order."""
    answer = await heard(mock, way, stream=True)

    assert answer.status == 200
    assert way.last in answer.events[-1]
    assert answer.data.endswith(b"0\r\n\r\n")


async def test_events_have_the_names_of_their_dialect(mock: Mock) -> None:
    """Chat has none; in the others each one has its type as its name."""
    for name, way in WAYS.items():
        answer = await heard(mock, way, stream=True)

        lines = answer.body.split(b"\n")
        names = [line[7:] for line in lines if line.startswith(b"event: ")]
        documents = answer.events if name != "chat" else []
        assert names == [json.loads(data)["type"].encode() for data in documents]


async def test_a_status_and_its_body(mock: Mock, way: Way) -> None:
    """A refusal has the header and an error in the shape of the dialect."""
    tell(mock, status=429, retry_after=3)

    answer = await heard(mock, way)

    assert answer.status == 429
    assert b"\r\nretry-after: 3\r\n" in answer.data
    assert (
        "rate_limit"
        in json.loads(answer.body)["error"][
            "type" if way is WAYS["messages"] else "code"
        ]
    )


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_stream_breaks_off(mock: Mock, way: Way, count: int) -> None:
    """Before the first event, or after some, without a last one."""
    tell(mock, hang_up_after_events=count)

    answer = await heard(mock, way, stream=True)

    assert len(answer.events) == count
    assert not answer.data.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_stream_fails(mock: Mock, way: Way, count: int) -> None:
    """The error is an event, and nothing comes after it."""
    tell(mock, error_in_stream={"after_events": count, "message": "No more."})

    answer = await heard(mock, way, stream=True)

    assert len(answer.events) == count + 1
    assert b"No more." in answer.events[-1]
    assert b"No more." not in b"".join(answer.events[:-1])


async def test_a_plain_answer_may_be_an_error(mock: Mock, way: Way) -> None:
    """The error of a stream is then the whole body, with a 200."""
    tell(mock, error_in_stream={"message": "No more."})

    answer = await heard(mock, way)

    assert answer.status == 200
    assert b"No more." in answer.body


async def test_a_stream_may_lack_its_last_event(mock: Mock, way: Way) -> None:
    """It ends in order all the same."""
    tell(mock, no_done=True)

    answer = await heard(mock, way, stream=True)

    assert not any(way.last in event for event in answer.events)
    assert answer.data.endswith(b"0\r\n\r\n")


async def test_a_marker_in_the_prompt_is_a_step(mock: Mock, way: Way) -> None:
    """It stands in the text of the user, wherever the dialect has that."""
    answer = await heard(mock, way, 'hi [[mock: {\\"status\\": 503}]]')

    assert answer.status == 503


async def test_a_model_has_standing_orders(mock: Mock, way: Way) -> None:
    """They hold for it alone, in every dialect."""
    mock.always(parse_step('{"content": "steady"}'), model="m")

    same = await heard(mock, way)
    other = await heard(mock, way, model="n")

    assert b"steady" in same.body
    assert b"steady" not in other.body


async def test_a_model_that_does_not_exist(way: Way) -> None:
    """Is a 404 in the dialect's shape."""
    async with running_mock(Settings(models=("only",))) as mock:
        answer = await heard(mock, way)

    assert answer.status == 404
    assert "error" in json.loads(answer.body)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model":1}', b"\xff"])
async def test_what_is_no_request_is_refused(mock: Mock, way: Way, body: bytes) -> None:
    """With a 400 in the dialect's shape."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(mock.url + way.path, data=body, headers=way.headers) as response,
    ):
        document = await response.json()

    assert response.status == 400
    assert document["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("zero", b":0"), ("strings", b'"7"'), ("absurd", b"9007199254740993")],
)
async def test_usage_may_be_wrong(
    mock: Mock, way: Way, kind: str, expected: bytes
) -> None:
    """Each kind of wrong usage stands in the answer."""
    tell(mock, wrong_usage=kind)

    answer = await heard(mock, way)

    assert b'"usage":{' in answer.body
    assert expected in answer.body.partition(b'"usage":{')[2]


@pytest.mark.parametrize("step", [{"no_usage": True}, {"wrong_usage": "absent"}])
async def test_usage_may_be_absent(
    mock: Mock, way: Way, step: dict[str, object]
) -> None:
    """Then no token is counted anywhere in a stream."""
    tell(mock, **step)

    answer = await heard(mock, way, stream=True)

    assert answer.status == 200
    assert b'_tokens":' not in answer.body.replace(b"max_output_tokens", b"")


async def test_vendors_add_fields(mock: Mock, way: Way) -> None:
    """Odd numbers and duplicate keys, in every event; the cost where one is given."""
    tell(mock, vendor_fields=True, cost=0.5)

    plain = await heard(mock, way)
    tell(mock, vendor_fields=True)
    streamed = await heard(mock, way, stream=True)

    assert b'"cost":0.5' in plain.body
    assert b"12345678901234567890" in plain.body
    documents = [event for event in streamed.events if event != b"[DONE]"]
    assert all(b'"x_vendor":{"score":1.00' in event for event in documents)


async def test_an_agent_does_its_task_in_chat(mock: Mock) -> None:
    """Thought, text and call; then the next step; then the last word."""
    function = {"name": "shell", "parameters": SCHEMA}
    tools = [{"type": "function", "function": function}]
    plan = "MOCK: think Hm.\nMOCK: say So.\nMOCK: run a\nMOCK: say {results}: {last}"
    messages: list[object] = [{"role": "user", "content": plan}]
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            body = {"model": "m", "messages": messages, "tools": tools}
            async with http.post(
                f"{mock.base_url}/chat/completions", json=body
            ) as response:
                message = (await response.json())["choices"][0]["message"]
            messages.append(message)
            for call in message.get("tool_calls", ()):
                answer = {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
                messages.append(answer)

    first = messages[1]
    assert isinstance(first, dict)
    assert (first["reasoning_content"], first["content"]) == ("Hm.", "So.")
    assert first["tool_calls"][0]["function"]["arguments"] == '{"command": "a"}'
    last = messages[-1]
    assert isinstance(last, dict)
    assert last["content"] == "1: ok"


async def test_an_agent_does_its_task_in_responses(mock: Mock) -> None:
    """The same, with items; a thought stands beside the calls and the text."""
    tools = [{"type": "custom", "name": "apply_patch"}]
    plan = "MOCK: think Hm.\nMOCK: say So.\nMOCK: write /x one\nMOCK: say {results}"
    items: list[Fields] = [{"role": "user", "content": plan}]
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            body = {"model": "m", "input": items, "tools": tools}
            async with http.post(f"{mock.base_url}/responses", json=body) as response:
                output = (await response.json())["output"]
            items += output
            items += [
                {
                    "type": "custom_tool_call_output",
                    "call_id": item["call_id"],
                    "output": [{"type": "input_text", "text": "ok"}],
                }
                for item in output
                if item["type"] == "custom_tool_call"
            ]

    assert [item.get("type") for item in items[1:]] == [
        "reasoning",
        "message",
        "custom_tool_call",
        "custom_tool_call_output",
        "message",
    ]
    assert str(items[3]["input"]).startswith("*** Begin Patch\n*** Add File: /x\n+one")
    assert '"text": "1"' in json.dumps(items[-1])


async def test_an_agent_does_its_task_in_messages(mock: Mock) -> None:
    """The same, with blocks; errors are counted, and texts beside results are none."""
    tools = [{"name": "Bash", "input_schema": SCHEMA}]
    plan = "MOCK: think Hm.\nMOCK: say So.\nMOCK: parallel run a ;; run b"
    messages: list[Fields] = [{"role": "user", "content": plan}]
    content: list[Fields] = []
    way = WAYS["messages"]
    async with aiohttp.ClientSession(headers=way.headers) as http:
        for _ in range(2):
            body = {**way.body, "messages": messages, "tools": tools}
            async with http.post(mock.url + way.path, json=body) as response:
                content = (await response.json())["content"]
            messages.append({"role": "assistant", "content": content})
            results: list[Fields] = [
                {
                    "type": "tool_result",
                    "tool_use_id": block["id"],
                    "content": "no",
                    "is_error": True,
                }
                for block in content
                if block["type"] == "tool_use"
            ]
            reminder: Fields = {"type": "text", "text": "Remember the milk."}
            messages.append({"role": "user", "content": [*results, reminder]})

    first = messages[1]["content"]
    assert isinstance(first, list)
    kinds = [block["type"] for block in first]
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    assert content[0]["text"] == "Done: 2 tool results, 2 errors."
