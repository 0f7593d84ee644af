"""Waiting for a condition, instead of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar, overload

T = TypeVar("T")

PATIENCE_S: Final = 120.0
"""How long a test waits for what must come at last.

A loaded machine may stop a process for many seconds. This bound only ends a test that
would never end; it says nothing about how soon something is to happen.
"""

_POLL_S: Final = 0.01
_LOOKS: Final = 25


class NeverHappened(AssertionError):
    """The condition did not come true in time."""


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]],
    *,
    within_s: float = ...,
    what: str = ...,
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T], *, within_s: float = ..., what: str = ...
) -> T: ...


async def eventually(
    condition: Callable[[], object],
    *,
    within_s: float = PATIENCE_S,
    what: str = "the condition",
) -> object:
    """Poll `condition` until it gives something true, and return that.

    A condition may be a coroutine function. Raises `NeverHappened` after `within_s`,
    with the last value that it gave.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > deadline:
            raise NeverHappened(f"{what} never held in {within_s} s; last: {value!r}")
        await asyncio.sleep(_POLL_S)


def eventually_sync(
    condition: Callable[[], T],
    *,
    within_s: float = PATIENCE_S,
    what: str = "the condition",
) -> T:
    """Do what `eventually` does, in a test without an event loop."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise NeverHappened(f"{what} never held in {within_s} s; last: {value!r}")
        time.sleep(_POLL_S)
    return value


async def next_heard(reader: asyncio.StreamReader, *, silence_s: float) -> bytes:
    """Return what comes next, as much as is there; nothing at the end.

    Raises `TimeoutError` after `silence_s` without anything. These seconds are waited
    for in many parts: whoever is stopped in one of them looks again in the next, and
    does not take the time in which nobody could do anything for a silence.
    """
    for _ in range(_LOOKS):
        with suppress(TimeoutError):
            return await asyncio.wait_for(reader.read(1 << 16), silence_s / _LOOKS)
    raise TimeoutError


async def served_out() -> None:
    """Let what serves calls on this loop end: who has answered may still tidy up.

    A file that is closed in a thread would else be left open where the loop ends.
    """
    serving = {each for each in asyncio.all_tasks() if each.get_name() == "call"}
    if serving:
        await asyncio.wait(serving, timeout=PATIENCE_S)
