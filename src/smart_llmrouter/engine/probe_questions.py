"""What a target is asked to find out what it can do, and how its answers are read.

Questions are requests of the canon, which each dialect writes in its own way. An answer
says `yes` or `no` only where it shows it; what may have had another reason is
`unclear`.
"""

import base64
import json
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from smart_llmrouter.core.content import Image, Part, Text, Turn
from smart_llmrouter.core.events import (
    Delta,
    Event,
    Finished,
    FinishReason,
    Opened,
    UsageSeen,
)
from smart_llmrouter.core.request import (
    DialectName,
    FunctionTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    ToolChoice,
)
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage

Outcome = Literal["yes", "no", "unclear"]

TEXT: Final = "text"
STREAM_USAGE: Final = "stream usage"
OUTPUT_CAP: Final = "output cap"
TOOLS: Final = "tools"
FORCED_CHOICE: Final = "forced choice"
PARALLEL: Final = "parallel tools"
STRUCTURED: Final = "structured output"
IMAGE_DATA: Final = "image, data"
IMAGE_URL: Final = "image, URL"
REASONING: Final = "reasoning"
EFFORTS: Final = ("minimal", "low", "medium", "high")

# The least that the Responses API takes for a cap, and that Messages take for thinking.
_SMALL_CAP: Final = 16
_LEAST_BUDGET: Final = 1024
_CUT: Final = "the answer was cut by the output cap; try more --output-tokens"
_SIDE: Final = 64
_RED: Final = b"\xd0\x10\x10"

# A dialect writes what came in another one from the canon, all of it.
_OTHER: Final[dict[DialectName, DialectName]] = {
    "openai-chat": "openai-responses",
    "openai-responses": "openai-chat",
    "anthropic-messages": "openai-chat",
}
_WEATHER: Final = FunctionTool(
    name="get_weather",
    description="Tell the weather in a city.",
    schema=msgspec.Raw(
        b'{"type":"object","properties":{"city":{"type":"string"}},'
        b'"required":["city"],"additionalProperties":false}'
    ),
)
_CITY: Final = OutputFormat(
    kind="json_schema", name="capital", schema=_WEATHER.schema, strict=True
)


class Verdict(NamedTuple):
    """What an answer shows, and why."""

    outcome: Outcome
    detail: str = ""


class Heard(msgspec.Struct, kw_only=True):
    """What came back: an answer, folded."""

    text: str = ""
    calls: int = 0
    reasoned: bool = False
    usage: Usage = UNKNOWN_USAGE
    reason: FinishReason | None = None

    @property
    def was_cut(self) -> bool:
        """Say whether the output cap has ended it."""
        return self.reason == "length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request, and what its answer shows.

    `control` and `level` are how much thought is asked for, where the question is
    about that. `after` names a question without whose `yes` this one makes no sense.
    """

    name: str
    request: Request
    judge: Callable[[Heard], Verdict]
    after: str | None = None
    control: Literal["effort", "token_budget"] | None = None
    level: str | None = None


def heard_of(events: Iterable[Event]) -> Heard:
    """Fold the events of an answer."""
    heard, kinds = Heard(), dict[int, str]()
    for event in events:
        if isinstance(event, Opened):
            kinds[event.index] = event.kind
            heard.calls += event.kind == "tool_call"
            heard.reasoned |= event.kind in {"reasoning", "summary"}
        elif isinstance(event, Delta) and kinds.get(event.index) == "text":
            heard.text += event.text
        elif isinstance(event, UsageSeen):
            heard.usage = event.usage
        elif isinstance(event, Finished):
            heard.reason = event.reason
    heard.reasoned |= bool(heard.usage.reasoning_tokens)
    return heard


def questions(
    dialect: DialectName, *, output_tokens: int, image_url: str | None = None
) -> list[Question]:
    """Return what to ask a target of `dialect`; the first is whether it answers.

    No answer may have more than `output_tokens`, but for thoughts with a budget, whose
    budget comes on top. An image is only fetched from `image_url` where that is given.
    """
    ask = _Asking(_OTHER[dialect], output_tokens)
    found = [
        ask.about(TEXT, "Answer with the one word: ok", judge=_says_something),
        ask.about(STREAM_USAGE, "Say ok.", judge=_tells_usage, stream=True),
        ask.about(
            OUTPUT_CAP,
            "Count from 1 to 100 in words: one, two, three and so on, to the end.",
            judge=_keeps_the_cap,
            output_cap=_SMALL_CAP,
        ),
        *_about_tools(ask),
        ask.about(
            STRUCTURED,
            "Which city is the capital of Norway? Answer in JSON.",
            judge=_keeps_the_schema,
            output_format=_CITY,
        ),
        ask.about_image(IMAGE_DATA, red_square()),
    ]
    if image_url is not None:
        found.append(ask.about_image(IMAGE_URL, Image(url=image_url)))
    return found + _about_reasoning(ask, dialect)


def _about_tools(ask: "_Asking") -> list[Question]:
    return [
        ask.about(
            TOOLS,
            "What is the weather in Oslo? Use the tool.",
            judge=_calls,
            tools=(_WEATHER,),
        ),
        ask.about(
            FORCED_CHOICE,
            "Say hello.",
            judge=_calls,
            after=TOOLS,
            tools=(_WEATHER,),
            tool_choice=ToolChoice(mode="required"),
        ),
        ask.about(
            PARALLEL,
            "What is the weather in both Oslo and Rome? Call the tool for both at"
            " once, in parallel.",
            judge=_calls_twice,
            after=TOOLS,
            tools=(_WEATHER,),
            parallel_tools=True,
        ),
    ]


def _about_reasoning(ask: "_Asking", dialect: DialectName) -> list[Question]:
    anthropic = dialect == "anthropic-messages"
    found = [
        ask.about_thought(ReasoningAsk(effort=effort), "effort", effort)
        # What Messages call `minimal` there is not.
        for effort in (EFFORTS[1:] if anthropic else EFFORTS)
    ]
    if anthropic:
        budget = ReasoningAsk(budget_tokens=_LEAST_BUDGET)
        found.append(ask.about_thought(budget, "token_budget", None))
    return found


class _Asking:
    """Makes questions of one dialect."""

    def __init__(self, dialect: DialectName, output_tokens: int) -> None:
        self._dialect = dialect
        self._output_tokens = output_tokens

    def about(
        self,
        name: str,
        said: str,
        *more: Part,
        judge: Callable[[Heard], Verdict],
        after: str | None = None,
        **fields: object,
    ) -> Question:
        """Return a question that says something, with fields of the request."""
        request = Request(
            dialect=self._dialect,
            model=None,
            turns=(Turn(role="user", parts=(Text(text=said), *more)),),
            output_cap=max(self._output_tokens, _SMALL_CAP),
            store=False,
            wants_reasoning_state=False,
        )
        request = msgspec.structs.replace(request, **fields)
        return Question(name=name, request=request, judge=judge, after=after)

    def about_image(self, name: str, image: Image) -> Question:
        """Return a question that shows an image."""
        said = "Is this image red, green or blue? Answer with one word."
        return self.about(name, said, image, judge=_sees)

    def about_thought(
        self,
        ask: ReasoningAsk,
        control: Literal["effort", "token_budget"],
        level: str | None,
    ) -> Question:
        """Return a question to be thought about."""
        cap = self._output_tokens + (ask.budget_tokens or 0)
        asked = self.about(
            REASONING,
            "How many times is the letter r in strawberry? Answer with the number.",
            judge=_thinks,
            reasoning=ask,
            output_cap=max(cap, _SMALL_CAP),
        )
        return Question(
            name=asked.name,
            request=asked.request,
            judge=asked.judge,
            control=control,
            level=level,
        )


def red_square() -> Image:
    """Return a small image, all red, as a PNG."""
    rows = (b"\0" + _RED * _SIDE) * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
    )
    return Image(data=base64.b64encode(png).decode(), media_type="image/png")


def _says_something(heard: Heard) -> Verdict:
    if heard.text or heard.reasoned or heard.was_cut:
        return Verdict("yes", _CUT if not heard.text else "")
    return Verdict("unclear", "the answer is empty")


def _tells_usage(heard: Heard) -> Verdict:
    if heard.usage.output_tokens is None:
        return Verdict("no", "a stream says nothing of tokens: its cost is unknown")
    return Verdict("yes")


def _keeps_the_cap(heard: Heard) -> Verdict:
    used = heard.usage.output_tokens
    if used is not None and used > _SMALL_CAP:
        return Verdict("no", f"{used} output tokens where {_SMALL_CAP} were allowed")
    if heard.was_cut:
        return Verdict("yes")
    return Verdict("unclear", "the answer ended by itself")


def _calls(heard: Heard) -> Verdict:
    if heard.calls:
        return Verdict("yes")
    return Verdict("unclear", _CUT) if heard.was_cut else Verdict("no", "no call came")


def _calls_twice(heard: Heard) -> Verdict:
    if heard.calls > 1:
        return Verdict("yes")
    if heard.was_cut:
        return Verdict("unclear", _CUT)
    return Verdict("no", f"{heard.calls} call where two were asked for")


def _keeps_the_schema(heard: Heard) -> Verdict:
    try:
        said = json.loads(heard.text)
    except ValueError:
        said = None
    if isinstance(said, dict) and said.keys() == {"city"}:
        return Verdict("yes")
    if heard.was_cut:
        return Verdict("unclear", _CUT)
    return Verdict("no", "the answer does not keep to the schema")


def _sees(heard: Heard) -> Verdict:
    said = heard.text.lower()
    if "red" in said and "green" not in said and "blue" not in said:
        return Verdict("yes")
    # Some accept an image, and show it to a model that has no eyes.
    return Verdict("unclear", "accepted, but the answer does not name its colour")


def _thinks(heard: Heard) -> Verdict:
    if heard.reasoned:
        return Verdict("yes")
    return Verdict("unclear", "accepted, but nothing shows a thought")
