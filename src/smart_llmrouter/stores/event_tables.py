"""The tables of what happened beside calls, column by column; see `stores.tables`.

The columns are the fields of `ledger.journal_events`, in their order.
"""

from typing import Final

from sqlalchemy import PrimaryKeyConstraint, Table

from smart_llmrouter.stores.columns import METADATA, number, text

_UTC_MS: Final = "milliseconds since 1970, UTC"
_SUMMARY: Final = "it is a summary"

SECURITY_ACCESS_EVENTS: Final = Table(
    "security_access_events",
    METADATA,
    text("event_id", "Names the event; made when it happened"),
    number("ts_ms", "When it happened, or of a summary when it was made", unit=_UTC_MS),
    text(
        "event_type",
        "`authentication` (no token, or none that is known), `key-status` (the key may "
        "not be used now) or `authorization` (the caller may not do this)",
    ),
    text(
        "outcome",
        "`refused`, or `throttled`: there were too many from the same address",
    ),
    text(
        "reason_code",
        "`token-missing`, `token-unknown`, `key-inactive`, or the error's stable code",
    ),
    number("status", "The HTTP status that was answered"),
    number("calls", "How many requests it stands for: more than 1 is a summary"),
    text("request_id", "The request's id", empty=_SUMMARY),
    text(
        "surface",
        "What was asked for: `inference`, `counting`, `explain`, `models`, `usage`, "
        "`metrics` or `other`",
        empty=_SUMMARY,
    ),
    text("http_method", "`GET`, `HEAD`, `POST` or `other`", empty=_SUMMARY),
    text(
        "path_template",
        "The path but for what is the caller's in it; `other` where nothing is served",
        empty=_SUMMARY,
    ),
    text("caller_id", "The caller's id in the configuration", empty="nobody is known"),
    text(
        "token_id",
        "The public id of its token; never a token that was tried",
        empty="nobody is known",
    ),
    text("client", "The client program, as its user agent names it", empty=_SUMMARY),
    text(
        "ip_address",
        "The address of whoever asked",
        empty="it is a summary, or there is none",
    ),
    number("ip_version", "4 or 6", empty="there is no address"),
    text(
        "ip_source",
        "Where the address is from: `peer`, the connection, or `forwarded`, a proxy "
        "that is trusted",
        empty=_SUMMARY,
    ),
    PrimaryKeyConstraint("ts_ms", "event_id"),
    sqlite_with_rowid=False,
    comment="One row for each request that was refused, or for many of one second",
)

CONFIG_VERSIONS: Final = Table(
    "config_versions",
    METADATA,
    text("fingerprint", "Names the configuration, as records do"),
    number("ts_ms", "When it first took effect", unit=_UTC_MS),
    text("router_version", "Which version of the router that was"),
    text("cause", "`start` or `reload`"),
    PrimaryKeyConstraint("fingerprint"),
    sqlite_with_rowid=False,
    comment="One row for each configuration that was in force",
)

_PER_MILLION: Final = "nano-dollars per million tokens"
_NOT_GIVEN: Final = "the configuration does not say"

PRICE_VERSIONS: Final = Table(
    "price_versions",
    METADATA,
    text("fingerprint", "Names the price, as records do"),
    text("provider", "Whose price it is"),
    text("model", "Of which model, by its key in the configuration"),
    number(
        "above_tokens",
        "Of which calls: those with more input than this; 0 is of all others",
        unit="tokens",
    ),
    number("ts_ms", "When it first took effect", unit=_UTC_MS),
    number(
        "input_nusd_per_million",
        "What input costs",
        unit=_PER_MILLION,
        empty=_NOT_GIVEN,
    ),
    number(
        "cached_input_nusd_per_million",
        "What input costs that is read from the provider's cache",
        unit=_PER_MILLION,
        empty=_NOT_GIVEN,
    ),
    number(
        "cache_write_nusd_per_million",
        "What input costs that is written there for five minutes",
        unit=_PER_MILLION,
        empty=_NOT_GIVEN,
    ),
    number(
        "cache_write_1h_nusd_per_million",
        "What input costs that is written there for an hour",
        unit=_PER_MILLION,
        empty=_NOT_GIVEN,
    ),
    number(
        "output_nusd_per_million",
        "What output costs",
        unit=_PER_MILLION,
        empty=_NOT_GIVEN,
    ),
    number(
        "reasoning_nusd_per_million",
        "What reasoning costs, where it has a price of its own",
        unit=_PER_MILLION,
        empty=_NOT_GIVEN,
    ),
    number(
        "image_tokens_nusd_per_million",
        "What images in the input cost, where they are priced by tokens of their own",
        unit=_PER_MILLION,
        empty=_NOT_GIVEN,
    ),
    number(
        "image_nusd",
        "What an image in the input costs, where images are priced one by one",
        unit="nano-dollars",
        empty=_NOT_GIVEN,
    ),
    number(
        "effective_from_ms",
        "From when on it holds",
        unit=_UTC_MS,
        empty="it always has",
    ),
    text("source", "Where it was read", empty=_NOT_GIVEN),
    text("as_of", "The day on which it was", empty=_NOT_GIVEN),
    PrimaryKeyConstraint("fingerprint", "provider", "model", "above_tokens"),
    sqlite_with_rowid=False,
    comment="One row for each price that was in force, and for that of long calls",
)
