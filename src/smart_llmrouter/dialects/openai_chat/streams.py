"""Reading a streamed Chat Completions answer on its way past.

`StreamMeter` is fed the provider's bytes and gives back what may be sent on: whole
events, byte for byte as they came. It never decodes an event that it can pass without
looking: only the first ones, until one of them means something, and those that carry
usage or an error.
"""

import re
from typing import Final

import msgspec

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.openai_chat.answers import parse_usage
from smart_llmrouter.dialects.openai_chat.schema import Chunk, decode_chunk, is_there
from smart_llmrouter.wire.sse import EventSplitter, payload_of, split_events

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"

_MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
_DONE_PAYLOAD: Final = b"[DONE]"
_EMPTY_VALUES: Final = frozenset({b"null", b'""', b"[]", b"{}"})

# Inside a JSON string the quotes are escaped, so that text in an answer which speaks of
# "usage" or "error" is never mistaken for the field.
_find_usage: Final = re.compile(rb'"usage"\s*:\s*\{').search
_find_error: Final = re.compile(rb'"error"\s*:\s*[{"]').search
_find_finish: Final = re.compile(rb'"finish_reason"\s*:\s*"').search


class NotAStream(ValueError):
    """An event with status 200 that is no chunk of a chat completion."""


class StreamMeter:
    """Follow one stream: is it an answer yet, has it ended, and what did it use?

    `meaningful` turns true with the first event that carries content, a tool call or an
    end. `done` turns true with `[DONE]`, whose bytes are kept back in `ending`, so that
    the call can be written down before they leave. `finished` says that the provider
    gave a finish reason, whether or not `[DONE]` came. `error` is the error that the
    provider reported inside its stream, as it wrote it; nothing after it is sent on.
    """

    __slots__ = (
        "_splitter",
        "_strip_usage",
        "done",
        "ending",
        "error",
        "finished",
        "meaningful",
        "usage",
    )

    def __init__(self, *, strip_usage: bool) -> None:
        """Take the usage chunk out if `strip_usage`: the caller did not ask for it."""
        self._splitter = EventSplitter(max_event_bytes=_MAX_EVENT_BYTES)
        self._strip_usage = strip_usage
        self.usage: Usage = UNKNOWN_USAGE
        self.meaningful = False
        self.finished = False
        self.done = False
        self.error: bytes | None = None
        self.ending = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return those that may be sent on now.

        Raises `NotAStream` for an event that is no JSON before the first meaningful
        one, and `EventTooLarge`.
        """
        block = self._splitter.feed(chunk)
        if not block or self.done or self.error is not None:
            return b""
        if not self.finished and _find_finish(block):
            self.finished = True
        return self._pass_on(block) if self.meaningful else self._open(block)

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left without a blank line.

        Some providers leave out the last blank line, so the rest is read as an event,
        unless it was cut in the middle of its JSON.
        """
        rest = self._splitter.flush()
        if self.done or self.error is not None or not _is_whole(rest):
            return b""
        self.finished = self.finished or _find_finish(rest) is not None
        ended = rest.endswith(b"\r\r")
        return self._inspect(rest if ended else rest.rstrip(b"\r\n") + b"\n\n")

    def _open(self, block: bytes) -> bytes:
        """Look at each event until one means something; pass the rest on."""
        kept, seen = [], 0
        for event in split_events(block):
            seen += len(event)
            kept.append(self._look_at(event))
            if self.done or self.error is not None:
                break
            if self.meaningful:
                kept.append(self._pass_on(block[seen:]))
                break
        return b"".join(kept)

    def _pass_on(self, block: bytes) -> bytes:
        """Pass events on unseen, up to the first that must be looked at."""
        telling = _first_telling(block)
        if telling < 0:
            return block
        # Line ends other than LF are rare: then the whole block is looked at.
        blank = -1 if b"\r" in block else block.rfind(b"\n\n", 0, telling)
        start = blank + 2 if blank >= 0 else 0
        return block[:start] + self._inspect(block[start:])

    def _inspect(self, block: bytes) -> bytes:
        """Look at each event of `block`; return those that are sent on."""
        kept = []
        for event in split_events(block):
            kept.append(self._look_at(event))
            if self.done or self.error is not None:
                break
        return b"".join(kept)

    def _look_at(self, event: bytes) -> bytes:
        """Return an event if it is sent on, else nothing."""
        payload = payload_of(event)
        if payload is None:
            return event
        if payload.strip() == _DONE_PAYLOAD:
            self.done = True
            self.ending = event
            return b""
        return event if self._passes(payload) else b""

    def _passes(self, payload: bytes) -> bool:
        """Read one event; say whether it is sent on."""
        try:
            chunk = decode_chunk(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if not self.meaningful:
                raise NotAStream from None
            return True
        if is_there(chunk.error):
            self.error = bytes(chunk.error)
            return False
        if not self.meaningful:
            self.meaningful = _is_meaningful(chunk)
        if not is_there(chunk.usage):
            return True
        self.usage = _later(self.usage, parse_usage(chunk.usage))
        return not (self._strip_usage and not chunk.choices)


def _first_telling(block: bytes) -> int:
    """Return where the first usage, error or end of the block is; -1 for none."""
    usage, error = _find_usage(block), _find_error(block)
    done = block.find(_DONE_PAYLOAD)
    # For nearly every event of a stream, this is all that happens.
    if usage is None and error is None:
        return done
    found = [match.start() for match in (usage, error) if match is not None]
    return min([*found, done]) if done >= 0 else min(found)


def _is_whole(event: bytes) -> bool:
    payload = payload_of(event)
    if payload is None or payload.strip() == _DONE_PAYLOAD:
        return payload is not None
    try:
        decode_chunk(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _is_meaningful(chunk: Chunk) -> bool:
    """Say whether a chunk tells the caller anything.

    The opening chunk, which only says `role: assistant`, does not; neither does one
    with nothing but usage.
    """
    for choice in chunk.choices or ():
        if choice.finish_reason is not None:
            return True
        if any(
            bytes(raw) not in _EMPTY_VALUES
            for name, raw in (choice.delta or {}).items()
            if name != "role"
        ):
            return True
    return False


def _later(known: Usage, reported: Usage) -> Usage:
    """Let the later report win, but never wipe what only the earlier one knew."""
    return Usage(
        input_tokens=_either(reported.input_tokens, known.input_tokens),
        cached_input_tokens=_either(
            reported.cached_input_tokens, known.cached_input_tokens
        ),
        output_tokens=_either(reported.output_tokens, known.output_tokens),
        reasoning_tokens=_either(reported.reasoning_tokens, known.reasoning_tokens),
        reported_cost_nusd=_either(
            reported.reported_cost_nusd, known.reported_cost_nusd
        ),
    )


def _either(first: int | None, second: int | None) -> int | None:
    return second if first is None else first
