"""Several workers must count together what is limited."""

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
