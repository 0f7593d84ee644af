"""What may come in: the bounds for strangers and crowds, whichever are configured.

What was counted by then outlives a change of the bounds.
"""

from smart_llmrouter.config.snapshot import Server
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.edge.accesses import Accesses
from smart_llmrouter.edge.addresses import Proxies
from smart_llmrouter.edge.entrance import Entrance
from smart_llmrouter.edge.failures import Failures
from smart_llmrouter.engine.tally import Tally


class Inbound:
    """The connections and the failed authentications of a process.

    `accesses` are those of all that is refused.
    """

    def __init__(self, tally: Tally, accesses: Accesses, *, now: Monotonic) -> None:
        """Count in `tally`, and bound nothing yet."""
        self.accesses = accesses
        self.entrance = Entrance(tally)
        self.failures = Failures(tally, now=now)

    def bound(self, server: Server) -> None:
        """Keep to the bounds that are configured, from now on."""
        proxies = Proxies(server.trusted_proxies)
        self.entrance.bound(
            proxies,
            most=server.max_connections,
            most_per_address=server.max_connections_per_address,
        )
        self.failures.bound(proxies, per_minute=server.auth_failures_per_minute)
        self.accesses.bound(proxies)

    def tell(self) -> None:
        """Tell what came in a second: to be called about once in each."""
        self.failures.tell()
        self.accesses.tell()
