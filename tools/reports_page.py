"""The page about reports: what can be grouped by and shown is derived from the code."""

from typing import Final

from smart_llmrouter.ledger.reports.columns import COLUMNS
from smart_llmrouter.ledger.reports.dimensions import DIMENSIONS
from smart_llmrouter.ledger.reports.durations import EXACT_UP_TO
from smart_llmrouter.ledger.reports.parts import FEW
from smart_llmrouter.ledger.reports.usual import TABLES

HEAD: Final = """\
# Reports

`smart-llmrouter usage report` adds up [usage records](usage-records.md): calls, tokens,
errors, latency and cost of an interval, by whatever you ask for.

```console
$ smart-llmrouter usage report
$ smart-llmrouter usage report --since 2026-11 --until 2026-12 --timezone Europe/Berlin
$ smart-llmrouter usage report --since 7d --where project=search --where error!=
$ smart-llmrouter usage report --group-by caller,day --measures calls,cost,p95
$ smart-llmrouter usage report --since 30d --baseline acme/large
$ smart-llmrouter usage report --since 2026-11-01 --until 2026-12-01 \\
      --group-by project,day --format csv --out november.csv
```

The router need not run, and of the configuration's variables only those that `state`
refers to must be set.

## What is counted

A report covers the calls that began from `--since` (or `--from`) on, up to but without
`--until` (or `--to`), so that neighbouring intervals count nothing twice. All its
figures come from one moment of the database: tables agree with each other and with the
rows, and so do all formats.

| text | means |
| --- | --- |
| `30m`, `24h`, `7d`, `2w` | so long before now |
| `2026-11-01` | the first moment of that day in the time zone |
| `2026-11` | the first moment of that month in the time zone |
| `2026-11-01T08:00` | that moment in the time zone |
| `2026-11-01T08:00Z`, `2026-11-01T08:00+01:00` | that moment, whatever the zone |

`--timezone Europe/Berlin` says where hours, days and months begin; otherwise
`reports.timezone` of the configuration does, and otherwise UTC. The report says which
it was. Where clocks are moved, a day has 23 or 25 hours, each call is in exactly one
hour, and the hour that comes twice is told apart by its offset.

`usage notes`, `usage refusals`, `usage versions` and [`prices drift`](cost.md) take an
interval and a time zone in the same way; the moments that they list are told in UTC.

Before it reads, a report waits until what was journalled when it began is in the
database, five seconds at most; where no ingester runs it ingests the leftovers itself.
What is still missing then is told: `incomplete: N bytes not yet ingested`, in JSON and
CSV `unread_bytes`.

An empty report says what was looked for and where calls are instead: those that the
conditions leave out, the last one before, or the first one after the interval.

## Which calls

`--where` takes a dimension, `=` or `!=`, and values with commas between them. It may be
repeated; then all of it must hold.

| condition | calls |
| --- | --- |
| `caller=alice,bob` | of either of both |
| `status!=200` | that ended otherwise |
| `error=` or `error=(none)` | without an error |
| `error!=` | with one |
| `status-class=4xx,5xx` | refused or failed |
| `day=2026-11-01` | of that day in the time zone |
| `client="a, b"` | of a client with a comma in its name |

What has no value is no value: `group=chat` and `group!=chat` together are all calls,
those without a group among the second.

## By what

Without `--group-by` the report has the usual tables, each where there is something to
show:

| name | table | by |
| --- | --- | --- |
"""

GROUPED: Final = """
Beyond that come a table of hours or days, the most expensive calls, all sums with how
many calls each is known for, and the latency of all calls. `--group-by` makes one table
of any of these instead, one or several with commas between them:

| name | tells apart by |
| --- | --- |
"""

COLUMNS_HEAD: Final = """
## Figures

With `--group-by`, `--measures` chooses the columns. JSON and CSV have all figures in
any case, under names with their units: whole microseconds (`_us`), whole nano-dollars
(`_nusd`, of which a dollar has 1,000,000,000).

| name | column | meaning |
| --- | --- | --- |
"""

REST: Final = f"""
**Unknown is not zero.** A sum is of those calls whose value is known, and says how many
they are wherever it is not all: `$12.40 (93 %)` is the cost of 93 % of the calls that
reached a target. Calls that were refused before used nothing and are no gap. In JSON
and CSV each sum has a `_known_calls` beside it. Where nothing is known there is
`unknown`, `null`, or an empty cell. Sums are exact to the nano-dollar.

**Percentiles** are by nearest rank: over all calls, and for the first token over those
that had one. Up to {EXACT_UP_TO:,} calls they are exact. Of more, and from roll-ups,
durations are counted by their first two digits and the middle of these is told, which
is within 5 % of the exact figure; the report says which it is (`percentiles` in JSON).
Averages and the longest are always exact.

**Tokens a second** are the output tokens of streams that one attempt answered without
an error, by how long these took from their first meaningful event to their end.

**Roll-ups.** Up to {FEW:,} calls are added up row by row. Of more, and of those that
retention has removed, the roll-ups of hours, days and months are read wherever they are
right, and rows for the rest: a day of many calls is a few hundred sums. Sums are exact
either way; of first tokens and waits the longest is then unknown. How long calls took
is read from their rows as long as they are there.

**Errors** are the calls with an error code; a stream that failed after its `200` is one
of them. **Caches written and never read** names callers who paid a target for writing
into its cache and read nothing from there (three calls at least): caching costs them
more than none would.

## Savings

`--baseline acme/large` adds what the same tokens would have cost at the price that the
configuration has for that model now, and the difference: over those calls of which both
the cost and the tokens are known, and with how many they are. Savings are negative
where the calls cost more. `reports.baselines` of the configuration names models to
compare with; the first one is used where nothing is asked for, and `--baseline none`
compares with nothing. A model needs no group to be one: any model under `providers`
with a price will do.

```yaml
reports:
  timezone: Europe/Berlin
  baselines: [acme/large]
```

## Formats

On a terminal there are tables as wide as it is; of one that is too wide the last
columns are left out, and it is said which. Otherwise there is Markdown, and with
`--format` either, `json` or `csv`. Tables for people have the first 15 lines of each
(`--top`); JSON and CSV have all. `--out` writes a file that is never seen half-written;
it may take the place of an older report, but not of a database or of a file that the
router works with.

## One call, and calls one by one

```console
$ smart-llmrouter usage request req_0123456789abcdef0123456789abcdef
$ smart-llmrouter usage tail --where error!=
$ smart-llmrouter usage export --since 2026-11 --until 2026-12 --out november.csv
$ smart-llmrouter usage export --since 1h --format jsonl --where caller=alice
$ smart-llmrouter usage import /mnt/other-machine/state
```

`usage request` tells all about one call: when what happened, tokens and what the cost
is made of, what a translation could not carry, and where decisions are kept each target
with what it missed and each attempt. See [Troubleshooting](troubleshooting.md).

`usage tail` shows calls as they end, each once, until Ctrl-C or `--count` of them:
first the last ten (`--lines`), then those that come, half a second or so after their
records are in the database. `--format json` writes an object a line.

`usage export` writes the rows of `request_usage` in the order of time, CSV or JSON
lines, the columns of the [table](usage-records.md) and nothing else. It holds few rows
at a time, however many there are; what lies between `--since` and `--until` is
half-open, so that one export after another has each row once. Where records are not yet
in the database it ends with an error instead of lacking them.

`usage import` brings journals of another machine into the database: state or journal
directories, or single files, which stay as they are. Each record is there exactly once,
whether the import is repeated or begun again after it was cut off, and while the router
runs. Lines that are no records are set aside in `journal/rejected.jsonl` with the file
that they are from, and counted, and the command then ends with 1; the torn end of what
a killed router wrote is no failure. An export is no journal, and is refused as a whole:
its rows have less in them than the records. Of an hour whose rows
[retention](retention.md) has removed only sums are left, which do not say whose they
are: lines of such an hour are left out, and counted, rather than added twice.

## Safe to open

Markdown escapes whatever a client could have chosen, a terminal is sent nothing that
moves its cursor, and CSV puts a `'` before cells that a spreadsheet would take for a
formula.
"""


def reports_page() -> str:
    """Return the whole page."""
    tables = "".join(
        f"| `{table.name}` | {table.title} | {', '.join(table.by)} |\n"
        for table in TABLES
    )
    dimensions = "".join(
        f"| `{name}` | {dimension.meaning} |\n"
        for name, dimension in DIMENSIONS.items()
    )
    columns = "".join(
        f"| `{name}` | {column.title} | {column.meaning} |\n"
        for name, column in COLUMNS.items()
    )
    return f"{HEAD}{tables}{GROUPED}{dimensions}{COLUMNS_HEAD}{columns}{REST}"
