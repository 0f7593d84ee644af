"""Providers that are reached through a proxy, as the environment says."""

import asyncio
from pathlib import Path

import pytest
import yaml

from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.snapshot import Snapshot, Tls
from smart_llmrouter.upstream.endpoints import Endpoint, endpoint_of
from smart_llmrouter.upstream.transport import ConnectFailed, TlsFailed
from tests.support.configuration import ENVIRONMENT, SMALL
from tests.support.proxy import Proxy, running_proxy
from tests.support.transports import KEY, ask
from tests.support.upstream_server import (
    AUTHORITY,
    answering,
    plain,
    running_upstream,
)
from tests.support.wait import PATIENCE_S

OK = answering(plain(b"ok"))


def configured(
    directory: Path, environment: dict[str, str], *, scheme: str = "https"
) -> Snapshot:
    """Return a configuration whose one provider is `provider.test`."""
    settings = yaml.safe_load(SMALL)
    acme = settings["providers"]["acme"]
    acme["base_url"] = f"{scheme}://provider.test/v1"
    if scheme == "https":
        acme["tls"] = {"ca_file": str(AUTHORITY), "server_name": "localhost"}
    file = directory / "router.yaml"
    file.write_text(yaml.safe_dump(settings))
    return load_snapshot(file, environment={**ENVIRONMENT, **environment})


def endpoint_in(snapshot: Snapshot) -> Endpoint:
    """Return the one endpoint of a configuration."""
    (target,) = snapshot.groups["chat"].targets
    return endpoint_of(target.provider, user_agent="conformance/1")


async def asked(snapshot: Snapshot) -> tuple[int, bytes]:
    """Send one call, as the router would."""
    async with open_transport(snapshot.upstream) as transport:
        return await asyncio.wait_for(ask(transport, endpoint_in(snapshot)), PATIENCE_S)


async def test_https_goes_through_the_proxy_and_stays_secret(tmp_path: Path) -> None:
    """The proxy is asked for a tunnel; the provider proves who it is within."""
    async with (
        running_upstream(OK, certificate="good") as upstream,
        running_proxy(upstream.port) as proxy,
    ):
        snapshot = configured(tmp_path, {"HTTPS_PROXY": proxy.url})

        answer = await asked(snapshot)

        assert answer == (200, b"ok")
        assert proxy.asked == ["CONNECT provider.test:443 HTTP/1.1"]
        [request] = upstream.requests
        assert dict(request.headers)["host"] == "provider.test"


async def test_http_goes_through_the_proxy(tmp_path: Path) -> None:
    """Without TLS the proxy gets the request itself."""
    async with (
        running_upstream(OK) as upstream,
        running_proxy(upstream.port) as proxy,
    ):
        environment = {"http_proxy": f"127.0.0.1:{proxy.port}"}
        snapshot = configured(tmp_path, environment, scheme="http")

        answer = await asked(snapshot)

        assert answer == (200, b"ok")
        assert proxy.asked == ["POST http://provider.test/v1/chat/completions HTTP/1.1"]


async def test_the_proxy_is_told_its_own_password_and_no_key(tmp_path: Path) -> None:
    """Credentials in the proxy's URL go to it; those of the provider do not."""
    async with (
        running_upstream(OK, certificate="good") as upstream,
        running_proxy(upstream.port) as proxy,
    ):
        url = f"http://router:pass%2Fword@127.0.0.1:{proxy.port}"
        snapshot = configured(tmp_path, {"https_proxy": url})

        answer = await asked(snapshot)

        assert answer == (200, b"ok")
        assert proxy.credentials == ["Basic cm91dGVyOnBhc3Mvd29yZA=="]
        assert "proxy-authorization" not in dict(upstream.requests[0].headers)
        assert "pass" not in repr(snapshot)
        assert "pass" not in repr(endpoint_in(snapshot))


async def test_a_proxy_that_refuses_is_no_connection(tmp_path: Path) -> None:
    """What a proxy answers is not taken for the provider's answer."""
    async with running_proxy(9, refuses=True) as proxy:
        snapshot = configured(tmp_path, {"HTTPS_PROXY": proxy.url})

        with pytest.raises(ConnectFailed):
            await asked(snapshot)

        assert len(proxy.asked) == 1


async def test_a_proxy_cannot_stand_in_for_the_provider(tmp_path: Path) -> None:
    """The certificate is checked within the tunnel; the key stays here."""
    async with (
        running_upstream(OK, certificate="wrong-name") as stranger,
        running_proxy(stranger.port) as proxy,
    ):
        snapshot = configured(tmp_path, {"HTTPS_PROXY": proxy.url})

        with pytest.raises(TlsFailed):
            await asked(snapshot)

        assert stranger.requests == []


async def test_other_providers_are_called_directly(tmp_path: Path) -> None:
    """Only where the environment says so is a proxy in the way."""

    async def both(proxy: Proxy, snapshot: Snapshot, port: int) -> list[bytes]:
        near = Endpoint(
            url=f"http://127.0.0.1:{port}/v1/chat/completions",
            headers={"Authorization": f"Bearer {KEY}"},
            credentials=(),
            tls=Tls(),
            unix_socket=None,
            proxy=None,
        )
        assert proxy.asked == []
        async with open_transport(snapshot.upstream) as transport:
            return [
                (await ask(transport, each))[1]
                for each in (near, endpoint_in(snapshot))
            ]

    async with (
        running_upstream(answering(plain(b"near"))) as local,
        running_upstream(answering(plain(b"far")), certificate="good") as upstream,
        running_proxy(upstream.port) as proxy,
    ):
        snapshot = configured(tmp_path, {"HTTPS_PROXY": proxy.url})

        answers = await both(proxy, snapshot, local.port)

        assert answers == [b"near", b"far"]
        assert len(proxy.asked) == 1
