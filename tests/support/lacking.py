"""Requests that need one thing each, a model that has not got it, and one that has."""

from dataclasses import dataclass, field
from typing import Any, Final

Settings = dict[str, Any]

_FUNCTION: Final = {"type": "function", "function": {"name": "f", "parameters": {}}}
_PNG: Final = "data:image/png;base64,iVBORw0KGgo="
_FILE: Final = {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}}
_SOUND: Final = {
    "type": "input_audio",
    "input_audio": {"data": "AAAA", "format": "wav"},
}
_URL: Final = "https://images.example/cat.png"
_EYES: Final = {"input": ["text", "image"]}


@dataclass(frozen=True, slots=True)
class Lack:
    """What is asked for in Chat, and the facts of two models about it.

    `group` is what the group says of the target that misses it.
    """

    asked: Settings = field(default_factory=dict)
    without: Settings = field(default_factory=dict)
    having: Settings = field(default_factory=dict)
    group: Settings = field(default_factory=dict)


def _says(*parts: Settings) -> list[Settings]:
    return [{"role": "user", "content": [{"type": "text", "text": "look"}, *parts]}]


def _image(url: str) -> Settings:
    return {"type": "image_url", "image_url": {"url": url}}


LACKS: Final[dict[str, Lack]] = {
    "tools": Lack({"tools": [_FUNCTION]}, {}, {"tools": ["function"]}),
    "forced-tool-choice": Lack(
        {"tools": [_FUNCTION], "tool_choice": "required"},
        {"tools": ["function"]},
        {"tools": ["function", "forced_choice"]},
    ),
    "parallel-tools": Lack(
        {"tools": [_FUNCTION], "parallel_tool_calls": True},
        {"tools": ["function"]},
        {"tools": ["function", "parallel"]},
    ),
    "only-with-tools": Lack(
        {}, {"tools": ["function"]}, {}, group={"only_with_tools": True}
    ),
    "structured-output": Lack(
        {"response_format": {"type": "json_object"}},
        {},
        {"structured_outputs": True},
    ),
    "image": Lack({"messages": _says(_image(_PNG))}, {}, _EYES),
    "image-url": Lack(
        {"messages": _says(_image(_URL))}, {**_EYES, "image_sources": ["data"]}, _EYES
    ),
    "image-data": Lack(
        {"messages": _says(_image(_PNG))}, {**_EYES, "image_sources": ["url"]}, _EYES
    ),
    "image-count": Lack(
        {"messages": _says(_image(_PNG), _image(_PNG))},
        {**_EYES, "max_images": 1},
        {**_EYES, "max_images": 2},
    ),
    "audio": Lack({"messages": _says(_SOUND)}, {}, {"input": ["text", "audio"]}),
    "document": Lack({"messages": _says(_FILE)}, {}, {"input": ["text", "document"]}),
    "reasoning": Lack({"reasoning_effort": "low"}, {}, {"reasoning": {}}),
    "output-cap": Lack(
        {"max_tokens": 101}, {"max_output_tokens": 100}, {"max_output_tokens": 101}
    ),
    "context": Lack(
        {"max_tokens": 900}, {"context_tokens": 900}, {"context_tokens": 2000}
    ),
    "request-bytes": Lack({}, {"max_request_bytes": 50}, {"max_request_bytes": 5000}),
    "dialect": Lack({}, {}, {}),
}
"""By the code of what is missing; that of another dialect has providers of its own."""


def asked_of(group: str, code: str) -> Settings:
    """Return the request of a case, for a group."""
    usual = {"messages": [{"role": "user", "content": "hello"}]}
    return {"model": group, **usual, **LACKS[code].asked}
