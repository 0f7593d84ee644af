"""What holds for every call, whatever it asks for: it ends once, and on record.

However the steps of a call end, `carry` has written exactly one record and told the
caller; the steps themselves settle the reservation, and close or cancel whatever was
open towards the provider.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from smart_llmrouter.core.errors import InternalError, RouterError
from smart_llmrouter.engine.client import Arrival, Client
from smart_llmrouter.engine.endings import Refusals
from smart_llmrouter.engine.entry import Entry
from smart_llmrouter.engine.recorder import Recorder
from smart_llmrouter.engine.tally import Tally

log = structlog.get_logger()

Denied = Callable[[RouterError, Arrival, Client], None]
"""Takes note where a known caller may not do what it asked for."""


class Steps(Protocol):
    """One kind of call; see `engine.pipeline` and `engine.counting`."""

    @property
    def suffix(self) -> str:
        """What stands behind the dialect of such calls in their records."""

    def take(
        self, entry: Entry, body: bytes, client: Client
    ) -> Coroutine[Any, Any, None]:
        """Take the steps in their order; whatever ends the call early is raised."""


class Carrier:
    """Carries calls of one kind."""

    def __init__(
        self, steps: Steps, recorder: Recorder, tally: Tally, *, denied: Denied
    ) -> None:
        """Take calls through `steps`; `denied` hears of each that ends in an error."""
        self._steps = steps
        self._denied = denied
        self._refusals = Refusals(recorder)
        self._tally = tally
        self.in_flight = 0
        """How many calls it carries now."""

    async def carry(self, arrival: Arrival, body: bytes, client: Client) -> None:
        """Carry one call from its arrival to the ledger."""
        entry = Entry(arrival=arrival, dialect=arrival.dialect + self._steps.suffix)
        self._tally.in_flight += 1
        self.in_flight += 1
        try:
            await self._steps.take(entry, body, client)
        except RouterError as error:
            self._denied(error, arrival, client)
            self._refusals.refuse(error, entry, client)
        except asyncio.CancelledError:
            self._refusals.abandon(entry, client)
        except Exception:
            log.exception("call failed", request_id=arrival.request_id)
            self._refusals.refuse(InternalError(), entry, client)
        finally:
            self._tally.in_flight -= 1
            self.in_flight -= 1

    def refuse(self, error: RouterError, arrival: Arrival, client: Client) -> None:
        """Refuse a request of a known caller before its body was looked at."""
        entry = Entry(arrival=arrival, dialect=arrival.dialect + self._steps.suffix)
        self._refusals.refuse(error, entry, client)
