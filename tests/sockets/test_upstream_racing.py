"""The race between the addresses of a host: who may win, and what is left of it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_llmrouter.upstream.addresses import Address
from smart_llmrouter.upstream.racing import Race
from tests.support.upstream_server import full_backlog, refusing_port

UNREACHABLE = "255.255.255.255"
UNKNOWN_FAMILY = 99


@pytest.fixture
def listening() -> Iterator[int]:
    """Return a port that 127.0.0.2 accepts on, and 127.0.0.1 refuses."""
    with refusing_port() as port, socket.socket() as accepting:
        accepting.bind(("127.0.0.2", port))
        accepting.listen(9)
        yield port


def at(host: str, port: int, family: int = socket.AF_INET) -> Address:
    """Return an address."""
    return Address(family, (host, port))


def open_files() -> int:
    """Return how many files the process has."""
    return len([*Path("/proc/self/fd").iterdir()])


async def test_what_fails_at_once_takes_no_head_start(listening: int) -> None:
    """An address that cannot even be tried makes room for the next immediately."""
    failed: list[Address] = []
    addresses = [
        at("127.0.0.2", listening, family=UNKNOWN_FAMILY),
        at(UNREACHABLE, listening),
        at("127.0.0.1", listening),
        at("127.0.0.2", listening),
    ]
    before = open_files()

    winner, address = await Race(addresses, on_failed=failed.append).won()
    with winner:
        assert address == addresses[3]
        assert winner.getpeername() == ("127.0.0.2", listening)
        assert open_files() == before + 1
    assert failed == addresses[:3]


async def test_the_last_refusal_is_told() -> None:
    """When nobody is left, the race is over, with the reason of the last."""
    failed: list[Address] = []
    with refusing_port() as port:
        addresses = [at(UNREACHABLE, port), at("127.0.0.1", port)]

        with pytest.raises(ConnectionRefusedError):
            await Race(addresses, on_failed=failed.append).won()

    assert failed == addresses


async def test_a_race_without_anybody_is_lost() -> None:
    """No address is no connection."""
    with pytest.raises(OSError, match="no address"):
        await Race([], on_failed=lambda _: None).won()


async def test_who_was_silent_may_still_win(listening: int) -> None:
    """A refusal of the second does not end the first one's chance."""
    with full_backlog("127.0.0.3", listening):
        before = open_files()
        addresses = [
            at("127.0.0.3", listening),
            at("127.0.0.1", listening),
            at("127.0.0.2", listening),
        ]

        winner, address = await Race(addresses, on_failed=lambda _: None).won()

        with winner:
            assert address == addresses[2]
            assert open_files() == before + 1
