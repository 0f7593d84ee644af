"""The tables of the usage database, column by column.

`request_usage`, which is what reports and people read, has the columns of a usage
record in the record's order. It is a view: what many calls have in common stands once,
in `request_labels`, so that adding a call writes little. The comments say what a
column means, in what unit, and when it is empty; the page on usage records is made of
them. Changing a table needs a migration in `stores.migrations`, and the same change in
`stores.sqlite_schema`.
"""

from typing import Final

from sqlalchemy import Column, PrimaryKeyConstraint, String, Table, UniqueConstraint

from smart_llmrouter.stores.columns import (
    METADATA,
    VIEWS,
    counting_id,
    flag,
    number,
    text,
)

_UNPRICED: Final = "the tokens or the price are unknown"
_NO_USAGE: Final = "the provider did not say"
_NO_TARGET: Final = "no target was chosen"
_NO_WRITES: Final = "the provider did not say, or writes nothing"


def _measures() -> list[Column[str] | Column[int]]:
    return [
        text(
            "request_id",
            "The call's id, as every answer carries it in `X-Request-Id`",
        ),
        number("ts_ms", "When the call began", unit="milliseconds since 1970, UTC"),
        number(
            "latency_us",
            "From the first byte of the request to just before the last of the answer",
            unit="microseconds",
        ),
        number(
            "ttfb_us",
            "From the first byte of the request to the first of the target's answer",
            unit="microseconds",
            empty="no target answered",
        ),
        number(
            "ttft_us",
            "From the first byte of the request to the first meaningful event",
            unit="microseconds",
            empty="there was none",
        ),
        number(
            "input_tokens",
            "Tokens of the prompt, those read from the provider's cache or written "
            "into it among them",
            unit="tokens",
            empty=_NO_USAGE,
        ),
        number(
            "cached_input_tokens",
            "Those of them that were read from the provider's cache",
            unit="tokens",
            empty=_NO_USAGE,
        ),
        number(
            "output_tokens",
            "Tokens of the answer, reasoning included",
            unit="tokens",
            empty=_NO_USAGE,
        ),
        number(
            "reasoning_tokens",
            "Those of them spent on reasoning",
            unit="tokens",
            empty=_NO_USAGE,
        ),
        number(
            "input_cost_nusd",
            "What the input cost that was neither read from a cache nor written there",
            unit="nano-dollars",
            empty=_UNPRICED,
        ),
        number(
            "cached_input_cost_nusd",
            "What the input cost that was read from the cache",
            unit="nano-dollars",
            empty=_UNPRICED,
        ),
        number(
            "output_cost_nusd",
            "What the output cost",
            unit="nano-dollars",
            empty=_UNPRICED,
        ),
        number(
            "total_cost_nusd",
            "The sum of the parts",
            unit="nano-dollars",
            empty="the input or the output part is",
        ),
        number(
            "upstream_reported_cost_nusd",
            "What the provider itself says that the call cost",
            unit="nano-dollars",
            empty=_NO_USAGE,
        ),
    ]


def _cache_writes() -> list[Column[int]]:
    return [
        number(
            "cache_write_5m_tokens",
            "Input tokens written into the provider's cache, for five minutes where "
            "it knows several lifetimes",
            unit="tokens",
            empty=_NO_WRITES,
        ),
        number(
            "cache_write_1h_tokens",
            "Input tokens written into the provider's cache for an hour",
            unit="tokens",
            empty=_NO_WRITES,
        ),
        number(
            "cache_write_cost_nusd",
            "What writing both cost",
            unit="nano-dollars",
            empty=_UNPRICED,
        ),
    ]


def _charges() -> list[Column[int]]:
    return [
        number(
            "charged_tokens",
            "What budgets were charged, where that is not input and output together: "
            "of a call that was cut off, what it may have used; with what failed "
            "attempts used",
            unit="tokens",
            empty="they were charged what was used",
        ),
        number(
            "charged_cost_nusd",
            "What budgets were charged, where that is not the total cost",
            unit="nano-dollars",
            empty="they were charged what it cost",
        ),
        number(
            "queued_us",
            "How long the call waited for its turn",
            unit="microseconds",
            empty="it did not wait",
        ),
    ]


def _rare_costs() -> list[Column[int]]:
    return [
        number(
            "reasoning_cost_nusd",
            "That part of the output's cost which is of reasoning",
            unit="nano-dollars",
            empty="there was no reasoning, or the price is unknown",
        ),
        number(
            "image_cost_nusd",
            "What images of the input cost: tokens that were reported to be theirs, "
            "and each image where that has a price",
            unit="nano-dollars",
            empty="there were none, or they have no price of their own",
        ),
        number(
            "failed_attempts_cost_nusd",
            "What attempts cost that failed, as far as their targets said what they "
            "used; no part of the total",
            unit="nano-dollars",
            empty="none failed, or nobody said what it used",
        ),
    ]


def _labels() -> list[Column[str] | Column[int] | Column[bool]]:
    return [
        text("caller_id", "The caller's id in the configuration"),
        text("caller_user", "The user who owns the caller"),
        text("caller_project", "The caller's project"),
        text("caller_environment", "The caller's environment, such as `dev`"),
        text("token_id", "The public id of the token; never the token"),
        text("client", "The client program, as its user agent names it"),
        text("inbound_dialect", "The dialect that the client spoke"),
        number(
            "status",
            "How the call ended: the status of the answer, or of the error inside a "
            "stream that had begun with 200; 499: the caller left before the end",
        ),
        number("attempts", "How many attempts were made, on all targets together"),
        text("config_fingerprint", "Which configuration was in force"),
        text("router_version", "Which version of the router served the call"),
        text(
            "requested_model",
            "The model name that the caller sent",
            empty="the request named none, or nothing that the caller may use",
        ),
        text(
            "resolved_group",
            "The model group that the name stands for",
            empty="the name stands for none",
        ),
        text(
            "strategy", "How the group orders its targets", empty="no group was found"
        ),
        text("target_provider", "The provider that served last", empty=_NO_TARGET),
        text(
            "target_model",
            "The model that served last, by its key in the configuration",
            empty=_NO_TARGET,
        ),
        text("target_dialect", "The dialect spoken to the target", empty=_NO_TARGET),
        flag("stream", "Whether the caller asked for a stream (1) or not (0)"),
        text("error_code", "The stable code of the error", empty="the call succeeded"),
        text("error_class", "The kind of failure", empty="the call succeeded"),
        number(
            "upstream_status",
            "The last HTTP status that a target answered",
            empty="no target answered",
        ),
        text(
            "price_fingerprint",
            "Which price the costs were computed from",
            empty="the target has no price",
        ),
    ]


def _label_ends(
    *, lane_empty: str | None
) -> list[Column[str] | Column[int] | Column[bool]]:
    """Return what stands at the end of labels, and only where it is not the usual."""
    return [
        text(
            "lane",
            "Whether the target's own bytes were passed on (`relay`) or the dialects "
            "differ (`translate`)",
            empty=lane_empty,
        ),
        flag(
            "usage_estimated",
            "Whether tokens were counted by the router (1), because the provider did "
            "not say them, or not (0)",
        ),
        number(
            "notes_count",
            "How many fields of the request the translation approximated or dropped",
        ),
        flag("fallback_used", "Whether more than one target was tried (1) or not (0)"),
        text(
            "disconnect",
            "What became of the target's answer when the caller had left: `cancelled`, "
            "or `drained`, read on for the true usage",
            empty="the caller stayed, or no target was answering",
        ),
        text(
            "refused_by",
            "The limit that refused the call: the kind of its scope and its name, such "
            "as `caller:rpm` or `project:month.usd`",
            empty="none did",
        ),
        text(
            "budget_warning",
            "The budget of which this call was the first of its period to be above "
            "`warn_at_percent`, such as `group:day.tokens`",
            empty="it was of none",
        ),
        text(
            "cache",
            "What the response cache did, such as `hit` or `stored`",
            empty="it is switched off, or the call did not get that far",
        ),
        text("cache_reason", "Why it did that", empty="there is nothing to explain"),
    ]


def _notes() -> list[Column[str] | Column[int]]:
    return [
        number("seq", "The place among the notes of the call; the first is 0"),
        text("field_name", "The field, as the dialect that said it names it"),
        text("action", "What happened to it: `approximated` or `dropped`"),
        text("reason", "Why, in one sentence"),
    ]


REQUEST_USAGE: Final = Table(
    "request_usage",
    VIEWS,
    *_measures(),
    *_cache_writes(),
    *_charges(),
    *_rare_costs(),
    *_labels(),
    *_label_ends(lane_empty=_NO_TARGET),
    comment="One row a finished call",
)

FIELD_EVENTS: Final = Table(
    "request_translation_field_events",
    VIEWS,
    text("request_id", "The call's id"),
    number("ts_ms", "When the call began", unit="milliseconds since 1970, UTC"),
    number("attempt_index", "Which attempt it was; the first is 0"),
    *_notes(),
    comment="One row for each field that a translation could not carry as it was",
)

REQUEST_MEASURES: Final = Table(
    "request_measures",
    METADATA,
    *_measures(),
    number("labels_id", "The `id` of the call's labels"),
    *_cache_writes(),
    *_charges(),
    *_rare_costs(),
    # In the order of time, so that an interval is one stretch of the table.
    PrimaryKeyConstraint("ts_ms", "request_id"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (ts_ms)",
    comment="What differs from call to call",
)

REQUEST_LABELS: Final = Table(
    "request_labels",
    METADATA,
    counting_id(),
    text("digest", "BLAKE2b of the labels as they stand in the journal"),
    *_labels(),
    *_label_ends(lane_empty=None),
    UniqueConstraint("digest"),
    comment="What many calls have in common",
)

LABEL_NOTES: Final = Table(
    "label_notes",
    METADATA,
    number("labels_id", "The `id` of the labels of the calls that it was noted of"),
    *_notes(),
    PrimaryKeyConstraint("labels_id", "seq"),
    sqlite_with_rowid=False,
    comment="What a translation could not carry as it was",
)

JOURNAL_POSITIONS: Final = Table(
    "journal_positions",
    METADATA,
    Column(
        "segment",
        String,
        primary_key=True,
        comment="The file name of a journal segment",
        info={"unit": "", "empty": ""},
    ),
    number(
        "end_offset",
        "Up to where the segment's records are in this database",
        unit="bytes",
    ),
    number(
        "decided_offset",
        "Up to where the decisions behind them are, too",
        unit="bytes",
    ),
    text(
        "owner",
        "Of which state directory the segment is, in a database that several share",
    ),
    comment="How far the journal has been ingested",
)

BUDGET_EVENTS: Final = Table(
    "budget_events",
    METADATA,
    counting_id(),
    number("ts_ms", "When it was done", unit="milliseconds since 1970, UTC"),
    text("kind", "What was done: `reset`"),
    text("scope_kind", "The kind of the scope, such as `caller` or `group`"),
    text("scope_name", "Who it is, such as the caller's id"),
    text("period", "Which budget: `day`, `month` or `lifetime`"),
    number(
        "at_ms",
        "From when on calls count again: those that began before do not",
        unit="milliseconds since 1970, UTC",
    ),
    text("actor", "Who did it: the name of the operating system's user"),
    number("used_requests", "How many calls of the period had counted until then"),
    number("used_tokens", "What they had used", unit="tokens"),
    number("used_nusd", "What they had cost", unit="nano-dollars"),
    comment="Budgets that were reset by hand",
)
