"""Requests of real clients, sanitised: what they sent, and where.

A long value that a later request repeats is written there as `<same as in request N>`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.repository import ROOT

FOLDER: Final = ROOT / "tests" / "data" / "captures"
_SAME: Final = re.compile(r"<same as in request (\d+)>").fullmatch


@dataclass(frozen=True)
class Captured:
    """One request of a client."""

    name: str
    path: str
    body: Mapping[str, object]

    @property
    def raw(self) -> bytes:
        """The body as a client writes it: no spaces, and text as it is."""
        text = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return text.encode()


def captured(path_part: str) -> list[Captured]:
    """Return all requests whose path has `path_part` in it, in order."""
    return [
        request
        for file in sorted(FOLDER.glob("*.json"))
        for request in _requests(file.stem, json.loads(file.read_text("utf-8")))
        if path_part in request.path
    ]


def _requests(
    name: str, capture: dict[str, list[dict[str, object]]]
) -> Iterator[Captured]:
    seen: list[dict[str, object]] = []
    for number, request in enumerate(capture["requests"], 1):
        body = request["body"]
        members = body if isinstance(body, dict) else {}
        whole = {key: _whole(key, value, seen) for key, value in members.items()}
        seen.append(whole)
        if whole:
            yield Captured(f"{name}-{number}", str(request["path"]), whole)


def _whole(key: str, value: object, seen: list[dict[str, object]]) -> object:
    """Return the value that a mark stands for."""
    same = _SAME(value) if isinstance(value, str) else None
    return value if same is None else seen[int(same[1]) - 1][key]
