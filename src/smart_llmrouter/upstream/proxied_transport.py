"""Calls that go through a proxy, apart from those that do not."""

from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.transport import Transport, UpstreamAnswer


class ProxiesApart:
    """Send what goes through a proxy through one transport, the rest through another.

    The lean transport speaks to no proxy.
    """

    def __init__(self, direct: Transport, *, through_proxies: Transport) -> None:
        """Use two transports that somebody else closes."""
        self._direct = direct
        self._through_proxies = through_proxies

    def forget(self) -> None:
        """Let both forget; see `Transport.forget`."""
        self._direct.forget()
        self._through_proxies.forget()

    async def send(self, endpoint: Endpoint, body: bytes) -> UpstreamAnswer:
        """POST `body`; see `Transport.send`."""
        if endpoint.proxy is None:
            return await self._direct.send(endpoint, body)
        return await self._through_proxies.send(endpoint, body)
