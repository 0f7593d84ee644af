"""One load for one subject, and what came of it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.machine import pinned
from bench.subjects import MESSAGES_PATH, Subject
from bench.toolbox import Toolbox
from bench.workload import GROUP, chat_body, messages_body

_NO_LIMIT_S: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many connections, each of which sends one request after the other.

    With `gap_ms` the provider waits so long between two events of a stream; without, it
    sends them back to back. With `first_ms` it answers that late; with `size_bytes`
    requests and answers are that large. With `messages` the caller speaks Anthropic's
    Messages, which is translated for a provider of Chat Completions. `against` names
    who is measured beside the router.
    """

    name: str
    connections: int
    stream: bool = False
    gap_ms: int = 0
    first_ms: int = 0
    size_bytes: int = 0
    group: str = GROUP
    messages: bool = False
    spread_ms: int = 0
    least_s: int = 1
    against: tuple[str, ...] = ("direct", "bare proxy")

    @property
    def ideal_per_s(self) -> float | None:
        """Return the most that so many connections can reach, if something says so."""
        return 1000 * self.connections / self.first_ms if self.first_ms else None

    def body(self) -> bytes:
        """Return the request."""
        if self.messages:
            return messages_body(stream=self.stream)
        return chat_body(
            stream=self.stream,
            gap_ms=self.gap_ms,
            first_ms=self.first_ms,
            size_bytes=self.size_bytes,
            group=self.group,
        )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a load client saw. Times are microseconds."""

    answered: int
    failed: int
    per_second: float
    p50_us: int
    p99_us: int
    first_p50_us: int | None = None
    first_p99_us: int | None = None
    gap_p99_us: int | None = None
    events: int = 0


class LoadFailed(Exception):
    """A load client did not come to its end; its last words are in the message."""


class LoadClient:
    """Sends loads from one core."""

    def __init__(self, tools: Toolbox, directory: Path, *, core: int) -> None:
        """Keep the request bodies in `directory`."""
        self._tools = tools
        self._directory = directory
        self._core = core

    def run(
        self,
        load: Load,
        subject: Subject,
        *,
        seconds: int,
        callers: Path | None = None,
    ) -> Outcome:
        """Load a subject for so many seconds.

        `callers` is a file with a token and a group on each line, which plain requests
        take in turn.
        """
        if load.stream:
            return self._streams(load, subject, seconds=seconds, requests=0)
        return self._plain(load, subject, seconds=seconds, callers=callers)

    def send_exactly(
        self, requests: int, subject: Subject, *, connections: int
    ) -> Outcome:
        """Send so many plain requests, and read each answer to its end."""
        load = Load(name="exact", connections=connections)
        return self._streams(load, subject, seconds=_NO_LIMIT_S, requests=requests)

    def _body_file(self, load: Load) -> Path:
        path = self._directory / f"{load.name.replace(' ', '-')}.json"
        if not path.exists():
            path.write_bytes(load.body())
        return path

    def _plain(
        self, load: Load, subject: Subject, *, seconds: int, callers: Path | None
    ) -> Outcome:
        environment = {
            "BODY_FILE": str(self._body_file(load)),
            "AUTH": subject.authorization,
            "EXTRA": "|".join(f"{k}: {v}" for k, v in subject.headers.items()),
        }
        if callers is not None:
            environment["CALLERS_FILE"] = str(callers)
        said = self._told(
            [
                str(self._tools.wrk),
                "-t1",
                f"-c{load.connections}",
                f"-d{seconds}s",
                "--timeout=20s",
                f"-s{self._tools.post_script}",
                f"http://127.0.0.1:{subject.port}{_path(load, subject)}",
            ],
            environment=environment,
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
        headers = {"Authorization": subject.authorization, **subject.headers}
        options = [f"--spread-ms={load.spread_ms}"] if load.spread_ms else []
        options += ["--gaps"] if load.gap_ms else []
        said = self._told(
            [
                str(self._tools.sse_load),
                str(subject.port),
                _path(load, subject),
                str(self._body_file(load)),
                str(load.connections),
                str(seconds),
                str(requests),
                *(f"{name}: {value}" for name, value in headers.items()),
                *options,
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
            gap_p99_us=told.gap_p99_us if load.gap_ms else None,
            events=told.events,
        )

    def _told(
        self, command: list[str], *, environment: dict[str, str] | None = None
    ) -> str:
        ran = subprocess.run(
            pinned([self._core], command),
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


def _path(load: Load, subject: Subject) -> str:
    return MESSAGES_PATH if load.messages else subject.path


class _WrkReport(msgspec.Struct):
    requests: int
    rps: float
    p50_us: int
    p99_us: int
    non2xx: int
    socket_errors: int


class _SseReport(msgspec.Struct):
    streams: int
    events: int
    streams_per_s: float
    ttfb_p50_us: int
    ttfb_p99_us: int
    total_p50_us: int
    total_p99_us: int
    errors: int
    non2xx: int
    no_end: int
    gap_p99_us: int


def first_answer(subject: Subject, load: Load | None = None) -> None:
    """Ask once, by hand, so that a load is never sent to what does not answer."""
    body = load.body() if load else chat_body(stream=False)
    status, answer = subject.ask(body)
    if status != 200 or not json.loads(answer).get("usage"):
        raise LoadFailed(f"{subject.name} answers {status}: {answer[:300]!r}")
