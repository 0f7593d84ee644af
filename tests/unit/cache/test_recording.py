"""Which answers are kept: whole ones, of nothing but text."""

import json
from typing import Any, Final

import pytest

from smart_llmrouter.cache.recording import Recording
from smart_llmrouter.core.notes import Note
from smart_llmrouter.dialects.registry import DIALECTS

CHAT: Final = DIALECTS["openai-chat"]
MESSAGES: Final = DIALECTS["anthropic-messages"]
RESPONSES: Final = DIALECTS["openai-responses"]
ZERO: Final = frozenset({"temperature"})
DONE: Final = b"data: [DONE]\n\n"


def chat(finish_reason: str = "stop", **message: object) -> bytes:
    """Return a plain answer of Chat Completions."""
    said = {"role": "assistant", "content": "hello", **message}
    choice = {"index": 0, "message": said, "finish_reason": finish_reason}
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()


def chunk(finish_reason: str | None = None, **delta: object) -> bytes:
    """Return an event of a stream of Chat Completions."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()


def message(stop_reason: str, *blocks: dict[str, Any]) -> bytes:
    """Return a plain answer of Messages."""
    said = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": blocks or [{"type": "text", "text": "hello"}],
        "stop_reason": stop_reason,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    return json.dumps(said).encode()


CALL: Final = {"id": "c", "type": "function", "function": {"name": "f"}}
THOUGHT: Final = {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}


@pytest.mark.parametrize(
    ("dialect", "body", "fault"),
    [
        (CHAT, chat(), None),
        (CHAT, chat(reasoning_content="hm"), None),
        (CHAT, chat("length"), "incomplete"),
        (CHAT, chat("content_filter"), "incomplete"),
        (CHAT, chat("tool_calls", tool_calls=[CALL]), "incomplete"),
        (CHAT, chat(content=None, refusal="no"), "incomplete"),
        (CHAT, chat(images=[{"image_url": {"url": "data:,"}}]), "sealed"),
        (CHAT, b"{}", "incomplete"),
        (CHAT, b"no json", "incomplete"),
        (MESSAGES, message("end_turn"), None),
        (MESSAGES, message("stop_sequence"), None),
        (MESSAGES, message("max_tokens"), "incomplete"),
        (MESSAGES, message("refusal"), "incomplete"),
        (MESSAGES, message("pause_turn"), "incomplete"),
        (MESSAGES, message("end_turn", THOUGHT), "sealed"),
        (RESPONSES, b'{"status":"incomplete","output":[]}', "incomplete"),
    ],
)
def test_plain_answers(dialect: Any, body: bytes, fault: str | None) -> None:  # noqa: ANN401 - a dialect
    """The bytes are those that came."""
    recording = Recording(dialect, most_bytes=10_000)

    recording.take_whole(body)

    assert recording.fault((), ZERO) == fault
    assert recording.body == body


@pytest.mark.parametrize(
    ("blocks", "fault"),
    [
        ([chunk(content="a"), chunk(content="b"), chunk("stop"), DONE], None),
        ([chunk(content="a") + chunk("stop") + DONE], None),
        ([chunk(content="a"), chunk("stop")], None),
        ([chunk(content="a"), chunk("length"), DONE], "incomplete"),
        ([chunk(content="a"), DONE], None),
        ([chunk(content="a")], "incomplete"),
        ([chunk(tool_calls=[{"index": 0, **CALL}]), chunk("stop")], "incomplete"),
        ([b"data: nonsense\n\n"], "incomplete"),
        ([], "incomplete"),
    ],
)
def test_streams(blocks: list[bytes], fault: str | None) -> None:
    """However their events come together."""
    recording = Recording(CHAT, most_bytes=10_000)

    for block in blocks:
        recording.take(block)

    assert recording.fault((), ZERO) == fault
    assert fault is not None or recording.body == b"".join(blocks)


def test_nothing_is_held_of_what_is_too_large() -> None:
    """Neither of the part that would have fitted."""
    recording = Recording(CHAT, most_bytes=150)

    for _ in range(3):
        recording.take(chunk(content="a" * 40))

    assert recording.fault((), ZERO) == "too-large"
    assert recording.body == b""


@pytest.mark.parametrize(
    ("fixing", "lost", "fault"),
    [
        ({"seed"}, (), None),
        ({"seed"}, ("seed",), "untold"),
        ({"temperature", "seed"}, ("seed",), None),
        ({"temperature", "seed"}, ("seed", "temperature"), "untold"),
        ({"temperature"}, ("top_k",), None),
    ],
)
def test_a_target_must_have_been_told(
    fixing: set[str], lost: tuple[str, ...], fault: str | None
) -> None:
    """One of the fields is enough because of which the answer is the same each time."""
    recording = Recording(CHAT, most_bytes=10_000)
    recording.take_whole(chat())
    notes = [Note("dropped", field, "none there") for field in lost]

    assert recording.fault(notes, frozenset(fixing)) == fault
