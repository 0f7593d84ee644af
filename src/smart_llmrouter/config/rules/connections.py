"""Certificates, sockets and proxies can be used; what has no effect is told."""

import ssl
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.files import open_file
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.proxies import UnusableProxy, proxy_for
from smart_llmrouter.config.rules.secrecy import each_provider
from smart_llmrouter.config.schema import Settings

# What fits into `sun_path` on Linux, with the zero at its end.
_UNIX_PATH_MAX_BYTES: Final = 107
_TRUST: Final = "ca_file"
_CERTIFICATE: Final = "client_cert_file"
_KEY: Final = "client_key_file"
_CLIENT_FILES: Final = (_CERTIFICATE, _KEY)
_SERVER_FILES: Final = ("cert_file", "key_file")
_NOT_A_KEY: Final = (
    "the file holds no key that fits the certificate",
    "name the certificate's own key, in PEM, without a passphrase",
)


def tls_files_are_usable(document: Document, beside: Path) -> Iterator[Finding]:
    """Yield a finding for each certificate or key that is missing or is none."""
    for provider, fields in each_provider(document):
        tls = fields.get("tls")
        if not isinstance(tls, dict):
            continue
        path = ("providers", provider, "tls")
        files = {name: _file(tls.get(name), beside) for name in (_TRUST, _CERTIFICATE)}
        unreadable = [
            finding
            for name in (_TRUST, _CERTIFICATE, _KEY)
            for finding in _unreadable(document, (*path, name), tls.get(name), beside)
        ]
        yield from unreadable
        missing = {finding.key_path.rpartition(".")[2] for finding in unreadable}
        trusted, shown = files[_TRUST], files[_CERTIFICATE]
        if trusted is not None and _TRUST not in missing:
            yield from _untrustworthy(document, (*path, _TRUST), trusted)
        if shown is not None and not missing & {_CERTIFICATE, _KEY}:
            key = _file(tls.get(_KEY), beside)
            yield from _unpresentable(document, path, (shown, key), names=_CLIENT_FILES)


def server_tls_is_usable(document: Document, beside: Path) -> Iterator[Finding]:
    """Yield a finding where the router's own certificate or key cannot be used."""
    server = document.root.get("server")
    tls = server.get("tls") if isinstance(server, dict) else None
    if not isinstance(tls, dict):
        return
    path = ("server", "tls")
    unreadable = [
        finding
        for name in _SERVER_FILES
        for finding in _unreadable(document, (*path, name), tls.get(name), beside)
    ]
    yield from unreadable
    shown, key = (_file(tls.get(name), beside) for name in _SERVER_FILES)
    if shown is not None and not unreadable:
        yield from _unpresentable(document, path, (shown, key), names=_SERVER_FILES)


def sockets_are_sockets(document: Document, beside: Path) -> Iterator[Finding]:
    """Yield a finding for each Unix socket that is something else.

    One that is not there yet may come with the provider.
    """
    for provider, fields in each_provider(document):
        path = ("providers", provider, "unix_socket")
        name = fields.get("unix_socket")
        file = _file(name, beside)
        if file is None:
            continue
        if len(str(file).encode()) > _UNIX_PATH_MAX_BYTES:
            yield document.error(
                path,
                f"the path is longer than {_UNIX_PATH_MAX_BYTES} bytes",
                "put the socket where its whole path is shorter",
            )
        elif _is_no_socket(file):
            yield document.error(
                path, "there is a file at this path, but no socket", "name the socket"
            )


def proxies_are_usable(
    document: Document, settings: Settings, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield a finding for each provider that no proxy of the environment leads to."""
    for name, provider in settings.providers.items():
        if provider.unix_socket is not None:
            continue
        try:
            proxy_for(provider.base_url, environment)
        except UnusableProxy as unusable:
            yield document.error(
                ("providers", name, "base_url"),
                f"{unusable}, but the way to this provider goes through it",
                f"set {unusable.variable} to a URL such as http://proxy.example:3128,"
                " or list the host in NO_PROXY",
                awaits=unusable.variable,
            )


def tls_is_spoken(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each provider to which TLS is meant, and not spoken."""
    lean = settings.upstream.transport == "lean"
    for name, provider in settings.providers.items():
        secure = provider.base_url.startswith("https:")
        if secure and provider.unix_socket is not None and not lean:
            yield document.error(
                ("providers", name, "unix_socket"),
                "the aiohttp transport speaks no TLS over a Unix socket",
                "write http in base_url, or upstream.transport: lean",
            )
        if provider.tls is not None and not secure:
            yield document.warning(
                ("providers", name, "tls"),
                "the setting has no effect: base_url is not https",
                "write https in base_url, or remove tls",
            )


def _file(name: Plain, beside: Path) -> Path | None:
    return beside / name if isinstance(name, str) and name else None


def _unreadable(
    document: Document, path: KeyPath, name: Plain, beside: Path
) -> Iterator[Finding]:
    file = _file(name, beside)
    if file is None:
        return
    try:
        with open_file(file) as opened:
            opened.read(1)
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "it cannot be opened"
        yield document.error(
            path,
            f"the file cannot be read: {reason.lower()}",
            "name an existing file that the router may read",
            awaits=str(name),
        )


def _untrustworthy(document: Document, path: KeyPath, file: Path) -> Iterator[Finding]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except ssl.SSLError:
        yield document.error(
            path,
            "the file holds no certificate",
            "name a PEM file with BEGIN CERTIFICATE in it",
        )


def _unpresentable(
    document: Document,
    path: KeyPath,
    files: tuple[Path, Path | None],
    *,
    names: tuple[str, str],
) -> Iterator[Finding]:
    certificate, key = files
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # Loading it as trusted tells whether it is a certificate at all.
        trial.load_verify_locations(cafile=certificate)
    except ssl.SSLError:
        yield document.error(
            (*path, names[0]),
            "the file holds no certificate",
            "name a PEM file with BEGIN CERTIFICATE in it",
        )
        return
    try:
        trial.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError:
        blamed = names[0] if key is None else names[1]
        yield document.error((*path, blamed), *_NOT_A_KEY)


def _is_no_socket(file: Path) -> bool:
    try:
        return not stat.S_ISSOCK(file.stat().st_mode)
    except (OSError, ValueError):
        return False
