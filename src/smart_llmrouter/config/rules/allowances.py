"""Limits and budgets that do not do what they seem to are worth a warning.

Each holder has the groups to which calls can go that its limits count. A limit that
never counts a call, never refuses one, or never lets one pass is hardly meant.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.allowances import Allowances, Budget
from smart_llmrouter.config.schema.identities import Caller
from smart_llmrouter.config.schema.providers import Model, Price
from smart_llmrouter.core.estimates import DEFAULT_OUTPUT_TOKENS

_MILLION: Final = 1_000_000
_PERIODS: Final = ("day", "month", "lifetime")
_UNITS: Final = ("requests", "tokens", "usd")
Models = Mapping[str, Sequence[tuple[str, Model]]]
"""The models of each group, with the names by which targets use them."""
_Place = tuple[str, str | None]
"""A project, and the environment in it if it is about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whoever has limits; `groups` are those whose calls they count, of `callers`."""

    path: KeyPath
    given: Allowances
    groups: tuple[str, ...]
    callers: tuple[Caller, ...]

    @property
    def periods(self) -> Iterator[tuple[str, Budget]]:
        """The budgets that it has, by their periods."""
        budgets = self.given.budgets
        for name in _PERIODS:
            budget = None if budgets is None else getattr(budgets, name)
            if budget is not None:
                yield name, budget


def allowances_have_an_effect(
    document: Document, settings: Settings
) -> Iterator[Finding]:
    """Yield a warning for each limit that does not do what it seems to."""
    models = _models(settings)
    for holder in _holders(settings):
        if not holder.callers:
            yield from _nobody_is_counted(document, holder)
            continue
        for rule in _RULES:
            yield from rule(document, holder, models)


def _holders(settings: Settings) -> Iterator[Holder]:
    """Yield all that may have limits."""
    callers = settings.callers

    def holder(
        path: KeyPath,
        given: Allowances,
        found: Sequence[Caller],
        *,
        only: str | None = None,
    ) -> Holder:
        names = {group for each in found for group in each.allow}
        groups = tuple(each for each in settings.groups if each in names)
        groups = groups if only is None else (only,)
        return Holder(path=path, given=given, groups=groups, callers=tuple(found))

    for at, caller in enumerate(callers):
        yield holder(("callers", at), caller, [caller])
    for at, user in enumerate(settings.users):
        owned = [each for each in callers if each.owner_user == user.id]
        yield holder(("users", at), user, owned)
    for path, given, place in _places(settings):
        yield holder(path, given, [each for each in callers if _is_at(each, place)])
    for name, group in settings.groups.items():
        found = [each for each in callers if name in each.allow]
        yield holder(("groups", name), group, found, only=name)
        if group.per_caller is not None:
            path = ("groups", name, "per_caller")
            yield holder(path, group.per_caller, found, only=name)


def _places(settings: Settings) -> Iterator[tuple[KeyPath, Allowances, _Place]]:
    """Yield projects, and their environments."""
    for at, project in enumerate(settings.projects):
        yield ("projects", at), project, (project.id, None)
        for name, given in project.environments.items():
            path = ("projects", at, "environments", name)
            yield path, given, (project.id, name)


def _is_at(caller: Caller, place: _Place) -> bool:
    project, environment = place
    return caller.project == project and environment in {None, caller.environment}


def _models(settings: Settings) -> Models:
    """Look the targets of all groups up."""
    found: dict[str, list[tuple[str, Model]]] = {}
    for name, group in settings.groups.items():
        models = found.setdefault(name, [])
        for target in group.targets:
            provider, _, key = target.use.partition("/")
            fields = settings.providers.get(provider)
            if fields is not None and key in fields.models:
                models.append((target.use, fields.models[key]))
    return found


def _nobody_is_counted(document: Document, holder: Holder) -> Iterator[Finding]:
    for section in ("limits", "budgets", "shaping"):
        if getattr(holder.given, section) is not None:
            yield document.warning(
                (*holder.path, section),
                "no caller is counted here: it limits nobody",
                "look at the names that callers have and may use, or remove it",
            )


def _dollars_know_prices(
    document: Document, holder: Holder, models: Models
) -> Iterator[Finding]:
    """Warn where calls cost nothing that a budget in dollars would see."""
    free = sorted(
        {
            f"`{use}`"
            for group in holder.groups
            for use, model in models[group]
            if _price_of_output(model) is None
        }
    )
    for period, budget in holder.periods:
        if budget.usd and free:
            yield document.warning(
                (*holder.path, "budgets", period, "usd"),
                f"what costs nothing is never refused: {', '.join(free)} has no price",
                "give its model a price, or add a budget in tokens",
            )


def _calls_fit(document: Document, holder: Holder, models: Models) -> Iterator[Finding]:
    """Warn where a call is too large for a limit unless it asks for a short answer."""
    chosen = [each for group in holder.groups for each in models[group]]
    if not chosen:
        return
    tokens = max(_longest_answer(model) for _, model in chosen)
    usd = max(_dearest_answer(model) for _, model in chosen)
    limits = holder.given.limits
    tpm = None if limits is None else limits.tpm
    caps: list[tuple[KeyPath, int | None]] = [(("limits", "tpm"), tpm)]
    caps += [
        (("budgets", name, "tokens"), each.tokens) for name, each in holder.periods
    ]
    for path, cap in caps:
        if cap and cap <= tokens:
            yield document.warning(
                (*holder.path, *path),
                f"a call that does not cap its answer reserves {tokens} tokens for it,"
                " and never passes",
                "raise it, or give the models a smaller `max_output_tokens`",
            )
    for name, budget in holder.periods:
        if budget.usd and budget.usd <= usd:
            yield document.warning(
                (*holder.path, "budgets", name, "usd"),
                f"a call that does not cap its answer reserves {usd.normalize():f}"
                " dollars for it, and never passes",
                "raise it, or give the models a smaller `max_output_tokens`",
            )


def _periods_are_reached(
    document: Document, holder: Holder, _models: Models
) -> Iterator[Finding]:
    """Warn of a budget that a longer one, which is smaller, always overtakes."""
    known: list[tuple[str, Budget]] = []
    for name, budget in reversed(list(holder.periods)):
        for unit in _UNITS:
            cap = getattr(budget, unit)
            smaller = [
                (longer, least)
                for longer, each in known
                if cap and (least := getattr(each, unit)) and least < cap
            ]
            if smaller:
                longer, least = smaller[-1]
                yield document.warning(
                    (*holder.path, "budgets", name, unit),
                    f"{cap} is never reached: {longer}.{unit} is {least}",
                    "lower it, or raise the longer one",
                )
        known.append((name, budget))


def _a_budget_is_set(
    document: Document, holder: Holder, _models: Models
) -> Iterator[Finding]:
    """Warn of settings that only say how budgets count, where there are none."""
    caps = (getattr(each, unit) for _, each in holder.periods for unit in _UNITS)
    if holder.given.budgets is not None and not any(caps):
        yield document.warning(
            (*holder.path, "budgets"),
            "no budget is set here: nothing is limited",
            "give `day`, `month` or `lifetime` a cap, or remove it",
        )


def _longest_answer(model: Model) -> int:
    return model.max_output_tokens or DEFAULT_OUTPUT_TOKENS


def _price_of_output(model: Model) -> Decimal | None:
    """Return what a token of output costs at most; `None` where that is unknown."""
    known = [
        usd
        for price in model.prices
        for usd in _prices_of_output(price)
        if usd is not None
    ]
    partly = any(price.output_per_million is None for price in model.prices)
    return None if partly or not known else max(known)


def _prices_of_output(price: Price) -> Iterator[Decimal | None]:
    yield price.output_per_million
    yield price.reasoning_per_million
    for tier in price.above:
        yield tier.output_per_million
        yield tier.reasoning_per_million


def _dearest_answer(model: Model) -> Decimal:
    price = _price_of_output(model) or Decimal(0)
    return price * _longest_answer(model) / _MILLION


_RULES: Final[tuple[Callable[[Document, Holder, Models], Iterator[Finding]], ...]] = (
    _dollars_know_prices,
    _calls_fit,
    _periods_are_reached,
    _a_budget_is_set,
)
