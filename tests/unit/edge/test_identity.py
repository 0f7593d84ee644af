"""Who calls: a token out of two headers, looked up by its digest, with a date."""

from datetime import UTC, date, datetime, timedelta

import pytest

from smart_llmrouter.core.errors import (
    KeyDisabled,
    KeyExpired,
    KeyRotated,
    KeySuspended,
    RouterError,
    Unauthorized,
)
from smart_llmrouter.core.identity import Caller, CallerStatus, token_digest
from smart_llmrouter.edge.identity import Authenticator, token_of

TOKEN = b"rtr_alice_search_dev_k1_secret"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def known(*, status: CallerStatus = "active", expires_on: date | None = None) -> Caller:
    """Return the caller of `TOKEN`."""
    return Caller(
        id="alice-search-dev",
        owner_user="alice",
        project="search",
        environment="dev",
        token_id="rtr_alice_search_dev_k1",
        status=status,
        expires_on=expires_on,
        allowed_groups=frozenset({"chat"}),
        metrics_admin=False,
    )


def authenticator(caller: Caller, *, now: datetime = NOON) -> Authenticator:
    """Return an authenticator that knows one caller, at some time."""
    return Authenticator({token_digest(TOKEN): caller}, wall_clock=now.timestamp)


@pytest.mark.parametrize(
    ("authorization", "api_key", "token"),
    [
        (b"Bearer t", None, b"t"),
        (b"bearer t", None, b"t"),
        (b"BEARER  t ", None, b"t"),
        (None, b"t", b"t"),
        (None, b" t ", b"t"),
        (b"Bearer t", b"other", b"t"),
        (b"Basic dTpw", b"t", b"t"),
        (b"Basic dTpw", None, None),
        (b"t", None, None),
        (b"Bearer", None, None),
        (b"", None, None),
        (None, None, None),
    ],
)
def test_a_token_is_taken_from_two_headers(
    authorization: bytes | None, api_key: bytes | None, token: bytes | None
) -> None:
    """A bearer goes first; its scheme may be written in any case."""
    assert token_of(authorization, api_key) == token


@pytest.mark.parametrize(
    "token",
    [
        None,
        b"",
        TOKEN[:-1],
        TOKEN + b"x",
        TOKEN.upper(),
        token_digest(TOKEN),
        b"x" * 65_000,
    ],
)
def test_any_other_token_is_nobodys(token: bytes | None) -> None:
    """A token is right to its last byte, or it is nobody's."""
    assert authenticator(known()).caller_of(token) is None


def test_the_caller_of_a_token() -> None:
    """The right token finds its caller, who may call."""
    caller = known()
    found = authenticator(caller)

    assert found.caller_of(TOKEN) is caller
    assert found.refusal_of(caller) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("disabled", KeyDisabled),
        ("suspended", KeySuspended),
        ("expired", KeyExpired),
        ("rotated", KeyRotated),
        ("removed", Unauthorized),
        ("archived", Unauthorized),
    ],
)
def test_each_status_has_its_refusal(
    status: CallerStatus, kind: type[RouterError]
) -> None:
    """Only `active` may call; who was removed is not even known any more."""
    refusal = authenticator(known()).refusal_of(known(status=status))

    assert type(refusal) is kind


@pytest.mark.parametrize(
    ("days_later", "seconds_later", "expired"),
    [
        (-1, 86_399, False),
        (0, -1, False),
        (0, 0, True),
        (0, 1, True),
        (400, 0, True),
        (-400, 0, False),
    ],
)
def test_a_date_expires_at_its_midnight_utc(
    days_later: int, seconds_later: int, *, expired: bool
) -> None:
    """The token works to the last second before its day, and not on it."""
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    now = midnight + timedelta(days=days_later, seconds=seconds_later)
    caller = known(expires_on=date(2027, 1, 1))

    refusal = authenticator(caller, now=now).refusal_of(caller)

    assert isinstance(refusal, KeyExpired) == expired
    assert (refusal is None) == (not expired)


def test_a_status_goes_before_a_date() -> None:
    """A suspended key says so, also after its date."""
    caller = known(status="suspended", expires_on=date(2020, 1, 1))

    assert isinstance(authenticator(caller).refusal_of(caller), KeySuspended)


def test_no_refusal_says_the_token() -> None:
    """What is told about a token is its public id, never its secret."""
    caller = known(status="disabled")
    refusal = authenticator(caller).refusal_of(caller)

    assert refusal is not None
    assert "rtr_alice_search_dev_k1" in refusal.message
    assert "secret" not in refusal.message
