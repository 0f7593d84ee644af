"""Compacting a conversation for models that cannot do it themselves.

Codex asks for it with a last item `compaction_trigger` and takes exactly one item
`compaction` for an answer, whose content it never reads. A model that knows nothing of
this is asked for a summary instead. That is sealed, so that it is known again when the
caller sends it back, and then it is a message like any other, for any model.
"""

from typing import Final

from smart_llmrouter.core.content import ReasoningState, Text, Turn
from smart_llmrouter.core.request import Request
from smart_llmrouter.dialects.sealed import seal, unseal

_KIND: Final = "compaction"
_PROMPT: Final = (
    "This conversation is about to be replaced by a summary, and you write it. Do not "
    "call a tool and do not go on with the work. Write down, for whoever goes on from "
    "here and knows nothing else: what was asked for, with all wishes and limits that "
    "were stated; what was done so far and what came of it, with the names of files, "
    "commands, identifiers and values that are still needed, word for word; what was "
    "decided and why; what failed; and what remains to be done next. Answer with the "
    "summary only."
)
_PREAMBLE: Final = (
    "The conversation before this point was replaced by this summary of it:\n\n"
)
REQUEST_TURN: Final = Turn(role="user", parts=(Text(text=_PROMPT),))
"""What a model is asked in place of `compaction_trigger`."""


def asks_for_summary(request: Request) -> bool:
    """Say whether the answer is to become one `compaction` item."""
    return bool(request.turns) and request.turns[-1] == REQUEST_TURN


def sealed_summary(summary: str, *, label: str) -> str:
    """Return the content of a `compaction` item."""
    state = ReasoningState(kind="encrypted", value=_KIND)
    return seal(state, label=label, text=summary)


def summary_in(content: str) -> str | None:
    """Return a summary as a model is told it; `None` for what was not sealed here."""
    unsealed = unseal(content)
    if unsealed is None or unsealed[0].value != _KIND:
        return None
    return _PREAMBLE + unsealed[1]
