"""What of a configuration only a restart can change.

Everything else takes effect when it is read again. What cannot is left as it is, and
named, so that nobody waits for it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from smart_llmrouter.config.snapshot import Snapshot


def _database(snapshot: Snapshot) -> object:
    """Return what names the database; a file of SQLite is where the directory is."""
    url = snapshot.state.database_url
    return url.source if url.source == "sqlite" else url


_FIXED: Final[tuple[tuple[str, Callable[[Snapshot], object]], ...]] = (
    ("server.listen", lambda of: (of.server.host, of.server.port)),
    ("server.workers", lambda of: of.server.workers),
    ("server.tls", lambda of: of.server.tls is not None),
    ("state.directory", lambda of: of.state.directory),
    ("state.database", _database),
    ("state.journal_sync", lambda of: of.state.journal_sync),
    ("state.journal_max_bytes", lambda of: of.state.journal_max_bytes),
    ("state.min_free_bytes", lambda of: of.state.min_free_bytes),
    ("state.counters", lambda of: of.state.counters),
    ("state.counters_namespace", lambda of: of.state.counters_namespace),
    ("state.counters_lease_s", lambda of: of.state.counters_lease_s),
    ("state.counters_away", lambda of: of.state.counters_away),
    ("retention", lambda of: of.state.retention),
)
"""Keys, and what of a snapshot they say. Of `server.tls` it is whether it is there."""

FIXED_KEYS: Final = tuple(key for key, _ in _FIXED)
"""The keys that take effect at a start alone."""


def applied(wanted: Snapshot, serving: Snapshot) -> tuple[Snapshot, tuple[str, ...]]:
    """Return what of a configuration can take effect in a process that serves another.

    With it come the keys that need a restart: in the snapshot they are as they were.
    The fingerprint is that of the file that was read.
    """
    awaiting = tuple(key for key, said in _FIXED if said(wanted) != said(serving))
    server = wanted.server
    kept = replace(
        server,
        host=serving.server.host,
        port=serving.server.port,
        workers=serving.server.workers,
        tls=serving.server.tls if "server.tls" in awaiting else server.tls,
    )
    return replace(wanted, server=kept, state=serving.state), awaiting
