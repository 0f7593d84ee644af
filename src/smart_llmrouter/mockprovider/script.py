"""What the mock is told to do: one `Step` for one answer, and the `Script` of them.

A step comes from four places; the first that has one wins: the request header
`x-mock-script`, a marker `[[mock: {...}]]` in the last user message, the queue of
steps, and the standing orders for a model or for all requests.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

HEADER: Final = b"x-mock-script"
_MARKER_OPENS: Final = "[[mock:"
_MARKER_CLOSES: Final = "]]"
_JSON: Final = json.JSONDecoder()

Lack = Literal[
    "tools",
    "forced-choice",
    "parallel-tools",
    "structured-output",
    "images",
    "image-urls",
    "reasoning",
    "output-cap",
]
WrongUsage = Literal[
    "absurd", "absent", "negative", "null", "partial", "strings", "zero"
]
MalformedHttp = Literal["chunk-size", "content-length", "header", "status-line"]

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0)]
HttpStatus = Annotated[int, msgspec.Meta(ge=100, le=999)]


NOTHING: Final = msgspec.Raw()
"""No JSON at all: what stands for an absent value that is kept as it is spelt."""


class InvalidScript(ValueError):
    """A step or script that the mock cannot read; the message says why."""


class Drip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send the answer in pieces of `bytes`, with `every_ms` between two of them."""

    bytes: Positive = 1
    every_ms: Milliseconds = 10


class StreamError(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """An error inside a 200: after `after_events` events (0: before any content).

    Without a `type` it is the one that a dialect has for a fault of the server. With
    the Responses API it is a `response.failed`, or with `event` an `error`.
    """

    after_events: Count = 0
    message: str = "The server had an error while processing your request."
    type: str | None = None
    code: str | None = None
    event: Literal["failed", "error"] = "failed"


class Raw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer given verbatim: nothing is added to or taken from the body.

    With `chunks` the body is sent with chunked transfer coding, one chunk for each
    (a piece of text; `body_base64` is for bytes that are not text).
    """

    status: HttpStatus = 200
    headers: dict[str, str] = {}
    body: str = ""
    body_base64: bytes | None = None
    chunks: tuple[str, ...] | None = None


class Step(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """How one request is answered. Every field is optional, and they combine.

    `docs/mock-provider.md` describes each field; durations are in milliseconds and
    byte positions count from `count_from`.
    """

    # Which requests, and how many of them.
    model: str | None = None
    times: Positive = 1

    # A status other than 200, and what comes with it.
    status: HttpStatus = 200
    retry_after: int | float | str | None = None
    headers: dict[str, str] = {}
    body: msgspec.Raw = NOTHING

    # What the model cannot do.
    lacks: tuple[Lack, ...] = ()

    # What the answer says.
    content: str | None = None
    words: Positive | None = None
    huge_bytes: Positive | None = None
    reasoning_text: str | None = None
    redacted_thinking: bool = False
    finish_reason: str | None = None

    # What the answer says about itself.
    prompt_tokens: Count | None = None
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    completion_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost: msgspec.Raw = NOTHING
    no_usage: bool = False
    wrong_usage: WrongUsage | None = None
    vendor_fields: bool = False

    # When it comes.
    delay_first_ms: Milliseconds | None = None
    delay_between_ms: Milliseconds = 0
    head_first: bool = False
    drip: Drip | None = None

    # How it breaks.
    count_from: Literal["answer", "body"] = "answer"
    hang_up_at_byte: Count | None = None
    stall_at_byte: Count | None = None
    hang_up_after_events: Count | None = None
    stall_after_events: Count | None = None
    rst: bool = False
    end_after_events: Count | None = None
    no_done: bool = False
    error_in_stream: StreamError | None = None
    malformed_json: bool = False
    malformed_http: MalformedHttp | None = None

    # How a stream is written.
    comments: Count = 0
    crlf: bool = False

    # Everything at once.
    raw: Raw | None = None


class Orders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole script: a queue of steps, and standing orders.

    `steps` are used up, one a request; `models` (by model name) and `always` hold for
    every request that no step was there for.
    """

    steps: tuple[Step, ...] = ()
    models: dict[str, Step] = {}
    always: Step | None = None


PLAIN_STEP: Final = Step()
_decode_step: Final = msgspec.json.Decoder(Step).decode
_decode_orders: Final = msgspec.json.Decoder(Orders).decode
_decode_steps: Final = msgspec.json.Decoder(tuple[Step, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


def parse_step(raw: bytes | str) -> Step:
    """Read one step from JSON; raise `InvalidScript` where it is not one."""
    try:
        return _decode_step(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidScript(f"not a step: {error}") from error


def parse_orders(raw: bytes | str) -> Orders:
    """Read a script from JSON: an object with `steps`, a list of steps, or one step."""
    try:
        shape = msgspec.json.decode(raw)
        if isinstance(shape, list):
            return Orders(steps=_decode_steps(raw))
        if isinstance(shape, dict) and not shape.keys() <= set(
            Orders.__struct_fields__
        ):
            return Orders(steps=(_decode_step(raw),))
        return _decode_orders(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidScript(f"not a script: {error}") from error


def read_orders(path: Path) -> Orders:
    """Read a script from a JSON or YAML file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return parse_orders(text)
    try:
        return parse_orders(_encode(YAML(typ="safe").load(text) or {}))
    except YAMLError as error:
        raise InvalidScript(f"not YAML: {error}") from error


def marked_step(text: str) -> Step | None:
    """Return the step of the last `[[mock: {...}]]` in `text`, if there is one."""
    start = text.rfind(_MARKER_OPENS)
    if start < 0:
        return None
    begin, end = _json_span(text, start)
    return parse_step(text[begin:end])


def without_marker(text: str) -> str:
    """Return `text` without its last marker; an unreadable one is left in it."""
    start = text.rfind(_MARKER_OPENS)
    if start < 0:
        return text
    try:
        _, end = _json_span(text, start)
    except InvalidScript:
        return text
    before = text[:start].rstrip()
    after = text[end:].lstrip().removeprefix(_MARKER_CLOSES).lstrip()
    return f"{before} {after}".strip()


def _json_span(text: str, start: int) -> tuple[int, int]:
    """Return where the JSON of the marker at `start` begins and ends."""
    opened = start + len(_MARKER_OPENS)
    begin = opened + len(text[opened:]) - len(text[opened:].lstrip())
    try:
        _, end = _JSON.raw_decode(text, begin)
    except json.JSONDecodeError as error:
        raise InvalidScript(f"not a step in the marker: {error}") from error
    return begin, end


class Script:
    """The steps still to come, and the standing orders."""

    def __init__(self, orders: Orders = Orders()) -> None:  # noqa: B008 - frozen
        """Begin with `orders`."""
        self._queue: deque[Step] = deque()
        self._models: dict[str, Step] = {}
        self._always = PLAIN_STEP
        self.add(orders)

    def add(self, orders: Orders) -> None:
        """Append the steps of `orders`; its standing orders replace earlier ones."""
        self._queue.extend(_unfolded(orders.steps))
        self._models.update(orders.models)
        if orders.always is not None:
            self._always = orders.always

    def clear(self) -> None:
        """Forget every step and standing order."""
        self._queue.clear()
        self._models.clear()
        self._always = PLAIN_STEP

    def take(self, model: str | None) -> Step:
        """Return the step for a request for `model`; a queued one is used up."""
        for index, step in enumerate(self._queue):
            if step.model is None or step.model == model:
                del self._queue[index]
                return step
        if model is not None and model in self._models:
            return self._models[model]
        return self._always

    def waiting(self) -> Mapping[str, object]:
        """Return what is left, ready for JSON."""
        return {
            "steps": tuple(self._queue),
            "models": dict(self._models),
            "always": self._always,
        }


def _unfolded(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        once = msgspec.structs.replace(step, times=1)
        for _ in range(step.times):
            yield once
