"""The ingester process: started by the router, and of no use to a person.

It reads its settings from the first line of its standard input, so that no secret
stands on a command line, and works until that input ends or SIGTERM comes; both mean
"ingest what is left and exit". SIGINT and SIGHUP are ignored: the router decides what
they mean.
"""

import gc
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from smart_llmrouter.ledger.courtesy import Courtesy
from smart_llmrouter.ledger.ingester import Ingester
from smart_llmrouter.ledger.ingester_loop import (
    LEFT_TO_THE_ROUTER,
    IngesterSettings,
    PatientIngester,
    ingester_lock,
    keep_ingesting,
)
from smart_llmrouter.ledger.upkeep import Upkeep
from smart_llmrouter.stores.usage_store import open_store

_STDIN: Final = 0
_LOCK_POLL_S: Final = 0.1
_MAX_SETTINGS_BYTES: Final = 65536
_NICENESS: Final = 7
_COLLECT_EVERY: Final = 50_000


class StopSignal:
    """Know when to stop: SIGTERM came, or the standard input ended."""

    def __init__(self) -> None:
        """Watch from now on."""
        self._stopping = False
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in LEFT_TO_THE_ROUTER:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_THE_ROUTER)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.set_wakeup_fd(self._wake)

    def _on_sigterm(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def wait(self, timeout_s: float) -> bool:
        """Wait for so many seconds; `True` at once when it is time to stop."""
        if self._stopping:
            return True
        ready, _, _ = select.select([_STDIN, self._woken], [], [], timeout_s)
        if _STDIN in ready and not os.read(_STDIN, 4096):
            self._stopping = True
        return self._stopping


def log(event: str, /, **fields: str | int) -> None:
    """Write one JSON line to the standard error."""
    # Only faults are logged, and most processes see none: none of them pays for it.
    import structlog

    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
    structlog.get_logger().warning(event, component="ingester", **fields)


def _read_settings() -> IngesterSettings | None:
    line = b""
    while not line.endswith(b"\n") and len(line) < _MAX_SETTINGS_BYTES:
        byte = os.read(_STDIN, 1)
        if not byte:
            return None
        line += byte
    try:
        return msgspec.json.decode(line, type=IngesterSettings)
    except msgspec.DecodeError:
        return None


def _take_its_place(settings: IngesterSettings) -> None:
    """Let calls go first, and stay where the operator wants this process.

    On a saturated core that leaves a sixth of it, which is enough for more records
    than calls are served in the rest.
    """
    os.nice(_NICENESS)
    if settings.cpus:
        try:
            os.sched_setaffinity(0, settings.cpus)
        except OSError as error:
            log("not_pinned", reason=os.strerror(error.errno or 0))
    # A batch is thousands of tuples that are freed without any collector's help.
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)


def ingest() -> None:
    """Move the journal into the database; started by `serve`, not by hand."""
    stop = StopSignal()
    settings = _read_settings()
    if settings is None:
        sys.stderr.write(
            "smart-llmrouter ingest is started by `smart-llmrouter serve`, "
            "with its settings on the standard input\n"
        )
        sys.exit(2)
    _take_its_place(settings)
    state = Path(settings.state_directory)
    with ingester_lock(state) as acquired:
        while not acquired():
            if stop.wait(_LOCK_POLL_S):
                return
        courtesy = Courtesy(os.sched_yield, monotonic=time.monotonic)
        journal = state / "journal"
        store = open_store(
            settings.database_url, journal=journal, between=courtesy.show
        )
        ingester = Ingester(journal, store, courtesy=courtesy)
        patient = PatientIngester(ingester, state_directory=state, log=log)
        upkeep = Upkeep(
            settings.database_url,
            retention=settings.retention,
            router_version=settings.router_version,
            now_ms=lambda: int(time.time() * 1000),
            monotonic=time.monotonic,
            log=log,
        )
        keep_ingesting(
            patient,
            wait=stop.wait,
            sleep=time.sleep,
            monotonic=time.monotonic,
            idle=upkeep.step,
        )
        store.close()


if __name__ == "__main__":
    ingest()
