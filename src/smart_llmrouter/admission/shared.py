"""Counters that several processes and machines share, in a Valkey or Redis.

Each decision is one script that the store runs; see `lua/common.lua` for what it keeps.
All that a process asks in one turn of its loop leaves in one write, on one connection.

    take      the store grants it to an owner, which is this process. What owners hold
              is released when they have not been heard of for a lease's time
    settle    is written down by `flush`, after the call's record. Settlements are
              numbered, and kept until the store has them: what a lost connection made
              doubtful is sent again, and counted once
    away      a store that does not answer for a second is away until it is reached
              again. See `shared_away` for what calls are told meanwhile
"""

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

import hiredis
import structlog

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import NOTHING, Demand, Spent
from smart_llmrouter.admission.shared_away import Away, LocalLease
from smart_llmrouter.admission.shared_commands import Commands
from smart_llmrouter.admission.shared_dead import Dead
from smart_llmrouter.admission.shared_owner import Life, OwnerName, Settlement
from smart_llmrouter.admission.shared_seeds import Seed, Seeds
from smart_llmrouter.admission.shared_terms import (
    LETTERS,
    Keys,
    SharedLease,
    Terms,
    lease_of,
    refusal_of,
    standing_of,
)
from smart_llmrouter.admission.verdicts import Lease, Standing, Verdict
from smart_llmrouter.config.allowances import PeriodName, Scope
from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.core.errors.faults import CountersAway
from smart_llmrouter.stores.valkey_connection import (
    LOST,
    Reply,
    ValkeyConnection,
    kind_of,
)
from smart_llmrouter.stores.valkey_link import ValkeyLink

log = structlog.get_logger()

_GRANTED: Final = 1
_REFUSED: Final = 0
_NO_MINUTE: Final = -2
_FOREIGN: Final = "a lease goes back to the counters that gave it"
_NOT_LOADED: Final = "NOSCRIPT"
_MS_PER_S: Final = 1000


class _Asking:
    """A demand on its way, and who waits for what the store says."""

    __slots__ = ("again", "answer", "chain", "demand", "life", "shared", "terms")

    def __init__(
        self, shared: "Shared", life: Life, chain: Chain, terms: Terms, demand: Demand
    ) -> None:
        """Begin to wait."""
        self.shared = shared
        self.life = life
        self.chain = chain
        self.terms = terms
        self.demand = demand
        self.again = False
        self.answer: asyncio.Future[Verdict] = shared.loop.create_future()

    def __call__(self, reply: Reply) -> None:
        """Read the answer."""
        shared = self.shared
        if not isinstance(reply, list):
            shared.unanswered(self, reply)
            return
        told = reply[0]
        if told == _GRANTED:
            self._granted(reply)
        elif told == _REFUSED:
            self.say(refusal_of(reply, self.terms, wall=shared.wall))
        else:
            shared.lapsed(self)

    def _granted(self, reply: list[Any]) -> None:
        life = self.life
        life.held += 1
        if isinstance(reply[-1], bytes):
            self.shared.away.note(self.terms, reply.pop())
        lease = lease_of(reply, self.terms, self.demand, owner=life.name)
        if self.answer.done():
            # Nobody waits any more.
            self.shared.settle(lease, NOTHING)
            self.shared.flush()
        else:
            self.answer.set_result(lease)

    def say(self, verdict: Verdict) -> None:
        """Give the answer to who waits for it."""
        if not self.answer.done():
            self.answer.set_result(verdict)

    def fail(self) -> None:
        """Say that nobody can tell."""
        if not self.answer.done():
            self.answer.set_exception(CountersAway())


class Shared:
    """The port `Counters`, over a store that is shared."""

    def __init__(
        self,
        owner: OwnerName,
        commands: Commands,
        *,
        keys: Keys,
        away: Away,
        wall: WallClock,
    ) -> None:
        """Count as `owner`; call `use` before anything else."""
        self.wall = wall
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = owner
        self._commands = commands
        self._keys = keys
        self.away = away
        self._seeds = Seeds(commands.seed)
        self.dead = Dead(self.asked, commands, keys=keys, owner=owner)
        self._terms: dict[Chain, Terms] = {}
        self._newest: dict[str, Scope] = {}
        self._lives: dict[str, Life] = {}
        self._born = 0
        self._life = self._next_life()
        self._settled: list[tuple[Life, Settlement]] = []
        self._link: ValkeyLink | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which the store was reached."""
        assert self._loop is not None  # noqa: S101 - whoever asks has looked
        return self._loop

    def use(self, link: ValkeyLink) -> None:
        """Count in the store to which this link leads."""
        self._link = link

    @property
    def link(self) -> ValkeyLink:
        """The way to the store."""
        assert self._link is not None  # noqa: S101 - `use` comes first
        return self._link

    @property
    def lives(self) -> Collection[Life]:
        """Its lives of which something is left, the one that goes on among them."""
        return self._lives.values()

    # What the gate asks.

    def take(self, scopes: Chain, demand: Demand) -> Verdict | Awaitable[Verdict]:
        """Take all that a call needs out of all limits, or nothing."""
        if not self.link.up:
            return self.away.take(scopes, demand)
        terms = self._terms.get(scopes)
        if terms is None or not terms.hold_for(demand.began_ms):
            terms = self._terms_of(scopes.scopes, demand.began_ms)
            self._terms[scopes] = terms
        asking = _Asking(self, self._life, scopes, terms, demand)
        self._ask(asking)
        return asking.answer

    def _terms_of(self, scopes: Sequence[Scope], began_ms: float) -> Terms:
        self._newest.update((each.key, each) for each in scopes)
        return Terms(self._keys, scopes, began_ms)

    def _terms_now(self, lease: SharedLease) -> Terms:
        """Return the terms of a lease by the newest limits that are known."""
        terms = lease.terms
        scopes = [self._newest.get(each.key, each) for each in terms.scopes]
        if all(new is old for new, old in zip(scopes, terms.scopes, strict=True)):
            return terms
        return Terms(self._keys, scopes, lease.demand.began_ms)

    def _ask(self, asking: _Asking) -> None:
        what = self._commands.take(
            asking.life,
            asking.terms,
            asking.demand,
            now_ms=int(self.wall() * _MS_PER_S),
            forced=False,
        )
        self.link.send(what, asking)

    def grow(
        self, lease: Lease, *, tokens: int, nusd: int
    ) -> Verdict | Awaitable[Verdict]:
        """Take more for a call in flight; while the store is away it may go on."""
        if isinstance(lease, LocalLease):
            if lease.shared is None:
                return self.away.grow(lease, tokens, nusd)
            lease = lease.shared
        if not isinstance(lease, SharedLease):
            raise TypeError(_FOREIGN)
        if not self.link.up:
            return lease
        answer: asyncio.Future[Verdict] = self.loop.create_future()

        def grown(reply: Reply) -> None:
            refused = isinstance(reply, list) and reply[0] == _REFUSED
            if not answer.done():
                answer.set_result(
                    refusal_of(cast("list[int]", reply), terms, wall=self.wall)
                    if refused
                    else lease
                )

        terms = self._terms_now(lease)
        what = self._commands.grow(
            lease.owner,
            terms,
            lease.demand.request_id,
            tokens=tokens,
            nusd=nusd,
        )
        self.link.send(what, grown)
        return answer

    def settle(self, lease: Lease, spent: Spent) -> None:
        """Give back what was reserved, and count what was used instead."""
        if isinstance(lease, LocalLease):
            self._settle_local(lease, spent)
            return
        if not isinstance(lease, SharedLease):
            raise TypeError(_FOREIGN)
        if lease.settled:
            return
        lease.settled = True
        life = self._lives[lease.owner]
        settlement = Settlement(lease.terms, lease.demand, lease.step, spent)
        self._settled.append((life, settlement))

    def forget(self) -> None:
        """Drop the terms of chains, which are made again from their scopes."""
        self._terms.clear()
        self.away.forget()

    def _settle_local(self, lease: LocalLease, spent: Spent) -> None:
        if lease.spent is None:
            lease.spent = spent
            self.away.settle(lease, spent)
            self._told_local(lease)

    def _told_local(self, lease: LocalLease) -> None:
        """Settle a lease of our own in the store, if that knows it and it is over."""
        if lease.spent is not None and lease.shared is not None:
            self.settle(lease.shared, lease.spent)

    def flush(self) -> None:
        """Tell the store what has been settled, at once."""
        settled, link = self._settled, self.link
        if not settled:
            return
        self._settled = []
        for life, settlement in settled:
            life.held -= 1
            self._settle(life, life.number(settlement))
        link.write()

    def _settle(self, life: Life, settlement: Settlement) -> None:
        if self.link.up:
            what = self._commands.settle(life.name, settlement)
            self.link.send(what, partial(self._heard, life, settlement))

    async def standing(self, scopes: Sequence[Scope]) -> Sequence[Standing]:
        """Return how the limits of scopes stand. Raises `CountersAway`."""
        now_s = self.wall()
        terms = self._terms_of(scopes, now_s * _MS_PER_S)
        told = await self.asked(self._commands.read(terms, int(now_s * _MS_PER_S)))
        return [
            standing_of(each, terms, index, now_s=now_s)
            for index, each in enumerate(cast("list[list[int]]", told))
        ]

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Begin a budget's period anew. Raises `CountersAway`."""
        await self.asked(self._commands.reset(scope.key, LETTERS[period], at_ms))

    async def seed(self, seeds: Sequence[Seed]) -> None:
        """Begin periods with what is on record, where nobody has counted in them yet.

        Where the store is away, that is done before anything else when it is reached.
        """
        self._seeds.add(seeds)
        if self._link is not None and self._link.up:
            with suppress(CountersAway):
                await self._seeds.sow(self.asked)

    def condition(self) -> str | None:
        """Return why nothing can be counted now, in safe words; `None`: all is well."""
        if self.link.up:
            return None
        return f"the counter store is away ({self.link.reason}); {self.away.told}"

    async def asked(self, what: bytes) -> Reply:
        """Return the answer to a command. Raises `CountersAway`."""
        for _ in range(2):
            if not self.link.up:
                raise CountersAway
            answer: asyncio.Future[Reply] = self.loop.create_future()
            self.link.send(what, answer.set_result)
            reply = await asyncio.shield(answer)
            if reply is LOST:
                raise CountersAway
            if not isinstance(reply, hiredis.ReplyError):
                return reply
            if kind_of(reply) != _NOT_LOADED:
                log.error("counter store has failed", reason=str(reply))
                raise CountersAway
            self._load()
        raise CountersAway

    # What the store says.

    def unanswered(self, asking: _Asking, reply: Reply) -> None:
        """Find out what to do where a demand got no verdict."""
        if reply is LOST:
            self._doubt(asking)
        elif kind_of(reply) == _NOT_LOADED and not asking.again:
            asking.again = True
            self._load()
            self._ask(asking)
        else:
            log.error("counter store has failed", reason=str(reply))
            asking.fail()

    def _doubt(self, asking: _Asking) -> None:
        """Have taken back what may have been granted; nobody knows."""
        unknown = Settlement(asking.terms, asking.demand, -1, NOTHING)
        asking.life.number(unknown)
        if asking.answer.done():
            return
        try:
            asking.say(self.away.take(asking.chain, asking.demand))
        except CountersAway:
            asking.fail()

    def lapsed(self, asking: _Asking) -> None:
        """Ask again: the life that asked is over for the store."""
        if asking.again:
            asking.fail()
            return
        asking.again = True
        if asking.life is self._life:
            self._begin_life()
        asking.life = self._life
        self._ask(asking)

    def _heard(self, life: Life, settlement: Settlement, reply: Reply) -> None:
        """Take note of what became of a settlement."""
        if reply is LOST:
            return
        if reply == -1 or kind_of(reply) == _NOT_LOADED:
            self._repeat(life)
            return
        if not isinstance(reply, int):
            log.error("counter store has failed", reason=str(reply))
        life.unheard.pop(settlement.number, None)
        if life.over and life is not self._life:
            self._lives.pop(life.name, None)

    def _repeat(self, life: Life) -> None:
        """Send again, in order, what was not counted, once for all of this turn."""
        if life.repeats:
            return
        life.repeats = True

        def repeat() -> None:
            life.repeats = False
            if self.link.up:
                self._load()
                self._settle_again(life)

        self.loop.call_soon(repeat)

    def _settle_again(self, life: Life) -> None:
        for index, settlement in enumerate(list(life.unheard.values())):
            settlement.oldest = index == 0
            what = self._commands.settle(life.name, settlement)
            self.link.send(what, partial(self._heard, life, settlement))

    def _load(self) -> None:
        for each in self._commands.load:
            self.link.send(each, _ignore)

    # The life of the owner.

    async def greet(self, connection: ValkeyConnection) -> None:
        """Get ready on a new connection: what was before it is over, or sent again."""
        self._loop = asyncio.get_running_loop()
        for each in self._commands.load:
            connection.send(each, _ignore)
        await self._seeds.sow(connection.asked)
        lives = list(self._lives.values())
        for life in lives:
            life.epoch += 1
        opened = [
            await connection.asked(self._commands.open(life, self._owner))
            for life in lives
        ]
        if cast("list[int]", opened[-1])[0] != _GRANTED:
            self._life = self._next_life()
            self._life.epoch = 1
            await connection.asked(self._commands.open(self._life, self._owner))
        self._tell_what_was_used()
        for life in self._lives.values():
            self._settle_again(life)
        for lease in self.away.in_flight():
            self._tell(lease)

    def _tell_what_was_used(self) -> None:
        """Have the store told what was used while it was away."""
        for owed in self.away.owed():
            self._born += 1
            name = f"{self._life.name} away {self._born}"
            demand = Demand(request_id=name, began_ms=owed.began_ms)
            step = -1 if owed.recent else _NO_MINUTE
            self._life.number(Settlement(owed.terms, demand, step, owed.spent))

    def _tell(self, lease: LocalLease) -> None:
        """Have the store know a lease that it did not grant."""
        life, demand = self._life, lease.demand
        terms = Terms(self._keys, lease.chain.scopes, demand.began_ms)
        lease.told = True

        def told(reply: Reply) -> None:
            if isinstance(reply, list) and reply[0] == _GRANTED:
                if isinstance(reply[-1], bytes):
                    reply.pop()
                life.held += 1
                lease.shared = lease_of(reply, terms, demand, owner=life.name)
                self._told_local(lease)
                self.flush()
                return
            lease.told = False
            life.number(Settlement(terms, demand, -1, NOTHING))
            if lease.spent is not None:
                self.away.owe(lease, lease.spent)

        self.link.send(
            self._commands.take(life, terms, demand, now_ms=0, forced=True), told
        )

    def lost(self) -> None:
        """Count in another way while the store is away."""
        self.away.lost()

    def _next_life(self) -> Life:
        self._born += 1
        life = Life(self._owner.life(self._born))
        self._lives[life.name] = life
        return life

    def _begin_life(self) -> None:
        """Begin another life on the connection that there is."""
        log.warning("counter store had given this process up for dead")
        self._life = self._next_life()
        self._life.epoch = 1
        self.link.send(self._commands.open(self._life, self._owner), _ignore)

    async def renew(self) -> None:
        """Tell the store that this process lives; release what the dead held."""
        if not self.link.up:
            return
        told: list[bytes | int] = []
        for life in list(self._lives.values()):
            told = cast(
                "list[bytes | int]", await self.asked(self._commands.renew(life))
            )
            if life is self._life and told[0] != _GRANTED:
                self._begin_life()
        self.away.meet(cast("int", told[1]))
        for name in told[2:]:
            await self.dead.sweep(cast("bytes", name).decode())

    async def leave(self) -> None:
        """Say that this process ends; what it still holds is released."""
        with suppress(CountersAway):
            for life in list(self._lives.values()):
                await self.dead.bury(life.name, forget=life.over)


def _ignore(_reply: Reply) -> None:
    """Take no note of an answer."""
