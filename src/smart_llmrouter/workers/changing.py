"""Taking all workers from one configuration to the next, or none of them.

The parent reads the file once and offers what it says; see `edge.offers`. It never
waits for a worker: it looks again and again, and takes back what is not answered.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from smart_llmrouter.bootstrap.rereading import Reread, reread_for
from smart_llmrouter.config.handover import packed
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.clock import Monotonic, WallClock
from smart_llmrouter.edge.crew import Board, WorkerReport
from smart_llmrouter.edge.offers import Offer, Order
from smart_llmrouter.edge.reloads import Reloads
from smart_llmrouter.edge.tls import CertificateUnusable, renew
from smart_llmrouter.workers.kept import Kept

LOOK_EVERY_S: Final = 0.02
"""How often workers are looked at while something is offered to them."""

_PREPARED_WITHIN_S: Final = 30.0
_TAKEN_WITHIN_S: Final = 5.0

log = structlog.get_logger()


@dataclass(slots=True)
class _Change:
    number: int
    snapshot: Snapshot
    awaiting: tuple[str, ...]
    content: bytes
    until_s: float
    accepted: bool = False


class Changing:
    """The configuration of all workers, and the one that is offered to them.

    `snapshot` and `edition` are what a worker begins with that is started now.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        board: Board,
        reread: Reread,
        *,
        tls: ssl.SSLContext | None,
        now: Monotonic,
        wall_clock: WallClock,
    ) -> None:
        """Begin with a configuration that all are started with."""
        self.snapshot = snapshot
        self.edition = 0
        self.reloads = Reloads(fingerprint=snapshot.fingerprint, loaded_s=wall_clock())
        self._board = board
        self._reread = reread
        self._tls = tls
        self._now = now
        self._wall_clock = wall_clock
        self._numbers = 0
        self._content: bytes | None = None
        self._change: _Change | None = None

    @property
    def pending(self) -> bool:
        """Whether something is offered that is not over yet."""
        return self._change is not None

    def begin(self) -> None:
        """Read the file again, and offer what it says."""
        found = reread_for(self.snapshot, self._reread)
        if found is None:
            self.reloads = self.reloads.not_taken("refused", self._wall_clock())
            return
        snapshot, awaiting = found
        try:
            content = packed(snapshot)
        except Exception:
            log.exception("configuration not taken")
            self.reloads = self.reloads.not_taken("failed", self._wall_clock())
            return
        self._numbers += 1
        self._change = change = _Change(
            number=self._numbers,
            snapshot=snapshot,
            awaiting=awaiting,
            content=content,
            until_s=self._now() + _PREPARED_WITHIN_S,
        )
        self._board.offers.show(Offer(change.number, change.content))
        self._order(Order(offered=change.number, accepted=self.edition))

    def look(self, workers: Sequence[Kept]) -> None:
        """See what the workers say to an offer, and go on with it."""
        change = self._change
        if change is None:
            return
        reports = [
            self._report(index, worker)
            for index, worker in enumerate(workers)
            if worker.up and not worker.silent
        ]
        late = self._now() >= change.until_s
        if change.accepted:
            if late or all(each and each.edition >= change.number for each in reports):
                self._finish(change)
            return
        answers = [each for each in reports if each and each.answered == change.number]
        unable = next((each.unable for each in answers if each.unable), None)
        if unable is not None or (late and len(answers) < len(reports)):
            self._take_back(unable or "a worker did not answer")
        elif len(answers) == len(reports):
            self._accept(change)

    def _report(self, index: int, worker: Kept) -> WorkerReport | None:
        """Return the last word of the worker that is there now."""
        report = self._board.report(index)
        return report if report is not None and report.pid == worker.pid else None

    def _accept(self, change: _Change) -> None:
        """Have all serve by what all have prepared, whoever begins now included."""
        change.accepted = True
        change.until_s = self._now() + _TAKEN_WITHIN_S
        self.snapshot, self.edition = change.snapshot, change.number
        self._content = change.content
        certificate = change.snapshot.server.tls
        if self._tls is not None and certificate is not None:
            try:
                renew(self._tls, certificate)
            except CertificateUnusable as unusable:
                log.warning("certificate not renewed", reason=str(unusable))
        self._order(Order(offered=change.number, accepted=change.number))

    def _finish(self, change: _Change) -> None:
        self._change = None
        before = self.reloads.fingerprint
        self.reloads = self.reloads.taken(
            change.snapshot.fingerprint,
            self._wall_clock(),
            edition=change.number,
            awaits_restart=change.awaiting,
        )
        log.info(
            "configuration reloaded",
            fingerprint=change.snapshot.fingerprint,
            before=before,
        )

    def _take_back(self, reason: str) -> None:
        """Leave everything as it was."""
        self._change = None
        self.reloads = self.reloads.not_taken("failed", self._wall_clock())
        log.error("configuration not taken", reason=reason)
        if self._content is not None:
            # For a worker that was started before it was accepted.
            self._board.offers.show(Offer(self.edition, self._content))
        self._order(Order(offered=self.edition, accepted=self.edition))

    def _order(self, order: Order) -> None:
        self._board.offers.give(order)
        self._board.ring()
