"""Trusting every address is worth a warning."""

import pytest

from tests.support.configuration import SMALL, brief, loaded


@pytest.mark.parametrize(
    ("networks", "warned"),
    [
        ("[10.0.0.0/8, 192.168.1.1]", []),
        ("['fd00::/8', 0.0.0.0/1]", []),
        ("[10.0.0.0/8, 0.0.0.0/0]", ["server.trusted_proxies[1]"]),
        ("['::/0', 0.0.0.0/0]", [f"server.trusted_proxies[{n}]" for n in (0, 1)]),
    ],
)
def test_everybody_is_no_proxy(networks: str, warned: list[str]) -> None:
    """Anybody could then say whose request it is."""
    text = f"{SMALL}\nserver: {{trusted_proxies: {networks}}}\n"

    findings = [brief(each) for each in loaded(text).findings]

    found = [each for each in findings if "every address" in str(each)]
    assert [key for _, key, _ in found] == warned
