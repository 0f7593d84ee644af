"""What the user's text tells the mock to do, turn by turn, as an agent would do it.

Lines such as `MOCK: run ls` are directives. A turn of the mock reaches up to the next
directive that needs a tool; what follows is said when the tool has answered. How far
the plan has come is read from the conversation, so nothing is remembered.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.asked import Asked, Image, Message, Tool
from smart_llmrouter.mockprovider.client_tools import ACTIONS, Use

_LINE: Final = re.compile(r"^[ \t]*MOCK:[ \t]*([a-z]+)[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_QUOTED: Final = re.compile(r'^\s*"(\s*MOCK:.*)"\s*$', re.DOTALL | re.MULTILINE)
_PARALLEL: Final = "parallel"
_BETWEEN: Final = ";;"
_QUOTED_CHARS: Final = 240


@dataclass(frozen=True, slots=True)
class Directive:
    """One thing to do: `verb` says what, `rest` with what."""

    verb: str
    rest: str

    @property
    def needs_tool(self) -> bool:
        """Tell whether a tool has to be called for it."""
        return self.verb in ACTIONS or self.verb == _PARALLEL


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTurn:
    """What the mock does next: it thinks, talks, uses tools, or some of these."""

    text: str | None = None
    reasoning: str | None = None
    redacted: bool = False
    uses: tuple[Use, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """How many turns called tools, and how many results came of that."""

    turns: int
    results: int


def directives(text: str) -> tuple[Directive, ...]:
    """Return the directives in `text`, in their order."""
    # Some clients put a prompt with spaces between quotes before they send it.
    if quoted := _QUOTED.search(text):
        text = quoted.group(1).replace('\\"', '"')
    return tuple(Directive(verb, rest) for verb, rest in _LINE.findall(text))


def next_turn(asked: Asked) -> PlannedTurn | None:
    """Return what the plan has for this turn, or nothing where there is no plan.

    A plan is over with the first answer that calls no tool, and that the user answers:
    without that it is an answer that broke off, which the client wants the rest of.
    After a plan the mock only talks: an agent that reports what its tools did would
    else be given more to do, and report that, without end.
    """
    place = _place(asked.messages)
    if place is None or (asked.structured and not asked.tools):
        return None
    since = asked.messages[place + 1 :]
    if _is_over(since):
        return PlannedTurn()
    turns = _turns(directives(asked.messages[place].text))
    turn = turns[min(progress(asked).turns, len(turns) - 1)]
    return _planned(turn, asked, _facts(asked, since))


def progress(asked: Asked) -> Progress:
    """Return how far the plan has come, or the conversation where there is none."""
    place = _place(asked.messages)
    since = asked.messages[0 if place is None else place + 1 :]
    return Progress(
        turns=sum(message.calls > 0 for message in since),
        results=sum(len(message.results) for message in since),
    )


def _is_over(messages: Sequence[Message]) -> bool:
    answered = False
    for message in messages:
        if message.role == "user" and answered:
            return True
        answered = answered or (message.role == "assistant" and not message.calls)
    return False


def _place(messages: Sequence[Message]) -> int | None:
    """Return where the last message with directives is."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user" and directives(messages[index].text):
            return index
    return None


def _turns(all_directives: Sequence[Directive]) -> list[list[Directive]]:
    turns: list[list[Directive]] = [[]]
    for directive in all_directives:
        turns[-1].append(directive)
        if directive.needs_tool:
            turns.append([])
    return turns


def _planned(
    turn: Sequence[Directive], asked: Asked, facts: Mapping[str, str]
) -> PlannedTurn:
    done = PlannedTurn()
    texts: list[str] = []
    for directive in turn:
        match directive.verb:
            case "think":
                done = replace(done, reasoning=directive.rest or "Let me think.")
            case "redact":
                done = replace(done, reasoning=directive.rest or "-", redacted=True)
            case "say":
                texts.append(_filled(_unescaped(directive.rest), facts))
            case "image":
                texts.append(_shown(asked.images))
            case verb if directive.needs_tool:
                uses, missing = _uses(directive, asked.tools)
                done = replace(done, uses=uses)
                texts += missing
            case verb:
                texts.append(f"The mock has no directive `{verb}`.")
    if not texts and not done.uses and not asked.structured:
        texts.append(_filled("Done: {results} tool results, {errors} errors.", facts))
    return replace(done, text="\n".join(texts) or None)


def _uses(
    directive: Directive, tools: Sequence[Tool]
) -> tuple[tuple[Use, ...], list[str]]:
    """Return how the offered tools do it, and a sentence for what none of them can."""
    wanted = [directive]
    if directive.verb == _PARALLEL:
        parts = (part.strip().partition(" ") for part in directive.rest.split(_BETWEEN))
        wanted = [Directive(verb, rest.strip()) for verb, _, rest in parts]
    uses: list[Use] = []
    missing: list[str] = []
    for each in wanted:
        action = ACTIONS.get(each.verb)
        use = action(tools, each.rest) if action else None
        if use is None:
            missing.append(f"No tool was offered for `{each.verb} {each.rest}`.")
        else:
            uses.append(use)
    return tuple(uses), missing


def _facts(asked: Asked, messages: Sequence[Message]) -> Mapping[str, str]:
    results = [result for message in messages for result in message.results]
    last = " ".join(results[-1].text.split())[:_QUOTED_CHARS] if results else ""
    return {
        "results": str(len(results)),
        "errors": str(sum(result.is_error for result in results)),
        "images": str(len(asked.images)),
        "last": last,
    }


def _filled(text: str, facts: Mapping[str, str]) -> str:
    for name, fact in facts.items():
        text = text.replace("{" + name + "}", fact)
    return text


def _shown(images: Sequence[Image]) -> str:
    """Return what is known of the images: how many, of which type and size."""
    noun = "image" if len(images) == 1 else "images"
    each = "; ".join(
        "at an address"
        if image.size_bytes is None
        else f"{image.media_type}, {image.size_bytes} bytes"
        for image in images
    )
    return f"{len(images)} {noun}: {each}." if images else "0 images."


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n")
