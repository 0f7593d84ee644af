"""What the response cache does with a call, and why: the words of rows and headers.

They are stable: rows, the header `X-Router-Cache` and metrics all say them.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Status = Literal["hit", "miss", "bypass"]
Reason = Literal[
    "waited",
    "stored",
    "incomplete",
    "too-large",
    "error",
    "left",
    "store-away",
    "untold",
    "sealed",
    "not-deterministic",
    "choices",
    "tools",
    "images",
    "files",
    "state",
    "other-fields",
    "no-store",
    "no-cache",
]
HEADER: Final = b"x-router-cache"

STATUSES: Final[Mapping[Status, str]] = {
    "hit": "An answer that was kept is served; no target is called.",
    "miss": "No such answer was kept: a target is called.",
    "bypass": "Nothing is served from the cache: a target is called.",
}
"""What each status means."""

REASONS: Final[Mapping[Reason, tuple[Status, str]]] = {
    "waited": (
        "hit",
        "The same call was on its way, and this one waited for its answer.",
    ),
    "stored": ("miss", "The answer is kept."),
    "incomplete": (
        "miss",
        "The answer was cut off at the cap, filtered, refused, or is more than text.",
    ),
    "too-large": ("miss", "The answer is larger than `cache.max_entry_bytes`."),
    "error": ("miss", "No target has given a whole answer."),
    "left": ("miss", "The caller left before the end."),
    "store-away": ("miss", "The shared store cannot be reached."),
    "untold": (
        "miss",
        "The target could not be told of `temperature: 0` or the `seed`.",
    ),
    "sealed": ("miss", "The answer holds what only its provider can read."),
    "not-deterministic": (
        "bypass",
        "The request has neither `temperature: 0` nor a `seed`.",
    ),
    "choices": ("bypass", "The request asks for more than one answer (`n`)."),
    "tools": ("bypass", "The request has tools, or lets the provider search."),
    "images": ("bypass", "The request has images."),
    "files": ("bypass", "The request has documents, sound, or other files."),
    "state": (
        "bypass",
        "The provider is to keep the answer, or to go on from what it keeps.",
    ),
    "other-fields": (
        "bypass",
        "The request has a field of which the router does not know what it does.",
    ),
    "no-store": ("bypass", "The caller said `Cache-Control: no-store`."),
    "no-cache": (
        "bypass",
        "The caller said `Cache-Control: no-cache`; the new answer is kept.",
    ),
}
"""With which status each reason comes, and what it means."""


# There is one of each, so that they are told apart, and hashed, by what they are.
class Verdict(msgspec.Struct, frozen=True, eq=False):
    """What became of one call; `line` is the header that tells it, as it is sent."""

    status: Status
    reason: Reason | None
    line: bytes


def _verdict(status: Status, reason: Reason | None = None) -> Verdict:
    told = status if reason is None else f"{status}; {reason}"
    return Verdict(status, reason, b"%b: %b\r\n" % (HEADER, told.encode()))


HIT: Final = _verdict("hit")
MISS: Final = _verdict("miss")
VERDICTS: Final[Mapping[Reason, Verdict]] = {
    reason: _verdict(status, reason) for reason, (status, _) in REASONS.items()
}
"""The verdicts that have a reason."""
