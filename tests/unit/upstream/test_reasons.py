"""Why no connection came about: words of ours, whatever the system wrote."""

import errno
import os
import socket
import ssl

import pytest

from smart_llmrouter.upstream.reasons import reason_of

SECRET = "hunter2.example"


def unverified(code: int) -> ssl.SSLCertVerificationError:
    """Return what OpenSSL says of a certificate, with the host in its message."""
    error = ssl.SSLCertVerificationError(1, f"not valid for '{SECRET}'")
    error.verify_code = code
    error.verify_message = f"mismatch for '{SECRET}'"
    return error


def handshake(symbol: str | None) -> ssl.SSLError:
    """Return a handshake that failed."""
    error = ssl.SSLError(1, f"[SSL] {SECRET}")
    if symbol is not None:
        error.reason = symbol
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (unverified(10), "its certificate has expired"),
        (unverified(62), "its certificate is for another host name"),
        (unverified(99), "its certificate is not accepted (code 99)"),
        (handshake("WRONG_VERSION_NUMBER"), "what answers there speaks no TLS"),
        (handshake("NEVER_HEARD_OF"), "the TLS handshake failed (NEVER_HEARD_OF)"),
        (handshake(SECRET), "the TLS handshake failed"),
        (handshake(None), "the TLS handshake failed"),
        (socket.gaierror(socket.EAI_NONAME, SECRET), "there is no such host"),
        (
            socket.gaierror(socket.EAI_AGAIN, SECRET),
            "its host name could not be looked up for now",
        ),
        (
            socket.gaierror(socket.EAI_FAIL, SECRET),
            "its host name could not be looked up",
        ),
        (UnicodeError(SECRET), "its host name cannot be one"),
        (OSError(errno.ECONNREFUSED, SECRET), "the connection was refused"),
        (OSError(errno.EPIPE, SECRET, SECRET), os.strerror(errno.EPIPE).lower()),
        (OSError(SECRET), "no connection"),
        (RuntimeError(SECRET), "no connection"),
    ],
)
def test_a_reason_quotes_nothing(error: Exception, reason: str) -> None:
    """Numbers and symbols are looked up; texts are never taken over."""
    assert reason_of(error) == reason
