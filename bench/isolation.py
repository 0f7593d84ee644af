"""A network of the bench's own, in which there is nothing but the loopback interface.

Whatever is measured there can call nobody: no telemetry, no look-ups, no updates.
"""

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import closing
from pathlib import Path
from typing import Final

_NEW_USER: Final = 0x10000000
_NEW_NETWORK: Final = 0x40000000
_GET_FLAGS: Final = 0x8913
_SET_FLAGS: Final = 0x8914
_UP: Final = 0x1


def leave_the_network() -> str:
    """Move this process, and all it starts from now on, into an empty network.

    Returns in words what was possible; where the kernel does not allow it, the bench
    goes on, and only what it starts itself keeps to the loopback interface.
    """
    if not _unshared():
        return "the system's own network: a namespace was not allowed"
    _raise_loopback()
    return "a network namespace with nothing but the loopback interface"


def _unshared() -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if library.unshare(_NEW_NETWORK) == 0:
        return True
    # Without privileges a user namespace gives the right to make a network's.
    if library.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {user} 1")
    (own / "gid_map").write_text(f"{group} {group} 1")
    return True


def _raise_loopback() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, _GET_FLAGS, request)
        (flags,) = struct.unpack_from("h", answer, 16)
        request = struct.pack("16sh14x", b"lo", flags | _UP)
        fcntl.ioctl(any_socket, _SET_FLAGS, request)
