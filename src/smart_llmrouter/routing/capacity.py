"""How often targets may be called: the shaping of providers, models and targets.

Each of the three may have a bucket for the starts of calls and one for input tokens;
a call needs all that apply. The buckets fill at a steady rate and begin full:

    starts          holds `burst` calls, and fills by `requests_per_second`
    input tokens    holds what comes in a second, `input_tokens_per_second`

A call that is larger than a whole bucket is let through when the bucket is full. The
bucket is in debt afterwards, and whoever is next waits until it is paid off: the rate
holds in the long run, and no call is too large for ever.

The buckets are those of one process, and start full with it. They go on when another
configuration takes effect: a bucket whose flow is the same is the same bucket, and one
that was changed is as full, for its size, as before, or as much in debt.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from smart_llmrouter.config.policies import Flow
from smart_llmrouter.config.snapshot import Group, Snapshot, Target
from smart_llmrouter.core.buckets import Bucket
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.requirements import Requirements

_ONE_CALL: Final = 1.0


class _Buckets:
    """The buckets of one thing that is shaped; `None`: no limit."""

    __slots__ = ("flow", "starts", "tokens")

    def __init__(
        self, flow: Flow, at_s: float, before: "_Buckets | None" = None
    ) -> None:
        """Begin full, or go on from those of another flow."""
        rate, tokens = flow.requests_per_second, flow.input_tokens_per_second
        starts, read = before.both if before else (None, None)
        self.flow = flow
        self.starts = _bucket(starts, rate=rate, size=flow.burst, at_s=at_s)
        self.tokens = _bucket(read, rate=tokens, size=tokens, at_s=at_s)

    @property
    def both(self) -> tuple[Bucket | None, Bucket | None]:
        """That for starts, and that for tokens."""
        return self.starts, self.tokens


def _bucket(
    before: Bucket | None, *, rate: float, size: float, at_s: float
) -> Bucket | None:
    """Return a bucket, where there is a rate; it goes on from another one."""
    if not rate:
        return None
    if before is None:
        return Bucket(rate=rate, size=size, at_s=at_s)
    return before.resized(rate=rate, size=size, at_s=at_s)


class _Share:
    """All buckets that apply to one target of one group, each once."""

    __slots__ = ("starts", "tokens")

    def __init__(self, shaped: list[_Buckets]) -> None:
        """Gather them."""
        self.starts = [each.starts for each in shaped if each.starts is not None]
        self.tokens = [each.tokens for each in shaped if each.tokens is not None]


class Capacity:
    """The buckets of all that is shaped in a configuration."""

    def __init__(
        self, snapshot: Snapshot, *, now: Monotonic, before: "Capacity | None" = None
    ) -> None:
        """Begin with full buckets, or go on from those of another configuration."""
        self._now = now
        self.refused: Counter[str] = before.refused if before else Counter()
        """How often it was asked how long to wait for a target at its capacity."""
        self.buckets: dict[tuple[str, ...], _Buckets] = {}
        """All buckets, by what they are the buckets of."""
        self._shares: dict[str, dict[str, _Share]] = {}
        kept = before.buckets if before else {}
        for group in snapshot.groups.values():
            shares = {
                target.label: _Share(
                    [
                        self._buckets(key, flow, kept.get(key))
                        for key, flow in _shaped(group, target)
                    ]
                )
                for target in group.targets
                if any(_shaped(group, target))
            }
            if shares:
                self._shares[group.name] = shares

    def _buckets(
        self, key: tuple[str, ...], flow: Flow, before: _Buckets | None
    ) -> _Buckets:
        made = self.buckets.get(key)
        if made is None:
            if before is None or before.flow != flow:
                made = _Buckets(flow, self._now(), before)
            else:
                made = before
            self.buckets[key] = made
        return made

    def limits(self, group: str) -> bool:
        """Say whether anything limits how often the targets of a group are called."""
        return group in self._shares

    def wait_s(self, group: str, target: Target, needs: Requirements) -> float:
        """Say in how many seconds a target may be called; 0.0: now.

        A target that may not is counted in `refused`.
        """
        share = self._share(group, target)
        if share is None:
            return 0.0
        wait_s = self._wait_s(share, needs, self._now())
        if wait_s:
            self.refused[target.label] += 1
        return wait_s

    def take(self, group: str, target: Target, needs: Requirements) -> bool:
        """Take a call out of all buckets of a target, or out of none.

        Says whether it was taken; if not, the call must not go there now. How long not
        is the business of `wait_s`, which also counts it.
        """
        share = self._share(group, target)
        if share is None:
            return True
        now_s = self._now()
        if self._wait_s(share, needs, now_s):
            return False
        for bucket in share.starts:
            bucket.take(_ONE_CALL, now_s)
        for bucket in share.tokens:
            bucket.take(needs.estimated_input_tokens, now_s)
        return True

    def _share(self, group: str, target: Target) -> _Share | None:
        shares = self._shares.get(group)
        return None if shares is None else shares.get(target.label)

    def _wait_s(self, share: _Share, needs: Requirements, now_s: float) -> float:
        """Return the longest wait; tokens are only counted where they are limited."""
        wait_s = 0.0
        for bucket in share.starts:
            wait_s = max(wait_s, bucket.wait_s(_ONE_CALL, now_s))
        for bucket in share.tokens:
            wait_s = max(wait_s, bucket.wait_s(needs.estimated_input_tokens, now_s))
        return wait_s


def _shaped(group: Group, target: Target) -> Iterator[tuple[tuple[str, ...], Flow]]:
    """Yield whose buckets apply to a target: its provider's, its model's, its own."""
    provider = target.provider
    if provider.shaping is not None:
        yield ("provider", provider.name), provider.shaping
    if target.model_shaping is not None:
        yield ("model", target.label), target.model_shaping
    if target.shaping is not None:
        yield ("target", group.name, target.label), target.shaping
