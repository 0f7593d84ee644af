"""What several workers do not share is worth a warning."""

from collections.abc import Iterator

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding
from smart_llmrouter.config.schema import Settings


def counters_are_shared(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield a warning where several workers count each by itself."""
    workers = settings.server.workers
    if workers > 1 and settings.state.counters == "memory":
        yield document.warning(
            ("server", "workers"),
            "limits and budgets count in each worker by itself: all together let up to"
            f" {workers} times as much pass",
            "divide them by the number of workers, or keep one worker",
        )
