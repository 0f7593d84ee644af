"""Starting a worker: what is left behind where the system refuses."""

import errno
import os
import signal
from typing import NoReturn

import pytest

from smart_llmrouter.workers.starting import fork_worker
from tests.support.process import open_files


def test_a_worker_that_cannot_be_forked_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Signals are heard as before, and no file stays open: it is tried again later."""

    def refuse() -> NoReturn:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    files = open_files(os.getpid())

    with pytest.raises(BlockingIOError):
        fork_worker(lambda _: None, parents_own=())

    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert open_files(os.getpid()) == files
