"""How much to think, and what it asks of the other sampling fields.

| target's `reasoning_control` | asked with                                        |
| ---------------------------- | ------------------------------------------------- |
| `effort`, or not known       | `thinking: adaptive` and `output_config.effort`   |
| `token_budget`               | `thinking: enabled` with `budget_tokens`          |

Not known is read as the newer models are: they refuse budgets. A budget that the caller
named, of this or another dialect, is kept where the control is not known.

Anthropic's rules, and what is done about them, each with a note:

* A budget is at least 1,024 tokens and less than `max_tokens`. Without a cap of the
  caller's, `max_tokens` is raised to leave 8,192 tokens for the answer, as far as the
  model's cap allows; with one, the budget is lowered. A cap that leaves no room for
  1,024 tokens of each switches thinking off.
* A forced tool call comes without thinking, which is switched off: the call is what was
  asked for, and thinking is the way there.
* With thinking there is no temperature, and no `top_p` below 0.95.
* Newer models take `temperature` or `top_p`, not both: `top_p` is dropped.
* A temperature is at most 1. It exists up to version 2023-06-01 of the API only, which
  must therefore be named in the header of every request that was translated.
"""

from typing import Final

import msgspec

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import ReasoningAsk, Request
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.reasoning import (
    BUDGET_OF_EFFORT,
    USUAL_LEVELS,
    budget_of,
    effort_of,
)
from smart_llmrouter.dialects.said_as import said_as

DEFAULT_MAX_TOKENS: Final = 32_000
"""What is asked for if neither the caller nor the catalogue has a cap.

Every model of the 4 family and later can put out as much, and agents need it.
"""
MIN_BUDGET_TOKENS: Final = 1_024
ANSWER_TOKENS: Final = 8_192
_BUDGET_OF_ADAPTIVE: Final = BUDGET_OF_EFFORT["medium"]
_MIN_TOP_P: Final = 0.95
_NAMED_LEVELS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})


class Thinking(msgspec.Struct, frozen=True):
    """`thinking`, `output_config.effort` and `max_tokens` of a request."""

    max_tokens: int
    config: dict[str, object] | None = None
    effort: str | msgspec.Raw | None = None

    @property
    def on(self) -> bool:
        """Whether the model is asked to think."""
        return self.config is not None and self.config["type"] != "disabled"


def thinking_for(request: Request, serving: Serving, notes: Notes) -> Thinking:
    """Return what to ask of the model, within its cap and the caller's."""
    max_tokens = _max_tokens(request, serving, notes)
    ask, field = request.reasoning, said_as(request.dialect, "reasoning")
    if ask is None:
        return Thinking(max_tokens)
    if ask.off or ask.effort == "none" or ask.budget_tokens == 0:
        return Thinking(max_tokens, {"type": "disabled"})
    choice = request.tool_choice
    if choice is not None and (choice.mode in ("required", "named") or choice.required):
        notes.approximated(field, "a forced tool call comes without thinking")
        return Thinking(max_tokens, {"type": "disabled"})
    if serving.reasoning_control == "token_budget" or (
        serving.reasoning_control is None and ask.budget_tokens is not None
    ):
        return _by_budget(ask, request, serving, notes, max_tokens)
    return _by_effort(ask, field, serving, notes, max_tokens)


def thinking_as_asked(request: Request, serving: Serving, notes: Notes) -> Thinking:
    """Return what a caller of this dialect asked for, as it said it."""
    max_tokens, ask = _max_tokens(request, serving, notes), request.reasoning
    if ask is None:
        return Thinking(max_tokens)
    extras = dict(ask.extras)
    effort = extras.pop("effort", ask.effort)
    config: dict[str, object] | None = None
    if ask.off:
        config = {"type": "disabled"}
    elif ask.budget_tokens is not None:
        config = {"type": "enabled", "budget_tokens": ask.budget_tokens}
    elif ask.adaptive:
        config = {"type": "adaptive"}
    if config is not None:
        config |= _display(ask, notes)
        config |= extras
    return Thinking(max_tokens, config, effort)


def sampling_for(request: Request, notes: Notes, *, thinking: bool) -> dict[str, float]:
    """Return `temperature` and `top_p` as far as they may be sent."""
    sampling: dict[str, float] = {}
    temperature, top_p = request.temperature, request.top_p
    if temperature is not None and not thinking:
        if temperature > 1:
            notes.approximated("temperature", "1 is the highest")
        sampling["temperature"] = min(temperature, 1.0)
    elif temperature not in (None, 1):
        notes.dropped("temperature", "there is none with thinking")
    if top_p is None or top_p == 1:
        return sampling
    if thinking and top_p < _MIN_TOP_P:
        notes.dropped("top_p", "it is at least 0.95 with thinking")
    elif sampling:
        notes.dropped("top_p", "models take this or temperature")
    else:
        sampling["top_p"] = top_p
    return sampling


def _max_tokens(request: Request, serving: Serving, notes: Notes) -> int:
    cap, most = request.output_cap, serving.output_cap
    field = said_as(request.dialect, "output_cap")
    if cap is None:
        notes.approximated(field, "Messages demands one")
        return most or DEFAULT_MAX_TOKENS
    if most is not None and cap > most:
        notes.approximated(field, "lowered to what the model can put out")
        return most
    return cap


def _by_effort(
    ask: ReasoningAsk, field: str, serving: Serving, notes: Notes, max_tokens: int
) -> Thinking:
    levels = serving.reasoning_levels
    if not levels and ask.effort is not None and ask.effort not in _NAMED_LEVELS:
        levels = USUAL_LEVELS
    effort = None
    if ask.effort is not None or ask.budget_tokens is not None:
        effort = effort_of(ask, levels=levels, field=field, notes=notes)
    elif not ask.adaptive:
        return _unasked(ask, notes, max_tokens)
    config: dict[str, object] = {"type": "adaptive"}
    return Thinking(max_tokens, config | _display(ask, notes), effort)


def _by_budget(
    ask: ReasoningAsk, request: Request, serving: Serving, notes: Notes, max_tokens: int
) -> Thinking:
    field = said_as(request.dialect, "reasoning")
    budget = budget_of(ask, field=field, notes=notes)
    if budget is None:
        if not ask.adaptive:
            return _unasked(ask, notes, max_tokens)
        budget = _BUDGET_OF_ADAPTIVE
        notes.approximated(field, f"asked of the provider as {budget} tokens")
    budget = max(budget, MIN_BUDGET_TOKENS)
    if request.output_cap is None:
        wanted = max(max_tokens, budget + ANSWER_TOKENS)
        max_tokens = min(wanted, serving.output_cap or wanted)
    # What the caller itself named may leave as little for the answer as it likes.
    room = 1 if ask.budget_tokens is not None else MIN_BUDGET_TOKENS
    if budget + room > max_tokens:
        budget = max_tokens - MIN_BUDGET_TOKENS
        if budget < MIN_BUDGET_TOKENS:
            notes.dropped(field, "the output cap leaves no room for thinking")
            return Thinking(max_tokens, {"type": "disabled"})
        notes.approximated(field, "the budget is less than the output cap")
    config: dict[str, object] = {"type": "enabled", "budget_tokens": budget}
    return Thinking(max_tokens, config | _display(ask, notes))


def _unasked(ask: ReasoningAsk, notes: Notes, max_tokens: int) -> Thinking:
    """Leave thinking to the model: the caller named no amount."""
    if ask.summary is not None:
        notes.dropped("reasoning.summary", "no amount of thinking was asked for")
    return Thinking(max_tokens)


def _display(ask: ReasoningAsk, notes: Notes) -> dict[str, object]:
    if ask.summary is None:
        return {}
    if ask.summary != "auto":
        notes.approximated("reasoning.summary", "a summary has one length here")
    return {"display": "summarized"}
