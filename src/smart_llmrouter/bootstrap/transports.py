"""Opens the transport to providers, and to images that callers name."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from smart_llmrouter.config.snapshot import Upstream
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.engine.images import ImageFetcher
from smart_llmrouter.upstream.addresses import resolve_by_system
from smart_llmrouter.upstream.fetching import Fetcher
from smart_llmrouter.upstream.lean_transport import open_lean_transport
from smart_llmrouter.upstream.proxied_transport import ProxiesApart
from smart_llmrouter.upstream.transport import Transport


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
