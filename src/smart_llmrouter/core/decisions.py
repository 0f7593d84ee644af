"""Why a call went where it went: the one value behind every explanation.

`POST /v1/route/explain`, `smart-llmrouter explain` and the rows that are kept of real
calls all show a `Decision`. It holds names of the configuration, stable codes and
numbers only: nothing of what was asked or answered.
"""

from typing import Final, Literal

import msgspec

from smart_llmrouter.core.requirements import ReasoningKind

LaneName = Literal["relay", "translate"]
PolicyKind = Literal["rules", "script", "external"]
PolicyOutcome = Literal["decided", "fallback", "failed"]
AffinityOutcome = Literal["none", "new", "kept", "moved", "pinned"]
Next = Literal["answered", "same-target", "next-target", "stop"]


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """The requirements of a request, as numbers and names; see `core.requirements`.

    The input of a real call is only counted where something depends on how much it is;
    otherwise `estimated_input_tokens` is `None`.
    """

    dialect: str
    stream: bool
    tools: tuple[str, ...]
    tool_count: int
    tool_schema_bytes: int
    forced_choice: bool
    parallel_tools: bool
    output_format: str | None
    image_urls: int
    image_data: int
    image_files: int
    audio: bool
    documents: int
    reasoning: ReasoningKind | None
    reasoning_level: str | None
    reasoning_budget: int | None
    output_cap: int | None
    estimated_input_tokens: int | None
    request_bytes: int
    goes_on: bool


class Term(msgspec.Struct, frozen=True):
    """One part of a score: `value` is 0 (worst) to 1, `contribution` is weighted.

    `observed` is the raw figure that it comes from, and `None` where there is none.
    """

    name: str
    value: float
    weight: float
    contribution: float
    observed: float | None = None


Terms = tuple[Term, ...] | msgspec.Raw
"""The terms of a score, or the same as the JSON that they become: one table of scores
serves many calls, and need not be encoded for each. What is decoded is never JSON."""

_decode_terms: Final = msgspec.json.Decoder(tuple[Term, ...]).decode


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One target of the group. Eligible is who misses nothing; `rank` begins at 0.

    `observations` is how many attempts the score is based on.
    """

    label: str
    dialect: str
    lane: LaneName
    weight: int
    missing: tuple[str, ...] = ()
    rank: int | None = None
    score: float | None = None
    observations: int | None = None
    terms: Terms = ()

    @property
    def read_terms(self) -> tuple[Term, ...]:
        """The terms of its score, in whichever form they came."""
        terms = self.terms
        return _decode_terms(terms) if isinstance(terms, msgspec.Raw) else terms


class PolicyRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a group's policy. `error` is a stable code, never free text."""

    kind: PolicyKind
    outcome: PolicyOutcome
    duration_us: int
    class_label: str | None = None
    error: str | None = None


class AttemptRun(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. Times are microseconds from the beginning of the attempt.

    `error_class` is `None` where it answered. `then` is what followed.
    """

    label: str
    lane: LaneName
    began_us: int
    duration_us: int
    first_byte_us: int | None
    first_event_us: int | None
    status: int | None
    error_class: str | None
    retry_after_s: int | None
    then: Next


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """How one call was decided; `attempts` are empty where nobody was called."""

    group: str
    strategy: str
    needs: Needs
    candidates: tuple[Candidate, ...]
    affinity: AffinityOutcome = "none"
    policy: PolicyRun | None = None
    attempts: tuple[AttemptRun, ...] = ()
    error_code: str | None = None
