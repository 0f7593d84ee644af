"""No credential stands in the file; each reference leads to one that exists."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from smart_llmrouter.config.credentials import (
    has_known_shape,
    is_credential_header,
    looks_like_a_credential,
)
from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.references import (
    Unresolved,
    holds_reference,
    literal_part,
    resolve,
)
from smart_llmrouter.config.rules.policies import groups_of, section_of
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.server import DATABASE_SCHEMES

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_OWN_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_PROXY_HEADER: Final = "proxy-"
_USE_VARIABLE: Final = (
    "put it into a variable and write ${ITS_NAME}, or file:/run/secrets/name;"
    " treat a key that was in a file as lost"
)
# These have their own rules in the schema, which say more than this one could.
_CHECKED_ELSEWHERE: Final = frozenset({"api_key", "token_sha256", "token_id"})


def no_literal_credentials(document: Document) -> Iterator[Finding]:
    """Yield a finding for each text that must not stand in the file."""
    for path, text in _texts(document.root, ()):
        step = path[-1]
        if path[0] not in Settings.model_fields or "headers" in path[-2:-1]:
            continue
        if step not in _CHECKED_ELSEWHERE and has_known_shape(text):
            yield document.error(
                path, "this looks like a credential, in clear text", _USE_VARIABLE
            )
        elif holds_reference(text) and not _may_refer(path):
            yield document.error(
                path,
                "a reference to a secret has no meaning here",
                "write the value itself; references are for api_key, headers,"
                " state.database and state.counters",
            )


def no_credentials_as_keys(document: Document) -> Iterator[Finding]:
    """Yield a finding for each key that is a credential."""
    for path in document.keys:
        if isinstance(path[-1], str) and has_known_shape(path[-1]):
            yield document.key_error(
                path, "this key looks like a credential, in clear text", _USE_VARIABLE
            )


def headers_are_sound(document: Document) -> Iterator[Finding]:
    """Yield a finding for each header that must not be sent, or not like that."""
    for where, fields in _each_sender(document):
        headers = fields.get("headers")
        if not isinstance(headers, dict):
            continue
        seen: set[str] = set()
        for name, value in headers.items():
            path = (*where, "headers", name)
            problem = _header_name_problem(name, seen, has_key="api_key" in fields)
            seen.add(name.lower())
            if problem is not None:
                yield document.key_error(path, *problem)
            elif isinstance(value, str):
                yield from _header_value(document, path, name, value)


def base_urls_are_private(document: Document) -> Iterator[Finding]:
    """Yield a warning for each plain http URL that leaves this machine."""
    for provider, fields in each_provider(document):
        url = fields.get("base_url")
        if isinstance(url, str) and _is_open_http(url):
            yield document.warning(
                ("providers", provider, "base_url"),
                "the connection is not encrypted: keys and prompts are readable on it",
                "use https, or keep this for a network that nobody else reads",
            )


def references_resolve(
    document: Document, *, environment: Mapping[str, str], beside: Path
) -> Iterator[Finding]:
    """Yield a finding for each reference to a secret that is not there."""
    for path, text in _texts(document.root, ()):
        if not (holds_reference(text) and _may_refer(path)):
            continue
        try:
            secret = resolve(text, environment=environment, beside=beside)
        except Unresolved as missing:
            yield document.error(
                path, missing.message, missing.remedy, awaits=missing.awaits
            )
            continue
        if path == ("state", "database"):
            scheme = secret.reveal().partition(":")[0].partition("+")[0]
            if scheme not in DATABASE_SCHEMES:
                yield document.error(
                    path,
                    "the reference leads to no URL of a database that can be used",
                    "set it to a URL such as postgresql://user:password@host/name",
                    awaits=text,
                )


def _header_name_problem(
    name: str, seen: set[str], *, has_key: bool
) -> tuple[str, str] | None:
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        return "this is not a valid header name", "use letters, digits and hyphens"
    if lower in seen:
        return "this header is listed twice", "header names ignore case; keep one"
    if lower in _OWN_HEADERS or lower.startswith(_PROXY_HEADER):
        return "the router sets this header itself", "remove it"
    if has_key and lower == "authorization":
        return (
            "both api_key and this header would authorise the call",
            "keep one of the two",
        )
    return None


def _header_value(
    document: Document, path: KeyPath, name: str, value: str
) -> Iterator[Finding]:
    literal = literal_part(value)
    if is_credential_header(name) and not holds_reference(value):
        yield document.error(
            path, "a literal credential must not stand in the file", _USE_VARIABLE
        )
    elif looks_like_a_credential(literal):
        yield document.error(
            path, "this looks like a credential, in clear text", _USE_VARIABLE
        )
    elif literal and not (literal.isascii() and literal.isprintable()):
        yield document.error(
            path,
            "the value holds characters that no header can carry",
            "use printable ASCII characters",
        )


def _may_refer(path: KeyPath) -> bool:
    match path:
        case ("providers", _, "api_key") | ("providers", _, "headers", _):
            return True
        case ("groups", _, "external", "headers", _):
            return True
        case ("state", "database" | "counters"):
            return True
        case _:
            return False


def _texts(value: Plain, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _texts(part, (*path, index))


def _each_sender(document: Document) -> Iterator[tuple[KeyPath, dict[str, Plain]]]:
    """Yield what has headers to send: providers, and policy services."""
    for name, fields in each_provider(document):
        yield ("providers", name), fields
    for name in groups_of(document):
        external = section_of(document, name, "external")
        if external:
            yield ("groups", name, "external"), external


def each_provider(document: Document) -> Iterator[tuple[str, dict[str, Plain]]]:
    """Yield the name and the keys of each provider that has any."""
    providers = document.root.get("providers")
    if isinstance(providers, dict):
        for name, fields in providers.items():
            if isinstance(fields, dict):
                yield name, fields


def _is_open_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Say whether a host, as it stands in a URL, is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
