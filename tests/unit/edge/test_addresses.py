"""Whose address counts: the peer's, or what proxies say who are trusted."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.edge.addresses import Proxies, packed, shown, ward

PROXY = packed("10.0.0.1")
TRUSTED = Proxies(("10.0.0.0/8", "fd00::/8"))


def client(*values: str, peer: bytes = PROXY, proxies: Proxies = TRUSTED) -> str:
    """Return whose request it is that came with these `X-Forwarded-For` fields."""
    fields = [(b"x-forwarded-for", value.encode("latin-1")) for value in values]
    return shown(proxies.client_of(peer, [(b"host", b"a"), *fields]))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7 "], "192.0.2.7"),
        (["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.9"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.9,10.0.0.8", "fd00::1"], "192.0.2.7"),
        (["192.0.2.7,, ,10.0.0.9,"], "192.0.2.7"),
        (["10.0.0.7, 10.0.0.9"], "10.0.0.7"),
        (["192.0.2.7:5555"], "192.0.2.7"),
        (["2001:db8:1:2:3::4"], "2001:db8:1:2:3::4"),
        (["[2001:db8::4]"], "2001:db8::4"),
        (["[2001:db8::4]:443"], "2001:db8::4"),
        (['"[2001:db8::4]:443"'], "2001:db8::4"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, ::ffff:10.0.0.9"], "192.0.2.7"),
    ],
)
def test_the_last_address_that_is_no_proxy(values: list[str], told: str) -> None:
    """Several fields are one list; ports, brackets and quotes are taken away."""
    assert client(*values) == told


@pytest.mark.parametrize(
    "garbage",
    [
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.7.8",
        "192.0.2.256",
        "0x7f.1",
        "192.0.2.7:port",
        "192.0.2.7:",
        "[192.0.2.7",
        "[2001:db8::4",
        "2001:db8::4]",
        "[2001:db8::4]443",
        "[2001:db8::4]:x",
        "2001:db8:::4",
        "fe80::1%eth0",
        "for=192.0.2.7",
        "\xff\xfe",
        "9" * 5000,
        "[" * 5000,
    ],
)
def test_nothing_is_believed_from_garbage_on(garbage: str) -> None:
    """What stands before it is as little worth: the last good address counts."""
    assert client(f"192.0.2.7, {garbage}") == "10.0.0.1"
    assert client(f"192.0.2.7, {garbage}, 10.0.0.9") == "10.0.0.9"
    assert client(f"{garbage}, 192.0.2.7, 10.0.0.9") == "192.0.2.7"


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db8::1", "11.0.0.1", ""])
def test_who_is_not_trusted_says_nothing_about_others(peer: str) -> None:
    """The header is ignored from anybody else, also from a Unix socket's peer."""
    address = packed(peer)

    assert TRUSTED.client_of(address, [(b"x-forwarded-for", b"192.0.2.7")]) == address


def test_nobody_is_trusted_without_a_setting() -> None:
    """Loopback is no proxy by itself."""
    assert client("192.0.2.7", peer=packed("127.0.0.1"), proxies=Proxies(())) == (
        "127.0.0.1"
    )


def test_a_long_list_is_read_from_its_end_only() -> None:
    """Who adds ten thousand entries before the proxy's gains nothing by that."""
    many = ", ".join(["198.51.100.1"] * 10_000)

    assert client(f"{many}, 192.0.2.7") == "192.0.2.7"
    assert client(", ".join(["10.0.0.2"] * 10_000)) == "10.0.0.2"


@pytest.mark.parametrize(
    ("network", "address", "trusted"),
    [
        ("192.168.1.1/32", "192.168.1.1", True),
        ("192.168.1.1/32", "192.168.1.2", False),
        ("0.0.0.0/0", "192.0.2.7", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "192.0.2.7", False),
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("2001:db8::/33", "2001:db8:7fff::1", True),
        ("2001:db8::/33", "2001:db8:8000::1", False),
    ],
)
def test_networks_hold_their_addresses(
    network: str, address: str, *, trusted: bool
) -> None:
    """A network of IPv4 holds no address of IPv6, and the other way round."""
    assert Proxies((network,)).trusts(packed(address)) == trusted


def test_no_address_is_in_no_network() -> None:
    """The peer of a Unix socket has none."""
    assert not Proxies(("0.0.0.0/0", "::/0")).trusts(packed(""))


def test_one_line_is_one_address() -> None:
    """Who has an IPv6 line has all of its /64, and so counts as one."""
    assert ward(packed("2001:db8:1:2::1")) == ward(packed("2001:db8:1:2:ffff::9"))
    assert ward(packed("2001:db8:1:2::1")) != ward(packed("2001:db8:1:3::1"))
    assert ward(packed("192.0.2.7")) != ward(packed("192.0.2.8"))
    assert shown(ward(packed("2001:db8:1:2::1"))) == "2001:db8:1:2::/64"
    assert shown(ward(packed("192.0.2.7"))) == "192.0.2.7"
    assert shown(b"") == "unknown"


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=80))
def test_any_header_gives_an_address(value: str) -> None:
    """Whatever is sent, there is an answer, and it is an address."""
    found = packed(client(value))

    assert len(found) in {4, 16}


@given(st.ip_addresses())
def test_packing_is_undone_by_showing(address: IPv4Address | IPv6Address) -> None:
    """Each address is packed to its bytes, and shown as it was."""
    text = str(address)

    assert packed(shown(packed(text))) == packed(text)
