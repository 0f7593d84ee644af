"""Legal holds: calls that retention may not remove, whoever asks.

A hold names whose calls and of which time. It is never changed, but released, and stays
on record then, too.
"""

from typing import Final, Literal, NamedTuple, get_args

import msgspec

from smart_llmrouter.ledger.periods import DAY_MS
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import HOUR_MS, Level
from smart_llmrouter.stores.writing import Writing

HoldKind = Literal["caller", "user", "project", "environment", "group", "all"]
HOLD_KINDS: Final[tuple[HoldKind, ...]] = get_args(HoldKind)
FAR_MS: Final = (1 << 63) - 1
"""When a hold ends that says nothing of it."""

_COLUMN_OF: Final = {
    "caller": "caller_id",
    "user": "caller_user",
    "project": "caller_project",
    "environment": "caller_environment",
    "group": "resolved_group",
}
_NAMED: Final = " OR ".join(
    f"(scope_kind = '{kind}' AND scope_name = request_labels.{column})"
    for kind, column in _COLUMN_OF.items()
)
_LONGEST_MS: Final[dict[Level, int]] = {
    "hour": HOUR_MS,
    "day": DAY_MS,
    "month": 31 * DAY_MS,
}
_ADD: Final = """
INSERT INTO legal_holds
    (scope_kind, scope_name, from_ms, to_ms, reason, created_ms, created_by)
VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
_RELEASE: Final = """
UPDATE legal_holds SET released_ms = ?, released_by = ?, release_reason = ?
WHERE id = ? AND released_ms IS NULL
"""
_ALL: Final = """
SELECT id, scope_kind, scope_name, from_ms, to_ms, reason, created_ms, created_by,
    released_ms, released_by, release_reason
FROM legal_holds ORDER BY id
"""


class NewHold(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that shall be kept: whose, from when on, and up to when."""

    scope_kind: HoldKind
    scope_name: str
    from_ms: int
    to_ms: int
    reason: str


class Hold(NamedTuple):
    """A hold that was made, and its release where it was."""

    id: int
    scope_kind: HoldKind
    scope_name: str
    from_ms: int
    to_ms: int
    reason: str
    created_ms: int
    created_by: str
    released_ms: int | None
    released_by: str | None
    release_reason: str | None


def add_hold(writing: Writing, hold: NewHold, *, now_ms: int, actor: str) -> int:
    """Keep calls from now on; return the hold's number."""
    made = writing.execute(
        _ADD,
        (
            hold.scope_kind,
            hold.scope_name,
            hold.from_ms,
            hold.to_ms,
            hold.reason,
            now_ms,
            actor,
        ),
    ).fetchone()
    return int(made[0])


def is_on_record(reading: Queries, kind: HoldKind, name: str) -> bool:
    """Say whether some call, or sum of calls, is of this caller, user and so on."""
    if kind == "all":
        return True
    column = _COLUMN_OF[kind]
    query = f"SELECT 1 FROM request_labels WHERE {column} = ? LIMIT 1"  # noqa: S608 - of our own words; values are bound
    return reading.execute(query, (name,)).fetchone() is not None


def calls_covered(reading: Queries, hold: NewHold) -> int:
    """Return how many calls with rows of their own a hold covers now."""
    query = "SELECT count(*) FROM request_measures WHERE ts_ms >= ? AND ts_ms < ?"
    parameters: tuple[object, ...] = (hold.from_ms, hold.to_ms)
    if hold.scope_kind != "all":
        column = _COLUMN_OF[hold.scope_kind]
        query += f" AND labels_id IN (SELECT id FROM request_labels WHERE {column} = ?)"  # noqa: S608 - of our own words; values are bound
        parameters += (hold.scope_name,)
    (found,) = reading.execute(query, parameters).fetchone()
    return int(found)


def release_hold(
    writing: Writing, number: int, *, now_ms: int, actor: str, reason: str | None
) -> bool:
    """Let go of what a hold kept; say whether there was such a hold."""
    done = writing.execute(_RELEASE, (now_ms, actor, reason, number))
    return done.rowcount == 1


def all_holds(reading: Queries) -> list[Hold]:
    """Return every hold that was ever made, in that order."""
    return [Hold(*row) for row in reading.execute(_ALL).fetchall()]


def _held(labels_id: str, overlaps: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM legal_holds LEFT JOIN request_labels "  # noqa: S608 - of our own words; values are bound
        f"ON request_labels.id = {labels_id} WHERE released_ms IS NULL "
        f"AND {overlaps} AND (scope_kind = 'all' OR {_NAMED}))"
    )


HELD_ROWS: Final = _held(
    "request_measures.labels_id",
    "request_measures.ts_ms >= from_ms AND request_measures.ts_ms < to_ms",
)
"""The condition that a row of `request_measures` is held."""


HELD_EVENTS: Final = (
    "EXISTS (SELECT 1 FROM legal_holds WHERE released_ms IS NULL "  # noqa: S608 - of our own words; values are bound
    "AND security_access_events.ts_ms >= from_ms "
    "AND security_access_events.ts_ms < to_ms AND (scope_kind = 'all' "
    "OR (scope_kind = 'caller' AND scope_name = security_access_events.caller_id) "
    "OR EXISTS (SELECT 1 FROM request_labels "
    f"WHERE request_labels.caller_id = security_access_events.caller_id AND ({_NAMED})"
    ")))"
)
"""The condition that an event of who was refused is held.

Of an event only the caller is known: it is held with any of that caller's calls.
"""


def held_sums(level: Level, table: str) -> str:
    """Return the condition that sums or timings of a level are held."""
    start = f"{table}.start_ms"
    return _held(
        f"{table}.labels_id",
        f"{start} < to_ms AND {start} + {_LONGEST_MS[level]} > from_ms",
    )
