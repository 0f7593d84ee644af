"""TLS towards callers: the certificate that is shown, and what is spoken."""

import ssl

from smart_llmrouter.config.snapshot import ServerTls
from smart_llmrouter.wire.tls_records import RecordReader


class CertificateUnusable(Exception):
    """The certificate or its key cannot be read, or they do not fit each other."""


class _ServingContext(ssl.SSLContext):
    sslobject_class = RecordReader


def serving_context(tls: ServerTls) -> ssl.SSLContext:
    """Read the certificate and its key. Raises `CertificateUnusable`.

    TLS 1.2 and 1.3 are spoken, and in them HTTP/1.1.
    """
    context = _ServingContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A caller could make the router work for each renegotiation, and again.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load(context, tls)
    return context


def renew(context: ssl.SSLContext, tls: ServerTls) -> None:
    """Let a context show what the files hold now. Raises `CertificateUnusable`.

    What cannot be used leaves the context as it is. Sessions can be resumed as before.
    """
    serving_context(tls)
    _load(context, tls)


def _load(context: ssl.SSLContext, tls: ServerTls) -> None:
    try:
        # An encrypted key gets no password, so that nobody is asked on a terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: "")
    except OSError:
        # It was in order when the configuration was checked.
        raise CertificateUnusable(
            "the certificate or the key of `server.tls` cannot be used; "
            "`config check` says why"
        ) from None
