"""Which URLs lead to somewhere that is not public, however they are spelled."""

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.core.imageurls import is_private_url, is_public_address

PRIVATE_HOSTS: Final = (
    *("127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "017700000001"),
    *("0x7f000001", "0x7F.1", "0177.0.0.1", "127.0.0.1.", "127.000.000.001"),
    *("10.0.0.5", "010.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("192.168.257", "3232235777", "100.100.100.200", "169.254.169.254"),
    *("0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "168.63.129.16"),
    *("192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
    *("192.0.2.1", "198.51.100.7", "203.0.113.9", "0x", "08.8.8.8"),
    *("256.1.1.1", "1.2.3.4.5", "99999999999", "example.0x7f"),
    *("[::1]", "[::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[0:0:0:0:0:ffff:10.0.0.1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::1]"),
    *(
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[fc00::1]",
        "[fd00:ec2::254]",
    ),
    *(
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::]",
        "[2001:db8::1]",
        "[ff02::1]",
        "[fec0::1]",
    ),
    *("[2606:4700::1111%25eth0]", "[v1.x]", "[not]", "[%3a%3a1]"),
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "nas"),
    *("metadata.google.internal", "metadata", "router.lan", "x.home.arpa", "db.corp"),
    *("kubernetes.default.svc", "host.docker.internal", "x.svc.cluster.local"),
    *("%31%32%37.0.0.1", "%6cocalhost", "127%2e0%2e0%2e1", "127.0.0.1%2f.a.example"),
    *(
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "\u2460\u2461\u2466.0.0.1",
    ),
    *("local\u00adhost", "loc\u200balhost", "\U0001d4c1\u2134calhost"),
    *("user@127.0.0.1", "images.example@127.0.0.1", "u:p@localhost", "a@b@c.example"),
    *("127.0.0.1:80", "[::1]:8080", "localhost:9", "127.0.0.1:80@images.example:x@y"),
    *("images.example\\@127.0.0.1", "127.0.0.1\\@images.example", "a.example\\x"),
    *("a b.example", "127.0.0.1 &@images.example", "<b>.example", "a%00.example"),
)
PUBLIC_HOSTS: Final = (
    *(
        "images.example.com",
        "IMAGES.EXAMPLE.COM.",
        "a.b.c.example:8443",
        "u:p@a.example",
    ),
    *("8.8.8.8", "134744072", "0x08080808", "1.1", "1.0.0.1:80", "172.32.0.1"),
    *("[2606:4700::1111]", "[2606:4700::1111]:443", "[64:ff9b::8.8.8.8]"),
    *("[::ffff:8.8.8.8]", "b\u00fccher.example", "xn--bcher-kva.example"),
    *(
        "local.example",
        "localhost.example",
        "127.example",
        "a-b_c.example",
        "1e100.net",
    ),
)


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
@pytest.mark.parametrize(
    "form", ["http://%s/a.png", "HTTPS://%s", "//%s?x", "http:%s/"]
)
def test_what_is_not_public_is_known_in_every_spelling(host: str, form: str) -> None:
    """Numbers, names, escapes and odd characters alike."""
    assert is_private_url(form % host)


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
@pytest.mark.parametrize(
    "form", ["http://%s/a.png", "https://%s", "//%s/x", "http:/%s"]
)
def test_what_is_public_passes(host: str, form: str) -> None:
    """A public name or address is nobody's own network."""
    assert not is_private_url(form % host)


@pytest.mark.parametrize(
    "url",
    [
        "https://images.example/@user/127.0.0.1/a b.png?u=http://localhost/#@x",
        "data:image/png;base64,AA==",
        "iVBORw0KGgo=",
        "gs://bucket/a.png",
        "ms://file-1",
        "localhost",
        "/etc/passwd",
        "",
    ],
)
def test_what_names_no_host_passes(url: str) -> None:
    """Paths, data, and what a provider keeps itself lead nowhere."""
    assert not is_private_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:a.png",
        "ftp://localhost/",
        "gopher://127.0.0.1:6379/_x",
        " \t http://127.0.0.1/",
        "ht\ntp://127.\t0.0.1/",
        "http:\\\\127.0.0.1\\a.png",
        "http:///127.0.0.1/",
        "http:127.0.0.1",
        "\\\\127.0.0.1\\share",
        "http://",
    ],
)
def test_odd_urls_are_read_as_the_most_lenient_would(url: str) -> None:
    """What browsers, curl or a library would follow is not let through."""
    assert is_private_url(url)


SPELLINGS: Final[tuple[Callable[[IPv4Address], str], ...]] = (
    str,
    lambda each: str(int(each)),
    lambda each: hex(int(each)),
    lambda each: f"0{int(each):o}",
    lambda each: ".".join(f"0{byte:o}" for byte in each.packed),
    lambda each: ".".join(hex(byte) for byte in each.packed),
    lambda each: f"{each.packed[0]}.{int(each) & 0xFFFFFF}",
    lambda each: f"[::ffff:{each}]",
    lambda each: f"[64:ff9b::{int(each) >> 16:x}:{int(each) & 0xFFFF:x}]",
)


@given(
    address=st.ip_addresses(v=4, network="10.0.0.0/8")
    | st.ip_addresses(v=4, network="127.0.0.0/8")
    | st.ip_addresses(v=4, network="169.254.0.0/16")
    | st.ip_addresses(v=4, network="192.168.0.0/16"),
    spelled=st.sampled_from(SPELLINGS),
)
def test_no_spelling_hides_a_private_address(
    address: IPv4Address, spelled: Callable[[IPv4Address], str]
) -> None:
    """Decimal, octal, hex, short, mapped and translated."""
    assert is_private_url(f"http://{spelled(address)}/")
    assert not is_public_address(str(address))


@given(address=st.ip_addresses(v=4, network="8.0.0.0/8"))
def test_a_public_address_passes(address: IPv4Address) -> None:
    """Most addresses are public."""
    assert not is_private_url(f"http://{address}/a.png")
    assert is_public_address(str(address))


@given(url=st.text())
def test_any_text_is_judged(url: str) -> None:
    """Nothing that a caller writes is a fault of the router."""
    assert is_private_url(url) in (True, False)
    assert is_private_url("http://" + url) in (True, False)
