"""TLS towards providers: whom to trust, who we are, and sessions that are resumed.

Reading certificates takes tens of milliseconds, so it happens in a thread, once for
each combination of settings, when a connection first needs it.
"""

import asyncio
import ssl
from typing import Final

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.upstream.transport import TlsFailed
from smart_llmrouter.wire.tls_records import RecordReader

_WITHOUT_TICKETS: Final = frozenset({"TLSv1", "TLSv1.1", "TLSv1.2"})


class ResumingContext(ssl.SSLContext):
    """A client's context that offers each server a session that it should know.

    Sessions are kept by the name that the server proved to have: within one context,
    what a session stands for is exactly that proof.
    """

    sslobject_class = RecordReader

    def __init__(self, protocol: int) -> None:  # noqa: ARG002 - for `__new__`
        """Begin without a session."""
        super().__init__()
        self._sessions: dict[str, ssl.SSLSession] = {}

    def remember(self, spoken: ssl.SSLObject) -> None:
        """Keep the session of a connection of this context, for the next one.

        In TLS 1.3 the server sends what is needed for that after the handshake: the
        right time is when its first answer has arrived. One that was just resumed is
        good enough: to copy a session takes longer than resuming it saves.
        """
        if spoken.session_reused:
            return
        name, session = spoken.server_hostname, spoken.session
        if name is None or session is None:
            return
        if session.has_ticket or spoken.version() in _WITHOUT_TICKETS:
            self._sessions[name] = session

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as the standard library has it
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection; event loops call this, and know nothing of sessions."""
        if session is None and isinstance(server_hostname, str):
            session = self._sessions.get(server_hostname)
        return super().wrap_bio(
            incoming, outgoing, server_side, server_hostname, session
        )


def make_context(tls: Tls) -> ResumingContext:
    """Read the certificates that `tls` names. Raises `OSError` where that fails.

    `ssl.SSLError`, for what is no certificate or no key, is one, too.
    """
    # A client's protocol: certificates and names are checked.
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if tls.ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=tls.ca_file)
        # A file may name the very certificate of a server, and not its authority.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if tls.client_cert_file is not None:
        context.load_cert_chain(
            tls.client_cert_file, tls.client_key_file, password=_no_password
        )
    return context


async def _made(tls: Tls) -> ResumingContext:
    try:
        return await asyncio.to_thread(make_context, tls)
    except OSError:
        # It was in order when the configuration was checked.
        raise TlsFailed("a certificate or key of the router is unusable") from None


def _no_password() -> str:
    """Give an encrypted key no password, so that nobody is asked on a terminal."""
    return ""


class Contexts:
    """The contexts that are in use, one for each combination of settings."""

    def __init__(self) -> None:
        """Begin with none."""
        self._contexts: dict[Tls, ResumingContext] = {}
        self._reading: dict[Tls, asyncio.Lock] = {}

    async def of(self, tls: Tls) -> ResumingContext:
        """Return the context of some settings. Raises `TlsFailed`."""
        context = self._contexts.get(tls)
        if context is None:
            async with self._reading.setdefault(tls, asyncio.Lock()):
                context = self._contexts.get(tls)
                if context is None:
                    context = await _made(tls)
                    self._contexts[tls] = context
        return context
