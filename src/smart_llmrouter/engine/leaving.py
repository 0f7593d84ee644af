"""What becomes of a call whose caller leaves while a target is at work on it.

Each target says what it wants. `cancel`: the call is cancelled, and with it the
provider's work, and what is known of the usage is on record. `drain`: the answer is
read to its end, for the usage that stands there, but for no longer than
`upstream.drain_s`; what comes of it is sent to nobody. Either way there is one record,
with status 499.
"""

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.errors import ClientLeft
from smart_llmrouter.engine.client import Client
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.vigil import Vigil


class Leaving:
    """How calls go on when their callers leave."""

    def __init__(self, *, drain_s: float) -> None:
        """Read on for `drain_s` seconds at most."""
        self._drain_s = drain_s

    def watch(self, client: Client, entry: Entry, vigil: Vigil) -> None:
        """See to it that a call goes on without its caller where its target says so."""

        def stays() -> bool:
            target = entry.target
            if target is None or not entry.answering or target.on_disconnect != "drain":
                return False
            entry.draining = True
            vigil.hurry(self._drain_s)
            return True

        client.ask_on_leaving(stays)


def drains(group: Group) -> bool:
    """Say whether any target of a group is read on when the caller has left."""
    return any(target.on_disconnect == "drain" for target in group.targets)


def check_presence(entry: Entry) -> None:
    """Raise `ClientLeft` where the answer was read to its end for nobody any more."""
    if entry.draining:
        entry.disconnect = "drained"
        raise ClientLeft
