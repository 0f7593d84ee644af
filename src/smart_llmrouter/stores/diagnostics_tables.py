"""The views of what can be derived of calls, column by column; see `stores.tables`."""

from typing import Final

from sqlalchemy import Column, Table

from smart_llmrouter.stores.columns import VIEWS, flag, number, text

_Columns = list[Column[str] | Column[int] | Column[bool]]
_NO_TARGET: Final = "no target was chosen"
_NO_GROUP: Final = "the name stands for none"
_BYTES: Final = (
    "`none`, `1b-1kb`, `1kb-16kb`, `16kb-64kb`, `64kb-256kb`, `256kb-1mb` or `gt-1mb`"
)
_TOKENS: Final = "`le-1k`, `1k-4k`, `4k-16k`, `16k-64k`, `64k-256k` or `gt-256k`"


def _call() -> _Columns:
    return [
        text("request_id", "The call's id"),
        number("ts_ms", "When the call began", unit="milliseconds since 1970, UTC"),
    ]


ERRORS: Final = Table(
    "request_errors",
    VIEWS,
    *_call(),
    number("status", "How the call ended, as in `request_usage`"),
    text("error_code", "The stable code of the error"),
    text("error_class", "The kind of a target's failure", empty="no target failed"),
    number(
        "upstream_status",
        "The last HTTP status that a target answered",
        empty="no target answered",
    ),
    text("refused_by", "The limit that refused the call", empty="none did"),
    number("attempts", "How many attempts were made"),
    text("resolved_group", "The model group", empty=_NO_GROUP),
    text("target_provider", "The provider that was tried last", empty=_NO_TARGET),
    text("target_model", "The model that was, by its key", empty=_NO_TARGET),
    text("target_dialect", "The dialect spoken to it", empty=_NO_TARGET),
    number("latency_us", "When it ended, from its beginning", unit="microseconds"),
    comment="One row for each call with an error",
)

TRACE_EVENTS: Final = Table(
    "request_trace_events",
    VIEWS,
    *_call(),
    number("seq", "The order of the events of a call; there are gaps"),
    text(
        "event",
        "`received`, `queued`, `attempt-began`, `first-byte`, `first-event`, "
        "`attempt-ended` or `ended`",
    ),
    number(
        "at_us",
        "When it happened, from the beginning of the call",
        unit="microseconds",
        empty="nobody knows: of a wait there is only its length",
    ),
    number(
        "duration_us",
        "How long it took what ended",
        unit="microseconds",
        empty="nothing ended",
    ),
    number(
        "attempt_index",
        "Which attempt it belongs to; the first is 0",
        empty="it is one of the whole call",
    ),
    text(
        "target",
        "Whose attempt that was, as `provider/model`",
        empty="it is one of the whole call",
    ),
    number(
        "status",
        "The HTTP status that the target answered, or of `ended` the call's",
        empty="there is none yet",
    ),
    text("error_class", "Why it failed", empty="it did not"),
    comment="One row for each step of a call; attempts only where they are kept",
)

TRAFFIC_SHAPE_EVENTS: Final = Table(
    "request_traffic_shape_events",
    VIEWS,
    *_call(),
    text(
        "outcome",
        "`passed`, `refused`, or `ended`: it waited, and failed for another reason",
    ),
    text(
        "refused_by",
        "The limit that refused it, such as `caller:requests_per_second`",
        empty="none did",
    ),
    number(
        "queued_us", "How long it waited", unit="microseconds", empty="it did not wait"
    ),
    text("error_code", "The stable code of the error", empty="the call succeeded"),
    text("caller_id", "The caller's id in the configuration"),
    text("resolved_group", "The model group", empty=_NO_GROUP),
    comment="One row for each call that waited for its turn, or got none",
)

TOKEN_ESTIMATES: Final = Table(
    "request_token_estimates",
    VIEWS,
    *_call(),
    text("inbound_dialect", "The dialect that the client spoke"),
    text("resolved_group", "The model group", empty=_NO_GROUP),
    number("estimated_input_tokens", "The estimate, at most so many", unit="tokens"),
    number(
        "input_tokens", "What it was", unit="tokens", empty="the provider did not say"
    ),
    number(
        "output_cap_tokens",
        "How much output was asked for at most",
        unit="tokens",
        empty="nothing was said",
    ),
    number(
        "output_tokens",
        "How much it was",
        unit="tokens",
        empty="the provider did not say",
    ),
    number(
        "charged_tokens",
        "What budgets were charged, where that is not what was used",
        unit="tokens",
        empty="they were charged what was used",
    ),
    flag("usage_estimated", "Whether what it was is the router's own count"),
    number("request_bytes", "How large the request is", unit="bytes"),
    comment="One row for each call with a decision, of whose input there was an "
    "estimate",
)

SHAPES: Final = Table(
    "request_shapes",
    VIEWS,
    *_call(),
    text("inbound_dialect", "The dialect that the client spoke"),
    text("resolved_group", "The model group"),
    flag("stream", "Whether a stream was asked for"),
    number("tool_count", "How many tools the request offers"),
    flag("forced_tool_choice", "Whether a call of a tool was asked for"),
    flag("parallel_tools", "Whether several calls at once were"),
    text("output_format", "Which kind of JSON was asked for", empty="none was"),
    text(
        "reasoning",
        "How reasoning was asked for: `effort`, `budget` or `adaptive`",
        empty="it was not",
    ),
    text("reasoning_level", "The effort that was asked for", empty="none was"),
    number("image_count", "How many images there are"),
    number("documents", "How many documents there are"),
    flag("audio", "Whether there is audio"),
    flag("goes_on", "Whether it goes on from an answer that a provider keeps"),
    text("request_bytes_bucket", f"How large the request is: {_BYTES}"),
    text("tool_schema_bytes_bucket", f"How long the tools' descriptions are: {_BYTES}"),
    text(
        "estimated_input_tokens_bucket",
        f"How much input it is, as estimated: {_TOKENS}",
        empty="nothing depended on it",
    ),
    text(
        "output_cap_bucket",
        f"How much output was asked for at most: `omitted`, {_TOKENS}",
    ),
    text(
        "reasoning_budget_bucket",
        "The budget for reasoning: `none`, `tiny` (to 1,024 tokens), `small` (4,096), "
        "`medium` (16,384), `large` (32,768) or `xlarge`",
    ),
    comment="One row for each call with a decision: what it was like, roughly",
)
