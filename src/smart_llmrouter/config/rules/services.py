"""The policy services of groups may be asked: which hosts, and how."""

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.findings import Finding, quoted
from smart_llmrouter.config.rules.policies import groups_of, listed, section_of
from smart_llmrouter.config.rules.secrecy import is_loopback

_SCHEMES: Final = ("http", "https")


def services_may_be_asked(document: Document) -> Iterator[Finding]:
    """Yield a finding for each policy service that must not be asked, or not so."""
    for group in groups_of(document):
        external = section_of(document, group, "external")
        path = ("groups", group, "external")
        hosts = listed(external.get("allow_hosts"))
        for index, host in enumerate(hosts):
            if isinstance(host, str) and not _is_host(host):
                yield document.error(
                    (*path, "allow_hosts", index),
                    f"{quoted(host)} is no host",
                    "write one host as it stands in the URL, without scheme, port or"
                    " wildcards",
                )
        url = external.get("url")
        if isinstance(url, str):
            problem = _url_problem(
                url, hosts, allows_http=external.get("allow_http") is True
            )
            if problem is not None:
                yield document.error((*path, "url"), *problem)


def _url_problem(
    url: str, hosts: list[Plain], *, allows_http: bool
) -> tuple[str, str] | None:
    parts = _parts(url)
    host = "" if parts is None else (parts.hostname or "")
    if parts is None or parts.scheme not in _SCHEMES or not host:
        return "this is no URL of a service", "write https://host/path"
    if parts.username is not None or parts.fragment:
        return (
            "the URL holds more than a host, a path and a query",
            "put credentials into `headers`, by reference",
        )
    allowed = [each.lower().strip("[]") for each in hosts if isinstance(each, str)]
    if host not in allowed:
        return (
            f"the host {quoted(host)} is not in `allow_hosts`",
            "list exactly this host, or correct the URL",
        )
    if parts.scheme == "http" and not (allows_http or is_loopback(host)):
        return (
            "the connection is not encrypted",
            "use https, or set `allow_http: true` on a network that nobody else reads",
        )
    return None


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL, or `None` where it is none."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_host(text: str) -> bool:
    """Say whether a text is a host alone, as it stands in a URL."""
    bare = text.strip("[]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return bool(bare) and bare == text and not set(text) & set(":/*?#@% ")
    return True
