"""The router as its operators run it, with a certificate of its own."""

import ssl
from dataclasses import dataclass

import httpx2

from tests.support.gateway import Gateway, token
from tests.support.upstream_server import AUTHORITY
from tests.support.wait import PATIENCE_S


@dataclass(slots=True)
class SecureGateway(Gateway):
    """A router that speaks TLS."""

    def secure(self) -> httpx2.AsyncClient:
        """Return a client that trusts the authority of the tests."""
        host, _, port = str(self.settings["server"]["listen"]).rpartition(":")
        return httpx2.AsyncClient(
            base_url=f"https://{host}:{port}",
            headers={"Authorization": f"Bearer {token()}"},
            verify=ssl.create_default_context(cafile=AUTHORITY),
            trust_env=False,
            timeout=PATIENCE_S,
        )

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        async with self.secure() as client:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx2.TransportError:
                return False
