"""Paces and queues without an effect are worth a warning."""

from collections.abc import Iterator
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.allowances import Allowances, Queue, Shaping

_MS_PER_S: Final = 1000


def queues_have_an_effect(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield a warning for each part of a pace or a queue that changes nothing."""
    for holder_path, holder in _holders(settings):
        shaping, path = holder.shaping, (*holder_path, "shaping")
        if shaping is None:
            continue
        if shaping.burst and not shaping.requests_per_second:
            yield document.warning(
                (*path, "burst"),
                "this burst is of no pace",
                "give requests_per_second, or leave it out",
            )
        if shaping.queue is not None:
            yield from _of_queue(document, path, shaping, shaping.queue)
            yield from _in_time(document, path, settings, shaping.queue)


def _of_queue(
    document: Document, shaping_path: KeyPath, shaping: Shaping, queue: Queue
) -> Iterator[Finding]:
    path = (*shaping_path, "queue")
    if bool(queue.max_wait_ms) != bool(queue.max_depth):
        missing = "max_depth" if queue.max_wait_ms else "max_wait_ms"
        yield document.warning(
            path,
            f"nobody waits: {missing} is 0",
            "give both max_wait_ms and max_depth, or none",
        )
    paced = shaping.requests_per_second or shaping.input_tokens_per_second
    if queue.max_wait_ms and queue.max_depth and not paced:
        yield document.warning(
            path,
            "nobody waits: there is no pace",
            "give requests_per_second or input_tokens_per_second",
        )
    if queue.weight != 1 and shaping_path[0] != "callers":
        yield document.warning(
            (*path, "weight"),
            "only callers take turns: this weight changes nothing",
            "give it to callers",
        )


def _in_time(
    document: Document, shaping_path: KeyPath, settings: Settings, queue: Queue
) -> Iterator[Finding]:
    total_s = settings.upstream.total_timeout_s
    if total_s and queue.max_wait_ms >= total_s * _MS_PER_S:
        yield document.warning(
            (*shaping_path, "queue", "max_wait_ms"),
            "a call that waits so long has no time left: it takes"
            " upstream.total_timeout_s in all",
            "lower it, or raise upstream.total_timeout_s",
        )


def _holders(settings: Settings) -> Iterator[tuple[KeyPath, Allowances]]:
    """Yield all who may have a pace, with where they stand."""
    for index, caller in enumerate(settings.callers):
        yield ("callers", index), caller
    for index, user in enumerate(settings.users):
        yield ("users", index), user
    for index, project in enumerate(settings.projects):
        yield ("projects", index), project
        for name, environment in project.environments.items():
            yield ("projects", index, "environments", name), environment
    for name, group in settings.groups.items():
        yield ("groups", name), group
        if group.per_caller is not None:
            yield ("groups", name, "per_caller"), group.per_caller
