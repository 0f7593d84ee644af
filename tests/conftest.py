"""What holds for every test: how long properties are searched, and no blocked loops."""

import os
import signal
from collections.abc import Iterator
from typing import Final

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

SOAK = os.environ.get("SMART_LLMROUTER_SOAK") == "1"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what is to run in the background; what tests start inherits it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A change is judged by the same examples of each property every time: what is found by
# chance says nothing of the change. `make soak` goes on searching.
settings.register_profile(
    "test",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "soak", settings.get_profile("test"), max_examples=20_000, derandomize=False
)
settings.load_profile("soak" if SOAK else "test")

# The packages that work while calls are under way.
ON_THE_PATH: Final = [
    f"smart_llmrouter.{layer}"
    for layer in (
        "admission",
        "cache",
        "dialects",
        "edge",
        "engine",
        "routing",
        "upstream",
        "wire",
    )
]

# Where a block is by design: a record is one `write` into the page cache, what is put
# together at the start may read files, and so may the traceback of a defect.
MAY_BLOCK: Final = [
    ("smart_llmrouter/stores/journal.py", {"append", "probe"}),
    ("linecache.py", {"checkcache", "updatecache"}),
    ("smart_llmrouter/edge/docs_site.py", {"docs_mount"}),
    # What it reads is in /proc, and so in memory.
    ("prometheus_client/process_collector.py", {"collect"}),
]


@pytest.fixture(autouse=True, scope="session")
def _no_blocked_loops() -> Iterator[None]:
    """Make it an error to block an event loop from the path of a call."""
    with blockbuster_ctx(ON_THE_PATH) as detector:
        for function in detector.functions.values():
            for filename, functions in MAY_BLOCK:
                function.can_block_in(filename, functions)
        yield
