"""The mock's Responses API: reads requests, writes responses and their events.

The items of an answer are made in `openai_responses_items`; here they get a response
around them, and are kept where the request wants that.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from smart_llmrouter.mockprovider import openai_errors
from smart_llmrouter.mockprovider import openai_responses_schema as responses
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
from smart_llmrouter.mockprovider.openai_responses_items import (
    Fields,
    Written,
    compaction_item,
    item_events,
    output_items,
)
from smart_llmrouter.mockprovider.openai_responses_prompt import asked_of, compacted
from smart_llmrouter.mockprovider.openai_responses_rules import check
from smart_llmrouter.mockprovider.script import NOTHING, Step, StreamError
from smart_llmrouter.mockprovider.seal import Seal
from smart_llmrouter.mockprovider.speech import Speech
from smart_llmrouter.mockprovider.stored_responses import (
    StoredResponse,
    StoredResponses,
)

_USAGE_NAMES: Final = ("input_tokens", "output_tokens", "total_tokens")
_INCOMPLETE: Final[Mapping[str, str]] = {
    "length": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "content_filter": "content_filter",
}
_ECHOED: Final[Mapping[str, object]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""The fields of a request that its response repeats, and what they are by default."""

_DUPLICATE: Final = b'"x_vendor":"again"'
_decode: Final = msgspec.json.Decoder(responses.ResponsesRequest).decode
_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """OpenAI's Responses API; with `counting` only the tokens of the input."""

    seal: Seal
    stored: StoredResponses
    counting: bool = False

    def read(self, request: Request) -> "ResponsesSpoken":
        """Read a request; raise `Refused` where it is not one."""
        try:
            read = _decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(str(error)) from error
        before = self.stored.before(read.previous_response_id)
        return ResponsesSpoken(
            request=read,
            body=request.body,
            items=(*before, *self.stored.resolved(read.items)),
            seal=self.seal,
            stored=self.stored,
            counting=self.counting,
        )

    def refusal(self, status: int, refused: Refused | None = None) -> bytes:
        """Return the error body that belongs to `status`."""
        return openai_errors.refusal(status, refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesSpoken:
    """One request; `items` are those it brings, and those that it goes on from."""

    request: responses.ResponsesRequest
    body: bytes
    items: tuple[responses.Item, ...]
    seal: Seal
    stored: StoredResponses
    counting: bool

    @property
    def asked(self) -> Asked:
        """Return what is asked."""
        return asked_of(self.request, self.items, self.seal)

    def check(self) -> None:
        """Refuse what OpenAI refuses."""
        check(self.request, self.items, body=self.body, seal=self.seal)

    def answer(self, speech: Speech, step: Step) -> Answer:
        """Say `speech` as one response, or in events."""
        if self.counting:
            count: Fields = {
                "object": "response.input_tokens",
                "input_tokens": speech.prompt_tokens,
            }
            return Answer(headers=(JSON_TYPE,), body=_encode(count))
        voice = _Voice.of(self, speech, step)
        if self.request.stored and step.error_in_stream is None:
            self._keep(voice)
        headers = _identity(voice.digest)
        if self.request.stream:
            events = tuple(voice.events())
            return Answer(headers=(STREAM_TYPE, *headers), events=events)
        return Answer(headers=(JSON_TYPE, *headers), body=voice.whole())

    def failure(self, error: StreamError, speech: Speech, step: Step) -> Event:
        """Return the event that ends a stream in `error`."""
        voice = _Voice.of(self, speech, step)
        code = error.code or error.type or "server_error"
        fields: Fields = {
            "response": voice.response(
                "failed", error={"code": code, "message": error.message}
            )
        }
        kind = "response.failed"
        if error.event == "error":
            kind = "error"
            fields = {"code": code, "message": error.message, "param": None}
        return voice.event(error.after_events, (kind, fields))

    def _keep(self, voice: "_Voice") -> None:
        output = msgspec.convert(voice.output, tuple[responses.Item, ...])
        kept = StoredResponse(
            document=voice.whole(), items=(*self.items, *output), output=output
        )
        self.stored.keep(voice.id, kept)


def _identity(digest: str) -> tuple[Header, ...]:
    return (
        (b"x-request-id", b"req_mock_" + digest[-16:].encode()),
        (b"openai-processing-ms", b"1"),
        (b"openai-version", b"2020-10-01"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voice:
    """One answer on its way into its shape."""

    spoken: ResponsesSpoken
    speech: Speech
    step: Step
    digest: str
    output: list[Fields]

    @classmethod
    def of(cls, spoken: ResponsesSpoken, speech: Speech, step: Step) -> "_Voice":
        """Say `speech` to `spoken`; a wish to compact goes before it."""
        digest = hashlib.sha256(spoken.body).hexdigest()
        request, items = spoken.request, spoken.items
        if items and items[-1].type == "compaction_trigger":
            output = [compaction_item(compacted(spoken.asked, spoken.seal), digest)]
        else:
            reasoning = request.reasoning
            output = output_items(
                speech,
                digest,
                spoken.seal,
                summary=reasoning is not None and reasoning.summary is not None,
                sealed="reasoning.encrypted_content" in (request.include or ()),
            )
        return cls(
            spoken=spoken, speech=speech, step=step, digest=digest, output=output
        )

    @property
    def id(self) -> str:
        """Return the id of the response."""
        return f"resp_{self.digest[:48]}"

    def whole(self) -> bytes:
        """Return the response as one document."""
        return self._encoded(self._ended())

    def events(self) -> Iterator[Event]:
        """Yield the response as the events of a stream."""
        for number, written in enumerate(self._written()):
            yield self.event(number, written)

    def event(self, number: int, written: Written) -> Event:
        """Return one event, as the one with this sequence number."""
        kind, fields = written
        document = {"type": kind, "sequence_number": number, **fields}
        last = kind in {"response.completed", "response.incomplete"}
        return Event(name=kind, data=self._encoded(document), last=last)

    def response(
        self,
        status: str,
        *,
        output: list[Fields] | None = None,
        error: Fields | None = None,
        incomplete: str | None = None,
        usage: object = None,
    ) -> Fields:
        """Return the response as it is while it has `status`."""
        asked = _fields(self.spoken.body)
        echoed = {
            name: usual if bytes(asked.get(name, b"null")) == b"null" else asked[name]
            for name, usual in _ECHOED.items()
        }
        reason = None if incomplete is None else {"reason": incomplete}
        done = {"completed_at": CREATED + 1} if status == "completed" else {}
        document: dict[str, object] = {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            **done,
            "background": False,
            "error": error,
            "incomplete_details": reason,
            "model": self.spoken.request.model,
            "output": output or [],
            **echoed,
        }
        if usage is not msgspec.UNSET:
            document["usage"] = usage
        return document

    def _written(self) -> Iterator[Written]:
        begun: Fields = {"response": self.response("in_progress")}
        yield "response.created", begun
        yield "response.in_progress", begun
        for index, item in enumerate(self.output):
            yield from item_events(index, item, self.speech)
        ended = self._ended()
        yield f"response.{ended['status']}", {"response": ended}

    def _ended(self) -> Fields:
        incomplete = _INCOMPLETE.get(self.speech.finish_reason)
        return self.response(
            "completed" if incomplete is None else "incomplete",
            output=self.output,
            incomplete=incomplete,
            usage=self._usage(),
        )

    def _usage(self) -> object:
        step, speech = self.step, self.speech
        if step.no_usage or step.wrong_usage == "absent":
            return msgspec.UNSET
        if step.wrong_usage is not None:
            return msgspec.Raw(wrong_usage(step.wrong_usage, _USAGE_NAMES))
        written = speech.cache_write_tokens + speech.cache_write_1h_tokens
        usage: dict[str, object] = {
            "input_tokens": speech.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": speech.cached_tokens,
                "cache_write_tokens": written,
            },
            "output_tokens": speech.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": speech.reasoning_tokens},
            "total_tokens": speech.prompt_tokens + speech.completion_tokens,
        }
        if step.cost != NOTHING:
            usage["cost"] = step.cost
        return usage

    def _encoded(self, document: Fields) -> bytes:
        encoded = _encode(document)
        if self.step.vendor_fields:
            return with_vendor_fields(encoded, _DUPLICATE)
        return encoded
