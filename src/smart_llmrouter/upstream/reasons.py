"""Why a provider could not be reached, in words of ours that are safe in a log.

Errors of the system and of OpenSSL may quote hosts, addresses and certificates; what is
taken from them are numbers and symbols, and the words for these stand here.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Final

NO_CONNECTION: Final = "no connection"
HANDSHAKE_FAILED: Final = "the TLS handshake failed"

_SYMBOL: Final = re.compile(r"[A-Z0-9_]{1,64}")
_OF_LOOKUP: Final[Mapping[int | None, str]] = {
    socket.EAI_NONAME: "there is no such host",
    socket.EAI_NODATA: "there is no such host",
    socket.EAI_AGAIN: "its host name could not be looked up for now",
}
_OF_SYSTEM: Final[Mapping[int | None, str]] = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the connection was reset",
    errno.EHOSTUNREACH: "its host cannot be reached",
    errno.ENETUNREACH: "its network cannot be reached",
    errno.ETIMEDOUT: "nobody answered at its address",
    errno.ENOENT: "there is no such Unix socket",
    errno.EACCES: "the router may not connect there",
    errno.EPERM: "the router may not connect there",
    errno.EMFILE: "the router has too many files open",
    errno.ENFILE: "the system has too many files open",
    errno.EADDRNOTAVAIL: "no port is left to connect from, or no such address",
}
# The numbers are OpenSSL's (`X509_V_ERR_…`).
_OF_CERTIFICATE: Final[Mapping[int, str]] = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is self-signed, and not in `tls.ca_file`",
    19: "its certificate goes back to an authority that is not trusted",
    20: "its certificate goes back to an authority that is not trusted",
    21: "its certificate comes without the chain to its authority",
    23: "its certificate was revoked",
    26: "its certificate is not one for a server",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
_NO_TLS: Final = "what answers there speaks no TLS"
_NO_COMMON_TLS: Final = "no version of TLS, or no cipher, is common to both sides"
_OF_HANDSHAKE: Final[Mapping[str | None, str]] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_COMMON_TLS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_COMMON_TLS,
    "TLSV1_UNRECOGNIZED_NAME": "it has no certificate for this host name",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a certificate of the router",
}


def reason_of(error: Exception) -> str:
    """Say why no connection came about; `error` is what the system raised."""
    match error:
        case ssl.SSLCertVerificationError():
            number = error.verify_code
            return _OF_CERTIFICATE.get(
                number, f"its certificate is not accepted (code {number})"
            )
        case ssl.SSLError():
            # Who makes one up, such as an event loop, gives it no symbol.
            return _of_handshake(getattr(error, "reason", None))
        case socket.gaierror():
            return _OF_LOOKUP.get(error.errno, "its host name could not be looked up")
        case UnicodeError():
            return "its host name cannot be one"
        case OSError(errno=number):
            return _OF_SYSTEM.get(number) or _named(number)
        case _:
            return NO_CONNECTION


def _of_handshake(symbol: str | None) -> str:
    known = _OF_HANDSHAKE.get(symbol)
    if known is not None:
        return known
    if symbol is None or _SYMBOL.fullmatch(symbol) is None:
        return HANDSHAKE_FAILED
    return f"{HANDSHAKE_FAILED} ({symbol})"


def _named(number: int | None) -> str:
    return NO_CONNECTION if number is None else os.strerror(number).lower()
