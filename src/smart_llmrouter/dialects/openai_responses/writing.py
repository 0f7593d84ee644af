"""The frame around an answer: events, and the object that an answer is."""

from typing import Final

import msgspec

from smart_llmrouter.core.events import Finished, FinishReason
from smart_llmrouter.core.request import Request
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.openai_responses.render import text_options
from smart_llmrouter.dialects.openai_responses.render_tools import (
    render_choice,
    render_tools,
)
from smart_llmrouter.dialects.openai_responses.schema import encode

_INCOMPLETE: Final[dict[FinishReason, str]] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "content_filter": "content_filter",
}
"""Why an answer is incomplete; all other reasons complete it."""


def frame_of(kind: str, sequence: int, rest: bytes) -> bytes:
    """Return one event; `rest` begins with a comma."""
    name = kind.encode()
    return b'event: %b\ndata: {"type":"%b","sequence_number":%d%b}\n\n' % (
        name,
        name,
        sequence,
        rest,
    )


def head_of(kind: str, where: bytes) -> bytes:
    """Return what stands before the sequence number of each delta of a part."""
    name = kind.encode()
    return b'event: %b\ndata: {"type":"%b"%b,"sequence_number":' % (name, name, where)


class ResponseObject:
    """The object that an answer is, with what was asked for repeated in it."""

    def __init__(self, answering: Answering) -> None:
        """Begin without usage."""
        self._answering = answering
        self.usage: Usage = UNKNOWN_USAGE

    def opening(self) -> bytes:
        """Return the object before there is an answer; tools are told at its end."""
        return self._written({"status": "in_progress", "tools": []}, [])

    def is_complete(self, finished: Finished) -> bool:
        """Say whether an answer that ended so is complete."""
        return finished.reason not in _INCOMPLETE

    def finished(self, items: list[bytes], finished: Finished) -> tuple[str, bytes]:
        """Return the kind of the last event, and the whole answer."""
        reason = _INCOMPLETE.get(finished.reason)
        status = "completed" if reason is None else "incomplete"
        details = None if reason is None else {"reason": reason}
        asked = _asked_at_length(self._answering.request)
        fields = {"status": status, "incomplete_details": details, **asked}
        return f"response.{status}", self._written(fields, items)

    def failed(self, items: list[bytes], error: msgspec.Raw | None) -> bytes:
        """Return an answer that was broken off."""
        fields: dict[str, object] = {"status": "failed", "tools": [], "error": error}
        return self._written(fields, items)

    def _written(self, fields: dict[str, object], items: list[bytes]) -> bytes:
        answering = self._answering
        return encode(
            {
                "id": f"resp_{answering.id}",
                "object": "response",
                "created_at": answering.created_s,
                "background": False,
                "error": None,
                "incomplete_details": None,
                "instructions": None,
                "model": answering.model,
                "output": msgspec.Raw(b"[" + b",".join(items) + b"]"),
                "previous_response_id": None,
                "store": False,
                **_asked(answering.request),
                "usage": _usage(self.usage),
                **fields,
            }
        )


def _asked(request: Request) -> dict[str, object]:
    """Repeat what is short."""
    ask, choice = request.reasoning, request.tool_choice
    parallel = request.parallel_tools
    return {
        "max_output_tokens": request.output_cap,
        "metadata": dict(request.metadata),
        "parallel_tool_calls": True if parallel is None else parallel,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {
            "effort": None if ask is None else ask.effort,
            "summary": None if ask is None else ask.summary,
        },
        "service_tier": request.service_tier,
        "temperature": request.temperature,
        "tool_choice": "auto" if choice is None else render_choice(choice, request),
        "top_p": request.top_p,
        "truncation": "disabled",
        "user": request.user,
    }


def _asked_at_length(request: Request) -> dict[str, object]:
    """Repeat what may be long, which is told once only."""
    return {
        "instructions": "\n\n".join(part.text for part in request.system) or None,
        "text": {"format": {"type": "text"}, **text_options(request)},
        "tools": render_tools(request.tools, own=True),
    }


def _usage(usage: Usage) -> dict[str, object] | None:
    """Return the usage, if any is known; what is missing of it reads 0 here.

    Codex reads no answer whose usage lacks a count.
    """
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    given, made = usage.input_tokens or 0, usage.output_tokens or 0
    written = (usage.cache_write_5m_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": written,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": given + made,
    }
