"""A strict reader of streamed Messages answers, as Anthropic's own clients demand them.

    stream   message_start (block | ping)* message_delta message_stop
    block    content_block_start delta* content_block_stop

Each event is one line that names it and one of data, both of which name the same type.
Blocks have ascending indexes from 0 and do not overlap; none is an empty text; what is
thought ends with a signature; an input is the JSON of one object.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

STOP_REASONS: Final = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    }
)
DELTAS: Final = {
    "text_delta": ("text", "text"),
    "citations_delta": ("text", "citation"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("tool_use", "partial_json"),
}
COUNTS: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)


class GrammarBroken(AssertionError):
    """What was written is no stream of Messages."""


@dataclass
class Read:
    """What a stream came to, and whether it came to its end."""

    message: dict[str, Any] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    ended: bool = False


def read_stream(stream: bytes) -> Read:
    """Read a stream or the beginning of one. Raises `GrammarBroken`."""
    reader = _Reader()
    whole, _, rest = stream.rpartition(b"\n\n")
    _insist(rest == b"", "the last event has no blank line")
    for event in whole.split(b"\n\n") if whole else []:
        reader.take(event.decode())
    return reader.read


def read_whole_stream(stream: bytes) -> dict[str, Any]:
    """Return the message of a complete stream. Raises `GrammarBroken`."""
    read = read_stream(stream)
    _insist(read.ended, "no message_stop")
    return read.message


def _insist(truth: object, otherwise: str) -> None:
    if not truth:
        raise GrammarBroken(otherwise)


class _Reader:
    def __init__(self) -> None:
        self.read = Read()
        self._block: dict[str, Any] | None = None
        self._input = ""
        self._complete = False

    def take(self, event: str) -> None:
        lines = event.split("\n")
        _insist(len(lines) == 2, f"{len(lines)} lines in an event")
        _insist(lines[0].startswith("event: "), "no event line first")
        _insist(lines[1].startswith("data: "), "no data line second")
        data = json.loads(lines[1].removeprefix("data: "))
        kind = lines[0].removeprefix("event: ")
        _insist(data["type"] == kind, f"{kind} has data of {data['type']}")
        _insist(not self.read.ended, f"{kind} after the end")
        if kind != "ping":
            self.read.events.append(kind)
            getattr(self, f"_take_{kind}")(data)

    def _take_message_start(self, data: dict[str, Any]) -> None:
        message = data["message"]
        _insist(not self.read.message, "a second message_start")
        _insist(message["content"] == [], "content in message_start")
        _insist(message["type"] == "message", "no message")
        _insist(message["role"] == "assistant", "not the assistant's")
        _insist(message["stop_reason"] is None, "a stop reason in message_start")
        _insist(message["id"].startswith("msg_"), "no id of a message")
        self._take_usage(message["usage"])
        self.read.message = message

    def _take_usage(self, usage: dict[str, Any]) -> None:
        for name in COUNTS:
            _insist(type(usage[name]) is int, f"no {name}")
            _insist(usage[name] >= 0, f"a negative {name}")

    def _take_content_block_start(self, data: dict[str, Any]) -> None:
        _insist(self.read.message and not self._complete, "a block outside")
        _insist(self._block is None, "blocks overlap")
        content = self.read.message["content"]
        _insist(data["index"] == len(content), f"index {data['index']}")
        self._block, self._input = data["content_block"], ""
        content.append(self._block)

    def _take_content_block_delta(self, data: dict[str, Any]) -> None:
        block = self._block
        _insist(block is not None, "a delta outside of a block")
        assert block is not None
        delta = data["delta"]
        kind, name = DELTAS[delta["type"]]
        _insist(data["index"] == len(self.read.message["content"]) - 1, "a wrong index")
        _insist(block["type"] == kind, f"{delta['type']} in {block['type']}")
        _insist(delta["type"] == "thinking_delta" or delta[name], "an empty delta")
        if name == "partial_json":
            self._input += delta[name]
        elif name == "citation":
            block.setdefault("citations", []).append(delta[name])
        else:
            _insist(name == "signature" or not block.get("signature"), "signed before")
            block[name] += delta[name]

    def _take_content_block_stop(self, data: dict[str, Any]) -> None:
        block = self._block
        _insist(block is not None, "no block to end")
        assert block is not None
        _insist(data["index"] == len(self.read.message["content"]) - 1, "a wrong index")
        if block["type"] == "text":
            _insist(block["text"] or block.get("citations"), "an empty text block")
        if block["type"] == "thinking":
            _insist(block["signature"], "unsigned thinking")
        if block["type"] == "tool_use":
            _insist(block["id"] and block["name"], "a call without id or name")
            block["input"] = json.loads(self._input) if self._input else block["input"]
            _insist(isinstance(block["input"], dict), "an input that is no object")
        self._block = None

    def _take_message_delta(self, data: dict[str, Any]) -> None:
        _insist(self.read.message and self._block is None, "an end inside of a block")
        _insist(not self._complete, "a second message_delta")
        self._complete = True
        delta = data["delta"]
        _insist(delta["stop_reason"] in STOP_REASONS, "no known stop reason")
        self._take_usage(data["usage"])
        self.read.message |= {
            "stop_reason": delta["stop_reason"],
            "stop_sequence": delta["stop_sequence"],
            "usage": data["usage"],
        }

    def _take_message_stop(self, _data: dict[str, Any]) -> None:
        _insist(self._complete, "no message_delta before message_stop")
        self.read.ended = True
