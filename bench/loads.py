"""One load for one subject, and what came of it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.machine import pinned
from bench.subjects import Subject
from bench.toolbox import Toolbox
from bench.workload import TOKEN, chat_body

_AUTHORIZATION: Final = f"Bearer {TOKEN}"
_NO_LIMIT_S: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many connections, each of which sends one request after the other.

    With `gap_ms` the provider waits so long between two events of a stream; without, it
    sends them back to back.
    """

    name: str
    connections: int
    stream: bool = False
    gap_ms: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a load client saw. Times are microseconds."""

    answered: int
    failed: int
    per_second: float
    p50_us: int
    p99_us: int
    first_p50_us: int | None = None
    first_p99_us: int | None = None


class LoadFailed(Exception):
    """A load client did not come to its end; its last words are in the message."""


class LoadClient:
    """Sends loads from one core."""

    def __init__(self, tools: Toolbox, directory: Path, *, core: int) -> None:
        """Keep the request bodies in `directory`."""
        self._tools = tools
        self._directory = directory
        self._core = core

    def run(self, load: Load, subject: Subject, *, seconds: int) -> Outcome:
        """Load a subject for so many seconds."""
        if load.stream:
            return self._streams(load, subject, seconds=seconds, requests=0)
        return self._plain(load, subject, seconds=seconds)

    def send_exactly(
        self, requests: int, subject: Subject, *, connections: int
    ) -> Outcome:
        """Send so many plain requests, and read each answer to its end."""
        load = Load(name="exact", connections=connections)
        return self._streams(load, subject, seconds=_NO_LIMIT_S, requests=requests)

    def _body_file(self, load: Load) -> Path:
        path = self._directory / f"{'stream' if load.stream else 'plain'}-{load.gap_ms}"
        if not path.exists():
            path.write_bytes(chat_body(stream=load.stream, gap_ms=load.gap_ms))
        return path

    def _plain(self, load: Load, subject: Subject, *, seconds: int) -> Outcome:
        said = self._told(
            [
                str(self._tools.wrk),
                "-t1",
                f"-c{load.connections}",
                f"-d{seconds}s",
                "--timeout=20s",
                f"-s{self._tools.post_script}",
                subject.url,
            ],
            environment={
                "BODY_FILE": str(self._body_file(load)),
                "AUTH": _AUTHORIZATION,
            },
        )
        told = msgspec.json.decode(said, type=_WrkReport)
        return Outcome(
            answered=told.requests - told.non2xx,
            failed=told.non2xx + told.socket_errors,
            per_second=told.rps,
            p50_us=told.p50_us,
            p99_us=told.p99_us,
        )

    def _streams(
        self, load: Load, subject: Subject, *, seconds: int, requests: int
    ) -> Outcome:
        said = self._told(
            [
                str(self._tools.sse_load),
                str(subject.port),
                subject.path,
                str(self._body_file(load)),
                str(load.connections),
                str(seconds),
                str(requests),
                f"Authorization: {_AUTHORIZATION}",
            ]
        )
        told = msgspec.json.decode(said, type=_SseReport)
        broken = told.non2xx + (told.no_end if load.stream else 0)
        return Outcome(
            answered=told.streams - told.non2xx,
            failed=told.errors + broken,
            per_second=told.streams_per_s,
            p50_us=told.total_p50_us,
            p99_us=told.total_p99_us,
            first_p50_us=told.ttfb_p50_us,
            first_p99_us=told.ttfb_p99_us,
        )

    def _told(
        self, command: list[str], *, environment: dict[str, str] | None = None
    ) -> str:
        ran = subprocess.run(
            pinned(self._core, command),
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (ran.stdout + ran.stderr).splitlines()
        reports = [line for line in lines if line.startswith("{")]
        if ran.returncode or not reports:
            raise LoadFailed(f"{Path(command[0]).name}: {ran.stderr[-300:].strip()}")
        return reports[-1]


class _WrkReport(msgspec.Struct):
    requests: int
    rps: float
    p50_us: int
    p99_us: int
    non2xx: int
    socket_errors: int


class _SseReport(msgspec.Struct):
    streams: int
    streams_per_s: float
    ttfb_p50_us: int
    ttfb_p99_us: int
    total_p50_us: int
    total_p99_us: int
    errors: int
    non2xx: int
    no_end: int


def first_answer(subject: Subject) -> None:
    """Ask once, by hand, so that a load is never sent to what does not answer."""
    status, body = subject.ask(chat_body(stream=False), authorization=_AUTHORIZATION)
    if status != 200 or not json.loads(body).get("usage"):
        raise LoadFailed(f"{subject.name} answers {status}: {body[:300]!r}")
