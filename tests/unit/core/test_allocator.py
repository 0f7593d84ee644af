"""Large blocks are used again instead of being given back and asked for anew."""

import subprocess
import sys

import pytest

from tests.support.wait import PATIENCE_S

FAULTS_OF_A_LARGE_BLOCK = """
import resource, sys
from smart_llmrouter.core.allocator import keep_freed_blocks

if sys.argv[1] == "told" and not keep_freed_blocks():
    sys.exit("this C library cannot be told")
for turn in range(51):
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytes(1 << 20) for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    """Return how many faults two hundred blocks of 1 MiB cost a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS_OF_A_LARGE_BLOCK, how],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    if "cannot be told" in done.stderr:
        pytest.skip("this C library has no mallopt")
    return int(done.stdout)


def test_freed_blocks_are_used_again() -> None:
    """Blocks of the size of large bodies cost their page faults once."""
    assert page_faults("told") < 500
