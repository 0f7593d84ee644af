"""Opens what a configuration needs beside a transport."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from smart_llmrouter.config.snapshot import ServerTls, Snapshot
from smart_llmrouter.core.build_info import read_build_info
from smart_llmrouter.edge.tls import CertificateUnusable, serving_context
from smart_llmrouter.engine.policies.opening import policies_of
from smart_llmrouter.engine.policies.unusable import PolicyUnusable
from smart_llmrouter.routing.policy import Policy
from smart_llmrouter.upstream.transport import Transport


class CannotStart(Exception):
    """The router cannot start, or not so; the message says why and what to do."""


@asynccontextmanager
async def open_policies(
    snapshot: Snapshot, transport: Transport
) -> AsyncIterator[Mapping[str, Policy]]:
    """Open the policies of groups. Raises `CannotStart` where one cannot be used."""
    async with AsyncExitStack() as opened:
        user_agent = read_build_info().user_agent
        try:
            policies = await opened.enter_async_context(
                policies_of(snapshot, transport, user_agent=user_agent)
            )
        except PolicyUnusable as unusable:
            raise CannotStart(str(unusable)) from None
        yield policies


async def check_certificate(certificate: ServerTls | None) -> None:
    """Raise `CannotStart` where a certificate cannot be shown to callers."""
    if certificate is None:
        return
    try:
        await asyncio.to_thread(serving_context, certificate)
    except CertificateUnusable as unusable:
        raise CannotStart(str(unusable)) from None
