"""Logs of the long-running commands: one JSON object a line, on standard error."""

import io
import logging
import sys
from contextlib import suppress
from typing import Final, TextIO, cast

# structlog takes Rich where it finds it, to colour tracebacks: dozens of modules, and a
# twentieth of a second of each start, for lines of JSON, which have no colours.
_RICH_IS_LOADED: Final = "rich" in sys.modules
if not _RICH_IS_LOADED:
    sys.modules["rich"] = None  # type: ignore[assignment]  # as its documentation says

import structlog  # noqa: E402 - only now

if not _RICH_IS_LOADED:
    del sys.modules["rich"]


class _Unfailing(io.TextIOBase):
    """Standard error, where it can be written: a full disk costs lines, not calls."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def log_to_stderr(level: int = logging.INFO, *, for_ever: bool = False) -> None:
    """Write structured logs to standard error, those of libraries included.

    `for_ever` says that nothing of this will change while the process lives, which
    makes each line cheaper.
    """
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing())),
        cache_logger_on_first_use=for_ever,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
