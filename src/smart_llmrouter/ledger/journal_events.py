"""What the journal holds beside finished calls: who was refused, and what was in force.

A line of an event is a JSON object whose first key is `event`. Each kind of event is a
type of its own whose fields are listed here, and nothing else is ever read or written:
names of the configuration, words of closed sets, numbers, and addresses. There is no
field for free text, nor for a token that was tried.

Events are stored with the records of their block, each once: whoever makes one gives
it an id, or it is the same event whoever saw it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from smart_llmrouter.stores.event_rows import EventRow

_BEGINS: Final = b'{"event":'
_SAFE: Final = r"\A[A-Za-z0-9][A-Za-z0-9._:/@+-]*\Z"

EventId = Annotated[str, Meta(pattern=r"\A[a-z]{3}_[0-9a-f]{32}\Z")]
"""What names an event, or the request that it was."""
Word = Annotated[str, Meta(max_length=128, pattern=_SAFE)]
"""A name of the configuration, a fingerprint, or a version: no spaces, no controls."""
Template = Annotated[str, Meta(pattern=r"\Aother\Z|\A/[a-z0-9_/.:]{1,63}\Z")]
"""A path of the router's own."""
Address = Annotated[str, Meta(max_length=45, pattern=r"\A[0-9a-f.:]+\Z")]
"""An address of IPv4 or IPv6."""
Line = Annotated[str, Meta(max_length=500, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
"""One line that the configuration says, and nobody else could."""
Day = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**62)]
"""What fits into a column of any database."""
Millis = Annotated[int, Meta(ge=0, le=2**53)]

AccessKind = Literal["authentication", "key-status", "authorization"]
Surface = Literal[
    "inference", "counting", "explain", "models", "usage", "metrics", "other"
]
Method = Literal["GET", "HEAD", "POST", "other"]
Outcome = Literal["refused", "throttled"]
IpVersion = Literal[4, 6]
IpSource = Literal["peer", "forwarded"]
Cause = Literal["start", "reload"]


class SecurityAccess(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="security-access"
):
    """Somebody was refused; or, where `calls` is more than 1, so many were.

    Of a summary nothing is known but what all of them have in common: its other fields
    are `None`. `path_template` and `client` are words of closed sets, never what the
    request said.
    """

    event_id: EventId
    ts_ms: Millis
    event_type: AccessKind
    outcome: Outcome
    reason_code: Word
    status: Annotated[int, Meta(ge=100, le=599)]
    calls: Annotated[int, Meta(ge=1, le=2**62)] = 1
    request_id: EventId | None = None
    surface: Surface | None = None
    http_method: Method | None = None
    path_template: Template | None = None
    caller_id: Word | None = None
    token_id: Word | None = None
    client: Word | None = None
    ip_address: Address | None = None
    ip_version: IpVersion | None = None
    ip_source: IpSource | None = None


class ConfigVersion(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="config-version"
):
    """A configuration took effect."""

    fingerprint: Word
    ts_ms: Millis
    router_version: Word
    cause: Cause


class PriceVersion(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="price-version"
):
    """A price took effect: nano-dollars for a million tokens, or for an image.

    It is that of calls with more input than `above_tokens`.
    """

    fingerprint: Word
    provider: Word
    model: Word
    above_tokens: Count = 0
    ts_ms: Millis
    input_nusd_per_million: Count | None = None
    cached_input_nusd_per_million: Count | None = None
    cache_write_nusd_per_million: Count | None = None
    cache_write_1h_nusd_per_million: Count | None = None
    output_nusd_per_million: Count | None = None
    reasoning_nusd_per_million: Count | None = None
    image_tokens_nusd_per_million: Count | None = None
    image_nusd: Count | None = None
    effective_from_ms: Millis | None = None
    source: Line | None = None
    as_of: Day | None = None


JournalEvent = SecurityAccess | ConfigVersion | PriceVersion
TABLE_OF: Final[dict[type[JournalEvent], str]] = {
    SecurityAccess: "security_access_events",
    ConfigVersion: "config_versions",
    PriceVersion: "price_versions",
}
"""Where events are kept; the columns are the fields, in their order."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final[Callable[[bytes], JournalEvent]] = msgspec.json.Decoder(
    JournalEvent
).decode
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


def encode_event(event: JournalEvent) -> bytes:
    """Return the line of an event."""
    return _encode(event)


def is_event(line: bytes) -> bool:
    """Say whether a line is meant to be an event."""
    return line.startswith(_BEGINS)


def decode_event(line: bytes) -> JournalEvent:
    """Return the event of a line. Raises `msgspec.DecodeError` where it is none."""
    return _decode(line)


def row_of(event: JournalEvent) -> EventRow:
    """Return the row that an event becomes."""
    return EventRow(TABLE_OF[type(event)], msgspec.structs.astuple(event))


@dataclass(frozen=True, slots=True)
class Parted:
    """The lines of a block: the others as they stood, events, and what is no event.

    Of the last, how many bytes of the block were before it.
    """

    others: list[bytes]
    events: Sequence[EventRow] = ()
    poison: Sequence[tuple[int, bytes]] = ()


def part_events(lines: list[bytes]) -> Parted:
    """Tell events from the other lines; these are the same list where there are none.

    An event's line is left as an empty one, which is no record and takes no part.
    """
    # One comparison a line, of which nearly none is an object.
    at_events = [at for at, line in enumerate(lines) if is_event(line)]
    if not at_events:
        return Parted(lines)
    others = lines.copy()
    events: list[EventRow] = []
    poison: list[tuple[int, bytes]] = []
    for at in at_events:
        line, others[at] = lines[at], b""
        try:
            events.append(row_of(decode_event(line)))
        except _UNREADABLE:
            before = sum(len(each) + 1 for each in lines[:at])
            poison.append((before, line))
    return Parted([line for line in others if line], events, poison)


_PLAIN: Final = re.compile(_SAFE)
_MOST_WORD: Final = 128


def word(text: str | None) -> str | None:
    """Return a name if an event may hold it, else `None`."""
    if text is None or len(text) > _MOST_WORD or _PLAIN.fullmatch(text) is None:
        return None
    return text
