"""How many connections are let in: in all, of one address, and who is only told."""

from dataclasses import dataclass
from typing import cast

from smart_llmrouter.edge.addresses import NOBODY, Proxies, packed
from smart_llmrouter.edge.connection import Connection
from smart_llmrouter.edge.entrance import Entrance, Entry
from smart_llmrouter.engine.tally import Tally


@dataclass(eq=False, slots=True)
class Arriving:
    """A connection as an entrance sees it."""

    peer: bytes


def arriving(host: str = "192.0.2.7") -> Connection:
    """Return a connection from an address."""
    return cast("Connection", Arriving(packed(host)))


def bounded(
    tally: Tally, *trusted: str, most: int = 0, most_per_address: int = 0
) -> Entrance:
    """Return an entrance with these bounds."""
    entrance = Entrance(tally)
    entrance.bound(Proxies(trusted), most=most, most_per_address=most_per_address)
    return entrance


def entries(entrance: Entrance, *connections: Connection) -> list[Entry]:
    """Let connections come, one after the other."""
    return [entrance.enter(each) for each in connections]


def test_there_is_room_for_so_many() -> None:
    """One leaves, another one may come; who was refused makes no room by leaving."""
    tally = Tally()
    entrance = bounded(tally, most=2)
    one, two, three, four, five = (arriving() for _ in range(5))

    assert entries(entrance, one, two, three) == ["open", "open", "refused"]
    entrance.leave(three)
    assert entries(entrance, four) == ["refused"]
    entrance.leave(one)
    assert entries(entrance, five) == ["open"]
    assert tally.connections == 2
    assert tally.connections_refused == {"router": 2}


def test_an_address_has_a_part_of_it() -> None:
    """Other addresses go on; a /64 is one address; nothing is kept of who has left."""
    tally = Tally()
    entrance = bounded(tally, most_per_address=1)
    first, second = arriving("2001:db8::1"), arriving("2001:db8::2")

    assert entries(entrance, first, second) == ["open", "refused"]
    assert entries(entrance, arriving("192.0.2.7"), arriving("192.0.2.8")) == (
        ["open", "open"]
    )
    entrance.leave(second)
    entrance.leave(first)
    assert entries(entrance, arriving("2001:db8::3")) == ["open"]
    assert tally.connections_refused == {"address": 1}
    assert tally.connections == 3


def test_the_connections_of_a_proxy_are_those_of_many() -> None:
    """Neither they nor those without an address have a bound of their own."""
    entrance = bounded(Tally(), "10.0.0.0/8", most=20, most_per_address=1)
    proxied = [arriving("10.0.0.1") for _ in range(10)]
    local = [arriving("") for _ in range(10)]

    assert entries(entrance, *proxied, *local) == ["open"] * 20
    assert entries(entrance, arriving("10.0.0.1")) == ["refused"]


def test_too_many_that_are_refused_are_dropped() -> None:
    """Telling them is a courtesy, and has a bound of its own."""
    entrance = bounded(Tally(), most=1)
    told = [arriving() for _ in range(256)]

    assert entries(entrance, arriving(), *told) == ["open", *["refused"] * 256]
    assert entries(entrance, arriving()) == ["dropped"]
    entrance.leave(told[0])
    entrance.leave(told[1])
    assert entries(entrance, arriving()) == ["refused"]


def test_no_bound_and_a_crowd() -> None:
    """Without a bound there is no crowd; with one it is from seven eighths on."""
    free = Entrance(Tally())
    eight = bounded(Tally(), most=8)

    assert entries(free, *(arriving() for _ in range(100))) == ["open"] * 100
    assert not free.crowded
    entries(eight, *(arriving() for _ in range(7)))
    assert not eight.crowded
    entries(eight, arriving())
    assert eight.crowded


def test_bounds_that_change_keep_what_was_counted() -> None:
    """Who is there already counts, and stays."""
    entrance = Entrance(Tally())
    here = [arriving() for _ in range(3)]
    entries(entrance, *here)

    entrance.bound(NOBODY, most=0, most_per_address=3)
    refused = entries(entrance, arriving())
    entrance.leave(here[0])
    then = entries(entrance, arriving())

    assert (refused, then) == (["refused"], ["open"])
