"""The mock's OpenAI Chat dialect: reads requests, writes completions and streams.

What is said is decided in `speech`; here it only gets its shape. A second dialect is
a module like this one, with the same public functions.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from smart_llmrouter.mockprovider import openai_chat_schema as chat
from smart_llmrouter.mockprovider.http import (
    JSON_TYPE,
    STREAM_TYPE,
    Answer,
    Event,
    Header,
)
from smart_llmrouter.mockprovider.openai_chat_prompt import last_said, prompt_of
from smart_llmrouter.mockprovider.script import (
    NOTHING,
    Step,
    StreamError,
    WrongUsage,
    marked_step,
)
from smart_llmrouter.mockprovider.speech import Speech, ToolCall, compose

PATH: Final = "/v1/chat/completions"
CREATED: Final = 1_767_225_600
"""When every answer was made (2026-01-01 UTC): the same request, the same bytes."""

DONE: Final = Event(data=b"[DONE]", last=True)
_ARGUMENT_PIECE_CHARS: Final = 12
_VENDOR: Final = (
    b',"x_vendor":{"score":1.00,"big":12345678901234567890,"e":1E+2,"null":null},'
    b'"object":"chat.again"'
)

_WRONG_USAGE: Final[Mapping[WrongUsage, bytes]] = {
    "absurd": b'{"prompt_tokens":9007199254740993,"completion_tokens":'
    b'1000000000000000,"total_tokens":1}',
    "absent": b"",
    "negative": b'{"prompt_tokens":-7,"completion_tokens":-3,"total_tokens":-10}',
    "null": b"null",
    "partial": b'{"total_tokens":20}',
    "strings": b'{"prompt_tokens":"7","completion_tokens":"3","total_tokens":"10"}',
    "zero": b'{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}',
}

_ERROR_KINDS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "forbidden", "You may not do this."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    503: ("server_error", "overloaded", "The server is overloaded."),
}
_OTHER_ERROR: Final = ("server_error", None, "The mock was told to fail.")

_decode: Final = msgspec.json.Decoder(chat.ChatRequest).decode
_encode: Final = msgspec.json.Encoder().encode


class InvalidRequest(ValueError):
    """A body that is not a Chat request; the message says why."""


def parse(body: bytes) -> chat.ChatRequest:
    """Read a request; raise `InvalidRequest` where it is not one."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(str(error)) from error


def step_in(request: chat.ChatRequest) -> Step | None:
    """Return the step that the last user message holds, if any."""
    return marked_step(last_said(request))


def answer(request: chat.ChatRequest, body: bytes, step: Step) -> Answer:
    """Answer `request`, which was read from `body`, as `step` prescribes."""
    voice = _Voice.of(request, body, step)
    if request.stream:
        return Answer(
            headers=(STREAM_TYPE, *_identity(voice.id)),
            events=tuple(voice.events()),
        )
    return Answer(headers=(JSON_TYPE, *_identity(voice.id)), body=voice.whole())


def refusal(status: int, message: str | None = None) -> bytes:
    """Return the error body that belongs to `status`."""
    kind, code, usual = _ERROR_KINDS.get(status, _OTHER_ERROR)
    return _error(message or usual, kind, code)


def stream_error(error: StreamError) -> bytes:
    """Return the error that a provider writes into a stream that had begun."""
    return _error(error.message, error.type, error.code)


def models(names: tuple[str, ...]) -> bytes:
    """Return the list of models as `GET /v1/models` shows it."""
    entries = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "mock"}
        for name in names
    ]
    return _encode({"object": "list", "data": entries})


def _error(message: str, kind: str, code: str | None) -> bytes:
    return _encode(
        {"error": {"message": message, "type": kind, "param": None, "code": code}}
    )


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
    def of(cls, request: chat.ChatRequest, body: bytes, step: Step) -> "_Voice":
        """Decide what is said to `request`."""
        digest = hashlib.sha256(body).hexdigest()
        return cls(
            request=request,
            step=step,
            id=f"chatcmpl-{digest[:29]}",
            speech=compose(prompt_of(request, digest), step),
        )

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
            content=None if speech.tool_calls else speech.text,
            reasoning_content=self.step.reasoning_text or UNSET,
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
        if self.step.reasoning_text:
            yield chat.Said(reasoning_content=self.step.reasoning_text), ()
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
        return encoded[:-1] + _VENDOR + b"}" if self.step.vendor_fields else encoded

    def _usage(self) -> msgspec.Raw | UnsetType:
        step, speech = self.step, self.speech
        wrong = _WRONG_USAGE[step.wrong_usage] if step.wrong_usage else None
        if step.no_usage or wrong == b"":
            return UNSET
        if wrong is not None:
            return msgspec.Raw(wrong)
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
    if call.custom:
        custom = chat.CalledCustom(call.arguments, call.name)
        return chat.Called(id=call.id, type="custom", custom=custom)
    function = chat.CalledFunction(call.arguments, call.name)
    return chat.Called(id=call.id, type="function", function=function)


def _called_in_pieces(index: int, call: ToolCall) -> Iterator[chat.Called]:
    """Yield the opening of a call (id, name, no arguments yet), then its arguments."""
    opening = _called(
        ToolCall(id=call.id, name=call.name, arguments="", custom=call.custom)
    )
    yield msgspec.structs.replace(opening, index=index)
    text = call.arguments
    for start in range(0, len(text), _ARGUMENT_PIECE_CHARS):
        piece = text[start : start + _ARGUMENT_PIECE_CHARS]
        if call.custom:
            yield chat.Called(index=index, custom=chat.CalledCustom(piece))
        else:
            yield chat.Called(index=index, function=chat.CalledFunction(piece))
