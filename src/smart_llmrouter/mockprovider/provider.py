"""The mock as a value: takes a request, gives an answer and the step behind it.

No sockets here. The server feeds it and carries out what it decides; tests and the
control API write into `script` and read `recording`. What has no dialect of its own is
answered as OpenAI would.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from smart_llmrouter.mockprovider import faults, lacking, models
from smart_llmrouter.mockprovider.anthropic_messages import AnthropicMessages
from smart_llmrouter.mockprovider.asked import Asked
from smart_llmrouter.mockprovider.dialect import Dialect, Refused, Spoken
from smart_llmrouter.mockprovider.http import JSON_TYPE, Answer, Request
from smart_llmrouter.mockprovider.openai_chat import OpenAIChat
from smart_llmrouter.mockprovider.openai_responses import OpenAIResponses
from smart_llmrouter.mockprovider.prompt import prompt_of
from smart_llmrouter.mockprovider.recording import Recording
from smart_llmrouter.mockprovider.script import (
    HEADER,
    NOTHING,
    PLAIN_STEP,
    InvalidScript,
    Orders,
    Script,
    Step,
    marked_step,
    parse_orders,
    parse_step,
)
from smart_llmrouter.mockprovider.seal import Seal
from smart_llmrouter.mockprovider.speech import compose
from smart_llmrouter.mockprovider.stored_responses import StoredResponses

_CHAT: Final = "/v1/chat/completions"
_RESPONSES: Final = "/v1/responses"
_MESSAGES: Final = "/v1/messages"
_RESPONSE: Final = f"{_RESPONSES}/"
_MODEL: Final = "/v1/models/"
_ANTHROPIC_VERSION: Final = b"anthropic-version"
_encode: Final = msgspec.json.Encoder().encode

Played = tuple[Answer, Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a mock behaves towards every request.

    Without `models` every name is a model; with them, any other is a 404. `name` is
    what it signs with: a mock takes back only what one of its name has signed.
    """

    name: str = "mock"
    models: tuple[str, ...] = ()
    api_key: str | None = None
    latency_ms: float = 0
    max_body_bytes: int = 256 * 1024 * 1024
    orders: Orders = field(default_factory=Orders)


class MockProvider:
    """One provider: settings, a script, and a recording of what it was asked."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Begin with the script of `settings` and nothing recorded."""
        self.settings = settings or Settings()
        self.script = Script(self.settings.orders)
        self.recording = Recording()
        self.stored = StoredResponses()
        self._dialects = _dialects(Seal(self.settings.name), self.stored)
        self._pages: Mapping[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/healthz"): lambda _request: _json({"status": "ok"}),
            ("GET", "/v1/models"): self._models,
            ("POST", "/__mock/script"): self._add_orders,
            ("GET", "/__mock/script"): lambda _request: _json(self.script.waiting()),
            ("DELETE", "/__mock/script"): self._clear_script,
            ("GET", "/__mock/requests"): self._requests,
            ("DELETE", "/__mock/requests"): self._clear_requests,
            ("DELETE", "/__mock"): self._clear_all,
        }

    def is_inference(self, request: Request) -> bool:
        """Tell whether `request` is one that gets recorded: not health, not control."""
        return request.path.startswith("/v1/")

    def play(self, request: Request) -> Played:
        """Return the answer to `request`, and the step that times and breaks it."""
        path = request.path.partition("?")[0]
        dialect = self._dialects.get(path, self._usual(request))
        if path.startswith("/v1/") and not self._authorized(request):
            return _refused(dialect, 401), PLAIN_STEP
        try:
            if request.method == "POST" and path in self._dialects:
                return self._said(dialect, request)
            return self._page(path)(request), PLAIN_STEP
        except (Refused, InvalidScript) as error:
            refused = error if isinstance(error, Refused) else Refused(str(error))
            return _refused(dialect, refused.status, refused), PLAIN_STEP

    def _usual(self, request: Request) -> Dialect:
        """Return the dialect of a caller on a page that has none."""
        anthropic = request.header(_ANTHROPIC_VERSION) is not None
        return self._dialects[_MESSAGES if anthropic else _CHAT]

    def _authorized(self, request: Request) -> bool:
        if self.settings.api_key is None:
            return True
        expected = self.settings.api_key.encode()
        bearer = request.header(b"authorization") or b""
        key = request.header(b"x-api-key") or b""
        by_bearer = hmac.compare_digest(bearer, b"Bearer " + expected)
        return hmac.compare_digest(key, expected) or by_bearer

    def _said(self, dialect: Dialect, request: Request) -> Played:
        spoken = dialect.read(request)
        asked = spoken.asked
        step = self._step(request, asked)
        if step.raw is not None:
            return faults.changed(faults.verbatim(step.raw), step, None), step
        if step.status != 200 or step.body != NOTHING:
            answer = faults.refused(step, dialect.refusal(step.status))
            return faults.changed(answer, step, None), step
        try:
            self._check(spoken, asked)
            lacking.check(asked, request.body, step.lacks)
        except Refused as refused:
            return _refused(dialect, refused.status, refused), step
        digest = hashlib.sha256(request.body).hexdigest()
        heeded = lacking.heeded(asked, step.lacks)
        speech = compose(prompt_of(heeded, digest), step)
        answer = spoken.answer(speech, step)
        error = step.error_in_stream
        failure = None if error is None else spoken.failure(error, speech, step)
        return faults.changed(answer, step, failure), step

    def _check(self, spoken: Spoken, asked: Asked) -> None:
        if self.settings.models and asked.model not in self.settings.models:
            raise Refused(f"The model `{asked.model}` does not exist.", status=404)
        spoken.check()

    def _step(self, request: Request, asked: Asked) -> Step:
        scripted = request.header(HEADER)
        step = parse_step(scripted) if scripted else marked_step(asked.last_said)
        if step is None or step.model not in {None, asked.model}:
            step = self.script.take(asked.model)
        if self.settings.latency_ms and step.delay_first_ms is None:
            return msgspec.structs.replace(
                step, delay_first_ms=self.settings.latency_ms
            )
        return step

    def _page(self, path: str) -> Callable[[Request], Answer]:
        """Return what answers at `path`, by the method of the request."""

        def answered(request: Request) -> Answer:
            method = request.method
            if (page := self._pages.get((method, path))) is not None:
                return page(request)
            if path.startswith(_MODEL) and method == "GET":
                return self._model(path.removeprefix(_MODEL), request)
            if path.startswith(_RESPONSE) and method in {"GET", "DELETE"}:
                return self._stored(path.removeprefix(_RESPONSE), method)
            if path == _RESPONSES and request.header(b"upgrade") is not None:
                raise Refused("WebSockets are not served here.", status=426)
            known = path in self._dialects or any(
                path == each for _, each in self._pages
            )
            raise Refused(f"no {method} {path}", status=405 if known else 404)

        return answered

    def _models(self, request: Request) -> Answer:
        names = self.settings.models or models.USUAL
        if request.header(_ANTHROPIC_VERSION) is not None:
            return _json(models.anthropic_list(names))
        return _json(models.openai_list(names))

    def _model(self, name: str, request: Request) -> Answer:
        if self.settings.models and name not in self.settings.models:
            raise Refused(f"The model `{name}` does not exist.", status=404)
        if request.header(_ANTHROPIC_VERSION) is not None:
            return _json(models.anthropic_model(name))
        return _json(models.openai_model(name))

    def _stored(self, response_id: str, method: str) -> Answer:
        stored = self.stored.find(response_id)
        if stored is None:
            message = f"Response with id '{response_id}' not found."
            raise Refused(message, status=404, code="not_found")
        if method == "GET":
            return Answer(headers=(JSON_TYPE,), body=stored.document)
        self.stored.forget(response_id)
        gone = {"id": response_id, "object": "response.deleted", "deleted": True}
        return _json(gone)

    def _add_orders(self, request: Request) -> Answer:
        self.script.add(parse_orders(request.body))
        return _json(self.script.waiting())

    def _clear_script(self, _request: Request) -> Answer:
        self.script.clear()
        return _json({"cleared": ["script"]})

    def _requests(self, _request: Request) -> Answer:
        return _json({"count": self.recording.count, "requests": tuple(self.recording)})

    def _clear_requests(self, _request: Request) -> Answer:
        self.recording.clear()
        return _json({"cleared": ["requests"]})

    def _clear_all(self, _request: Request) -> Answer:
        self.script.clear()
        self.recording.clear()
        self.stored.clear()
        return _json({"cleared": ["script", "requests", "responses"]})


def _json(value: object) -> Answer:
    return Answer(headers=(JSON_TYPE,), body=_encode(value))


def _refused(dialect: Dialect, status: int, refused: Refused | None = None) -> Answer:
    body = dialect.refusal(status, refused)
    return Answer(status=status, headers=(JSON_TYPE,), body=body)


def _dialects(seal: Seal, stored: StoredResponses) -> Mapping[str, Dialect]:
    """Return what is spoken at which path."""
    return {
        _CHAT: OpenAIChat(),
        _RESPONSES: OpenAIResponses(seal, stored),
        f"{_RESPONSES}/input_tokens": OpenAIResponses(seal, stored, counting=True),
        _MESSAGES: AnthropicMessages(seal),
        f"{_MESSAGES}/count_tokens": AnthropicMessages(seal, counting=True),
    }
