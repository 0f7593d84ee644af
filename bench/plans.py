"""What is measured: the loads, and how often and how long in a full or a quick run."""

from dataclasses import dataclass
from typing import Final

from bench.loads import Load
from bench.workload import LIMITED_GROUP, TLS_GROUP

KIB: Final = 1024
MIB: Final = 1024 * 1024
EVENTS: Final = 34
"""Events of a stream of the mock provider."""

_DIRECT: Final = ("direct",)

ONE: Final = Load(name="plain 1", connections=1, against=_DIRECT)
MANY: Final = Load(name="plain 64", connections=64)
CROWD: Final = Load(name="plain 256", connections=256, against=_DIRECT)
STREAM_ONE: Final = Load(name="stream 1", connections=1, stream=True, against=_DIRECT)
STREAMS: Final = Load(name="stream 64", connections=64, stream=True)
PACED: Final = Load(
    name="paced 1000",
    connections=1000,
    stream=True,
    gap_ms=20,
    spread_ms=1000,
    least_s=5,
    against=_DIRECT,
)
TLS: Final = Load(name="TLS 64", connections=64, group=TLS_GROUP, against=())
TLS_STREAMS: Final = Load(
    name="TLS stream 64", connections=64, stream=True, group=TLS_GROUP, against=()
)
TRANSLATED: Final = Load(name="translate 64", connections=64, messages=True, against=())
TRANSLATED_STREAMS: Final = Load(
    name="translate stream 64", connections=64, stream=True, messages=True, against=()
)
LIMITED: Final = Load(
    name="limited 64", connections=64, group=LIMITED_GROUP, against=()
)
LARGE: Final = Load(
    name="64 KB 64", connections=64, size_bytes=64 * KIB, against=_DIRECT
)
HUGE: Final = Load(name="1 MB 1", connections=1, size_bytes=MIB, against=_DIRECT)
HUGE_MANY: Final = Load(name="1 MB 16", connections=16, size_bytes=MIB, against=())
SLOW_ONE: Final = Load(name="1 on 20 ms", connections=1, first_ms=20, against=_DIRECT)
SLOW: Final = Load(
    name="1000 on 200 ms",
    connections=1000,
    first_ms=200,
    least_s=8,
    against=_DIRECT,
)
PEER_LOADS: Final = (ONE, MANY, STREAM_ONE, STREAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured.

    `one_core` are the loads under which a second router is measured, whose ingester is
    on the worker's core; `growth_rounds` compare routers of several sizes.
    """

    loads: tuple[Load, ...]
    one_core: tuple[Load, ...] = ()
    rounds: int
    seconds: int
    exact_requests: int
    starts: int
    memory_of_bodies: bool = False
    growth_rounds: int = 0
    two_workers: bool = False


FULL: Final = Plan(
    loads=(
        ONE,
        MANY,
        CROWD,
        STREAM_ONE,
        STREAMS,
        PACED,
        TLS,
        TLS_STREAMS,
        TRANSLATED,
        TRANSLATED_STREAMS,
        LIMITED,
        LARGE,
        HUGE,
        SLOW_ONE,
        SLOW,
    ),
    one_core=(MANY, STREAMS),
    rounds=3,
    seconds=4,
    exact_requests=200_000,
    starts=3,
    memory_of_bodies=True,
    growth_rounds=5,
    two_workers=True,
)
QUICK: Final = Plan(
    loads=(
        ONE,
        MANY,
        STREAM_ONE,
        STREAMS,
        TLS,
        TRANSLATED,
        TRANSLATED_STREAMS,
        LIMITED,
        LARGE,
    ),
    rounds=1,
    seconds=1,
    exact_requests=10_000,
    starts=1,
)
