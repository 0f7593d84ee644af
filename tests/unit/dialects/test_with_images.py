"""Data stand in the place of URLs, and everything else as it came."""

import json
from collections.abc import Mapping
from typing import Final

import pytest

from smart_llmrouter.core.content import Image, ToolResult
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS

URL: Final = "https://images.example/a.png?x=1"
OTHER: Final = "https://images.example/other.gif"
DATA: Final = "data:image/png;base64,iVBORw0KGgo="
IMAGES: Final[Mapping[str, str]] = {URL: DATA}
LINKED: Final = {"type": "url", "url": URL}
BASE64: Final = {
    "type": "base64",
    "media_type": "image/png",
    "data": "iVBORw0KGgo=",
}
TEXT: Final = {"type": "text", "text": URL, "number": 1.5}
BODIES: Final[Mapping[DialectName, dict[str, object]]] = {
    "openai-chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": URL},
            {
                "role": "user",
                "content": [
                    TEXT,
                    {"type": "image_url", "image_url": {"url": URL, "detail": "low"}},
                    {"type": "image_url", "image_url": URL},
                    {"type": "image_url", "image_url": {"url": OTHER}},
                ],
            },
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": [{"type": "image_url", "image_url": URL}],
            },
        ],
    },
    "openai-responses": {
        "model": "m",
        "input": [
            {"role": "user", "content": URL},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": URL},
                    {"type": "input_image", "image_url": URL, "detail": "low"},
                    {"type": "input_image", "image_url": OTHER},
                    {"type": "input_file", "file_url": URL},
                ],
            },
            {
                "type": "function_call_output",
                "call_id": "1",
                "output": [{"type": "input_image", "image_url": URL}],
            },
            {
                "type": "computer_call_output",
                "output": {"type": "computer_screenshot", "image_url": URL},
            },
        ],
        "prompt": {
            "id": "p",
            "variables": {"i": {"type": "input_image", "image_url": URL}, "t": URL},
        },
    },
    "anthropic-messages": {
        "model": "m",
        "max_tokens": 10,
        "messages": [
            {"role": "user", "content": URL},
            {
                "role": "user",
                "content": [
                    TEXT,
                    {"type": "image", "source": LINKED, "cache_control": {"a": 1}},
                    {"type": "document", "source": {"type": "url", "url": URL}},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [
                            {"type": "image", "source": LINKED},
                            {
                                "type": "document",
                                "source": {
                                    "type": "content",
                                    "content": [{"type": "image", "source": LINKED}],
                                },
                            },
                        ],
                    },
                ],
            },
        ],
    },
}
COUNTS: Final = {"openai-chat": 3, "openai-responses": 4, "anthropic-messages": 3}
dialects = pytest.mark.parametrize("dialect", DIALECTS)


def undone(text: str) -> str:
    """Put the URL back wherever data stand."""
    return text.replace(json.dumps(BASE64), json.dumps(LINKED)).replace(DATA, URL)


@dialects
def test_only_images_change(dialect: DialectName) -> None:
    """Texts, documents and images that are not given stay, to the last member."""
    spoken = DIALECTS[dialect]
    peek = spoken.peek(json.dumps(BODIES[dialect]).encode())

    changed = spoken.with_images(peek, IMAGES)

    sent = json.loads(spoken.address(changed, model=b'"m"'))
    again = json.dumps(sent)
    assert again.count(BASE64["data"]) == COUNTS[dialect]
    assert json.loads(undone(again)) == BODIES[dialect]
    assert list(spoken.image_urls_in(changed)) == [
        url for url in spoken.image_urls_in(peek) if url == OTHER
    ]


@dialects
def test_what_is_translated_has_the_data(dialect: DialectName) -> None:
    """A reader of the whole request finds data, and no URL of these."""
    spoken = DIALECTS[dialect]
    body = {**BODIES[dialect], "prompt": None}
    peek = spoken.peek(json.dumps(body).encode())

    request = spoken.parse(spoken.with_images(peek, IMAGES))

    parts = [part for turn in request.turns for part in turn.parts]
    parts += [
        inner
        for part in parts
        if isinstance(part, ToolResult)
        for inner in part.content
    ]
    images = [part for part in parts if isinstance(part, Image)]
    assert {image.url for image in images} <= {None, OTHER}
    assert {image.data for image in images} <= {None, BASE64["data"]}
    assert {image.media_type for image in images if image.data} == {"image/png"}


@dialects
def test_without_images_the_values_are_the_same(dialect: DialectName) -> None:
    """What need not change keeps its bytes: blanks, numbers, escapes."""
    spoken = DIALECTS[dialect]
    body = json.dumps(BODIES[dialect], indent=1).replace("1.5", "1.50").encode()
    peek = spoken.peek(body)

    changed = spoken.with_images(peek, {OTHER + "2": DATA})

    for name in ("messages", "input"):
        assert changed.members.get(name) == peek.members.get(name)


@dialects
@pytest.mark.parametrize(
    "odd",
    [
        {"messages": 3, "input": "x"},
        {
            "messages": [3, None, {"content": 4}, {"content": [5, "x", {"source": 6}]}],
            "input": "x",
        },
        {"messages": None, "input": [7, {"output": 8}], "prompt": {"variables": 9}},
        {"messages": [], "input": []},
    ],
)
def test_odd_requests_stay_as_they_are(
    dialect: DialectName, odd: dict[str, object]
) -> None:
    """Their provider will say what is wrong with them."""
    spoken = DIALECTS[dialect]
    peek = spoken.peek(json.dumps(odd).encode())

    changed = spoken.with_images(peek, IMAGES)

    assert json.loads(spoken.address(changed, model=b'"m"')) == {**odd, "model": "m"}


def test_half_a_surrogate_pair_keeps_no_image_away() -> None:
    """Text that was cut in an emoji is sent as U+FFFD beside an image's data."""
    chat = DIALECTS["openai-chat"]
    peek = chat.peek(
        rb'{"messages":[{"content":[{"type":"text","text":"\ud83d"},'
        rb'{"type":"image_url","image_url":"https://images.example/a.png?x=1"}]}]}'
    )

    changed = chat.with_images(peek, IMAGES)

    assert DATA.encode() in bytes(changed.members["messages"])


def test_images_nested_without_end_stay() -> None:
    """Nobody can make the router go as deep as they like."""
    messages = DIALECTS["anthropic-messages"]
    block: dict[str, object] = {"type": "image", "source": LINKED}
    for _ in range(30):
        block = {"type": "tool_result", "content": [block]}
    body = {"messages": [{"role": "user", "content": [block]}]}
    peek = messages.peek(json.dumps(body).encode())

    changed = messages.with_images(peek, IMAGES)

    assert json.loads(bytes(changed.members["messages"])) == body["messages"]


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic-messages"])
def test_a_request_without_messages_is_left_alone(dialect: DialectName) -> None:
    """There is nothing in it."""
    spoken = DIALECTS[dialect]
    peek = spoken.peek(b"{}")

    assert spoken.with_images(peek, IMAGES) is peek


def test_images_in_the_variables_of_a_prompt_alone_are_found() -> None:
    """A stored prompt needs no input beside it."""
    responses = DIALECTS["openai-responses"]
    variables = {"i": {"type": "input_image", "image_url": URL}}
    body = {"prompt": {"id": "p", "variables": variables}}
    peek = responses.peek(json.dumps(body).encode())

    changed = responses.with_images(peek, IMAGES)

    assert json.loads(bytes(changed.members["prompt"]))["variables"] == {
        "i": {"type": "input_image", "image_url": DATA}
    }
