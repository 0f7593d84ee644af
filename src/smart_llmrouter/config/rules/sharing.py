"""What several processes share needs a store that they share."""

from collections.abc import Iterator

from smart_llmrouter.config.compile_allowances import allowances
from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.schema import Settings


def counters_are_shared(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield an error where several workers would count limits each by itself."""
    workers = settings.server.workers
    if workers == 1 or settings.state.counters != "memory":
        return
    if allowances(settings):
        yield document.error(
            ("server", "workers"),
            "limits and budgets would count in each worker by itself: all together"
            f" would let up to {workers} times as much pass",
            "write state.counters: embedded-valkey, or the URL of a Valkey or Redis;"
            " or keep one worker",
        )


def answers_can_be_kept(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield a finding where answers cannot be kept as the section `cache` wants it."""
    cache = settings.cache
    if not cache.enabled:
        return
    if cache.store == "shared" and settings.state.counters == "memory":
        yield document.error(
            ("cache", "store"),
            "there is no shared store: `state.counters` counts in memory",
            "write state.counters: embedded-valkey, or the URL of a Valkey or Redis;"
            " or store: memory",
        )
    if cache.max_entry_bytes > cache.max_bytes:
        yield document.warning(
            ("cache", "max_entry_bytes"),
            "no answer that large fits into `max_bytes`",
            "lower it, or raise max_bytes",
        )
