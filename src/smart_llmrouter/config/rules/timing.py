"""Time-outs that can never be reached are worth a warning."""

from collections.abc import Iterator

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.schema import Settings


def timeouts_make_sense(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield a warning for each time-out that a shorter one always overtakes."""
    upstream = settings.upstream
    total_s = upstream.total_timeout_s
    if not total_s:
        return
    limits: list[tuple[KeyPath, float | None]] = [
        (("upstream", "connect_timeout_s"), upstream.connect_timeout_s),
        (("upstream", "first_event_timeout_s"), upstream.first_event_timeout_s),
        (("upstream", "idle_timeout_s"), upstream.idle_timeout_s),
        *(
            (("groups", name, "attempt_timeout_s"), group.attempt_timeout_s)
            for name, group in settings.groups.items()
        ),
    ]
    for path, limit_s in limits:
        if limit_s is not None and limit_s > total_s:
            yield document.warning(
                path,
                f"{limit_s:g} s is never reached: upstream.total_timeout_s is"
                f" {total_s:g} s",
                "shorten it, or lengthen upstream.total_timeout_s",
            )
