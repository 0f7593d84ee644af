"""Addresses are kept for a while, ordered fairly, and failures remembered."""

import asyncio
import socket

import pytest

from smart_llmrouter.upstream.addresses import Address, Addresses

SIX = [Address(socket.AF_INET6, (f"2001:db8::{n}", 443, 0, 0)) for n in range(1, 4)]
FOUR = [Address(socket.AF_INET, (f"192.0.2.{n}", 443)) for n in range(1, 3)]


class Dns:
    """A resolver and a clock that the test turns."""

    def __init__(self, *addresses: Address) -> None:
        """Know these addresses."""
        self.addresses = list(addresses)
        self.asked = 0
        self.now_s = 1000.0

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Give the known addresses, or fail."""
        assert (host, port) == ("provider.test", 443)
        self.asked += 1
        if not self.addresses:
            raise OSError("no such host")
        return self.addresses

    def addresses_for(self, ttl_s: float) -> Addresses:
        """Return what is to be tested."""
        return Addresses(self.resolve, ttl_s=ttl_s, now=lambda: self.now_s)


async def test_what_was_found_is_kept_for_its_time() -> None:
    """Just before the end it is still used, at the end it is looked up again."""
    dns = Dns(*FOUR)
    addresses = dns.addresses_for(30)
    asked = []

    for passed_s in (0, 29.9, 0.1, 29.9, 0.1):
        dns.now_s += passed_s
        await addresses.of("provider.test", 443)
        asked.append(dns.asked)

    assert asked == [1, 1, 2, 2, 3]


async def test_families_take_turns() -> None:
    """As RFC 8305 has it, beginning with the family that the resolver prefers."""
    dns = Dns(*SIX, *FOUR)

    found = await dns.addresses_for(30).of("provider.test", 443)

    assert list(found) == [SIX[0], FOUR[0], SIX[1], FOUR[1], SIX[2]]


async def test_what_failed_comes_last_for_a_minute() -> None:
    """Until it is reached again, or a minute has passed."""
    dns = Dns(*FOUR)
    addresses = dns.addresses_for(1000)
    order = []

    for step in ("", "failed", "", "reached", "failed", "later"):
        if step == "failed":
            addresses.failed(FOUR[0])
        elif step == "reached":
            addresses.reached(FOUR[0])
        elif step == "later":
            dns.now_s += 60
        found = await addresses.of("provider.test", 443)
        order.append(found[0] == FOUR[0])

    assert order == [True, False, False, True, False, True]


async def test_a_failed_address_is_tried_where_it_is_the_only_one() -> None:
    """Coming last does not mean being left out."""
    dns = Dns(FOUR[0])
    addresses = dns.addresses_for(30)
    addresses.failed(FOUR[0])

    assert await addresses.of("provider.test", 443) == (FOUR[0],)


async def test_known_addresses_outlive_a_resolver() -> None:
    """While the resolver fails, what was known is used, and it is asked each time."""
    dns = Dns(*FOUR)
    addresses = dns.addresses_for(30)
    await addresses.of("provider.test", 443)
    dns.addresses, dns.now_s = [], 2000.0

    found = [await addresses.of("provider.test", 443) for _ in range(2)]

    assert found == [tuple(FOUR)] * 2
    assert dns.asked == 3


async def test_a_name_without_addresses_is_a_failure() -> None:
    """An answer without an address leads nowhere, and is not kept."""

    async def nothing(host: str, port: int) -> list[Address]:
        del host, port
        return []

    addresses = Addresses(nothing, ttl_s=30, now=lambda: 0)

    for _ in range(2):
        with pytest.raises(OSError, match="no address"):
            await addresses.of("provider.test", 443)


async def test_a_failure_nobody_waits_for_is_no_trouble() -> None:
    """All who asked have left; the lookup fails, and nothing is left of it."""
    dns = Dns()
    addresses = dns.addresses_for(30)
    asking = asyncio.create_task(addresses.of("provider.test", 443))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)

    with pytest.raises(OSError, match="no such host"):
        await addresses.of("provider.test", 443)
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", FOUR[0]),
        ("2001:db8::1", SIX[0]),
    ],
)
async def test_an_address_is_not_looked_up(host: str, expected: Address) -> None:
    """A literal address is its own answer."""
    dns = Dns()

    assert await dns.addresses_for(30).of(host, 443) == (expected,)
    assert dns.asked == 0
