"""How often targets may be called: the shaping of providers, models and targets.

Each of the three may have a bucket for the starts of calls and one for input tokens;
a call needs all that apply. The buckets fill at a steady rate and begin full:

    starts          holds `burst` calls, and fills by `requests_per_second`
    input tokens    holds what comes in a second, `input_tokens_per_second`

A call that is larger than a whole bucket is let through when the bucket is full. The
bucket is in debt afterwards, and whoever is next waits until it is paid off: the rate
holds in the long run, and no call is too large for ever.

The buckets are those of one process, and start full with it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from smart_llmrouter.config.policies import Flow
from smart_llmrouter.config.snapshot import Group, Snapshot, Target
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.core.requirements import Requirements

# A wait that was told must be enough: what floating point loses on the way counts not.
_ROUNDING: Final = 1e-9
_ONE_CALL: Final = 1.0


class Bucket:
    """A bucket that fills at a steady rate. Times are in seconds of one clock."""

    __slots__ = ("_at_s", "_level", "_rate", "_size")

    def __init__(self, *, rate: float, size: float, at_s: float) -> None:
        """Begin full."""
        self._rate = rate
        self._size = size
        self._level = size
        self._at_s = at_s

    def wait_s(self, amount: float, now_s: float) -> float:
        """Say in how many seconds so much may be taken; 0.0: now."""
        self._fill(now_s)
        missing = min(amount, self._size) - self._level
        return missing / self._rate if missing > _ROUNDING * self._size else 0.0

    def take(self, amount: float) -> None:
        """Take so much out, into debt if need be."""
        self._level -= amount

    def _fill(self, now_s: float) -> None:
        come = (now_s - self._at_s) * self._rate
        self._level = min(self._size, self._level + come)
        self._at_s = now_s


class _Buckets:
    """The buckets of one thing that is shaped; `None`: no limit."""

    __slots__ = ("starts", "tokens")

    def __init__(self, flow: Flow, at_s: float) -> None:
        """Begin full."""
        rate, tokens = flow.requests_per_second, flow.input_tokens_per_second
        self.starts = Bucket(rate=rate, size=flow.burst, at_s=at_s) if rate else None
        self.tokens = Bucket(rate=tokens, size=tokens, at_s=at_s) if tokens else None


class _Share:
    """All buckets that apply to one target of one group, each once."""

    __slots__ = ("starts", "tokens")

    def __init__(self, shaped: list[_Buckets]) -> None:
        """Gather them."""
        self.starts = [each.starts for each in shaped if each.starts is not None]
        self.tokens = [each.tokens for each in shaped if each.tokens is not None]


class Capacity:
    """The buckets of all that is shaped in a configuration."""

    def __init__(self, snapshot: Snapshot, *, now: Monotonic) -> None:
        """Begin with full buckets."""
        self._now = now
        self._refused: Counter[str] = Counter()
        self._shares: dict[str, dict[str, _Share]] = {}
        made: dict[tuple[str, ...], _Buckets] = {}
        for group in snapshot.groups.values():
            shares = {
                target.label: _Share(
                    [
                        made.setdefault(key, _Buckets(flow, now()))
                        for key, flow in _shaped(group, target)
                    ]
                )
                for target in group.targets
                if any(_shaped(group, target))
            }
            if shares:
                self._shares[group.name] = shares

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
        wait_s = self._wait_s(share, needs)
        if wait_s:
            self._refused[target.label] += 1
        return wait_s

    def take(self, group: str, target: Target, needs: Requirements) -> bool:
        """Take a call out of all buckets of a target, or out of none.

        Says whether it was taken; if not, the call must not go there now. How long not
        is the business of `wait_s`, which also counts it.
        """
        share = self._share(group, target)
        if share is None:
            return True
        if self._wait_s(share, needs):
            return False
        for bucket in share.starts:
            bucket.take(_ONE_CALL)
        for bucket in share.tokens:
            bucket.take(needs.estimated_input_tokens)
        return True

    @property
    def refused(self) -> Mapping[str, int]:
        """How often it was asked how long to wait for a target at its capacity."""
        return self._refused

    def _share(self, group: str, target: Target) -> _Share | None:
        shares = self._shares.get(group)
        return None if shares is None else shares.get(target.label)

    def _wait_s(self, share: _Share, needs: Requirements) -> float:
        """Return the longest wait; tokens are only counted where they are limited."""
        now_s, wait_s = self._now(), 0.0
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
