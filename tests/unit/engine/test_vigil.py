"""One timer watches every silence of a call: limits, deadline and keep-alives."""

import asyncio
import time

import pytest

from smart_llmrouter.core.errors import UpstreamTimeout
from smart_llmrouter.engine.vigil import Silence, Vigil, Watch
from tests.support.wait import eventually

SHORT_S = 0.03
LONG_S = 30.0


async def silence() -> None:
    """Wait for something that never comes."""
    await asyncio.Event().wait()


async def endure(total_s: float, *limits: tuple[Silence, float], rest: bool) -> None:
    """Wait in silence under a vigil with these limits, until it ends that."""
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=total_s) as vigil:
        for kind, limit_s in limits:
            vigil.wait_for(kind, limit_s)
        if rest:
            vigil.rest()
        await silence()


async def wait_out(vigil: Vigil, kind: Silence, limit_s: float) -> Silence | None:
    """Wait in silence until the vigil ends that, and go on."""
    vigil.wait_for(kind, limit_s)
    with pytest.raises(asyncio.CancelledError):
        await silence()
    return vigil.forgive()


@pytest.mark.parametrize("kind", ["first_event", "idle"])
async def test_a_limit_that_passes(kind: Silence) -> None:
    """Unforgiven, it is raised as the error that the caller is told."""
    with pytest.raises(UpstreamTimeout) as raised:
        await endure(LONG_S, (kind, SHORT_S), rest=False)

    assert raised.value.error_class == f"upstream_{kind}_timeout"


async def test_the_deadline_that_passes() -> None:
    """The deadline counts whatever is being waited for."""
    with pytest.raises(UpstreamTimeout) as raised:
        await endure(SHORT_S, ("idle", LONG_S), rest=False)

    assert raised.value.error_class == "upstream_total_timeout"


async def test_a_call_may_be_told_to_hurry() -> None:
    """The deadline comes nearer, and never goes further away; nobody is kept alive."""
    beats = 0

    async def beat() -> None:
        nonlocal beats
        beats += 1

    async def hurried() -> None:
        watch = Watch(asyncio.get_running_loop())
        with watch.over_this_task(total_s=LONG_S) as vigil:
            left_s.append(vigil.left_s)
            vigil.keep_alive(beat, SHORT_S)
            vigil.wait_for("idle", LONG_S)
            vigil.hurry(3 * SHORT_S)
            vigil.hurry(LONG_S)
            left_s.append(vigil.left_s)
            await silence()

    left_s: list[float] = []
    with pytest.raises(UpstreamTimeout) as raised:
        await hurried()

    assert left_s[1] <= 3 * SHORT_S < left_s[0] <= LONG_S
    assert raised.value.error_class == "upstream_total_timeout"
    assert beats == 0


async def test_the_deadline_counts_while_at_rest() -> None:
    """A caller that reads too slowly is cut off, too."""
    with pytest.raises(UpstreamTimeout) as raised:
        await endure(SHORT_S, ("idle", LONG_S), rest=True)

    assert raised.value.error_class == "upstream_total_timeout"


async def test_a_limit_can_be_forgiven_and_set_again() -> None:
    """Each attempt has its own limit, and the task is cancelled for none but it."""
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        kinds = [await wait_out(vigil, "first_event", SHORT_S) for _ in range(3)]
        await asyncio.sleep(0)

    task = asyncio.current_task()
    assert kinds == ["first_event"] * 3
    assert task is not None
    assert task.cancelling() == 0


async def test_a_later_limit_may_be_shorter() -> None:
    """The timer is moved to what passes first."""
    began = time.monotonic()
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.wait_for("first_event", LONG_S)
        vigil.rest()
        kind = await wait_out(vigil, "idle", SHORT_S)

    assert kind == "idle"
    assert time.monotonic() - began < LONG_S / 2


async def test_nothing_passes_in_time() -> None:
    """A block that ends in time ends as if nobody had watched."""
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=SHORT_S) as vigil:
        vigil.wait_for("idle", SHORT_S)
        vigil.rest()
    await asyncio.sleep(2 * SHORT_S)

    assert vigil.expired is None


async def test_without_a_deadline() -> None:
    """`total_timeout_s: 0` is no limit at all."""
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=0) as vigil:
        kind = await wait_out(vigil, "first_event", SHORT_S)

    assert kind == "first_event"


async def test_another_cancellation_is_not_taken_for_a_limit() -> None:
    """A caller that leaves in the same moment is not forgiven away."""

    async def watched() -> None:
        task = asyncio.current_task()
        assert task is not None
        with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
            vigil.wait_for("idle", SHORT_S)
            try:
                await silence()
            finally:
                task.cancel()
                vigil.forgive()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(watched())


async def test_what_is_heard_begins_the_wait_anew() -> None:
    """The limit counts from the last event, wherever the timer stands by then."""
    began = time.monotonic()
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.wait_for_more(SHORT_S)
        vigil.heard_s = vigil.now() + 2 * SHORT_S
        with pytest.raises(asyncio.CancelledError):
            await silence()
        kind = vigil.forgive()

    assert kind == "idle"
    assert time.monotonic() - began >= 3 * SHORT_S


async def test_what_was_heard_is_over_at_rest() -> None:
    """Who waits for the caller does not wait for the provider."""
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.wait_for_more(SHORT_S)
        vigil.heard_s = vigil.now()
        vigil.rest()
        await asyncio.sleep(3 * SHORT_S)

    assert vigil.expired is None


async def test_what_is_heard_puts_a_keep_alive_off() -> None:
    """No beat follows an event sooner than it would follow a beat."""
    beats: list[float] = []

    async def beat() -> None:
        beats.append(time.monotonic())

    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.keep_alive(beat, SHORT_S)
        vigil.wait_for_more(LONG_S)
        began = time.monotonic()
        vigil.heard_s = vigil.now() + 2 * SHORT_S
        await eventually(lambda: beats, what="a beat")

    assert beats[0] - began >= 3 * SHORT_S * 0.9


async def test_keep_alives_in_a_silence() -> None:
    """While the provider is waited for, a beat follows each silence."""
    beats: list[float] = []

    async def beat() -> None:
        beats.append(time.monotonic())

    began = time.monotonic()
    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.keep_alive(beat, SHORT_S)
        vigil.wait_for("first_event", LONG_S)
        await eventually(lambda: len(beats) >= 3, what="three beats")

    # Each may be late, but none comes before its time.
    for number, at_s in enumerate(beats, start=1):
        assert at_s - began >= number * SHORT_S * 0.9


@pytest.mark.parametrize("total_s", [0, LONG_S])
async def test_keep_alives_while_a_turn_is_waited_for(total_s: float) -> None:
    """A wait without a limit of its own is a silence like any other."""
    beats: list[float] = []

    async def beat() -> None:
        beats.append(time.monotonic())

    with Watch(asyncio.get_running_loop()).over_this_task(total_s=total_s) as vigil:
        vigil.keep_alive(beat, SHORT_S)
        vigil.wait()
        await eventually(lambda: len(beats) >= 2, what="two beats")
        vigil.rest()
        if vigil.beating is not None:
            await vigil.beating
        until_now = len(beats)
        await asyncio.sleep(4 * SHORT_S)

    assert len(beats) == until_now


async def test_the_deadline_counts_while_a_turn_is_waited_for() -> None:
    """A call may take no longer because it has waited for its turn."""

    async def queued() -> None:
        watch = Watch(asyncio.get_running_loop())
        with watch.over_this_task(total_s=SHORT_S) as vigil:
            vigil.wait()
            await silence()

    with pytest.raises(UpstreamTimeout) as raised:
        await queued()

    assert raised.value.error_class == "upstream_total_timeout"


async def test_no_keep_alive_at_rest() -> None:
    """While the caller itself is slow, nothing is sent on top of it."""
    beats: list[float] = []

    async def beat() -> None:
        beats.append(time.monotonic())

    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.keep_alive(beat, SHORT_S)
        vigil.wait_for("first_event", LONG_S)
        vigil.rest()
        await asyncio.sleep(4 * SHORT_S)

    assert beats == []


async def test_sending_waits_for_a_beat_on_its_way() -> None:
    """An event need never overtake a keep-alive."""
    released, sent = asyncio.Event(), []

    async def beat() -> None:
        sent.append("began")
        await released.wait()
        sent.append("beat")

    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.keep_alive(beat, SHORT_S)
        vigil.wait_for("first_event", LONG_S)
        await eventually(lambda: sent, what="a beat on its way")
        asyncio.get_running_loop().call_soon(released.set)
        assert vigil.beating is not None
        await vigil.beating
        sent.append("event")

    assert sent == ["began", "beat", "event"]


async def test_a_beat_that_fails_harms_nothing() -> None:
    """A caller that is gone is noticed elsewhere."""
    beats = []

    async def beat() -> None:
        beats.append(1)
        raise OSError

    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.keep_alive(beat, SHORT_S)
        vigil.wait_for("first_event", LONG_S)
        await eventually(lambda: len(beats) >= 2, what="two beats")

    assert vigil.expired is None


async def test_a_beat_ends_with_the_call() -> None:
    """A keep-alive that hangs does not outlive its call."""
    began, ended = asyncio.Event(), []

    async def beat() -> None:
        began.set()
        try:
            await silence()
        finally:
            ended.append(True)

    with Watch(asyncio.get_running_loop()).over_this_task(total_s=LONG_S) as vigil:
        vigil.keep_alive(beat, SHORT_S)
        vigil.wait_for("first_event", LONG_S)
        await began.wait()
    await eventually(lambda: ended, what="the end of the beat")

    assert ended == [True]
