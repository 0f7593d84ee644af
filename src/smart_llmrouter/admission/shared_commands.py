"""The commands of a shared store, as they are written to it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from smart_llmrouter.admission.demand import Demand
from smart_llmrouter.admission.shared_owner import Life, OwnerName, Settlement
from smart_llmrouter.admission.shared_scripts import Script, ScriptName
from smart_llmrouter.admission.shared_seeds import Seed
from smart_llmrouter.admission.shared_terms import Keys, Terms, Told
from smart_llmrouter.stores.valkey_connection import bulk, command

_REMEMBERED_MS: Final = 7 * 86_400_000
Part = str | bytes | int
_MOST_PREFIXES: Final = 16

_encode = msgspec.msgpack.Encoder().encode


class Commands:
    """Writes what a store is to do."""

    def __init__(
        self,
        keys: Keys,
        scripts: Mapping[ScriptName, Script],
        *,
        lease_s: float,
        tell_left: bool,
    ) -> None:
        """Let leases last `lease_s` without news of their owner."""
        self._keys = keys
        self._scripts = scripts
        self._lease_ms = int(lease_s * 1000)
        self._tell_left = b"1" if tell_left else b"0"

    @property
    def load(self) -> Sequence[bytes]:
        """What loads all scripts."""
        return [script.load for script in self._scripts.values()]

    def take(
        self, life: Life, terms: Terms, demand: Demand, *, now_ms: int, forced: bool
    ) -> bytes:
        """Take what a call needs; `now_ms` is by the wall's clock here."""
        name = f"take {life.name} {life.epoch}"
        prefix = terms.prefixes.get(name)
        if prefix is None:
            prefix = self._prefix(
                name,
                terms,
                self._script("take"),
                [*self._of(life.name), *terms.keys],
                [
                    life.name.encode(),
                    b"%d" % life.epoch,
                    terms.limits,
                    self._tell_left,
                    terms.places,
                ],
            )
        given = _encode(
            (
                demand.request_id,
                demand.began_ms,
                demand.input_tokens,
                demand.tokens,
                demand.nusd,
                forced,
                now_ms,
            )
        )
        return b"%b$%d\r\n%b\r\n" % (prefix, len(given), given)

    def settle(self, life: str, settlement: Settlement) -> bytes:
        """Settle a lease."""
        terms, demand, spent = settlement.terms, settlement.demand, settlement.spent
        prefix = self._short(life, "settle", terms, terms.places)
        given = _encode(
            (
                settlement.number,
                demand.request_id,
                demand.began_ms,
                settlement.step,
                demand.tokens,
                spent.requests,
                spent.tokens,
                spent.nusd,
                settlement.oldest,
            )
        )
        return b"%b$%d\r\n%b\r\n" % (prefix, len(given), given)

    def grow(
        self, life: str, terms: Terms, request_id: str, *, tokens: int, nusd: int
    ) -> bytes:
        """Take more for a call in flight."""
        given = _encode((request_id, tokens, nusd))
        prefix = self._short(life, "grow", terms, terms.limits)
        return prefix + bulk(given)

    def open(self, life: Life, owner: OwnerName) -> bytes:
        """Begin a life, or go on with it on another connection."""
        return self._call(
            "open",
            [*self._of(life.name), self._keys.family(owner.instance)],
            [life.name, life.epoch, self._lease_ms, owner.dead],
        )

    def renew(self, life: Life, *, lease_ms: int | None = None) -> bytes:
        """Say that an owner lives."""
        lease_ms = lease_ms or self._lease_ms
        given: list[Part] = [life.name, life.epoch, lease_ms, _REMEMBERED_MS]
        return self._call("renew", self._of(life.name), given)

    def close(self, name: str) -> bytes:
        """Say that an owner is dead, and ask for its leases."""
        return self._call("close", self._of(name), [name, _REMEMBERED_MS])

    def sweep(self, name: str, scopes: Iterable[str], *, last: bool) -> bytes:
        """Release what a dead owner holds of some scopes."""
        keys = [*self._of(name), *(self._keys.scope(each) for each in scopes)]
        return self._call("sweep", keys, [name, int(last), _REMEMBERED_MS])

    def read(self, terms: Terms, now_ms: int) -> bytes:
        """Ask how scopes stand."""
        keys = [self._keys.clock, self._keys.owners, *terms.keys]
        return self._call("read", keys, [terms.limits, now_ms])

    def reset(self, scope: str, letter: str, at_ms: int) -> bytes:
        """Begin a period anew."""
        keys = [self._keys.clock, self._keys.owners, self._keys.scope(scope)]
        return self._call("reset", keys, [letter, at_ms])

    def seed(self, seeds: Sequence[Seed]) -> bytes:
        """Begin periods of some scopes with what is on record."""
        scopes = (self._keys.scope(each.scope.key) for each in seeds)
        keys = [self._keys.clock, self._keys.owners, *scopes]
        return self._call("seed", keys, [_encode([each.told() for each in seeds])])

    def leases(self, name: str) -> bytes:
        """Ask for the leases of an owner."""
        return command("HGETALL", self._keys.leases(name))

    def family(self, instance: str) -> bytes:
        """Ask for the owners that a router had."""
        return command("SMEMBERS", self._keys.family(instance))

    def forget(self, instance: str, name: str) -> bytes:
        """Have an owner forgotten of which nothing is left."""
        return command("SREM", self._keys.family(instance), name)

    def _of(self, name: str) -> list[bytes]:
        return [self._keys.clock, self._keys.owners, self._keys.leases(name)]

    def _script(self, name: ScriptName) -> bytes:
        return self._scripts[name].digest

    def _short(self, life: str, name: ScriptName, terms: Told, told: bytes) -> bytes:
        """Return how a command for a lease begins: all but what is the call's own."""
        key = f"{name} {life}"
        prefix = terms.prefixes.get(key)
        if prefix is None:
            prefix = self._prefix(
                key,
                terms,
                self._script(name),
                [*self._of(life), *terms.keys],
                [life.encode(), told],
            )
        return prefix

    @staticmethod
    def _prefix(
        name: str, terms: Told, digest: bytes, keys: list[bytes], given: list[bytes]
    ) -> bytes:
        parts = [b"EVALSHA", digest, b"%d" % len(keys), *keys, *given]
        made = b"*%d\r\n" % (len(parts) + 1) + b"".join(map(bulk, parts))
        if len(terms.prefixes) > _MOST_PREFIXES:
            terms.prefixes.clear()
        terms.prefixes[name] = made
        return made

    def _call(
        self,
        name: ScriptName,
        keys: Sequence[bytes],
        given: Sequence[str | bytes | int],
    ) -> bytes:
        return command("EVALSHA", self._script(name), len(keys), *keys, *given)
