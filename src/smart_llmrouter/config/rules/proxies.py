"""Trusting proxies must not be trusting everybody."""

import ipaddress
from collections.abc import Iterator

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.schema import Settings


def proxies_are_not_everybody(
    document: Document, settings: Settings
) -> Iterator[Finding]:
    """Yield a warning for each network to which every address belongs."""
    for index, network in enumerate(settings.server.trusted_proxies):
        if ipaddress.ip_network(network).prefixlen == 0:
            yield document.warning(
                ("server", "trusted_proxies", index),
                "every address belongs to this network, so that anybody may say whose"
                " request it is",
                "write the addresses of the proxies only",
            )
