"""Handing a snapshot over from one process of a router to another.

A `Secret` refuses to be serialised by accident. This is the one place where it happens
on purpose: what is packed here stays in memory that only processes of this router have.
"""

import io
import pickle
from types import MappingProxyType
from typing import Any

from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.secrets import Secret


class _Packer(pickle.Pickler):
    def reducer_override(self, found: object) -> Any:  # noqa: ANN401 - as in its base
        if isinstance(found, Secret):
            return _secret, (found.reveal(), found.source)
        if isinstance(found, MappingProxyType):
            return _view, (dict(found),)
        return NotImplemented


def _secret(text: str, source: str) -> Secret:
    return Secret(text, source=source)


def _view(content: dict[object, object]) -> MappingProxyType[object, object]:
    return MappingProxyType(content)


def packed(snapshot: Snapshot) -> bytes:
    """Return a snapshot as bytes, with its secrets: keep them in memory."""
    written = io.BytesIO()
    _Packer(written, protocol=pickle.HIGHEST_PROTOCOL).dump(snapshot)
    return written.getvalue()


def unpacked(content: bytes) -> Snapshot:
    """Return the snapshot that this router's own parent has packed."""
    snapshot: Snapshot = pickle.loads(content)  # noqa: S301 - nobody else's bytes
    return snapshot
