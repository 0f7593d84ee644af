"""The page of metrics: its tables are derived from what `/metrics` shows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import Metric
from prometheus_client.process_collector import ProcessCollector

from smart_llmrouter.core.build_info import UNKNOWN, BuildInfo
from smart_llmrouter.edge.families import FAMILIES, PREFIX, WORKER
from smart_llmrouter.edge.metrics import CountsCollector
from smart_llmrouter.engine.tally import NO_GROUP

HEAD: Final = """\
# Metrics

`GET /metrics` shows what the router has counted since it started, in the text format
of Prometheus. It is for callers with `metrics_admin: true`; others get
`403 metrics-forbidden`.

```yaml
scrape_configs:
  - job_name: smart-llmrouter
    authorization: {credentials_file: /run/secrets/metrics-token}
    static_configs: [{targets: ["127.0.0.1:8080"]}]
```

Counters begin at zero with each start; what must last is in the
[usage records](usage-records.md). With [several workers](workers.md) they are sums over
all of them, whichever answers. A series appears when there is something to count.
Every label takes its values from the configuration or from a closed list, never from a
request, so that the number of series is bounded.

*Generated from `edge/metrics.py`.*
"""

LABELS: Final[Mapping[str, str]] = {
    "version": "the version of the package",
    "commit": "the commit that it was built from",
    "group": f"the group that the call resolved to; `{NO_GROUP}` where there was none",
    "status": (
        "the status of the answer, or of the error inside a stream that had begun with"
        " 200; 499 where the caller left before the end"
    ),
    "stream": "`true` or `false`: whether a stream was asked for",
    "code": "the code of the error, as on the page [Errors](errors.md)",
    "kind": (
        "of `tokens`: `input` (cached tokens included) or `output` (reasoning"
        " included); of reservations: `reserved` or `used`"
    ),
    "target": "`provider/model`, by their keys in the configuration",
    "state": "`closed`, `half-open` or `open`: [Health](health-and-capacity.md)",
    "full": "what there was no more room in: `router`, or the part of one `address`",
    "cache": "`hit`, `miss` or `bypass`: [The cache](cache.md)",
    "why": "`room`: others needed it; or `age`",
    "reason": (
        "of an authentication: `missing` (no token), `unknown`, or `inactive`:"
        " disabled, suspended, expired, rotated or removed; of the cache: as on the"
        " page [The cache](cache.md#what-you-see), and empty for none"
    ),
    "outcome": (
        "of an attempt: `answered`, or the `error_class` of the usage record; of a"
        " [reload](reload.md): `taken`, `refused` (mistakes in the file) or `failed`"
        " (what it says could not be put to use)"
    ),
    "fingerprint": "the `config_fingerprint` of usage records",
    "ending": (
        "`passed`: it waited for its turn; `refused`: it waited, and another limit"
        " refused it then; `late`: it waited for as long as it may; `left`: its caller"
        " stopped waiting. At once: `full` (as many of its caller waited as may),"
        " `too-long` (it would have), `not-queued` (there nobody waits)"
    ),
    "scope": (
        "whose limit it is, or whose pace held the call up last: of a `caller`,"
        " `owner`, `project`, `environment`, `group` or `group-caller`"
    ),
    "limit": "as the configuration spells it, such as `rpm` or `day.usd`",
    WORKER: "the number of the worker, from 1 to `server.workers`",
    "le": "the upper bound of the bucket in seconds",
}
SAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "info": ("_info",),
    "histogram": ("_bucket", "_sum", "_count"),
}
_BUILD: Final = BuildInfo(
    version=UNKNOWN, commit=UNKNOWN, built_at=None, python="", platform=""
)


def metrics_page() -> str:
    """Return the page of all metrics and their labels."""
    process = ProcessCollector(namespace=PREFIX.rstrip("_"), registry=None)
    return "\n".join(
        [
            HEAD,
            "## What is counted",
            "",
            *_table(_collector().collect()),
            "",
            "## The process",
            "",
            "About the process of each worker; the ingester is not in these numbers.",
            "",
            *_table(process.collect(), WORKER),
            "",
            "## Labels",
            "",
            "| label | what it holds |",
            "| --- | --- |",
            *(f"| `{label}` | {held} |" for label, held in LABELS.items()),
            "",
        ]
    )


def documented_samples() -> set[str]:
    """Return the names of all samples on the page."""
    process = ProcessCollector(namespace=PREFIX.rstrip("_"), registry=None)
    tally = _collector()
    return {
        name
        for metric in (*tally.collect(), *process.collect())
        for name in _samples(metric)
    }


def _collector() -> CountsCollector:
    return CountsCollector(_BUILD)


def _table(metrics: Iterable[Metric], *more: str) -> Iterator[str]:
    yield "| name | type | labels | what it counts |"
    yield "| --- | --- | --- | --- |"
    labels = {family.full_name: family.labels for family in FAMILIES}
    for metric in metrics:
        names = "<br>".join(f"`{name}`" for name in _samples(metric))
        held = [*labels.get(metric.name, ()), *_own_labels(metric), *more]
        shown = ", ".join(f"`{label}`" for label in held)
        yield f"| {names} | {metric.type} | {shown} | {metric.documentation} |"


def _samples(metric: Metric) -> list[str]:
    return [metric.name + ending for ending in SAMPLES[metric.type]]


def _own_labels(metric: Metric) -> tuple[str, ...]:
    return ("le",) if metric.type == "histogram" else ()
