"""`GET /readyz`: can this process serve, and how are the parts it depends on?

It is ready when its configuration is loaded and its journal can be written; the schema
was checked before it began to listen. A database that went away later degrades it:
calls go on, and their records wait in the journal. The health of targets is known from
traffic alone and fails nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, Protocol

from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.routing.health import HealthBook

OK: Final = "ok"
Status = Literal["ready", "degraded", "not-ready"]


class JournalCondition(Protocol):
    """What the journal says of itself; `reason` is `None` when all is well."""

    @property
    def reason(self) -> str | None:
        """Why the next record could not be written, in safe words."""


class Readiness:
    """Asks each part how it is, in one safe line."""

    def __init__(
        self,
        snapshot: Snapshot,
        health: HealthBook,
        *,
        journal: Callable[[], JournalCondition],
        database: Callable[[], Awaitable[str]],
        ingester: Callable[[], str],
        unread_bytes: Callable[[], int | None],
    ) -> None:
        """Ask the three parts; the last two say `ok` or why not.

        `unread_bytes` says how much of the journal is not in the database yet,
        `None` where nobody knows.
        """
        self._snapshot = snapshot
        self._health = health
        self._journal = journal
        self._database = database
        self._ingester = ingester
        self._unread_bytes = unread_bytes

    async def report(self) -> tuple[Status, dict[str, object]]:
        """Return the overall status and the body of the answer."""
        journal = self._journal().reason or OK
        beside = {"database": await self._database(), "ingester": self._ingester()}
        status: Status = "ready" if set(beside.values()) == {OK} else "degraded"
        if journal != OK:
            status = "not-ready"
        return status, {
            "status": status,
            "parts": {"configuration": OK, "journal": journal, **beside},
            "journal_unread_bytes": await asyncio.to_thread(self._unread_bytes),
            "configuration_fingerprint": self._snapshot.fingerprint,
            "groups": self._groups(),
        }

    def _groups(self) -> Mapping[str, Mapping[str, Mapping[str, str | None]]]:
        return {
            group.name: {
                target.label: {
                    "condition": self._health.of(target.label).condition,
                    "last_error": self._health.of(target.label).last_error,
                }
                for target in group.targets
            }
            for group in self._snapshot.groups.values()
        }
