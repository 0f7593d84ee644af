"""From `messages` to turns.

What the wild adds is read too: a model's thoughts as `reasoning_content`, `reasoning`
or `thinking`, arguments that are an object instead of its text, images in the results
of tools, and the calls of single functions from before there were tools.

Instructions at the beginning, `system` and `developer` alike, stand outside of the
turns in the canon; later ones are turns.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from smart_llmrouter.core.content import (
    NO_EXTRAS,
    Audio,
    CallKind,
    Document,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    ResultPart,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.dialects.openai_chat.fields import (
    CONTENT,
    OBJECTS,
    TEXT,
    TEXT_OR_OBJECT,
    Fields,
    invalid,
)
from smart_llmrouter.dialects.openai_chat.parse_parts import read_content
from smart_llmrouter.dialects.openai_chat.proofs import thoughts_in
from smart_llmrouter.wire.jsonobject import RawMembers, render_members

_THOUGHTS: Final = ("reasoning_content", "reasoning", "thinking")
_encode: Final = msgspec.json.Encoder().encode


class Conversation:
    """Reads the messages of one request, in order."""

    def __init__(self) -> None:
        """Begin with none."""
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.keeps_details = False
        self._kinds: dict[str, CallKind] = {}
        self._function_call_id = ""

    def read(self, messages: Iterable[RawMembers]) -> None:
        """Read all messages. Raises `InvalidRequest`."""
        for place, members in enumerate(messages):
            fields = Fields(members, f"messages.{place}")
            role = fields.demand("role", TEXT)
            match role:
                case "system" | "developer":
                    self._instruct(role, fields)
                case "user":
                    parts = tuple(_content(fields))
                    self._add("user", parts, fields)
                case "assistant":
                    parts = tuple(self._said(fields, place))
                    self._add("assistant", parts, fields)
                case "tool" | "function":
                    self._result(role, fields)
                case _:
                    raise invalid(
                        fields.path_of("role"),
                        "must be one of system, developer, user, assistant, tool "
                        "and function",
                    )

    def _add(self, role: Role, parts: tuple[Part, ...], fields: Fields) -> None:
        self.turns.append(Turn(role=role, parts=parts, extras=fields.extras()))

    def _instruct(self, role: Literal["system", "developer"], fields: Fields) -> None:
        parts = tuple(_content(fields))
        texts = [part for part in parts if isinstance(part, Text)]
        if self.turns or len(texts) < len(parts):
            self._add(role, parts, fields)
            return
        own = fields.extras()
        if texts and own:
            texts[0] = msgspec.structs.replace(
                texts[0], extras={**texts[0].extras, **own}
            )
        self.system += texts

    def _said(self, fields: Fields, place: int) -> Iterable[Part]:
        yield from self._thought(fields)
        yield from _content(fields)
        refusal = fields.take("refusal", TEXT)
        if refusal:
            yield Refusal(text=refusal)
        path = fields.path_of("tool_calls")
        for number, members in enumerate(fields.take("tool_calls", OBJECTS) or ()):
            yield self._call(members, f"{path}.{number}")
        if fields.look("function_call") is not None:
            called = fields.inside("function_call")
            self._function_call_id = f"function_call_{place}"
            yield ToolCall(
                id=self._function_call_id,
                name=called.demand("name", TEXT),
                arguments=_arguments(called),
                extras=called.extras(),
            )

    def _thought(self, fields: Fields) -> Iterable[Reasoning]:
        """Read what the model thought: proven, or under one of its names."""
        told = fields.look("reasoning_details")
        proven: list[Reasoning] = []
        if told is not None:
            self.keeps_details = True
            details = fields.attempt("reasoning_details", OBJECTS) or []
            proven, whole = thoughts_in(details)
            if not whole:
                fields.put("reasoning_details", msgspec.Raw(told))
        names = [name for name in _THOUGHTS if fields.look(name) is not None]
        texts = [fields.attempt(name, TEXT) for name in names]
        if any(thought.state is not None for thought in proven) or not any(texts):
            return proven
        return [Reasoning(text=next(text for text in texts if text))]

    def _call(self, members: RawMembers, path: str) -> Part:
        fields = Fields(members, path)
        kind = fields.take("type", TEXT) or "function"
        if kind not in ("function", "custom"):
            return Opaque(kind="other", raw=msgspec.Raw(render_members(members)))
        call_id = fields.demand("id", TEXT)
        called = fields.inside(kind)
        fields.drop("index")
        name = called.demand("name", TEXT)
        extras = fields.extras()
        if kind == "function":
            return ToolCall(
                id=call_id, name=name, arguments=_arguments(called), extras=extras
            )
        self._kinds[call_id] = "custom"
        given = called.take("input", TEXT) or ""
        return ToolCall(
            id=call_id, name=name, arguments=given, kind="custom", extras=extras
        )

    def _result(self, role: Literal["tool", "function"], fields: Fields) -> None:
        """Read one result; those of calls that were made together are one turn."""
        call_id = self._function_call_id
        if role == "tool":
            call_id = fields.demand("tool_call_id", TEXT)
        result = ToolResult(
            call_id=call_id,
            content=tuple(_as_result(part) for part in _content(fields)),
            kind=self._kinds.get(call_id, "function"),
            extras=fields.extras(),
        )
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == "tool":
            self.turns[-1] = msgspec.structs.replace(last, parts=(*last.parts, result))
        else:
            self.turns.append(Turn(role="tool", parts=(result,), extras=NO_EXTRAS))


def _content(fields: Fields) -> Iterable[Part]:
    content = fields.take("content", CONTENT)
    if isinstance(content, str):
        return (Text(text=content),) if content else ()
    return read_content(content or (), fields.path_of("content"))


def _as_result(part: Part) -> ResultPart:
    """Return a part that a result may hold; what none may is for this dialect only."""
    match part:
        case Text() | Image() | Document() | Opaque():
            return part
        case Audio():
            sound = {"data": part.data, "format": part.format}
            raw = _encode({"type": "input_audio", "input_audio": sound})
            return Opaque(kind="audio", raw=msgspec.Raw(raw))
        case Refusal():
            return Text(text=part.text)
        case Reasoning() | ToolCall() | ToolResult():
            raise AssertionError("no content holds these")


def _arguments(called: Fields) -> str:
    """Read the arguments of a call, which some callers send as an object."""
    arguments = called.take("arguments", TEXT_OR_OBJECT)
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return render_members(arguments).decode()
