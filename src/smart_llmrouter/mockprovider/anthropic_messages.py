"""The mock's Anthropic dialect: reads requests, writes messages and their events."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from smart_llmrouter.mockprovider import anthropic_errors
from smart_llmrouter.mockprovider import anthropic_schema as anthropic
from smart_llmrouter.mockprovider.anthropic_prompt import asked_of
from smart_llmrouter.mockprovider.anthropic_rules import check, check_cap
from smart_llmrouter.mockprovider.asked import Asked
from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.http import (
    JSON_TYPE,
    STREAM_TYPE,
    Answer,
    Event,
    Header,
    Request,
)
from smart_llmrouter.mockprovider.oddities import with_vendor_fields, wrong_usage
from smart_llmrouter.mockprovider.script import NOTHING, Step, StreamError
from smart_llmrouter.mockprovider.seal import Seal
from smart_llmrouter.mockprovider.speech import Speech, argument_pieces

Fields = Mapping[str, object]

_USAGE_NAMES: Final = ("input_tokens", "output_tokens", "total_tokens")
_STOP_REASONS: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}
_EMPTY: Final[Mapping[str, Fields]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}
"""What of a block is still empty when it is opened."""

_DUPLICATE: Final = b'"x_vendor":"again"'
_decode: Final = msgspec.json.Decoder(anthropic.MessagesRequest).decode
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """Anthropic's Messages; with `counting` only the tokens of the input."""

    seal: Seal
    counting: bool = False

    def read(self, request: Request) -> "MessagesSpoken":
        """Read a request; raise `Refused` where it is not one."""
        try:
            read = _decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(str(error)) from error
        return MessagesSpoken(
            request=read, http=request, seal=self.seal, counting=self.counting
        )

    def refusal(self, status: int, refused: Refused | None = None) -> bytes:
        """Return the error body that belongs to `status`."""
        return anthropic_errors.refusal(status, refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesSpoken:
    """One request, which came in `http`."""

    request: anthropic.MessagesRequest
    http: Request
    seal: Seal
    counting: bool

    @property
    def asked(self) -> Asked:
        """Return what is asked."""
        return asked_of(self.request)

    def check(self) -> None:
        """Refuse what Anthropic refuses."""
        check(self.request, self.http, self.seal)
        if not self.counting:
            check_cap(self.request)

    def answer(self, speech: Speech, step: Step) -> Answer:
        """Say `speech` as one message, or in events."""
        if self.counting:
            body = _encode({"input_tokens": speech.prompt_tokens})
            return Answer(headers=(JSON_TYPE,), body=body)
        digest = hashlib.sha256(self.http.body).hexdigest()
        voice = _Voice(spoken=self, speech=speech, step=step, digest=digest)
        headers = _identity(digest)
        if self.request.stream:
            events = tuple(voice.events())
            return Answer(headers=(STREAM_TYPE, *headers), events=events)
        return Answer(headers=(JSON_TYPE, *headers), body=voice.whole())

    def failure(self, error: StreamError, speech: Speech, step: Step) -> Event:
        """Return the event that ends a stream in `error`."""
        _ = speech, step
        return anthropic_errors.stream_error(error)


def _identity(digest: str) -> tuple[Header, ...]:
    return ((b"request-id", b"req_mock_" + digest[-16:].encode()),)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voice:
    """One answer on its way into its shape."""

    spoken: MessagesSpoken
    speech: Speech
    step: Step
    digest: str

    def whole(self) -> bytes:
        """Return the answer as one message."""
        return self._encoded(
            {
                **self._opening(),
                "content": [block for block, _ in self._blocks()],
                **self._ending(),
                **self._usage(self.speech.completion_tokens),
            }
        )

    def events(self) -> Iterator[Event]:
        """Yield the answer as the events of a stream."""
        opening = {
            **self._opening(),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **self._usage(1),
        }
        yield self._event("message_start", message=opening)
        for index, (block, deltas) in enumerate(self._blocks()):
            opened = {**block, **_EMPTY.get(str(block["type"]), {})}
            yield self._event("content_block_start", index=index, content_block=opened)
            if index == 0:
                yield self._event("ping")
            for delta in deltas:
                yield self._event("content_block_delta", index=index, delta=delta)
            yield self._event("content_block_stop", index=index)
        usage = self._usage(self.speech.completion_tokens)
        yield self._event("message_delta", delta=self._ending(), **usage)
        yield self._event("message_stop")

    def _opening(self) -> Fields:
        return {
            "id": f"msg_{self.digest[:24]}",
            "type": "message",
            "role": "assistant",
            "model": self.spoken.request.model,
        }

    def _ending(self) -> Fields:
        speech = self.speech
        reason = _STOP_REASONS.get(speech.finish_reason, speech.finish_reason)
        stop = speech.stop_sequence if reason == "end_turn" else None
        return {
            "stop_reason": "stop_sequence" if stop else reason,
            "stop_sequence": stop,
        }

    def _blocks(self) -> Iterator[tuple[Fields, Iterator[Fields]]]:
        """Yield the blocks, each with the deltas that bring it."""
        speech = self.speech
        if speech.reasoning is not None:
            yield self._thought(speech.reasoning)
        if speech.pieces:
            deltas = ({"type": "text_delta", "text": piece} for piece in speech.pieces)
            yield {"type": "text", "text": speech.text}, deltas
        for call in speech.tool_calls:
            block: Fields = {
                "type": "tool_use",
                "id": f"toolu_{call.id}",
                "name": call.name,
                "input": msgspec.Raw(call.arguments.encode()),
            }
            pieces = ("", *argument_pieces(call.arguments))
            yield (
                block,
                (
                    {"type": "input_json_delta", "partial_json": piece}
                    for piece in pieces
                ),
            )

    def _thought(self, reasoning: str) -> tuple[Fields, Iterator[Fields]]:
        seal, thinking = self.spoken.seal, self.spoken.request.thinking
        if self.speech.redacted:
            data = seal.closed("redacted", reasoning)
            return {"type": "redacted_thinking", "data": data}, iter(())
        omitted = thinking is not None and thinking.display == "omitted"
        shown = "" if omitted else reasoning
        signature = seal.signature(shown)
        deltas: list[Fields] = [
            {"type": "thinking_delta", "thinking": piece}
            for piece in argument_pieces(shown)
        ]
        deltas.append({"type": "signature_delta", "signature": signature})
        block = {"type": "thinking", "thinking": shown, "signature": signature}
        return block, iter(deltas)

    def _usage(self, output_tokens: int) -> dict[str, object]:
        step, speech = self.step, self.speech
        if step.no_usage or step.wrong_usage == "absent":
            return {}
        if step.wrong_usage is not None:
            return {"usage": msgspec.Raw(wrong_usage(step.wrong_usage, _USAGE_NAMES))}
        written = speech.cache_write_tokens + speech.cache_write_1h_tokens
        fresh = max(0, speech.prompt_tokens - speech.cached_tokens - written)
        usage: dict[str, object] = {
            "input_tokens": fresh,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": speech.cached_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": speech.cache_write_tokens,
                "ephemeral_1h_input_tokens": speech.cache_write_1h_tokens,
            },
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }
        if output_tokens > 1 and speech.reasoning_tokens:
            thought = {"thinking_tokens": speech.reasoning_tokens}
            usage["output_tokens_details"] = thought
        if step.cost != NOTHING:
            usage["cost"] = step.cost
        return {"usage": usage}

    def _event(self, kind: str, **fields: object) -> Event:
        return Event(
            name=kind,
            data=self._encoded({"type": kind, **fields}),
            last=kind == "message_stop",
        )

    def _encoded(self, document: Fields) -> bytes:
        encoded = _encode(document)
        if self.step.vendor_fields:
            return with_vendor_fields(encoded, _DUPLICATE)
        return encoded
