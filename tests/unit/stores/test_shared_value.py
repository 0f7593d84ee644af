"""A value that one process writes and others read, whatever happens to the writer."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.stores.shared_value import SharedValue


@pytest.fixture
def shared() -> Iterator[SharedValue]:
    """Return a value that nobody has written yet."""
    with closing(SharedValue("test")) as opened:
        yield opened


def test_nothing_was_written_yet(shared: SharedValue) -> None:
    """Before the first value there is number 0, which is empty."""
    assert shared.read() == (0, b"")


@given(values=st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_the_last_one_counts(values: list[bytes]) -> None:
    """Longer or shorter than the one before, the latest value is read as it is."""
    with closing(SharedValue("test")) as shared:
        seen = []
        for value in values:
            shared.write(value)
            seen.append(shared.read())

    assert seen == list(enumerate(values, 1))


@pytest.mark.parametrize("kept_bytes", [0, 1, 15, 16, 20, 40])
def test_a_torn_value_does_not_count(shared: SharedValue, kept_bytes: int) -> None:
    """Of a write that was cut anywhere, the value before is left."""
    shared.write(b"before")
    shared.write(b"x" * 40)
    torn = shared._copies[0]
    whole = os.pread(torn, 1000, 0)
    os.ftruncate(torn, 0)
    os.pwrite(torn, whole[:kept_bytes].ljust(len(whole), b"?"), 0)

    assert shared.read() == (1, b"before")


def test_who_takes_over_goes_on(shared: SharedValue) -> None:
    """A forked process's value is there after it, and the next one continues."""
    shared.write(b"one")
    pid = os.fork()
    if pid == 0:
        shared.write(b"two")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    before = shared.read()
    shared.write(b"three")

    assert before == (2, b"two")
    assert shared.read() == (3, b"three")
