"""Reading from TLS, on either side, with no more memory than there can be use for."""

import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

_RECORD_MAX_BYTES: Final = 16 * 1024


class RecordReader(ssl.SSLObject):
    """Reads with a buffer of the size that there can be something for.

    uvloop asks for a quarter of a mebibyte each time, so that the kernel is asked for
    memory and given it back; but a read never gives more than one record.
    """

    def read(
        self,
        len: int = _RECORD_MAX_BYTES,  # noqa: A002 - as the standard library has it
        buffer: "Buffer | None" = None,
    ) -> bytes:
        """Return, or put into `buffer`, at most one record."""
        if buffer is None:
            return super().read(min(len, _RECORD_MAX_BYTES))
        return super().read(len, buffer)
