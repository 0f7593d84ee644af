"""What may not get worse: the budgets of `budgets.toml`, and whether they are kept."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from bench.figures import SCALED_STEPS, Figures

FILE: Final = Path(__file__).resolve().parent / "budgets.toml"
Verdict = Literal["kept", "MISSED", "not measured"]


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bound for one figure of the router, and what is aimed at beyond it."""

    load: str
    measure: str
    about: str = ""
    goal: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        """Insist on exactly one bound."""
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a budget has either `at_least` or `at_most`")

    def verdict_on(self, value: float | None) -> Verdict:
        """Say whether a value keeps to the budget."""
        if value is None:
            return "not measured"
        if self.at_least is not None:
            return "kept" if value >= self.at_least else "MISSED"
        return "kept" if self.at_most is None or value <= self.at_most else "MISSED"

    @property
    def bound(self) -> str:
        """Return the bound as one reads it."""
        if self.at_least is not None:
            bound = f"at least {self.at_least:,g}"
        else:
            bound = f"at most {self.at_most:,g}"
        return bound if self.goal is None else f"{bound} (goal {self.goal:,g})"


class _Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    us: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reference: _Reference
    budget: list[Budget]
    steps: dict[str, float]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One budget, and the figure that it was held against."""

    budget: Budget
    value: float | None

    @property
    def verdict(self) -> Verdict:
        """Say whether it was kept."""
        return self.budget.verdict_on(self.value)


def read_budgets(path: Path = FILE) -> list[Budget]:
    """Read the file of budgets. Raises `msgspec.ValidationError`."""
    file = _read(path)
    steps = [
        Budget(load=SCALED_STEPS, measure=step, at_most=us)
        for step, us in file.steps.items()
    ]
    return file.budget + steps


def reference_us(path: Path = FILE) -> float:
    """Return what the reference loop takes on the machine that the steps are for."""
    return _read(path).reference.us


def _read(path: Path) -> _File:
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)


def judged(figures: Figures, budgets: list[Budget]) -> Iterator[Judgement]:
    """Hold the router's figures against the budgets."""
    for budget in budgets:
        value = figures.get(("router", budget.load, budget.measure))
        yield Judgement(budget, value)
