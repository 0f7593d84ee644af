"""Keeping the ingester going: one at a time, patient with the database, until told.

The process runs `keep_ingesting`. Its parent gives it the settings as the first line
of its standard input and holds that open; the end of the input means "finish and go",
also when it comes because the parent was killed.
"""

import fcntl
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.core.build_info import UNKNOWN
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.ledger.ingester import NOTHING, Ingester, Progress
from smart_llmrouter.stores.segments import segment_sizes
from smart_llmrouter.stores.usage_store import DatabaseAway

POLL_S: Final = 0.25
"""How long records gather between two batches: the fewer, the less each one costs."""

_FIRST_RETRY_S: Final = 0.2
_LAST_RETRY_S: Final = 5.0
_DRAIN_S: Final = 10.0
_AWAY_S: Final = 2.0
_FOR_EVER: Final = Retention()
LOCK_NAME: Final = "ingester.lock"
STATUS_NAME: Final = "ingester.json"

INGESTER_ARGUMENTS: Final = ("-P", "-m", "smart_llmrouter.cli.ingest_command")
"""What follows the Python interpreter on the command line of the ingester process.

Not the `smart-llmrouter` script: that would load the whole command tree.
"""


LEFT_TO_THE_ROUTER: Final = (signal.SIGHUP, signal.SIGINT)
"""The signals that the ingester ignores.

Whoever starts it holds them back, and it lets them come when it has come to that.
"""


class IngesterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent tells the process. The URL may hold a password."""

    state_directory: str
    database_url: str
    cpus: tuple[int, ...] = ()
    retention: Retention = _FOR_EVER
    router_version: str = UNKNOWN


def settings_line(
    state_directory: Path,
    database_url: str,
    *,
    cpus: Iterable[int] = (),
    retention: Retention = _FOR_EVER,
    router_version: str = UNKNOWN,
) -> bytes:
    """Return the first line for the standard input of the ingester process.

    `cpus` are the processors that it shall run on; none means any. `retention` says how
    long what is on record is kept.
    """
    settings = IngesterSettings(
        state_directory=str(state_directory),
        database_url=database_url,
        cpus=tuple(sorted(cpus)),
        retention=retention,
        router_version=router_version,
    )
    return msgspec.json.encode(settings) + b"\n"


class IngesterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the ingester last said of the database; `reason` where it is away.

    `positions` says up to which byte each segment is in the database.
    """

    pid: int
    database: str
    reason: str | None = None
    positions: dict[str, int] = {}


def read_status(state_directory: Path) -> IngesterStatus | None:
    """Return the ingester's last word, or `None` where there is none."""
    try:
        line = (state_directory / STATUS_NAME).read_bytes()
        return msgspec.json.decode(line, type=IngesterStatus)
    except (OSError, msgspec.DecodeError):
        return None


def unread_bytes(state_directory: Path) -> int | None:
    """Return how many bytes of the journal the ingester has not yet told of.

    `None` where the journal itself cannot be looked at.
    """
    status = read_status(state_directory)
    positions = {} if status is None else status.positions
    try:
        sizes = segment_sizes(state_directory / "journal")
    except OSError:
        return None
    return sum(max(0, size - positions.get(name, 0)) for name, size in sizes.items())


class Log(Protocol):
    """Where the few things worth telling go, one line each."""

    def __call__(self, event: str, /, **fields: str | int) -> None:
        """Write one line."""
        ...


WaitOrStop = Callable[[float], bool]
"""Wait for so many seconds; `True` at once when it is time to stop."""


@contextmanager
def ingester_lock(state_directory: Path) -> Iterator[Callable[[], bool]]:
    """Open the lock that only one ingester holds; yield a function that tries it."""
    state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    fd = os.open(state_directory / LOCK_NAME, flags, 0o600)

    def acquired() -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        yield acquired
    finally:
        os.close(fd)


class PatientIngester:
    """Advance, and take a database that is away as something that passes.

    Writes one log line when the database goes away and one when it is back, and
    keeps the status file in step.
    """

    def __init__(self, ingester: Ingester, *, state_directory: Path, log: Log) -> None:
        """Begin as if all were well."""
        self._ingester = ingester
        self._status_path = state_directory / STATUS_NAME
        self._log = log
        self._away: str | None = None
        self._retry_s = _FIRST_RETRY_S

    @property
    def pause_s(self) -> float:
        """Return how long to wait before the next call of `advance`."""
        return POLL_S if self._away is None else self._retry_s

    def advance(self) -> Progress | None:
        """Do what can be done now; `None` where the database or disk is away."""
        try:
            done = self._ingester.advance()
        except DatabaseAway as away:
            self._note_away(away.reason)
            return None
        except OSError as error:
            self._note_away(f"journal: {os.strerror(error.errno or 0)}")
            return None
        if self._away is not None:
            self._away = None
            self._log("database_back")
            self.publish()
        elif done != NOTHING:
            self.publish()
        self._retry_s = _FIRST_RETRY_S
        if done.rejected:
            self._log("journal_lines_rejected", lines=done.rejected)
        return done

    def _note_away(self, reason: str) -> None:
        if self._away is None:
            self._log("database_away", reason=reason)
        else:
            self._retry_s = min(self._retry_s * 2, _LAST_RETRY_S)
        if self._away != reason:
            self._away = reason
            self.publish()

    def publish(self) -> None:
        """Write the status file, whole or not at all."""
        status = IngesterStatus(
            pid=os.getpid(),
            database="ok" if self._away is None else "away",
            reason=self._away,
            positions=self._ingester.positions,
        )
        unfinished = self._status_path.with_name(STATUS_NAME + ".new")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as file:
                file.write(msgspec.json.encode(status))
            unfinished.replace(self._status_path)
        except OSError as error:
            self._log("status_unwritable", reason=os.strerror(error.errno or 0))


def keep_ingesting(
    patient: PatientIngester,
    *,
    wait: WaitOrStop,
    sleep: Callable[[float], None],
    monotonic: Monotonic,
    idle: Callable[[], bool] = lambda: False,
) -> None:
    """Ingest until `wait` says stop, then what is left, and return.

    When no records wait, `idle` may do something else that takes little time; it says
    whether to call it again as soon as records that came meanwhile are ingested.

    What cannot be ingested within ten seconds of the end, two where the database is
    away, stays in the journal until the next start.
    """
    patient.publish()
    stopping = False
    while not stopping:
        done = patient.advance()
        busy = done is not None and (done.more or idle())
        stopping = wait(0.0 if busy else patient.pause_s)
    began_s = monotonic()
    while monotonic() < began_s + _DRAIN_S:
        done = patient.advance()
        if done is not None and not done.more:
            return
        if done is None:
            if monotonic() > began_s + _AWAY_S:
                return
            sleep(patient.pause_s)
