"""Which files a caller may name by a URL, and where the URLs stand."""

import json
from typing import Final

import pytest

from smart_llmrouter.core.errors import ImageUrlForbidden
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.images import refuse_private_urls

URL: Final = "http://169.254.169.254/latest/meta-data/"
PUBLIC: Final = "https://images.example/a.png"
CHAT: Final[DialectName] = "openai-chat"
RESPONSES: Final[DialectName] = "openai-responses"
MESSAGES: Final[DialectName] = "anthropic-messages"


def _said(*parts: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [*parts]}]}


def _block(kind: str, **source: object) -> dict[str, object]:
    return {"type": kind, "source": source}


def _result(content: object) -> dict[str, object]:
    return {"type": "tool_result", "tool_use_id": "t", "content": content}


PLACES: Final[list[tuple[DialectName, dict[str, object]]]] = [
    (CHAT, _said({"type": "image_url", "image_url": {"url": URL}})),
    (CHAT, _said({"type": "image_url", "image_url": URL})),
    (CHAT, _said({"image_url": {"url": URL}})),
    (CHAT, _said({"type": "video_url", "video_url": {"url": URL}})),
    (CHAT, _said({"type": "audio_url", "audio_url": {"url": URL}})),
    (CHAT, _said({"type": "file", "file": {"file_data": URL}})),
    (
        CHAT,
        {
            "messages": [
                {"role": "tool", "content": [{"type": "image_url", "image_url": URL}]}
            ]
        },
    ),
    (
        RESPONSES,
        {"input": [{"content": [{"type": "input_image", "image_url": URL}]}]},
    ),
    (
        RESPONSES,
        {
            "input": [
                {
                    "type": "computer_call_output",
                    "output": {"type": "computer_screenshot", "image_url": URL},
                }
            ]
        },
    ),
    (
        RESPONSES,
        {
            "input": [
                {
                    "type": "function_call_output",
                    "output": [{"type": "input_image", "image_url": URL}],
                }
            ]
        },
    ),
    (
        RESPONSES,
        {"input": [{"content": [{"type": "input_file", "file_url": URL}]}]},
    ),
    (
        RESPONSES,
        {
            "prompt": {
                "id": "p",
                "variables": {"a": {"type": "input_image", "image_url": URL}, "b": "x"},
            }
        },
    ),
    (MESSAGES, _said(_block("image", type="url", url=URL))),
    (MESSAGES, _said(_block("image", type="new", url=URL))),
    (MESSAGES, _said(_block("document", type="url", url=URL))),
    (MESSAGES, _said(_result([_block("image", type="url", url=URL)]))),
    (
        MESSAGES,
        _said(
            _result(
                [
                    _block(
                        "document",
                        type="content",
                        content=[_block("image", type="url", url=URL)],
                    )
                ]
            )
        ),
    ),
]


def refuse(dialect: DialectName, body: str) -> None:
    """Judge a request."""
    spoken, raw = DIALECTS[dialect], body.encode()
    peek = spoken.peek(raw)
    refuse_private_urls(spoken, peek, spoken.requirements_of(peek, body=raw))


@pytest.mark.parametrize(("dialect", "members"), PLACES)
def test_a_private_url_is_refused_wherever_it_stands(
    dialect: DialectName, members: dict[str, object]
) -> None:
    """Also with escapes in it; and it is not repeated to anybody."""
    body = json.dumps(members)
    escaped = body.replace("http:", r"ht\u0074p:").replace("/", r"\/")

    for each in (body, escaped):
        with pytest.raises(ImageUrlForbidden) as refused:
            refuse(dialect, each)

        assert "169.254" not in refused.value.message
        assert refused.value.details == {
            "field": "input" if dialect == RESPONSES else "messages"
        }


@pytest.mark.parametrize(("dialect", "members"), PLACES)
def test_a_public_url_passes(dialect: DialectName, members: dict[str, object]) -> None:
    """So do data, and text that speaks of a private address."""
    body = json.dumps(members)

    for harmless in (PUBLIC, "data:image/png;base64,AA=="):
        refuse(dialect, body.replace(URL, harmless))
    text = {"type": "text", "text": json.dumps(members)}
    refuse(dialect, json.dumps(_said(text) | {"input": [{"content": [text]}]}))
