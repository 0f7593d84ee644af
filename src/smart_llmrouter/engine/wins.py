"""What an attempt that has won gives: a whole answer, or a stream that has begun."""

import msgspec

from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.base import Meter
from smart_llmrouter.dialects.proofs import ProofMark
from smart_llmrouter.engine.client import HeaderLines
from smart_llmrouter.engine.lanes import Lane
from smart_llmrouter.engine.routes import Route
from smart_llmrouter.upstream.transport import UpstreamAnswer


class PlainWin(msgspec.Struct, kw_only=True):
    """A target's whole plain answer, and the headers that it is sent on with."""

    route: Route
    lane: Lane
    headers: HeaderLines
    body: bytes
    usage: Usage
    stored_id: str | None
    proofs: list[bytes] = []


class StreamWin(msgspec.Struct, kw_only=True):
    """A target's stream, open after its first meaningful event.

    With a `proof_mark`, `proofs` are the digests of what the provider has proved.
    `first` is what may be sent on so far. Whoever holds the win closes `answer`, and
    tells `Attempts.ended` how the stream has ended: `began_s` and `begun` are of the
    attempt.
    """

    route: Route
    lane: Lane
    headers: HeaderLines
    answer: UpstreamAnswer
    meter: Meter
    first: bytes
    proof_mark: ProofMark | None = None
    proofs: list[bytes] = []
    began_s: float = 0.0
    begun: int = 0


Win = PlainWin | StreamWin
