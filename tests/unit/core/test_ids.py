"""Request ids: unique, in the order of time, and from chance drawn in advance."""

import os
import re

from smart_llmrouter.core.ids import RequestIds


def test_an_id_tells_its_time() -> None:
    """Ids of a later millisecond sort behind all earlier ones."""
    make = RequestIds(os.urandom)

    ids = [make(ts_ms) for ts_ms in (1, 1, 2, 255, 256, 1_800_000_000_000)]

    assert [each[:16] for each in ids[1:]] == [
        "req_000000000001",
        "req_000000000002",
        "req_0000000000ff",
        "req_000000000100",
        "req_01a3185c5000",
    ]
    assert ids[2:] == sorted(ids[2:])
    assert all(re.fullmatch(r"req_[0-9a-f]{32}", each) for each in ids)


def test_no_chance_is_used_twice() -> None:
    """However many ids are made in one millisecond, each has chance of its own."""
    drawn = []

    def random_bytes(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    make = RequestIds(random_bytes)

    chances = [make(7)[16:] for _ in range(1000)]

    assert len(set(chances)) == 1000
    assert "".join(chances) == b"".join(drawn).hex()[: 20 * 1000]
    assert 1 < len(drawn) < 10
