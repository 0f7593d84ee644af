"""Carrying providers' proofs of their reasoning through callers of Chat Completions.

Chat has no field for them, but some clients know `reasoning_details`: they send back in
the next turn what they got in it. Who asks with a `reasoning` object, or has sent such
details, is taken for one of them and gets each proof there, sealed with the thought
that it proves. All others get the thought alone.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.content import Reasoning, ReasoningState
from smart_llmrouter.core.events import Opened, Signed
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.sealed import seal, unseal
from smart_llmrouter.wire.jsonobject import RawMembers

_TYPE: Final = "reasoning.encrypted"
_BLANK_LINE: Final = "\n\n"
_THINKS: Final = frozenset({"reasoning", "summary"})


class _Detail(msgspec.Struct, frozen=True):
    """One of `reasoning_details`."""

    data: str | None = None
    signature: str | None = None
    text: str | None = None
    summary: str | None = None


class Proofs:
    """Follows the thoughts of one answer; `wanted` says whether there is any use."""

    __slots__ = ("_answering", "_count", "_thought", "wanted")

    def __init__(self, answering: Answering) -> None:
        """Begin with no thought."""
        self._answering = answering
        self._thought: list[str] = []
        self._count = 0
        self.wanted = answering.request.wants_reasoning_state

    def opened(self, event: Opened) -> bool:
        """Note that a part begins; say whether its texts must be told."""
        if event.kind not in _THINKS or not self.wanted:
            return False
        if self._thought:
            self._thought.append(_BLANK_LINE)
        return True

    def said(self, text: str) -> None:
        """Take more of a thought."""
        self._thought.append(text)

    def detail(self, event: Signed) -> dict[str, object]:
        """Return the proof of what was thought since the last one."""
        thought, self._thought = "".join(self._thought), []
        index, self._count = self._count, self._count + 1
        data = seal(event.state, label=self._answering.label, text=thought)
        return {"type": _TYPE, "data": data, "index": index}


def detail_of(reasoning: Reasoning, state: ReasoningState) -> dict[str, object]:
    """Return the detail in which a caller sends a thought and its proof back."""
    data = seal(state, label=state.minted_by or "", text=reasoning.text)
    return {"type": _TYPE, "data": data}


def thoughts_in(details: Iterable[RawMembers]) -> tuple[list[Reasoning], bool]:
    """Return the thoughts in `reasoning_details`, and whether that was all of it.

    Thoughts with a proof come each for itself, and then stand for all that was thought.
    """
    proven, texts, whole = [], [], True
    for members in details:
        try:
            detail = msgspec.convert(
                {name: msgspec.json.decode(raw) for name, raw in members.items()},
                _Detail,
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            whole = False
            continue
        unsealed = unseal(detail.data or "")
        if unsealed is not None:
            state, text = unsealed
            proven.append(Reasoning(text=text, state=state))
        elif detail.data or detail.signature:
            whole = False
        texts.append(detail.text or detail.summary or "")
    text = "".join(texts)
    return proven or ([Reasoning(text=text)] if text else []), whole
