"""The mock's OpenAI Chat dialect: reads requests, writes completions and streams.

What is said is decided in `speech`; here it only gets its shape.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from smart_llmrouter.mockprovider import openai_chat_schema as chat
from smart_llmrouter.mockprovider import openai_errors
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
from smart_llmrouter.mockprovider.models import CREATED
from smart_llmrouter.mockprovider.oddities import with_vendor_fields, wrong_usage
from smart_llmrouter.mockprovider.openai_chat_prompt import asked_of
from smart_llmrouter.mockprovider.openai_chat_rules import check
from smart_llmrouter.mockprovider.script import NOTHING, Step, StreamError
from smart_llmrouter.mockprovider.speech import Speech, ToolCall, argument_pieces

DONE: Final = Event(data=b"[DONE]", last=True)
_DUPLICATE: Final = b'"object":"chat.again"'
_USAGE_NAMES: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
_decode: Final = msgspec.json.Decoder(chat.ChatRequest).decode
_encode: Final = msgspec.json.Encoder().encode


class OpenAIChat:
    """OpenAI's Chat Completions."""

    def read(self, request: Request) -> "ChatSpoken":
        """Read a request; raise `Refused` where it is not one."""
        return ChatSpoken(request=parse(request.body), body=request.body)

    def refusal(self, status: int, refused: Refused | None = None) -> bytes:
        """Return the error body that belongs to `status`."""
        return openai_errors.refusal(status, refused)


@dataclass(frozen=True, slots=True)
class ChatSpoken:
    """One Chat request, which was read from `body`."""

    request: chat.ChatRequest
    body: bytes

    @property
    def asked(self) -> Asked:
        """Return what is asked."""
        return asked_of(self.request)

    def check(self) -> None:
        """Refuse what OpenAI refuses."""
        check(self.request, self.body)

    def answer(self, speech: Speech, step: Step) -> Answer:
        """Say `speech` as one completion, or in chunks."""
        voice = _Voice.of(self.request, self.body, speech, step)
        if self.request.stream:
            return Answer(
                headers=(STREAM_TYPE, *_identity(voice.id)),
                events=tuple(voice.events()),
            )
        return Answer(headers=(JSON_TYPE, *_identity(voice.id)), body=voice.whole())

    def failure(self, error: StreamError, speech: Speech, step: Step) -> Event:
        """Return the error that a provider writes into a stream that had begun."""
        _ = speech, step
        return Event(data=openai_errors.stream_error(error))


def parse(body: bytes) -> chat.ChatRequest:
    """Read a request; raise `Refused` where it is not one."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(str(error)) from error


def _identity(answer_id: str) -> tuple[Header, ...]:
    return (
        (b"x-request-id", b"req_mock_" + answer_id[-16:].encode()),
        (b"openai-processing-ms", b"1"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voice:
    """One answer on its way into its shape."""

    request: chat.ChatRequest
    step: Step
    id: str
    speech: Speech

    @classmethod
    def of(
        cls, request: chat.ChatRequest, body: bytes, speech: Speech, step: Step
    ) -> "_Voice":
        """Say `speech` to `request`, which was read from `body`."""
        digest = hashlib.sha256(body).hexdigest()
        answer_id = f"chatcmpl-{digest[:29]}"
        calls = tuple(replace(call, id=f"call_{call.id}") for call in speech.tool_calls)
        speech = replace(speech, tool_calls=calls)
        return cls(request=request, step=step, id=answer_id, speech=speech)

    @property
    def choices(self) -> range:
        """Return the numbers of the choices."""
        return range(self.request.n or 1)

    def whole(self) -> bytes:
        """Return the answer as one document."""
        speech = self.speech
        calls = tuple(_called(call) for call in speech.tool_calls) or UNSET
        said = chat.Said(
            role="assistant",
            content=speech.text if speech.text or not speech.tool_calls else None,
            reasoning_content=speech.reasoning or UNSET,
            refusal=None,
            tool_calls=calls,
            annotations=(),
        )
        choices = tuple(
            chat.Choice(
                index=index,
                message=said,
                logprobs=self._logprobs(speech.pieces),
                finish_reason=speech.finish_reason,
            )
            for index in self.choices
        )
        return self._document("chat.completion", choices, self._usage())

    def events(self) -> Iterator[Event]:
        """Yield the answer as the events of a stream."""
        for index in self.choices:
            yield self._chunk(
                index, chat.Said(role="assistant", content="", refusal=None)
            )
        for delta, pieces in self._deltas():
            for index in self.choices:
                yield self._chunk(index, delta, logprobs=self._logprobs(pieces))
        for index in self.choices:
            yield self._chunk(index, chat.Said(), finish=self.speech.finish_reason)
        usage = self._usage()
        if self._usage_asked and usage is not UNSET:
            yield Event(data=self._document("chat.completion.chunk", (), usage))
        yield DONE

    @property
    def _usage_asked(self) -> bool:
        options = self.request.stream_options
        return options is not None and options.include_usage

    def _deltas(self) -> Iterator[tuple[chat.Said, tuple[str, ...]]]:
        if self.speech.reasoning:
            yield chat.Said(reasoning_content=self.speech.reasoning), ()
        for piece in self.speech.pieces:
            yield chat.Said(content=piece), (piece,)
        for index, call in enumerate(self.speech.tool_calls):
            for called in _called_in_pieces(index, call):
                yield chat.Said(tool_calls=(called,)), ()

    def _chunk(
        self,
        index: int,
        delta: chat.Said,
        *,
        logprobs: chat.Logprobs | None = None,
        finish: str | None = None,
    ) -> Event:
        choice = chat.Choice(
            index=index, delta=delta, logprobs=logprobs, finish_reason=finish
        )
        usage = None if self._usage_asked else UNSET
        return Event(data=self._document("chat.completion.chunk", (choice,), usage))

    def _document(
        self,
        kind: str,
        choices: tuple[chat.Choice, ...],
        usage: msgspec.Raw | UnsetType | None,
    ) -> bytes:
        seed = self.request.seed
        encoded = _encode(
            chat.Completion(
                id=self.id,
                object=kind,
                created=CREATED,
                model=self.request.model,
                choices=choices,
                usage=usage,
                system_fingerprint="fp_mock" if seed is None else f"fp_mock_{seed}",
            )
        )
        if self.step.vendor_fields:
            return with_vendor_fields(encoded, _DUPLICATE)
        return encoded

    def _usage(self) -> msgspec.Raw | UnsetType:
        step, speech = self.step, self.speech
        if step.no_usage or step.wrong_usage == "absent":
            return UNSET
        if step.wrong_usage is not None:
            return msgspec.Raw(wrong_usage(step.wrong_usage, _USAGE_NAMES))
        output_tokens = speech.completion_tokens * len(self.choices)
        usage = {
            "prompt_tokens": speech.prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": speech.prompt_tokens + output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": speech.cached_tokens,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": speech.reasoning_tokens * len(self.choices),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        if step.cost != NOTHING:
            usage["cost"] = step.cost
        return msgspec.Raw(_encode(usage))

    def _logprobs(self, pieces: tuple[str, ...]) -> chat.Logprobs | None:
        if not self.request.logprobs or not pieces:
            return None
        others = self.request.top_logprobs or 0
        return chat.Logprobs(tuple(_logprob(piece, others) for piece in pieces))


def _logprob(piece: str, others: int) -> chat.Logprob:
    first = -0.01 * (1 + len(piece) % 7)
    top = tuple(
        chat.TopLogprob(token, round(first - rank, 6), tuple(token.encode()))
        for rank, token in enumerate((piece, *(f" or{n}" for n in range(1, others))))
        if rank < others
    )
    return chat.Logprob(piece, round(first, 6), tuple(piece.encode()), top)


def _called(call: ToolCall) -> chat.Called:
    if call.kind == "custom":
        custom = chat.CalledCustom(call.arguments, call.name)
        return chat.Called(id=call.id, type="custom", custom=custom)
    function = chat.CalledFunction(call.arguments, call.name)
    return chat.Called(id=call.id, type="function", function=function)


def _called_in_pieces(index: int, call: ToolCall) -> Iterator[chat.Called]:
    """Yield the opening of a call (id, name, no arguments yet), then its arguments."""
    opening = _called(replace(call, arguments=""))
    yield msgspec.structs.replace(opening, index=index)
    for piece in argument_pieces(call.arguments):
        if call.kind == "custom":
            yield chat.Called(index=index, custom=chat.CalledCustom(piece))
        else:
            yield chat.Called(index=index, function=chat.CalledFunction(piece))
