"""What of an answer Chat Completions cannot say, for the notes."""

from typing import Final

from smart_llmrouter.core.events import Annotated, Finished, OpaqueFrame, Signed
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.dialects.said_as import FIELD_OF_STATE


def note_frame(event: Signed | Annotated | OpaqueFrame, notes: Notes) -> None:
    """Note an event that is not passed on."""
    match event:
        case Signed():
            field = FIELD_OF_STATE[event.state.kind]
            notes.dropped(field, "nothing in Chat can hold a proof")
        case Annotated():
            notes.dropped("annotations", f"only {event.dialect} has them")
        case OpaqueFrame():
            if event.dialect != "openai-chat":
                notes.dropped(event.kind, f"only {event.dialect} has it")


def note_finish(finished: Finished, notes: Notes) -> None:
    """Note what the reason of an answer's end loses."""
    if finished.stop_sequence is not None:
        notes.dropped("stop_sequence", "Chat does not say which one was met")
    told = _TOLD_AS.get(finished.reason)
    if told is not None:
        notes.approximated("stop_reason", told)


_TOLD_AS: Final = {
    "pause": "pause_turn is told as stop",
    "context": "a full context is told as length",
}
