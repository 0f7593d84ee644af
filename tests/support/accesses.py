"""Notes of who was refused, for tests: what is written is kept."""

from dataclasses import dataclass, field

from smart_llmrouter.core.ids import RequestIds
from smart_llmrouter.edge.accesses import Accesses
from smart_llmrouter.edge.addresses import packed
from smart_llmrouter.edge.exchange import Fields
from smart_llmrouter.ledger.journal_events import SecurityAccess, decode_event
from smart_llmrouter.stores.journal import JournalUnwritable

NOON_S = 1_790_000_000.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with some headers."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    fields: Fields = field(default_factory=list)
    peer: bytes = packed("192.0.2.7")
    request_id: str = f"req_{'0' * 32}"
    ts_ms: int = int(NOON_S * 1000)
    method: bytes = b"POST"
    target: bytes = b"/v1/chat/completions"


@dataclass(slots=True)
class Written:
    """Where lines are written, while it is not full."""

    lines: list[bytes] = field(default_factory=list)
    full: bool = False

    def append(self, line: bytes) -> int:
        """Keep a line."""
        if self.full:
            raise JournalUnwritable("No space left on device")
        self.lines.append(line)
        return len(self.lines)

    @property
    def events(self) -> list[SecurityAccess]:
        """Return what was written, as it is read."""
        found = [decode_event(line) for line in self.lines]
        return [each for each in found if isinstance(each, SecurityAccess)]


def accesses_to(written: Written) -> Accesses:
    """Return what takes notes, at noon."""
    ids = RequestIds(lambda count: b"\x2a" * count, prefix="evt_")
    return Accesses(written.append, new_id=ids, wall=lambda: NOON_S)


def a_refusal(number: int, **fields: object) -> SecurityAccess:
    """Return an ordinary refusal; `fields` replaces what a test is about."""
    usual: dict[str, object] = {
        "event_id": f"evt_{number:032x}",
        "ts_ms": int(NOON_S * 1000) + number,
        "event_type": "authentication",
        "outcome": "refused",
        "reason_code": "token-unknown",
        "status": 401,
        "request_id": f"req_{number:032x}",
        "surface": "inference",
        "http_method": "POST",
        "path_template": "/v1/messages",
        "client": "curl",
        "ip_address": "192.0.2.7",
        "ip_version": 4,
        "ip_source": "peer",
    }
    return SecurityAccess(**(usual | fields))  # type: ignore[arg-type]  # read back
