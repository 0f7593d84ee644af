"""The page of all tables and views: their columns are those that `stores` describes."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Table

from smart_llmrouter.stores.columns import VIEWS
from smart_llmrouter.stores.described import DESCRIBED

HEAD: Final = """\
# Diagnostics schema

Every table and view of the usage database, column by column. It is the same in SQLite
and in PostgreSQL; for the ways of a call into it see [Usage records](usage-records.md).

*The tables on this page are generated from `stores/`.*

## What is never in it

A row has typed columns: numbers, truth values and short texts, each with a meaning of
its own. There is no column for JSON, for a list or for free text, so that nothing can
be in the database that no column stands for: no prompt, answer, tool schema, image or
URL, no header, token, hash of a token or credential of a provider, and no text of a
provider's error. What could come from outside is taken out of closed sets before it is
written: the client program, the path, the method, error classes and reasons. A model's
name is written down only where the configuration has it. Texts of providers' errors are
not stored at all, in whatever form; a failure is told by its class, its status and the
router's own code.

The same holds for the journal, and for `journal/rejected.jsonl`: the lines there are
the router's own which could not be read or stored, in base64, so they have what other
lines have. Both are readable by the router's user only (mode 0600).

## How to read this page

`empty when` says when a column is `NULL`; `never` means that it always has a value.
Money is in nano-dollars: one dollar is 1,000,000,000. The **class** is what retention
speaks of: rows are kept for as long as is configured for their class.

| class | what it is |
| --- | --- |
| `usage_detail` | what was used and what it cost, call by call |
| `usage_diagnostics` | how calls were decided, attempt by attempt |
| `security_access_events` | who was refused |
| `usage_rollup_hourly`, `usage_rollup_daily`, `usage_rollup_monthly` | sums |
| kept | what is small and explains the rest; it is never removed |

"""

_DETAIL: Final = "`usage_detail`"
_DIAGNOSTICS: Final = "`usage_diagnostics`"
_SECURITY: Final = "`security_access_events`"
_KEPT: Final = "kept"
_REPORTS: Final = "reports"
_REQUEST: Final = "`usage request`"
_OWN: Final = "queries of your own"


class _Told(NamedTuple):
    """Of which class the rows are, and who reads them."""

    data_class: str
    readers: str


class _Section(NamedTuple):
    """Some tables and views, which belong together."""

    title: str
    text: str
    tables: Mapping[str, _Told]


SECTIONS: Final = (
    _Section(
        "Calls",
        "`request_usage` is what people and reports read; the tables below it hold it.",
        {
            "request_usage": _Told(
                _DETAIL, f"{_REPORTS}, {_REQUEST}, `GET /v1/usage`, budgets"
            ),
            "request_measures": _Told(_DETAIL, "`request_usage`, roll-ups"),
            "request_labels": _Told(_KEPT, "`request_usage`, roll-ups"),
            "label_notes": _Told(_KEPT, "`request_translation_field_events`"),
            "request_translation_field_events": _Told(
                _DETAIL, f"`usage notes`, {_REQUEST}"
            ),
            "request_errors": _Told(_DETAIL, _OWN),
            "request_trace_events": _Told(
                f"{_DETAIL}, attempts {_DIAGNOSTICS}", _REQUEST
            ),
            "request_traffic_shape_events": _Told(_DETAIL, _OWN),
        },
    ),
    _Section(
        "Decisions",
        "Only calls whose decision is kept are here; see `diagnostics.decisions`.",
        {
            "request_routing_decisions": _Told(_DIAGNOSTICS, _REQUEST),
            "request_target_candidates": _Told(_DIAGNOSTICS, _REQUEST),
            "request_target_filter_reasons": _Told(_DIAGNOSTICS, _REQUEST),
            "request_attempts": _Told(
                _DIAGNOSTICS, f"{_REQUEST}, `request_trace_events`"
            ),
            "request_fallback_transitions": _Told(_DIAGNOSTICS, _OWN),
            "request_policy_executions": _Told(_DIAGNOSTICS, _REQUEST),
            "request_target_scores": _Told(_DIAGNOSTICS, "`request_target_candidates`"),
            "request_dynamic_score_terms": _Told(_DIAGNOSTICS, _REQUEST),
            "request_shapes": _Told(_DIAGNOSTICS, _OWN),
            "request_token_estimates": _Told(_DIAGNOSTICS, _OWN),
            "request_decisions": _Told(_DIAGNOSTICS, "the views of decisions"),
            "decision_kinds": _Told(_DIAGNOSTICS, "the views of decisions"),
            "decision_kind_tools": _Told(_DIAGNOSTICS, "the views of decisions"),
            "decision_kind_candidates": _Told(_DIAGNOSTICS, "the views of decisions"),
            "decision_kind_reasons": _Told(_DIAGNOSTICS, "the views of decisions"),
        },
    ),
    _Section(
        "Who was refused",
        "No more than ten lines a second are written by each process; what is beyond "
        "is in a summary for each reason, so that the sum of `calls` is exact. A key "
        "that may not be used, and a model that is not allowed, leave a usage record, "
        "too.\n\n"
        "```sql\n"
        "SELECT reason_code, ip_address, sum(calls)\n"
        "FROM security_access_events\n"
        "WHERE ts_ms >= 1000 * unixepoch('now', '-1 day')\n"
        "GROUP BY reason_code, ip_address ORDER BY 3 DESC;\n"
        "```",
        {"security_access_events": _Told(_SECURITY, "`usage refusals`")},
    ),
    _Section(
        "What was in force",
        "A configuration or a price is there once, from when it first took effect: at "
        "a start, or when the file was read again.",
        {
            "config_versions": _Told(_KEPT, "`usage versions`"),
            "price_versions": _Told(_KEPT, "`usage versions`"),
            "budget_events": _Told(_KEPT, "budgets"),
        },
    ),
    _Section(
        "Roll-ups",
        "Sums by period and labels.",
        {
            "usage_rollup_hourly": _Told(
                "`usage_rollup_hourly`", f"{_REPORTS}, daily roll-ups"
            ),
            "usage_rollup_daily": _Told(
                "`usage_rollup_daily`", f"{_REPORTS}, monthly roll-ups"
            ),
            "usage_rollup_monthly": _Told("`usage_rollup_monthly`", _REPORTS),
            "usage_rollup_timings": _Told("that of its period", _REPORTS),
            "usage_rollup_periods": _Told(_KEPT, "roll-ups, retention"),
        },
    ),
    _Section(
        "Upkeep",
        "What the router remembers of its own work.",
        {
            "journal_positions": _Told(_KEPT, "the ingester"),
            "retention_jobs": _Told(_KEPT, "retention"),
            "retention_job_results": _Told(_KEPT, "retention"),
            "legal_holds": _Told(_KEPT, "retention"),
        },
    ),
)
"""All of them; a test sees to it that none is missing."""


def diagnostics_schema_page() -> str:
    """Return the whole page."""
    return HEAD + "\n".join(_lines())


def _lines() -> Iterator[str]:
    for section in SECTIONS:
        yield f"## {section.title}\n"
        yield f"{section.text}\n"
        for name, told in section.tables.items():
            yield from _table(DESCRIBED[name], told)


def _table(table: Table, told: _Told) -> Iterator[str]:
    kind = "View" if table.metadata is VIEWS else "Table"
    yield f"### `{table.name}`\n"
    yield f"{kind}. {table.comment}. Class: {told.data_class}."
    yield f"Read by {told.readers}.\n"
    yield "| column | meaning | unit | empty when |"
    yield "| --- | --- | --- | --- |"
    for column in table.columns:
        info = column.info
        yield (
            f"| `{column.name}` | {column.comment} | {info['unit']} | "
            f"{info['empty'] or 'never'} |"
        )
    yield ""
