"""The page of usage records: its tables are derived from the database's own.

`python -m tools.usage_records_page` writes it; `make docs-pages` does, too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Table

from smart_llmrouter.stores.decision_tables import (
    ATTEMPTS,
    FALLBACK_TRANSITIONS,
    FILTER_REASONS,
    POLICY_EXECUTIONS,
    ROUTING_DECISIONS,
    SCORE_TERMS,
    TARGET_CANDIDATES,
)
from smart_llmrouter.stores.tables import (
    BUDGET_EVENTS,
    FIELD_EVENTS,
    JOURNAL_POSITIONS,
    REQUEST_USAGE,
)

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "usage-records.md"

HEAD: Final = """\
# Usage records

Every call leaves one record: who called, what was asked for, who served it, how it
ended, how long it took, what it used and what it cost. It holds ids, names, numbers
and fingerprints. There is no field for a prompt, an answer, a credential or the text of
a provider's error.

*The tables on this page are generated from `stores/tables.py`.*

## From a call to a row

```
call ends ──one write──► journal segment ──ingester process──► usage.sqlite ──► reports
          before the last byte of         a batch of rows and the
          its answer leaves               position in one transaction
```

Everything lives in `state.directory`:

| file | what it is |
| --- | --- |
| `journal/*.jsonl` | segments of about 64 MiB: one line a call, a JSON array |
| `journal/rejected.jsonl` | lines that could not be stored, in base64, and why |
| `journal/owner` | whose journal it is, where routers share a database |
| `usage.sqlite` (`-wal`, `-shm`) | the database, in WAL mode |
| `ingester.lock` | held by the one ingester that works |
| `ingester.json` | what the ingester last said of the database |

All of them are readable by the router's user only. Where the database is
[PostgreSQL](postgres.md), there is no `usage.sqlite`.

## What is promised

**A call that was seen answered is on record.** Its line is written to the journal with
one `write` before the last byte of the answer leaves. After `kill -9` of the router at
any moment the line is in the kernel's hands, and the next start ingests it. Where the
line cannot be written (a full disk), the call fails instead of going unrecorded, and
`/readyz` says so until there is room again.

**When it also survives a loss of power** is yours to choose with `state.journal_sync`:

| value | the journal reaches the disk | what a loss of power can cost |
| --- | --- | --- |
| `interval` (default) | once a second | the records of the last second |
| `always` | before the answer ends, which waits for the disk | nothing |
| `off` | when the kernel likes | the records of the last half minute or so |

With `always`, calls that end together share one sync.

**Each record becomes exactly one row.** The ingester commits a batch of rows together
with the offset up to which the segment has been read. A crash before the commit leaves
neither, after it both; the next ingester goes on at the committed offset. Beyond that
a call's moment and id are the primary key, and a line that comes twice changes nothing.
There is one ingester at a time: a second one waits for `ingester.lock`.

**A segment is deleted last.** Only when its writer is gone (each segment is locked by
the process that writes it), every line of it is committed, and that commit has been
forced to the disk. Commits before that one are not forced one by one: if power takes
the last of them back, their rows and positions go together and the segment is still
there.

**A line that is no record stops nobody.** It is set aside in `rejected.jsonl` with a
reason (`not JSON`, `not a usage record`, `not an event`, `unstorable`, `oversized`, or
`torn`: the half line of a writer that was killed, whose call was never answered). What
stands behind a record and is `no decision` is set aside alone. The log says how many,
never what they hold. After a crash of the ingester a line may be set aside twice.

**A database that is away stops nobody.** When it is locked, full, moved or of another
schema, the journal grows, `/readyz` says `degraded`, and the ingester tries again, at
least every five seconds. Rows are never written to a file that was moved away, and an
empty database is never made in its place. At the start it is different: the router
creates the database where there is none, and refuses to start on any schema but its
own. `smart-llmrouter db upgrade` brings the database of an older version to it.

**How far the journal may grow** is yours to say. `state.journal_max_bytes` bounds what
may wait for the database, `state.min_free_bytes` what must stay free on the disk. About
once a second each process looks. From 80 % of the one on, or below twice the other,
there is a warning: `/readyz` says `degraded` and why,
`smart_llmrouter_journal_pressure` is 1, and the log has a line. At the bound it is 2,
`/readyz` says `not-ready`, and calls are refused with `503 journal-unwritable` before a
provider is asked; calls in flight are still written down, those that are refused are
only counted. It ends by itself when the ingester has caught up.

**Beside calls there are events in the journal**, a JSON object each: who was refused,
and which configuration and prices took effect. They come into the database with the
records around them, each once; see [Diagnostics schema](diagnostics-schema.md).

## The ingester yields

Calls go first. The ingester is a process of its own at a lower priority (`nice` 7
beyond the router's): on a saturated core it gets about a sixth of it, which is enough
for some 30,000 records a second, and otherwise what nobody else wants. Records gather
for a quarter of a second, and a batch is one transaction; a record costs about 5 µs of
a core. What it has not yet read is `journal_unread_bytes` in `/readyz` and
`smart_llmrouter_journal_unread_bytes` in `/metrics`: it rises and falls with the load,
and only grows where the ingester cannot keep up or the database is away.

`SMART_LLMROUTER_INGESTER_CPUS=1` (or a list such as `0,2-3`) keeps it on those
processors, so that a router with a core to itself does not share it. The router refuses
to start where the text is no such list, where a processor is not there or not allowed,
and on systems that cannot do this (it takes Linux).

## The columns of `request_usage`

Empty (`NULL`) means unknown or not applicable, never zero. Money is in nano-dollars:
one dollar is 1,000,000,000. Each part of a cost is tokens times the exact decimal
price, rounded half to even once; the total is the sum of the parts.

"""

TOKENS: Final = """
## One model of tokens

Dialects count differently: in some the input includes what was read from the
provider's cache, in others it is what came beside it. Records hold one model, whatever
the dialect of the client or of the target:

```
input_tokens = uncached + cached_input_tokens              read from the cache
                        + cache_write_5m_tokens            written there for 5 minutes
                        + cache_write_1h_tokens            written there for 1 hour
output_tokens includes reasoning_tokens
```

Each token of the input is one of the four and is paid for once:

| tokens | price of a model | where that is not given |
| --- | --- | --- |
| uncached | `input_per_million` | unknown, and so is the total |
| read | `cached_input_per_million` | as `input_per_million` |
| written for 5 minutes | `cache_write_per_million` | as `input_per_million` |
| written for 1 hour | `cache_write_1h_per_million` | as `cache_write_per_million` |
| output | `output_per_million` | unknown, and so is the total |
| reasoning, a part of the output | `reasoning_per_million` | as `output_per_million` |
| of images, not cached | `image_input_per_million` | as `input_per_million` |

[Cost](cost.md) says how each part is computed.

So where a provider takes 1.25 times the price of input for a write of five minutes,
twice of it for one of an hour, and a tenth of it for a read, give all four:

```yaml
price:
  input_per_million: 3.00
  cached_input_per_million: 0.30
  cache_write_per_million: 3.75
  cache_write_1h_per_million: 6.00
  output_per_million: 15.00
```

Writes without a lifetime, as older answers report them, count as five minutes. In a
stream, usage comes in pieces: a later one that lacks a count takes none away. Where a
provider's parts are more than its sum, costs go by the sum.

`usage_estimated` marks calls whose tokens the router counted itself, because the
provider did not say; reports say how many there are.
"""

STORED: Final = """
`request_usage` is a view. What many calls have in common (who called, what served, how
it ended) stands once, in `request_labels`; `request_measures` has a short row a call,
about 90 bytes, in the order of time, so that an interval is one stretch of it. Reports,
and queries of your own, read the view and need to know none of this.

`journal_positions` keeps the ingester's place:

"""

BUDGETS: Final = """
## Budgets that were reset

`smart-llmrouter budget reset` leaves a row of `budget_events`, and each reading of a
budget looks for the last one; see [Budgets](budgets.md).

"""

EVENTS: Final = """
## What translations could not carry

Where client and target speak different dialects (`lane` is `translate`), a field can
reach the target in another form, or not at all. Each of them is a row of
`request_translation_field_events`. Field names are those of the dialect, of a closed
set; there is nothing of what they held.

"""

EVENTS_STORED: Final = """
This is a view, too: notes stand once, in `label_notes`, for all calls that share them.
`smart-llmrouter usage notes` counts them by field and target.
"""

DECISIONS: Final = """
## How calls were decided

Where `diagnostics.decisions` asks for it, a call's decision stands in the line of its
record, behind a tab: both are in the journal, or neither. In the database records come
first, whatever decisions wait behind them; each decision is committed together with
`decided_offset`, exactly once. There is nothing in them of what was asked or answered.

`smart-llmrouter usage request` shows [one call](troubleshooting.md). For many, these
are the tables and views, in which `ts_ms` and `request_id` name the call. A decision
among three targets costs the ingester about 25 µs, one among twenty that are scored by
seven terms 200 µs, whenever it has the time.

"""

DECISIONS_STORED: Final = """
What many decisions have in common (what was needed, which targets there were, what each
missed, in which order they were tried) stands once, in `decision_kinds` and its
`decision_kind_tools`, `decision_kind_candidates` and `decision_kind_reasons`.
`request_decisions` has a row a call, with the numbers; scores are rows of their own.
"""

QUERIES: Final = """\
## Reports and queries

`smart-llmrouter usage report` [adds records up](reports.md), and `usage request` tells
all about one call. Any client can read the database while the router works, as here one
of SQLite:

```sql
SELECT caller_project, count(*), sum(total_cost_nusd) / 1e9 AS usd
FROM request_usage
WHERE ts_ms >= 1000 * unixepoch('now', '-7 days')
GROUP BY caller_project;
```
"""


def usage_records_page() -> str:
    """Return the whole page."""
    return "".join(
        (
            HEAD,
            _columns(REQUEST_USAGE),
            STORED,
            _columns(JOURNAL_POSITIONS),
            TOKENS,
            BUDGETS,
            _columns(BUDGET_EVENTS),
            EVENTS,
            _columns(FIELD_EVENTS),
            EVENTS_STORED,
            DECISIONS,
            *_decisions(),
            DECISIONS_STORED,
            "\n",
            QUERIES,
        )
    )


def _decisions() -> Iterator[str]:
    for table in (
        ROUTING_DECISIONS,
        TARGET_CANDIDATES,
        FILTER_REASONS,
        SCORE_TERMS,
        POLICY_EXECUTIONS,
        ATTEMPTS,
        FALLBACK_TRANSITIONS,
    ):
        yield f"### `{table.name}`\n\n{table.comment}.\n\n{_columns(table)}\n"


def _columns(table: Table) -> str:
    rows = [
        f"| `{column.name}` | {column.comment} | {column.info['unit']} | "
        f"{column.info['empty'] or 'never'} |\n"
        for column in table.columns
    ]
    head = "| column | meaning | unit | empty when |\n| --- | --- | --- | --- |\n"
    return head + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(usage_records_page(), encoding="utf-8")
    print(PAGE)
