"""What a provider speaks, and where, must fit together."""

from collections.abc import Iterator
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.rules.secrecy import each_provider

_PATHS: Final = ("/chat/completions", "/responses", "/messages")


def base_urls_end_before_the_path(document: Document) -> Iterator[Finding]:
    """Yield a finding for each `base_url` that already names what is appended to it."""
    for provider, fields in each_provider(document):
        url = fields.get("base_url")
        if not isinstance(url, str):
            continue
        bare = url.rstrip("/")
        for path in _PATHS:
            if bare.endswith(path):
                yield document.error(
                    ("providers", provider, "base_url"),
                    f"the URL ends with {path}, which the router appends by itself",
                    "end it before that, such as https://api.acme.example/v1",
                )
