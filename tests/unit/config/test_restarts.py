"""What takes effect when a configuration is read again, and what needs a restart."""

import pytest

from smart_llmrouter.config.restarts import FIXED_KEYS, applied
from smart_llmrouter.config.snapshot import Snapshot
from tests.support.configuration import SMALL, changed, loaded

SERVER = "server: {listen: '127.0.0.1:8080', workers: 1, client_timeout_s: 60}\n"
STATE = "state: {directory: ./state}\n"


def snapshot(text: str = SMALL) -> Snapshot:
    """Return a compiled configuration."""
    found = loaded(text).snapshot
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (SMALL, ()),
        (SERVER.replace("8080", "8081") + SMALL, ("server.listen",)),
        (SERVER.replace("client_timeout_s: 60", "client_timeout_s: 9") + SMALL, ()),
        (STATE.replace("./state", "./other") + SMALL, ("state.directory",)),
        (
            "state: {journal_sync: off, counters_lease_s: 20}\n" + SMALL,
            ("state.journal_sync", "state.counters_lease_s"),
        ),
    ],
)
def test_what_needs_a_restart_is_named(text: str, keys: tuple[str, ...]) -> None:
    """Each key alone: a file of SQLite that moves with its directory is not named."""
    serving = snapshot()

    taken, awaiting = applied(snapshot(text), serving)

    assert awaiting == keys
    assert set(awaiting) <= set(FIXED_KEYS)
    assert taken.state == serving.state
    assert (taken.server.host, taken.server.port) == ("127.0.0.1", 8080)


def test_the_rest_takes_effect() -> None:
    """And the fingerprint is that of the whole file."""
    text = changed("alice-search-dev", "alice-other", SERVER + SMALL)
    wanted = snapshot(text.replace("8080", "9090").replace("s: 60", "s: 9"))

    taken, awaiting = applied(wanted, snapshot(SERVER + SMALL))

    assert awaiting == ("server.listen",)
    assert taken.fingerprint == wanted.fingerprint
    assert taken.server.client_timeout_s == 9
    assert [each.id for each in taken.callers_by_digest.values()] == ["alice-other"]
