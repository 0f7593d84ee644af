"""The mock as a value: takes a request, gives an answer and the step behind it.

No sockets here. The server feeds it and carries out what it decides; tests and the
control API write into `script` and read `recording`.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from smart_llmrouter.mockprovider import faults, openai_chat
from smart_llmrouter.mockprovider.http import JSON_TYPE, Answer, Request
from smart_llmrouter.mockprovider.openai_chat_schema import ChatRequest
from smart_llmrouter.mockprovider.recording import Recording
from smart_llmrouter.mockprovider.script import (
    HEADER,
    NOTHING,
    PLAIN_STEP,
    InvalidScript,
    Orders,
    Script,
    Step,
    parse_orders,
    parse_step,
)

USUAL_MODELS: Final = ("mock-small", "mock-large")
_encode: Final = msgspec.json.Encoder().encode

Played = tuple[Answer, Step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a mock behaves towards every request.

    Without `models` every name is a model; with them, any other is a 404.
    """

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
        self._inference: Mapping[str, Callable[[Request], Played]] = {
            openai_chat.PATH: self._chat,
        }
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
        if path.startswith("/v1/") and not self._authorized(request):
            return _refusal(401), PLAIN_STEP
        if request.method == "POST" and path in self._inference:
            return self._inference[path](request)
        page = self._pages.get((request.method, path))
        if page is not None:
            return page(request), PLAIN_STEP
        known = path in self._inference or any(path == each for _, each in self._pages)
        return _refusal(
            405 if known else 404, f"no {request.method} {path}"
        ), PLAIN_STEP

    def _authorized(self, request: Request) -> bool:
        if self.settings.api_key is None:
            return True
        given = request.header(b"authorization") or b""
        return hmac.compare_digest(given, b"Bearer " + self.settings.api_key.encode())

    def _chat(self, request: Request) -> Played:
        try:
            asked = openai_chat.parse(request.body)
            step = self._step(request, asked)
        except (openai_chat.InvalidRequest, InvalidScript) as error:
            return _refusal(400, str(error)), PLAIN_STEP
        if step.raw is not None:
            return faults.changed(faults.verbatim(step.raw), step, None), step
        if step.status != 200 or step.body != NOTHING:
            answer = faults.refused(step, openai_chat.refusal(step.status))
            return faults.changed(answer, step, None), step
        if self.settings.models and asked.model not in self.settings.models:
            return _refusal(404, f"The model `{asked.model}` does not exist."), step
        failure = step.error_in_stream
        written = None if failure is None else openai_chat.stream_error(failure)
        answer = openai_chat.answer(asked, request.body, step)
        return faults.changed(answer, step, written), step

    def _step(self, request: Request, asked: ChatRequest) -> Step:
        scripted = request.header(HEADER)
        step = parse_step(scripted) if scripted else openai_chat.step_in(asked)
        if step is None or step.model not in {None, asked.model}:
            step = self.script.take(asked.model)
        if self.settings.latency_ms and step.delay_first_ms is None:
            return msgspec.structs.replace(
                step, delay_first_ms=self.settings.latency_ms
            )
        return step

    def _models(self, _request: Request) -> Answer:
        names = self.settings.models or USUAL_MODELS
        return Answer(headers=(JSON_TYPE,), body=openai_chat.models(names))

    def _add_orders(self, request: Request) -> Answer:
        try:
            self.script.add(parse_orders(request.body))
        except InvalidScript as error:
            return _refusal(400, str(error))
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
        return _json({"cleared": ["script", "requests"]})


def _json(value: object) -> Answer:
    return Answer(headers=(JSON_TYPE,), body=_encode(value))


def _refusal(status: int, message: str | None = None) -> Answer:
    body = openai_chat.refusal(status, message)
    return replace(Answer(headers=(JSON_TYPE,), body=body), status=status)
