"""When a command runs, and who runs it."""

import os
import pwd
import time
from typing import Final

_MS_PER_S: Final = 1000


def now() -> int:
    """Return this moment, in milliseconds since 1970, UTC."""
    return int(time.time() * _MS_PER_S)


def user_name() -> str:
    """Return the name of the operating system's user; its number where it has none."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
