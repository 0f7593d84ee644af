"""Which kind of database a URL names. The text of a URL may hold a password."""

import importlib.util
import re
from typing import Final, Literal

from smart_llmrouter.stores.unusable import UnsupportedDatabase

Backend = Literal["sqlite", "postgresql"]

_SCHEME: Final = re.compile(r"(?P<scheme>[a-z0-9]+)(\+[a-z0-9_]+)?://")
_BACKENDS: Final[dict[str, Backend]] = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}


def backend_of(url: str) -> Backend:
    """Return which kind of database a URL names. Raises `UnsupportedDatabase`.

    So it does where the driver that is needed is not installed.
    """
    found = _SCHEME.match(url)
    if found is None:
        raise UnsupportedDatabase("this is not a database URL")
    scheme = found["scheme"]
    if scheme not in _BACKENDS:
        raise UnsupportedDatabase(
            f"{scheme} databases cannot be used; use `state.database: sqlite`, or a "
            "reference to a postgresql:// URL"
        )
    if _BACKENDS[scheme] == "postgresql" and not importlib.util.find_spec("psycopg"):
        raise UnsupportedDatabase(
            "a postgresql:// database needs a driver that is not installed: run "
            "pip install 'smart-llmrouter[postgres]'"
        )
    return _BACKENDS[scheme]
