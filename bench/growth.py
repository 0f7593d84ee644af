"""Whether a call costs more where there are more callers or more groups."""

from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from bench.figures import Samples
from bench.loads import Load
from bench.subjects import WORKER, Mock, Router
from bench.suite import Workshop, measure
from bench.workload import ANY_GROUP, Scale, group_of, token_of

_LOAD: Final = Load(name="growth", connections=64, group=ANY_GROUP, against=())
_SCALES: Final = {
    "10 callers": Scale(callers=10),
    "10,000 callers": Scale(callers=10_000),
    "200 groups": Scale(callers=10, groups=200),
}
_SECONDS: Final = 2


def measure_growth(shop: Workshop, upstream: Mock) -> None:
    """Load routers of several sizes in turn; compare the CPU that a call takes.

    Every call is another caller's and names another group, as far as there are.
    """
    shop.say("many callers, many groups")
    samples = Samples()
    with ExitStack() as stack:
        routers = {
            name: stack.enter_context(
                shop.router(upstream, name.replace(" ", "-"), name=name, scale=scale)
            )
            for name, scale in _SCALES.items()
        }
        for at in range(shop.plan.growth_rounds + 1):
            for name, router in routers.items():
                callers = _callers_file(shop.directory, name)
                used_us = _worker_us(shop, router, callers)
                if at:
                    samples.add((name, _LOAD.name), "worker us", used_us)
    _keep(shop, samples)


def _worker_us(shop: Workshop, router: Router, callers: Path) -> float:
    used_s, answered = router.cpu_s()[WORKER], router.answered
    measure(shop, _LOAD, router, seconds=_SECONDS, keep=False, callers=callers)
    calls = max(1, router.answered - answered)
    return 1e6 * (router.cpu_s()[WORKER] - used_s) / calls


def _keep(shop: Workshop, samples: Samples) -> None:
    """Keep the median of the rounds' ratios: each round compares what is next to it."""
    of = samples.all()
    smallest, *larger = _SCALES
    base = of[smallest, _LOAD.name, "worker us"]
    for name in larger:
        ours = of[name, _LOAD.name, "worker us"]
        ratio = median(us / least for us, least in zip(ours, base, strict=True))
        shop.results.figures["router", name, "CPU of a small one"] = ratio


def _callers_file(directory: Path, name: str) -> Path:
    path = directory / f"callers-{name.replace(' ', '-')}"
    scale = _SCALES[name]
    if not path.exists():
        turns = max(scale.callers, scale.groups)
        lines = (
            f"{token_of(at % scale.callers + 1)} {group_of(at % scale.groups + 1)}\n"
            for at in range(turns)
        )
        path.write_text("".join(lines))
    return path
