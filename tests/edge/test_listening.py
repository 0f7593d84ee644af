"""Where the edge can be reached, for each way to write the address."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from smart_llmrouter.edge.server import listening_socket


@pytest.fixture
def everywhere() -> Iterator[int]:
    """Listen on all interfaces; return the port."""
    with closing(listening_socket("", 0)) as listening:
        listening.listen()
        port: int = listening.getsockname()[1]
        yield port


def test_all_interfaces_are_reached_by_ipv4(everywhere: int) -> None:
    """As they always were."""
    with closing(socket.socket(socket.AF_INET)) as caller:
        found = caller.connect_ex(("127.0.0.1", everywhere))

    assert found == 0


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_all_interfaces_are_reached_by_ipv6(everywhere: int) -> None:
    """`localhost` is `::1` for many a caller."""
    with closing(socket.socket(socket.AF_INET6)) as caller:
        found = caller.connect_ex(("::1", everywhere))

    assert found == 0


def test_an_address_is_that_address_alone() -> None:
    """Who names an interface means no other one."""
    with closing(listening_socket("127.0.0.1", 0)) as listening:
        name = listening.getsockname()

    assert name[0] == "127.0.0.1"


def test_several_may_share_all_interfaces() -> None:
    """As the workers of one router do."""
    with closing(listening_socket("", 0, shared=True)) as first:
        port = first.getsockname()[1]
        with closing(listening_socket("", port, shared=True)) as second:
            assert second.getsockname()[1] == port


def test_who_holds_all_interfaces_holds_them_alone() -> None:
    """The message names the port."""
    with closing(listening_socket("", 0)) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(OSError, match=f"Address already in use: :{port}"):
            listening_socket("", port)
