"""Opens the transport to providers, and to images that callers name."""

import os
from collections.abc import AsyncIterator, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from smart_llmrouter.config.snapshot import Snapshot, Tls, Upstream
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.engine.images import ImageFetcher
from smart_llmrouter.upstream.addresses import resolve_by_system
from smart_llmrouter.upstream.fetching import Fetcher
from smart_llmrouter.upstream.lean_transport import open_lean_transport
from smart_llmrouter.upstream.proxied_transport import ProxiesApart
from smart_llmrouter.upstream.transport import Transport


@dataclass(slots=True)
class _Lent:
    transport: Transport
    opened: AsyncExitStack
    borrowers: int = 0


class Transports:
    """The transports of a process: configurations that want the same one share it.

    So connections to providers outlive a configuration, and one that sets other bounds,
    or whose certificates have other contents by now, has a transport of its own.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._lent: dict[Hashable, _Lent] = {}

    @asynccontextmanager
    async def lent(self, snapshot: Snapshot) -> AsyncIterator[Transport]:
        """Lend the transport that a configuration wants; the last one closes it."""
        wanted = _wanted(snapshot)
        lent = self._lent.get(wanted)
        if lent is None:
            async with AsyncExitStack() as opened:
                transport = await opened.enter_async_context(
                    open_transport(snapshot.upstream)
                )
                lent = self._lent[wanted] = _Lent(transport, opened.pop_all())
        lent.borrowers += 1
        try:
            yield lent.transport
        finally:
            lent.borrowers -= 1
            if lent.borrowers:
                lent.transport.forget()
            else:
                del self._lent[wanted]
                await lent.opened.aclose()


def _wanted(snapshot: Snapshot) -> Hashable:
    """Return what must be the same for two configurations to share a transport."""
    upstream = snapshot.upstream
    trusted = {
        target.provider.tls
        for group in snapshot.groups.values()
        for target in group.targets
    }
    return (
        upstream.transport,
        upstream.proxied,
        upstream.max_connections,
        upstream.idle_connection_s,
        upstream.dns_ttl_s,
        upstream.connect_timeout_s,
        upstream.max_response_bytes,
        frozenset(stamp for tls in trusted for stamp in _stamps(tls)),
    )


def _stamps(tls: Tls) -> list[Hashable]:
    """Return what tells whether the certificates have been changed."""
    files = (tls.ca_file, tls.client_cert_file, tls.client_key_file)
    return [(file, _stamp(file)) for file in files if file is not None]


def _stamp(file: str) -> Hashable:
    try:
        found = os.stat(file)  # noqa: PTH116 - a path of the configuration's own
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@asynccontextmanager
async def open_transport(upstream: Upstream) -> AsyncIterator[Transport]:
    """Open the transport that the configuration names."""
    if upstream.transport == "aiohttp":
        async with _aiohttp_transport(upstream) as transport:
            yield transport
    else:
        async with open_lean_transport(upstream) as transport:
            if not upstream.proxied:
                yield transport
            else:
                async with _aiohttp_transport(upstream) as through_proxies:
                    yield ProxiesApart(transport, through_proxies=through_proxies)


def _aiohttp_transport(upstream: Upstream) -> AbstractAsyncContextManager[Transport]:
    # It takes as long to load as all else together, and most routers never use it.
    from smart_llmrouter.upstream.aiohttp_transport import (  # noqa: PLC0415
        open_aiohttp_transport,
    )

    return open_aiohttp_transport(upstream)


def image_fetcher(upstream: Upstream, *, now: Monotonic) -> ImageFetcher | None:
    """Return what fetches images, if that is configured."""
    bounds = upstream.fetch_images
    if bounds is None:
        return None
    fetcher = Fetcher(
        resolve_by_system,
        max_bytes=bounds.max_bytes,
        types=bounds.types,
        allow_private=upstream.allow_private_image_urls,
        now=now,
    )
    return ImageFetcher(fetcher, timeout_s=bounds.timeout_s)
