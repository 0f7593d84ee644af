"""Reading a streamed Chat Completions answer on its way past.

`StreamMeter` is fed the provider's bytes and gives back what may be sent on: whole
events, byte for byte as they came. It never decodes an event that it can pass without
looking: only the first ones, until one of them means something, and those that may
carry usage, an error or the end.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.usage import Usage, later
from smart_llmrouter.dialects.base import NotAStream
from smart_llmrouter.dialects.following import Follower
from smart_llmrouter.dialects.openai_chat.answers import parse_usage
from smart_llmrouter.dialects.openai_chat.schema import (
    Chunk,
    ChunkChoice,
    LenientChunk,
    WireUsage,
    decode_chunk,
    decode_delta,
    decode_silent,
)
from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE, is_there
from smart_llmrouter.wire.sse import (
    payload_of,
)

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"

_MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
_BLANK_LINE: Final = b"\n\n"
_DATA_BYTES: Final = len(b"data: ")
_DONE_PAYLOAD: Final = b"[DONE]"
_EMPTY_VALUES: Final = frozenset({b"null", b'""', b"[]", b"{}"})
_OBJECT_BEGINS: Final = b"{"
_ERROR_BEGINS: Final = (_OBJECT_BEGINS, b'"')

# What may tell something. Inside a JSON string the quotes are escaped, so that text
# about a field is not taken for the field. What is most often not there is looked for
# from the end: that takes CPython half the time.
_ERROR: Final = b'"error"'
_find_usage: Final = re.compile(rb'usage"\s*:\s*\{').search
_find_finish: Final = re.compile(rb'finish_reason"\s*:\s*"').search


class StreamMeter(Follower):
    """Follow one stream: is it an answer yet, has it ended, and what did it use?

    `meaningful` turns true with the first event that carries content, a tool call or an
    end. `done` turns true with `[DONE]`, whose bytes are kept back in `ending`, so that
    the call can be written down before they leave. `finished` says that the provider
    gave a finish reason, or `[DONE]` itself. `error` is the error that the provider
    reported inside its stream, as it wrote it; nothing after it is sent on.
    """

    __slots__ = ("_one_bytes", "_strip_usage")

    def __init__(self, *, strip_usage: bool) -> None:
        """Take the usage chunk out if `strip_usage`: the caller did not ask for it."""
        super().__init__(max_event_bytes=_MAX_EVENT_BYTES)
        self._strip_usage = strip_usage
        # What is shorter is likely to be one event.
        self._one_bytes = 0

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left without a blank line.

        A stream that is finished ends with `[DONE]`, whether or not that came.
        """
        block = super().end()
        if self.finished and not self.done and self.error is None:
            self.ending = DONE
        return block

    def _pass_on(self, block: bytes) -> bytes:
        """Pass events on unseen, up to the first that must be looked at.

        Where they all may pass, as nearly always, this is all that happens to them.
        """
        if len(block) < self._one_bytes or self._has_one_line(block):
            if _is_silent(block):
                return block
            self._one_bytes = 0
        start = _first_telling(block)
        passed = block if start < 0 else block[:start] + self._inspect(block[start:])
        if not self.finished and _find_finish(block):
            self.finished = True
        return passed

    def _has_one_line(self, block: bytes) -> bool:
        """Say whether a block is one event, and remember how long such are.

        To read several as one, in vain, takes longer than to look at their lines; to
        look at the lines of one takes longer than to compare its length.
        """
        size = len(block)
        if block.find(b"\n") != size - len(_BLANK_LINE):
            return False
        self._one_bytes = size + size // 2
        return True

    def _passes(self, event: bytes) -> bool:
        """Look at one event; say whether it is sent on."""
        payload = payload_of(event)
        if payload is None:
            return True
        if payload.strip() == _DONE_PAYLOAD:
            self.done = self.finished = True
            self.ending = event
            return False
        try:
            return self._passes_chunk(decode_chunk(payload))
        except UNREADABLE:
            if not self.meaningful:
                raise NotAStream from None
            self.finished = self.finished or _find_finish(payload) is not None
            return True

    def _is_whole(self, payload: bytes) -> bool:
        if payload.strip() == _DONE_PAYLOAD:
            return True
        try:
            decode_chunk(payload)
        except UNREADABLE:
            return False
        return True

    def _passes_chunk(self, chunk: Chunk | LenientChunk) -> bool:
        """Learn what a chunk tells; say whether it is sent on."""
        if is_there(chunk.error) and (
            not self.meaningful or bytes(chunk.error)[:1] in _ERROR_BEGINS
        ):
            self.error = bytes(chunk.error)
            return False
        choices = chunk.choices or ()
        finishes = any(choice.finish_reason is not None for choice in choices)
        self.finished = self.finished or finishes
        self.meaningful = self.meaningful or finishes or _say_something(choices)
        reported = _reported(chunk.usage)
        if reported is not None:
            self.usage = later(self.usage, reported)
            return not (self._strip_usage and not choices)
        return True


def _is_silent(block: bytes) -> bool:
    """Say whether a block is one event that tells nothing but its content.

    Reading it takes less time than looking for what may tell. JSON has line ends only
    between its tokens, so that what can be read holds no second line of data.
    """
    try:
        decode_silent(block[_DATA_BYTES:])
    except UNREADABLE:
        return False
    return True


def _first_telling(block: bytes) -> int:
    """Return where the first event begins that must be looked at; -1 if none does."""
    usage, telling = _find_usage(block), len(block)
    if usage is not None:
        telling = usage.start()
    for sign in (_DONE_PAYLOAD, _ERROR):
        while (place := block.rfind(sign, 0, telling)) >= 0:
            telling = place
    if telling == len(block):
        return -1
    # Line ends other than LF are rare: then the whole block is looked at.
    if block.find(b"\r") >= 0:
        return 0
    blank = block.rfind(b"\n\n", 0, telling)
    return blank + 2 if blank >= 0 else 0


def _say_something(choices: Iterable[ChunkChoice]) -> bool:
    """Say whether choices without a finish reason tell the caller anything.

    Those of the opening chunk, which only says `role: assistant`, do not; and a chunk
    with nothing but usage has none. Raises as `msgspec.json.decode` does.
    """
    for choice in choices:
        if choice.delta is ABSENT:
            continue
        for name, raw in (decode_delta(choice.delta) or {}).items():
            if name != "role" and bytes(raw) not in _EMPTY_VALUES:
                return True
    return False


def _reported(usage: WireUsage | msgspec.Raw | None) -> Usage | None:
    """Return what a chunk's `usage` reports, if it is an object at all."""
    if usage is None or (
        isinstance(usage, msgspec.Raw) and bytes(usage)[:1] != _OBJECT_BEGINS
    ):
        return None
    return parse_usage(usage)
