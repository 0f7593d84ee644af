"""The scripts that a shared store runs, each one decision; see the files in `lua`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from smart_llmrouter.stores.valkey_connection import command

ScriptName = Literal[
    "take",
    "grow",
    "settle",
    "read",
    "reset",
    "seed",
    "open",
    "renew",
    "sweep",
    "close",
]
NAMES: Final[tuple[ScriptName, ...]] = (
    "take",
    "grow",
    "settle",
    "read",
    "reset",
    "seed",
    "open",
    "renew",
    "sweep",
    "close",
)
_COMMON: Final = "common"


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name by which a store that has loaded it knows it."""

    text: bytes
    digest: bytes

    @property
    def load(self) -> bytes:
        """The command that loads it."""
        return command("SCRIPT", "LOAD", self.text)


@cache
def scripts(
    *, server_time: str = "", longest_gap: str = ""
) -> Mapping[ScriptName, Script]:
    """Return all scripts.

    Tests that turn the hands put Lua expressions in the place of what the scripts take
    for the store's clock, as `TIME` answers it, and of the longest gap in it.
    """
    common = _read(_COMMON)
    for name, other in (("server-time", server_time), ("longest-gap", longest_gap)):
        if other:
            before, rest = common.split(f"--[[{name}]]")
            common = f"{before}{other}{rest.split(f'--[[/{name}]]')[1]}"
    return {name: _script(f"{common}\n{_read(name)}") for name in NAMES}


def _read(name: str) -> str:
    source = files("smart_llmrouter.admission") / "lua" / f"{name}.lua"
    return source.read_text(encoding="utf-8")


def _script(text: str) -> Script:
    encoded = text.encode()
    digest = hashlib.sha1(encoded, usedforsecurity=False).hexdigest()
    return Script(encoded, digest.encode())
