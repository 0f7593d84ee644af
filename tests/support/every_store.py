"""All counter stores that there are, by name."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.support.counter_stores import STORES, Store
from tests.support.valkey_store import InValkey

EVERY_STORE: Final[Mapping[str, Callable[[], Store]]] = {**STORES, "valkey": InValkey}
