"""The caller is not who it must be, or may not do what it asks for."""

import math
from typing import ClassVar

from smart_llmrouter.core.errors.root import RouterError


class Refused(RouterError):
    """The caller is not who it must be, or may not do this."""

    status = 403
    code = "forbidden"
    permanent = True


class Unauthorized(Refused):
    """No token, or one that this router does not know."""

    status = 401
    code = "unauthorized"

    def __init__(self) -> None:
        """Say how a token is sent, and nothing about the one that came."""
        super().__init__(
            "a valid caller token is needed: send `Authorization: Bearer <token>` "
            "or `x-api-key: <token>`"
        )


class _KeyInactive(Refused):
    """The token is known, but it may not be used now."""

    remedy: ClassVar[str]

    def __init__(self, token_id: str) -> None:
        """Name the token by its public id."""
        super().__init__(
            f"the key {token_id} {self.remedy}", details={"token_id": token_id}
        )


class KeyDisabled(_KeyInactive):
    """The token's entry has the status `disabled`."""

    code = "key-disabled"
    remedy = "is disabled; ask the router's operator to enable it"


class KeySuspended(_KeyInactive):
    """The token's entry has the status `suspended`."""

    code = "key-suspended"
    remedy = "is suspended; ask the router's operator why"


class KeyExpired(_KeyInactive):
    """The token's date has passed, or its entry has the status `expired`."""

    code = "key-expired"
    remedy = "has expired; ask the router's operator for a new one"


class KeyRotated(_KeyInactive):
    """The token was replaced by a newer one."""

    code = "key-rotated"
    remedy = "was replaced by a newer key; use that one"


class TooManyAuthFailures(Refused):
    """No valid token, and too many such requests came from the same address.

    A request with a valid token passes, also from there. `Retry-After` is after when
    the address is told again what is wrong with its token.
    """

    status = 429
    code = "too-many-auth-failures"

    def __init__(self, wait_s: float) -> None:
        """Say what helps: `wait_s` seconds and another token."""
        super().__init__(
            "too many requests without a valid caller token came from this address: "
            "correct the token before you ask again",
            retry_after_s=max(1, math.ceil(wait_s)),
        )


class ModelNotAllowed(Refused):
    """The model is not one that this caller may use, or does not exist."""

    code = "model-not-allowed"

    def __init__(self) -> None:
        """Point at the list; the name itself is the caller's free text."""
        super().__init__(
            "this token may not use the requested model; GET /v1/models lists "
            "those that it may use"
        )


class MetricsForbidden(Refused):
    """`/metrics` is for callers with `metrics_admin: true`."""

    code = "metrics-forbidden"

    def __init__(self) -> None:
        """Name the setting that opens it."""
        super().__init__("/metrics is for callers with `metrics_admin: true`")
