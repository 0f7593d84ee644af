"""The tables of how calls were decided, column by column; see `stores.tables`.

Only calls whose decision is kept are in them. What many decisions have in common
stands once, in the tables of kinds; the views show each call with all that was decided.
"""

from typing import Final

from sqlalchemy import Column, PrimaryKeyConstraint, Table, UniqueConstraint

from smart_llmrouter.stores.columns import (
    METADATA,
    VIEWS,
    counting_id,
    flag,
    number,
    real,
    text,
)

_Columns = list[Column[str] | Column[int] | Column[bool]]
_NOT_SCORED: Final = "the strategy scores nothing"
_NOT_ASKED: Final = "the request asked for none"


def _call() -> _Columns:
    return [
        text("request_id", "The call's id"),
        number("ts_ms", "When the call began", unit="milliseconds since 1970, UTC"),
    ]


def _keys() -> _Columns:
    return list(reversed(_call()))


def _kind_id() -> Column[int]:
    return number("kind_id", "The `id` of the kind of decision")


def _candidate_index() -> Column[int]:
    return number("candidate_index", "Which target of the group; the first is 0")


def _decided() -> _Columns:
    return [
        text("resolved_group", "The model group"),
        text("strategy", "How the group orders its targets"),
        text(
            "affinity",
            "What became of the conversation's target: `none`, `new`, `kept`, `moved` "
            "or `pinned`",
        ),
        text("error_code", "The stable code of the error", empty="the call succeeded"),
        number(
            "candidates_left_out",
            "How many targets are not written down, for `diagnostics.max_candidates`",
        ),
        number(
            "reasons_left_out",
            "How many reasons are not, for `diagnostics.max_filter_reasons`",
        ),
        text("inbound_dialect", "The dialect that the client spoke"),
        flag("stream", "Whether a stream was asked for (1) or not (0)"),
        flag("forced_tool_choice", "Whether a call of a tool was asked for"),
        flag("parallel_tools", "Whether several calls at once were"),
        text("output_format", "Which kind of JSON was asked for", empty=_NOT_ASKED),
        flag("audio", "Whether there is audio in the request"),
        text(
            "reasoning",
            "How reasoning was asked for: `effort`, `budget` or `adaptive`",
            empty=_NOT_ASKED,
        ),
        text("reasoning_level", "The effort that was asked for", empty=_NOT_ASKED),
        flag("goes_on", "Whether it goes on from an answer that a provider keeps"),
    ]


def _numbers() -> _Columns:
    return [
        number("tool_count", "How many tools the request offers"),
        number("tool_schema_bytes", "How long their descriptions are", unit="bytes"),
        number("image_urls", "How many images are named by a URL"),
        number("image_data", "How many images are in the request itself"),
        number("image_files", "How many images are named by a file of the provider's"),
        number("documents", "How many documents there are"),
        number(
            "reasoning_budget_tokens",
            "The budget for reasoning",
            unit="tokens",
            empty=_NOT_ASKED,
        ),
        number(
            "output_cap_tokens",
            "How much output was asked for at most",
            unit="tokens",
            empty=_NOT_ASKED,
        ),
        number(
            "estimated_input_tokens",
            "How much input it is at most, as the router estimates",
            unit="tokens",
            empty="nothing depended on it",
        ),
        number("request_bytes", "How large the request is", unit="bytes"),
    ]


def _candidate() -> _Columns:
    return [
        _candidate_index(),
        text("target", "Its public name, `provider/model`"),
        text("dialect", "The dialect that it speaks"),
        text("lane", "How it would be reached: `relay` or `translate`"),
        number("weight", "The weight that the group gives it"),
        number(
            "rank",
            "When it would be tried; the first is 0",
            empty="it is not eligible, or was left out by a policy",
        ),
    ]


def _score() -> list[Column[float] | Column[int]]:
    return [
        real("score", "How good it was found", empty=_NOT_SCORED),
        number(
            "observation_count",
            "From how many attempts that was seen",
            empty=_NOT_SCORED,
        ),
    ]


def _reason() -> _Columns:
    return [
        number("seq", "The place among the reasons of the target; the first is 0"),
        text("reason", "The stable code of what it lacks for this request"),
    ]


ROUTING_DECISIONS: Final = Table(
    "request_routing_decisions",
    VIEWS,
    *_call(),
    *_decided(),
    text("tools", "The kinds of tools, separated by spaces", empty=_NOT_ASKED),
    *_numbers(),
    comment="One row a call: what it needed, and how it was decided",
)

TARGET_CANDIDATES: Final = Table(
    "request_target_candidates",
    VIEWS,
    *_call(),
    *_candidate(),
    flag("eligible", "Whether it could have served the call (1) or not (0)"),
    *_score(),
    comment="One row for each target of the group",
)

FILTER_REASONS: Final = Table(
    "request_target_filter_reasons",
    VIEWS,
    *_call(),
    _candidate_index(),
    *_reason(),
    comment="One row for each reason why a target could not serve the call",
)

FALLBACK_TRANSITIONS: Final = Table(
    "request_fallback_transitions",
    VIEWS,
    *_call(),
    number("attempt_index", "Which attempt failed; the first is 0"),
    text("failed_target", "Whose attempt it was"),
    text("fallback_target", "Who was tried next; the same one where it was repeated"),
    text("error_class", "Why the attempt failed", empty="nobody said"),
    flag("fallback_succeeded", "Whether the next one answered (1) or not (0)"),
    comment="One row each time that another attempt followed a failed one",
)

ATTEMPTS: Final = Table(
    "request_attempts",
    METADATA,
    *_keys(),
    number("attempt_index", "Which attempt of the call; the first is 0"),
    text("target", "Who was called, as `provider/model`"),
    text("lane", "Whether bytes were passed on (`relay`) or not (`translate`)"),
    number(
        "began_us", "From the beginning of the call to its own", unit="microseconds"
    ),
    number("duration_us", "From there to its end", unit="microseconds"),
    number(
        "first_byte_us",
        "From there to the first byte of the target's answer",
        unit="microseconds",
        empty="it did not answer",
    ),
    number(
        "first_event_us",
        "From there to the first meaningful event",
        unit="microseconds",
        empty="there was none",
    ),
    number(
        "upstream_status",
        "The HTTP status that it answered",
        empty="it did not answer",
    ),
    text("error_class", "Why it failed", empty="it did not"),
    number(
        "retry_after_s",
        "How long it asked to be left alone",
        unit="seconds",
        empty="it did not ask",
    ),
    text(
        "followed_by",
        "What came then: `answered`, `same-target`, `next-target` or `stop`",
    ),
    PrimaryKeyConstraint("ts_ms", "request_id", "attempt_index"),
    sqlite_with_rowid=False,
    comment="One row for each attempt",
)

TARGET_SCORES: Final = Table(
    "request_target_scores",
    METADATA,
    *_keys(),
    _candidate_index(),
    *_score(),
    PrimaryKeyConstraint("ts_ms", "request_id", "candidate_index"),
    sqlite_with_rowid=False,
    comment="One row for each target that was scored",
)

SCORE_TERMS: Final = Table(
    "request_dynamic_score_terms",
    METADATA,
    *_keys(),
    _candidate_index(),
    number("seq", "The place among the terms of the target; the first is 0"),
    text("term_name", "What was looked at"),
    real("value", "How good that is, from 0 (worst) to 1"),
    real("weight", "How much it counts"),
    real("contribution", "What it adds to the score"),
    real("observed", "The figure that it comes from", empty="there is none"),
    PrimaryKeyConstraint("ts_ms", "request_id", "candidate_index", "seq"),
    sqlite_with_rowid=False,
    comment="One row for each term of each score",
)

POLICY_EXECUTIONS: Final = Table(
    "request_policy_executions",
    METADATA,
    *_keys(),
    text("policy_kind", "`rules`, `script` or `external`"),
    text("outcome", "`decided`, `fallback` or `failed`"),
    number("duration_us", "How long it took", unit="microseconds"),
    text("class_label", "What it called the request", empty="it gave no name"),
    text("error_code", "The stable code of what went wrong", empty="nothing did"),
    PrimaryKeyConstraint("ts_ms", "request_id"),
    sqlite_with_rowid=False,
    comment="One row for each run of a group's policy",
)

DECISIONS: Final = Table(
    "request_decisions",
    METADATA,
    *_keys(),
    _kind_id(),
    *_numbers(),
    PrimaryKeyConstraint("ts_ms", "request_id"),
    sqlite_with_rowid=False,
    comment="What differs from decision to decision",
)

KINDS: Final = Table(
    "decision_kinds",
    METADATA,
    counting_id(),
    text("digest", "BLAKE2b of all that decisions of this kind have in common"),
    *_decided(),
    UniqueConstraint("digest"),
    comment="What many decisions have in common",
)

KIND_TOOLS: Final = Table(
    "decision_kind_tools",
    METADATA,
    _kind_id(),
    number("seq", "The place among the kinds of tools; the first is 0"),
    text("tool", "A kind of tools that the request needs"),
    PrimaryKeyConstraint("kind_id", "seq"),
    sqlite_with_rowid=False,
    comment="Which kinds of tools were needed",
)

KIND_CANDIDATES: Final = Table(
    "decision_kind_candidates",
    METADATA,
    _kind_id(),
    *_candidate(),
    PrimaryKeyConstraint("kind_id", "candidate_index"),
    sqlite_with_rowid=False,
    comment="The targets of a kind of decision",
)

KIND_REASONS: Final = Table(
    "decision_kind_reasons",
    METADATA,
    _kind_id(),
    _candidate_index(),
    *_reason(),
    PrimaryKeyConstraint("kind_id", "candidate_index", "seq"),
    sqlite_with_rowid=False,
    comment="What they missed",
)
