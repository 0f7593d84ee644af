"""How the C library's allocator treats large blocks.

Left to itself, glibc gives a large block back to the kernel when it is freed, and asks
for it anew a moment later; the kernel hands out each of its pages by a fault, zeroed. A
call with a body of 1 MB needs some ten such blocks, and spends four fifths of its time
in the kernel on that.
"""

import ctypes
from typing import Final

_MIB: Final = 1024 * 1024
# Of <malloc.h>; the second of each is what mallopt(3) calls its value.
_TRIM_THRESHOLD: Final = (-1, 64 * _MIB)
_TOP_PAD: Final = (-2, 4 * _MIB)
_MMAP_THRESHOLD: Final = (-3, 16 * _MIB)


def keep_freed_blocks() -> bool:
    """Let freed blocks be used again; return whether the C library can be told so.

    Up to 64 MiB that are free stay with the process, and only blocks above 16 MiB come
    from the kernel and go back to it one by one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = (_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD)
    return all(mallopt(name, value) == 1 for name, value in settings)
