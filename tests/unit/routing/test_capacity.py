"""How often targets may be called, and what happens to those that are too many."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.config.policies import Flow
from smart_llmrouter.config.snapshot import (
    Group,
    Provider,
    Server,
    Snapshot,
    State,
    Target,
    Upstream,
)
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.routing.capacity import Capacity
from tests.support.clock import Clock

SMALL = Requirements(body=b"", dialect="openai-chat", _estimate=10)


def starts(rate: float, burst: int) -> Flow:
    """Return a limit of calls that start."""
    return Flow(requests_per_second=rate, burst=burst)


def tokens(rate: float) -> Flow:
    """Return a limit of input tokens."""
    return Flow(input_tokens_per_second=rate)


def of_size(estimate: int) -> Requirements:
    """Return what a request needs whose input has so many tokens."""
    return msgspec.structs.replace(SMALL, _estimate=estimate)


def target(
    provider: Flow | None = None,
    model: Flow | None = None,
    own: Flow | None = None,
    *,
    key: str = "mini",
) -> Target:
    """Return a target of the provider `acme`, shaped like this."""
    return Target(
        label=f"acme/{key}",
        provider=Provider(
            name="acme",
            dialect="openai-chat",
            base_url="http://x",
            api_key=None,
            headers=(),
            shaping=provider,
        ),
        key=key,
        model=key,
        price=None,
        model_shaping=model,
        shaping=own,
    )


def capacity(clock: Clock, **groups: list[Target]) -> Capacity:
    """Return the capacity of these groups of targets."""
    made = {
        name: Group(
            name=name,
            aliases=(),
            strategy="failover",
            targets=tuple(targets),
            max_attempts=3,
            first_event_timeout_s=60,
        )
        for name, targets in groups.items()
    }
    snapshot = Snapshot(
        fingerprint="f1",
        server=Server(
            host="127.0.0.1",
            port=8080,
            default_group=None,
            max_request_bytes=1000,
            keepalive_after_s=15,
            client_timeout_s=60,
            shutdown_grace_s=30,
        ),
        state=State(
            directory=Path("state"),
            database_url=Secret("sqlite://", source="default"),
            journal_sync="interval",
        ),
        upstream=Upstream(
            transport="lean",
            proxied=False,
            max_connections=1,
            idle_connection_s=30,
            dns_ttl_s=60,
            connect_timeout_s=1,
            first_event_timeout_s=1,
            idle_timeout_s=1,
            total_timeout_s=1,
            max_response_bytes=1000,
        ),
        groups=MappingProxyType(made),
        groups_by_name=MappingProxyType(made),
        callers_by_digest=MappingProxyType({}),
    )
    return Capacity(snapshot, now=clock)


def taken(shaped: Capacity, group: str, each: Target, needs: Requirements) -> int:
    """Take calls until there is no more, a hundred at most; return how many."""
    return next(
        (count for count in range(100) if not shaped.take(group, each, needs)), 100
    )


def test_nothing_is_shaped_by_default() -> None:
    """Then nothing is counted either, not even tokens."""
    free, shaped = target(), target(own=starts(1, 1))
    found = capacity(Clock(), plain=[free], mixed=[free, shaped])
    needs = Requirements(body=b"{}", dialect="openai-chat")

    may = [found.limits(group) for group in ("plain", "mixed", "unheard-of")]
    calls = taken(found, "plain", free, needs)

    assert may == [False, True, False]
    assert calls == 100
    assert needs._estimate is None


def test_tokens_are_not_estimated_for_a_limit_of_calls() -> None:
    """An estimate reads the whole request."""
    limited = target(own=starts(10, 2))
    found = capacity(Clock(), chat=[limited])
    needs = Requirements(body=b"{}", dialect="openai-chat")

    found.wait_s("chat", limited, needs)
    found.take("chat", limited, needs)

    assert needs._estimate is None


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    """After a quiet time as many as the burst; then one each tenth of a second."""
    clock, limited = Clock(), target(provider=starts(10, 4))
    found = capacity(clock, chat=[limited])

    burst = taken(found, "chat", limited, SMALL)
    wait_s = found.wait_s("chat", limited, SMALL)
    clock.turn(wait_s)
    after = taken(found, "chat", limited, SMALL)
    clock.turn(100)

    assert (burst, after) == (4, 1)
    assert wait_s == pytest.approx(0.1)
    assert taken(found, "chat", limited, SMALL) == 4


def test_a_provider_is_shared_by_its_models_and_groups() -> None:
    """A model is shared by groups, and a target is a group's own."""
    provider, model, own = starts(1, 5), starts(1, 3), starts(1, 2)
    mini = target(provider, model, own)
    other = target(provider, key="other")
    found = capacity(Clock(), chat=[mini], code=[mini, other])

    calls = [
        taken(found, "chat", mini, SMALL),
        taken(found, "code", mini, SMALL),
        taken(found, "code", other, SMALL),
    ]

    assert calls == [2, 1, 2]


def test_all_buckets_are_taken_from_or_none() -> None:
    """A call that one of them refuses costs the others nothing."""
    clock = Clock()
    mini = target(starts(1, 10), own=starts(0.01, 1))
    other = target(starts(1, 10), key="other")
    found = capacity(clock, chat=[mini, other])

    first = taken(found, "chat", mini, SMALL)
    for _ in range(50):
        found.take("chat", mini, SMALL)

    assert first == 1
    assert taken(found, "chat", other, SMALL) == 9


def test_input_tokens_have_a_bucket_of_their_own() -> None:
    """It holds what comes in a second; both limits must let a call pass."""
    clock, limited = Clock(), target(tokens(100))
    found = capacity(clock, chat=[limited])

    first = taken(found, "chat", limited, of_size(40))
    wait_s = found.wait_s("chat", limited, of_size(40))

    assert first == 2
    assert wait_s == pytest.approx(0.2)


def test_input_tokens_of_models_and_of_their_provider_both_count() -> None:
    """Two models have a share each of what the provider allows together."""
    mini = target(tokens(100), tokens(60))
    other = target(tokens(100), tokens(60), key="other")
    found = capacity(Clock(), chat=[mini, other])

    calls = [taken(found, "chat", each, of_size(20)) for each in (mini, other)]

    assert calls == [3, 2]


def test_a_request_larger_than_the_bucket_passes_when_it_is_full() -> None:
    """The bucket goes into debt, and whoever is next waits until that is paid off."""
    clock, limited = Clock(), target(tokens(100))
    found = capacity(clock, chat=[limited])
    found.take("chat", limited, of_size(1))

    wait_s = found.wait_s("chat", limited, of_size(1000))
    clock.turn(wait_s)
    passed = found.take("chat", limited, of_size(1000))
    next_s = found.wait_s("chat", limited, of_size(50))

    assert wait_s == pytest.approx(0.01)
    assert passed
    assert next_s == pytest.approx(9.5)


def test_refusals_are_counted_by_target() -> None:
    """A call that is refused asks how long to wait, and counts once."""
    limited = target(own=starts(1, 1))
    found = capacity(Clock(), chat=[limited])
    found.wait_s("chat", limited, SMALL)
    found.take("chat", limited, SMALL)

    found.take("chat", limited, SMALL)
    found.wait_s("chat", limited, SMALL)

    assert found.refused == {"acme/mini": 1}


@given(
    rate=st.floats(0.1, 100),
    sizes=st.lists(st.integers(1, 500), min_size=2, max_size=40),
    pauses=st.lists(st.floats(0, 5), min_size=40, max_size=40),
)
def test_the_rate_holds_between_any_two_calls(
    rate: float, sizes: list[int], pauses: list[float]
) -> None:
    """From any call to any later one no more passes than a bucket and what has come.

    The last of them may be larger than the bucket. And a wait that was told is enough.
    """
    clock, limited = Clock(), target(tokens(rate))
    found = capacity(clock, chat=[limited])
    passed: list[tuple[float, int]] = []
    for size, pause_s in zip(sizes, pauses, strict=False):
        clock.turn(pause_s)
        clock.turn(found.wait_s("chat", limited, of_size(size)))
        assert found.take("chat", limited, of_size(size))
        passed.append((clock.now_s, size))

    for first in range(len(passed)):
        for last in range(first + 1, len(passed)):
            came = (passed[last][0] - passed[first][0]) * rate
            before = sum(size for _, size in passed[first:last])
            assert before <= came + rate + 1e-3
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(passed))


def test_shaping_of_one_group_says_nothing_of_another() -> None:
    """The same target is free where no group, model or provider limits it."""
    limited = target(own=starts(1, 1))
    found = capacity(Clock(), a=[limited], b=[replace(limited, shaping=None)])

    assert taken(found, "a", limited, SMALL) == 1
    assert taken(found, "b", limited, SMALL) == 100
