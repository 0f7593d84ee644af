"""Other gateways: installed from registries, started one at a time, measured."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from string import Template
from typing import Final

import msgspec

from bench.loads import LoadFailed, first_answer
from bench.machine import plain_environment, pss_mib
from bench.plans import PEER_LOADS
from bench.subjects import (
    WORKER,
    DidNotStart,
    Mock,
    Subject,
    free_port,
    running,
    wait_for,
)
from bench.suite import Workshop, measure
from bench.toolbox import from_debian

FILE: Final = Path(__file__).resolve().parent / "peers.toml"
_START_WITHIN_S: Final = 90.0
_IDLE_AFTER_S: Final = 1.5
_INSTALL_WITHIN_S: Final = 900
_ROUNDS: Final = 2


class Peer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `peers.toml`, which says what each field means."""

    title: str
    about: str
    command: tuple[str, ...]
    version: str = ""
    like: str = ""
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    npm_overrides: dict[str, str] = {}
    apt: tuple[str, ...] = ()
    key: str = "bench"
    authorization: str = "Bearer $key"
    environment: dict[str, str] = {}
    headers: dict[str, str] = {}
    files: dict[str, str] = {}
    seconds: int = 4
    settle_s: float = 0.5


class CannotBeHad(Exception):
    """A peer cannot be installed here; the message says why."""


def read_peers(path: Path = FILE) -> dict[str, Peer]:
    """Read the file of peers, by their names. Raises `msgspec.ValidationError`."""
    peers = msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, Peer])
    return {name: _resolved(peer, peers) for name, peer in peers.items()}


def _resolved(peer: Peer, peers: Mapping[str, Peer]) -> Peer:
    """Fill in what a peer has in common with the one that it is `like`."""
    if not peer.like:
        return peer
    model = peers[peer.like]
    return msgspec.structs.replace(
        model, title=peer.title, about=peer.about, command=peer.command, like=peer.like
    )


def cache_directory() -> Path:
    """Return where peers are installed: outside the checkout, and kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "smart-llmrouter-bench"


def install(name: str, peer: Peer) -> Path:
    """Install a peer unless it is; return where it is. Raises `CannotBeHad`."""
    home = cache_directory() / f"{peer.like or name}-{peer.version or 'debian'}"
    done = home / ".installed"
    if done.exists():
        return home
    print(f"installing {peer.title} {peer.version} into {home} ...", flush=True)
    home.mkdir(parents=True, exist_ok=True)
    if peer.apt:
        _install_from_debian(peer)
    elif peer.npm:
        _install_with_npm(peer, home)
    else:
        _ran([sys.executable, "-m", "venv", str(home)])
        _ran([str(home / "bin" / "python"), "-m", "pip", "install", "-q", *peer.pip])
    done.touch()
    return home


def _install_from_debian(peer: Peer) -> None:
    if shutil.which(peer.command[0]) is None and not from_debian(*peer.apt):
        raise CannotBeHad(f"as root: apt-get install {' '.join(peer.apt)}")


def _install_with_npm(peer: Peer, home: Path) -> None:
    if shutil.which("npm") is None:
        raise CannotBeHad("`npm` is missing")
    package = {"private": True, "overrides": peer.npm_overrides}
    (home / "package.json").write_text(json.dumps(package))
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    _ran(["npm", "install", *quiet, "--prefix", str(home), *peer.npm])


def _ran(command: list[str]) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_INSTALL_WITHIN_S,
        )
    except subprocess.TimeoutExpired:
        raise CannotBeHad("the installation took too long") from None
    except subprocess.CalledProcessError as failure:
        errors = re.findall(r"ERROR: .*|npm error .*", failure.stderr)
        raise CannotBeHad((errors or ["the installation failed"])[0][:150]) from None


def measure_peers(
    shop: Workshop, upstream: Mock, peers: Mapping[str, tuple[Peer, Path]]
) -> None:
    """Measure each peer alone, under the loads that the router had in the same run."""
    for name, (peer, home) in peers.items():
        shop.say(f"{peer.title} {peer.version}")
        try:
            with running_peer(shop, upstream, name, peer, home) as subject:
                _measure_peer(shop, subject, peer)
        except (DidNotStart, LoadFailed) as failure:
            shop.note(f"{peer.title} was not measured to its end: {failure}")


def _measure_peer(shop: Workshop, subject: Subject, peer: Peer) -> None:
    add = shop.results.samples.add
    add((subject.name, "start"), "cold start s", subject.cold_start_s)
    time.sleep(_IDLE_AFTER_S)
    add((subject.name, "idle"), "worker PSS MiB", pss_mib(subject.roles()[WORKER]))
    for load in PEER_LOADS:
        for at in range(_ROUNDS + 1):
            seconds = peer.seconds if at else 2
            measure(shop, load, subject, seconds=seconds, keep=at > 0)


@contextmanager
def running_peer(
    shop: Workshop, upstream: Mock, name: str, peer: Peer, home: Path
) -> Iterator[Subject]:
    """Run a peer on the core of what is measured, in an environment of its own."""
    directory = shop.directory / name
    directory.mkdir()
    port = free_port()
    words = {
        "port": str(port),
        "spare": str(free_port()),
        "upstream": str(upstream.port),
        "directory": str(directory),
        "cache": str(home),
        "key": peer.key,
    }
    _write(peer.files, directory, words)
    environment = plain_environment(directory) | _filled(peer.environment, words)
    command = [Template(word).substitute(words) for word in peer.command]
    began = time.monotonic()
    with running(
        command,
        cores=[shop.cores.subject],
        directory=directory,
        name="peer",
        environment=environment,
    ) as process:
        subject = Subject(
            name=peer.title,
            port=port,
            process=process,
            authorization=Template(peer.authorization).substitute(words),
            headers=_filled(peer.headers, words),
            settle_s=peer.settle_s,
        )
        log = directory / "peer.log"
        wait_for(lambda: _answers(subject), process, log=log, within_s=_START_WITHIN_S)
        subject.cold_start_s = time.monotonic() - began
        yield subject


def _answers(subject: Subject) -> bool:
    with suppress(OSError, ValueError, LoadFailed):
        first_answer(subject)
        return True
    return False


def _write(files: Mapping[str, str], directory: Path, words: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(Template(text).substitute(words))


def _filled(texts: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    return {name: Template(text).substitute(words) for name, text in texts.items()}


def installed(
    names: Iterable[str], *, refused: list[str]
) -> dict[str, tuple[Peer, Path]]:
    """Install the peers of these names; what cannot be had is told in `refused`."""
    peers, found = read_peers(), {}
    for name in names:
        if name not in peers:
            refused.append(f"{name}: no such peer; there are {', '.join(peers)}")
            continue
        try:
            found[name] = peers[name], install(name, peers[name])
        except CannotBeHad as why:
            refused.append(f"{peers[name].title} cannot be had here: {why}")
    return found
