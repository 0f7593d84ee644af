"""A limit of the caller's, or of something that it belongs to, refuses a call."""

import math
from datetime import UTC, datetime
from typing import Final

from smart_llmrouter.core.errors.root import RouterError

LONGEST_RETRY_AFTER_S: Final = 60
"""A `Retry-After` above this makes clients give up, or wait without an end."""


class LimitExceeded(RouterError):
    """A limit refuses this call; nothing of it was counted.

    Its details name whose limit it is, which one, its value, what is left, and when it
    resets. `Retry-After` is sent where the call would pass within a minute.
    """

    status = 429

    def __init__(
        self,
        message: str,
        *,
        scope: str,
        limit: str,
        value: str,
        left: str,
        wait_s: float,
        resets_at_s: float | None = None,
    ) -> None:
        """Say what refuses: `wait_s` is `inf` where the same call can never pass."""
        details = {"scope": scope, "limit": limit, "value": value, "left": left}
        if resets_at_s is not None:
            reset = datetime.fromtimestamp(math.ceil(resets_at_s), UTC)
            details["resets_at"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
        soon = wait_s <= LONGEST_RETRY_AFTER_S
        super().__init__(
            message,
            details=details,
            retry_after_s=max(1, math.ceil(wait_s)) if soon else None,
        )
        self.permanent = math.isinf(wait_s)
        self.scope = scope
        self.limit = limit
        self.value = value
        self.left = left
        self.wait_s = wait_s


class RpmExceeded(LimitExceeded):
    """More requests than a rolling minute may have."""

    code = "rpm-exceeded"


class TpmExceeded(LimitExceeded):
    """More tokens than a rolling minute may have."""

    code = "tpm-exceeded"


class ConcurrencyExceeded(LimitExceeded):
    """More calls in flight than there may be."""

    code = "concurrency-exceeded"


class QuotaExhausted(LimitExceeded):
    """The budget of a day or a month is used up."""

    code = "quota-exhausted"


class KeyExhausted(LimitExceeded):
    """A lifetime budget is used up, or has less left than the call needs."""

    status = 403
    code = "key-exhausted"


class TrafficShaped(LimitExceeded):
    """Calls come faster than they may, and this one cannot wait for its turn."""

    code = "traffic-shaped"
