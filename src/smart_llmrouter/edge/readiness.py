"""`GET /readyz`: can the router serve, and how are the parts it depends on?

It is ready when its configuration is loaded and its journal can be written; the schema
was checked before it began to listen. A database that went away later degrades it:
calls go on, and their records wait in the journal. So does a worker that is missing
among several, or hangs: the others go on, and each of them says the same. The health
of targets is known from traffic alone and fails nothing, also where one rests. A file
that was refused when it was read again degrades it until one is taken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.edge.crew import (
    Crew,
    Staffing,
    TargetReport,
    WorkerReport,
    present,
)
from smart_llmrouter.edge.reloads import Reloads
from smart_llmrouter.routing.circuit import CIRCUIT_STATES

OK: Final = "ok"
Status = Literal["ready", "degraded", "not-ready"]
_UNKNOWN: Final = TargetReport("unknown", None)


class Readiness:
    """Asks each part how it is, in one safe line."""

    def __init__(
        self,
        snapshot: Snapshot,
        crew: Crew,
        *,
        database: Callable[[], Awaitable[str]],
        ingester: Callable[[], str],
        unread_bytes: Callable[[], int | None],
    ) -> None:
        """Ask all workers, and the two parts that say `ok` or why not.

        `unread_bytes` says how much of the journal is not in the database yet,
        `None` where nobody knows.
        """
        self._snapshot = snapshot
        self._crew = crew
        self._database = database
        self._ingester = ingester
        self._unread_bytes = unread_bytes

    async def report(self) -> tuple[Status, dict[str, object]]:
        """Return the overall status and the body of the answer."""
        reports, staffing = await self._crew.reports(), self._crew.staffing()
        living = present(reports, staffing)
        parts = {
            "configuration": _configuration(staffing.reloads, reports, living),
            "journal": _journal(living),
            "counters": _counters(living),
            "database": await self._database(),
            "ingester": self._ingester(),
            "workers": _workers(staffing),
        }
        status: Status = "ready" if set(parts.values()) == {OK} else "degraded"
        if all(report.journal is not None for report in living):
            status = "not-ready"
        return status, {
            "status": status,
            "parts": parts,
            "workers": {"wanted": len(staffing.workers), "up": staffing.up},
            "journal_unread_bytes": await asyncio.to_thread(self._unread_bytes),
            "configuration_fingerprint": self._snapshot.fingerprint,
            "configuration": _told(staffing.reloads),
            "groups": self._groups(living),
        }

    def _groups(
        self, living: Sequence[WorkerReport]
    ) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
        return {
            group.name: {
                target.label: _together(
                    report.targets.get(target.label, _UNKNOWN) for report in living
                )
                for target in group.targets
            }
            for group in self._snapshot.groups.values()
        }


def _configuration(
    reloads: Reloads,
    reports: Mapping[int, WorkerReport],
    living: Sequence[WorkerReport],
) -> str:
    """Say `ok`, or what has become of the last attempt to change it."""
    behind = [
        f"worker {number} serves by an earlier one"
        for number, report in reports.items()
        if report in living and report.edition < reloads.edition
    ]
    return "; ".join([reloads.trouble] if reloads.trouble else behind) or OK


def _told(reloads: Reloads) -> Mapping[str, object]:
    last = None
    if reloads.last is not None:
        last = {"outcome": reloads.last, "at": _utc(reloads.last_s)}
    return {
        "loaded_at": _utc(reloads.loaded_s) if reloads.loaded_s else None,
        "reloads": sum(reloads.counts.values()),
        "last_reload": last,
        "awaits_restart": list(reloads.awaits_restart),
    }


def _utc(ts_s: float) -> str:
    return datetime.fromtimestamp(ts_s, UTC).isoformat(timespec="seconds")


def _journal(living: Sequence[WorkerReport]) -> str:
    """Say `ok`, or why a worker cannot write, or of what there is little left.

    There is one disk for all of them.
    """
    reasons = [each.journal for each in living if each.journal is not None]
    warnings = [each.journal_room for each in living if each.journal_room is not None]
    return next(iter(reasons + warnings), OK)


def _counters(living: Sequence[WorkerReport]) -> str:
    """Say `ok`, or why a worker cannot count limits; they share what counts them."""
    return next((each.counters for each in living if each.counters is not None), OK)


def _workers(staffing: Staffing) -> str:
    wanted, up = len(staffing.workers), staffing.up
    if up == wanted:
        return OK
    told = [f"{up} of {wanted} are up"]
    told += [f"worker {number} hangs" for number in staffing.silent]
    if up + len(staffing.silent) < wanted:
        told.append("what is missing is being started")
    return "; ".join(told)


def _together(reports: Iterable[TargetReport]) -> Mapping[str, object]:
    """Say how a target is, after all who have called it: `degraded` if they differ.

    Each worker has a circuit of its own: calls get through where one of them is not
    open, and so the one that is the least so is told.
    """
    found = list(reports)
    known = [each for each in found if each.condition != _UNKNOWN.condition]
    conditions = {each.condition for each in known} or {_UNKNOWN.condition}
    condition = conditions.pop() if len(conditions) == 1 else "degraded"
    errors = (each.last_error for each in known if each.last_error is not None)
    best = min(found, key=_how_open, default=_UNKNOWN)
    return {
        "condition": condition,
        "last_error": next(errors, None),
        "circuit": best.circuit,
        "next_call_in_s": round(best.resting_s, 3),
    }


def _how_open(found: TargetReport) -> tuple[int, float]:
    return CIRCUIT_STATES.index(found.circuit), found.resting_s
