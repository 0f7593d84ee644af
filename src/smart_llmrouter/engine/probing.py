"""Asks a target what it can do, with small real requests in its own dialect.

Nothing of this is on the path of calls, and nothing is recorded: it is the operator who
asks, and who pays.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.core.events import Event, Failed
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.dialects.base import (
    Dialect,
    NotAnAnswer,
    NotAStream,
    NotBridged,
    Serving,
)
from smart_llmrouter.dialects.openai_errors import said_in
from smart_llmrouter.engine.attempt import error_body
from smart_llmrouter.engine.probe_questions import (
    REASONING,
    Heard,
    Outcome,
    Question,
    Verdict,
    heard_of,
)
from smart_llmrouter.upstream.endpoints import Endpoint, endpoint_of
from smart_llmrouter.upstream.failure_classes import Failure
from smart_llmrouter.upstream.failures import (
    failure_of_error_event,
    failure_of_status,
    failure_of_transport,
)
from smart_llmrouter.upstream.transport import (
    Transport,
    TransportError,
    UpstreamAnswer,
)
from smart_llmrouter.wire.sse import EventTooLarge

_OK: Final = 200
_MOST_CHARS: Final = 160
_MALFORMED: Final = Failure(error_class="upstream_malformed_answer")
_TOO_SLOW: Final = Failure(
    error_class="upstream_timeout", reason="no answer within the time that it had"
)


class TargetUnusable(Exception):
    """A target does not even answer a plain question; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one capability; `levels` are those of reasoning it took."""

    name: str
    outcome: Outcome
    detail: str = ""
    levels: tuple[str, ...] = ()
    control: str | None = None


class Prober:
    """Asks one target."""

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        transport: Transport,
        *,
        user_agent: str,
        timeout_s: float,
    ) -> None:
        """Give each answer `timeout_s` seconds from the question to its end."""
        self._target = target
        self._dialect = dialect
        self._transport = transport
        self._endpoint: Endpoint = endpoint_of(target.provider, user_agent=user_agent)
        self._timeout_s = timeout_s

    async def findings(self, asked: Sequence[Question]) -> list[Finding]:
        """Ask one question after another; what is said of reasoning is one finding.

        Raises `TargetUnusable` where the first one, a plain text, is not answered.
        """
        found: dict[str, Finding] = {}
        levels: list[tuple[Question, Verdict]] = []
        for question in asked:
            if question.after is not None and found[question.after].outcome == "no":
                verdict = Verdict("no", f"without {question.after} there is none")
            else:
                verdict = self._judged(question, await self._answer(question))
            if question is asked[0] and verdict.outcome != "yes":
                raise TargetUnusable(verdict.detail)
            if question.control is not None:
                levels.append((question, verdict))
            else:
                found[question.name] = Finding(
                    name=question.name,
                    outcome=verdict.outcome,
                    detail=verdict.detail,
                )
        return [*found.values(), *([_reasoning(levels)] if levels else [])]

    def _judged(self, question: Question, answer: Heard | Failure) -> Verdict:
        if isinstance(answer, Heard):
            return question.judge(answer)
        said = _words_of(answer)
        if answer.rejected:
            return Verdict("no", f"refused: {said or answer.meaning.what}")
        reason = answer.reason or said or answer.meaning.what
        return Verdict("unclear", f"{answer.error_class}: {reason}")

    async def _answer(self, question: Question) -> Heard | Failure:
        """Ask, and return what was said, or why nothing was."""
        serving = Serving(
            label=self._target.label,
            model=self._target.model,
            reasoning_control=question.control,
            reasoning_levels=() if question.level is None else (question.level,),
        )
        try:
            body = self._dialect.render(question.request, serving, Notes())
            async with asyncio.timeout(self._timeout_s):
                answer = await self._transport.send(self._endpoint, body)
                try:
                    return await self._read(answer, stream=question.request.stream)
                finally:
                    answer.close()
        except TimeoutError:
            return _TOO_SLOW
        except NotBridged as lacking:
            return Failure(error_class="upstream_bad_request", reason=str(lacking))
        except TransportError as error:
            return failure_of_transport(error)
        except (NotAnAnswer, NotAStream, EventTooLarge):
            return _MALFORMED

    async def _read(self, answer: UpstreamAnswer, *, stream: bool) -> Heard | Failure:
        if answer.status != _OK:
            return failure_of_status(
                answer.status,
                body=await error_body(answer),
                retry_after=answer.header("retry-after"),
                credentials=self._endpoint.credentials,
            )
        if stream:
            events = await self._streamed(answer)
        else:
            events = list(self._dialect.read_answer(await answer.read()))
        for event in events:
            if isinstance(event, Failed):
                return failure_of_error_event(
                    bytes(event.raw), credentials=self._endpoint.credentials
                )
        return heard_of(events)

    async def _streamed(self, answer: UpstreamAnswer) -> list[Event]:
        decoder, events = self._dialect.decoder(), list[Event]()
        while chunk := await answer.next_chunk():
            events += decoder.feed(chunk)
        return events + decoder.end()


def _reasoning(found: Sequence[tuple[Question, Verdict]]) -> Finding:
    """Put together what was said to all levels, by the first control that works."""
    for control in ("effort", "token_budget"):
        taken = [
            (question, verdict)
            for question, verdict in found
            if question.control == control and verdict.outcome != "no"
        ]
        shown = [verdict for _, verdict in taken if verdict.outcome == "yes"]
        if shown:
            accepted = [question.level for question, _ in taken]
            levels = tuple(level for level in accepted if level is not None)
            detail = f"by {control.replace('_', ' ')}"
            if levels:
                detail += f": {', '.join(levels)}"
            return Finding(
                name=REASONING,
                outcome="yes",
                detail=detail,
                levels=levels,
                control=control,
            )
    outcomes = {verdict.outcome for _, verdict in found}
    detail = next(
        verdict.detail
        for _, verdict in found
        if verdict.outcome == "unclear" or outcomes == {"no"}
    )
    outcome: Outcome = "unclear" if "unclear" in outcomes else "no"
    return Finding(name=REASONING, outcome=outcome, detail=detail)


def _words_of(failure: Failure) -> str:
    """Return the provider's own words, in one line."""
    text = " ".join((said_in(failure.body) or "").split())
    text = "".join(each for each in text if each.isprintable())
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"
