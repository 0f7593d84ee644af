"""What a call asks the gate for, and what it has used in the end."""

from typing import Final

import msgspec


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What is reserved for one call: at most what it may use.

    `began_ms` is when the call began, in milliseconds since 1970 UTC: it decides to
    which day and month the call belongs. `input_tokens` is the estimate of its input,
    `tokens` that and what it may answer, `nusd` what all this may cost in nano-dollars
    at the dearest of its targets. A part that nothing limits is 0.
    """

    request_id: str
    began_ms: int
    input_tokens: int = 0
    tokens: int = 0
    nusd: int = 0


class Spent(msgspec.Struct, frozen=True, gc=False):
    """What a call has really used: it is what its reservation is settled with.

    `requests` is 1, or 0 for a call that no provider was asked for: such a call has
    used nothing of a minute either.
    """

    requests: int
    tokens: int
    nusd: int


NOTHING: Final = Spent(0, 0, 0)
