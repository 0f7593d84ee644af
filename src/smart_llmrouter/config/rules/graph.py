"""Groups and what they are made of fit together: who can serve, and who can take over.

What a target can do is what its model declares; what is not declared is not there. The
rules here look at checked settings. Names that do not exist have findings elsewhere,
and such targets are left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, KeyPath
from smart_llmrouter.config.schema import Settings
from smart_llmrouter.config.schema.groups import Group, Required, Target
from smart_llmrouter.config.schema.providers import Model, Provider

_CALLS: Final = frozenset({"function", "custom", "namespace", "tool_search"})
_BY_WEIGHT: Final = frozenset({"weighted", "dynamic"})
_LEAST: Final = {"context_tokens": 1, "max_request_bytes": 24}
"""What the smallest request that there can be has at least."""
_ONE_AND_ANOTHER: Final = 2
_DECLARE: Final = "declare it for the model, if it can"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A target of a group, with the model and provider that it names."""

    path: KeyPath
    target: Target
    model: Model
    provider: Provider

    @property
    def name(self) -> str:
        """How a finding calls it."""
        return f"`{self.target.use}`"

    @property
    def calls_tools(self) -> bool:
        """Say whether requests with tools can be served."""
        return not _CALLS.isdisjoint(self.model.tools or ())

    @property
    def reads_images(self) -> bool:
        """Say whether requests with images can be served."""
        reads = "image" in (self.model.input or ())
        return reads and bool(self.model.image_sources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A group and its members; `dead` are those that never serve, and why."""

    name: str
    group: Group
    members: tuple[Member, ...]
    dead: tuple[tuple[Member, str, str], ...]

    @property
    def path(self) -> KeyPath:
        """Where the group stands."""
        return ("groups", self.name)

    @property
    def living(self) -> list[Member]:
        """The members that can serve something."""
        gone = {member.path for member, _, _ in self.dead}
        return [each for each in self.members if each.path not in gone]


def groups_can_serve(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with groups, one by one."""
    for name, group in settings.groups.items():
        team = _team(name, group, settings)
        for rule in _RULES:
            yield from rule(document, team)


def models_say_what_they_can(
    document: Document, settings: Settings
) -> Iterator[Finding]:
    """Yield a warning for each model in use that leaves out what should be known."""
    teams = [_team(name, group, settings) for name, group in settings.groups.items()]
    told = {each.target.use for team in teams for each in _unpriced_beside(team)}
    used = {each.target.use: each.model for team in teams for each in team.members}
    for use, model in used.items():
        provider, _, key = use.partition("/")
        path = ("providers", provider, "models", key)
        yield from _capability(document, path, model)
        if use not in told:
            yield from _price(document, path, model)


def rests_have_an_order(document: Document, settings: Settings) -> Iterator[Finding]:
    """Yield an error for each first rest that is longer than the longest."""
    for provider, fields in settings.providers.items():
        backoff = fields.backoff
        for name, rest in (
            ("on_429", backoff.on_429),
            ("on_quota", backoff.on_quota),
            ("on_failure", backoff.on_failure),
        ):
            if rest.min_s > rest.max_s:
                yield document.error(
                    ("providers", provider, "backoff", name, "min_s"),
                    f"the first rest, {rest.min_s:g} s, is longer than the longest,"
                    f" {rest.max_s:g} s",
                    "shorten it, or raise max_s",
                )


def _team(name: str, group: Group, settings: Settings) -> Team:
    members, dead = [], []
    for index, target in enumerate(group.targets):
        provider, _, key = target.use.partition("/")
        fields = settings.providers.get(provider)
        if fields is None or key not in fields.models:
            continue
        member = Member(
            path=("groups", name, "targets", index),
            target=target,
            model=fields.models[key],
            provider=fields,
        )
        members.append(member)
        reason = _never_serves(group, member)
        if reason is not None:
            dead.append((member, *reason))
    return Team(name=name, group=group, members=tuple(members), dead=tuple(dead))


def _never_serves(group: Group, member: Member) -> tuple[str, str] | None:
    """Say why a target can never be eligible, and what to do, if it cannot."""
    if member.target.only_with_tools and not member.calls_tools:
        return (
            "only_with_tools is set, but the model declares no `function` under tools",
            "add function to the model's tools, or remove only_with_tools",
        )
    if limit := _too_tight(member.model):
        return (
            f"no request is as small as its model's {limit} demands",
            f"raise {limit}, or remove it where there is no limit",
        )
    contract = group.contract
    if contract is None or contract.required is None:
        return None
    lacks = list(_lacking(group, member, contract.required))
    if not lacks:
        return None
    return (
        f"the contract of the group needs what it lacks: {', '.join(lacks)}",
        f"{_DECLARE}, or take it out of the group",
    )


def _too_tight(model: Model) -> str | None:
    """Return the limit of a model that no request keeps, if there is one.

    Such a limit is a slip: 0 where none is meant, which is said by leaving it out.
    """
    for limit, least in _LEAST.items():
        allowed = getattr(model, limit)
        if allowed is not None and allowed < least:
            return limit
    return None


def _lacking(group: Group, member: Member, required: Required) -> Iterator[str]:
    """Yield what of a contract a target does not keep; see `routing.contract`."""
    model, spoken = member.model, member.provider.dialect
    if group.bridges == "off":
        yield from (
            f"the dialect {each}" for each in required.dialects if each != spoken
        )
    reads, tools = model.input or ("text",), model.tools or ()
    yield from (f"input {each}" for each in required.input if each not in reads)
    yield from (f"tools {each}" for each in required.tools if each not in tools)
    if required.structured_outputs and not model.structured_outputs:
        yield "structured_outputs"
    if required.reasoning and model.reasoning is None:
        yield "reasoning"
    if required.honors_output_cap and model.honors_output_cap is False:
        yield "honors_output_cap"
    least, context = required.min_context_tokens, model.context_tokens
    if least is not None and (context is None or context < least):
        yield f"context_tokens of {least} or more"


def _somebody_serves(document: Document, team: Team) -> Iterator[Finding]:
    """Tell of targets that never serve, and of a group that has no others."""
    if team.dead and not team.living:
        promised = team.group.contract is not None
        told = "; ".join(f"{each.name}: {reason}" for each, reason, _ in team.dead)
        yield document.error(
            (*team.path, "contract", "required")
            if promised
            else (*team.path, "targets"),
            f"no target of the group can ever serve a call: {told}",
            "declare for the models what they can do, or ask for less",
        )
        return
    for member, reason, remedy in team.dead:
        yield document.warning(
            (*member.path, "use"), f"the target never serves a call: {reason}", remedy
        )


def _targets_are_listed_once(document: Document, team: Team) -> Iterator[Finding]:
    first: dict[str, KeyPath] = {}
    for member in team.members:
        use = member.target.use
        if use in first:
            line = document.key_position((*first[use], "use")).line
            yield document.error(
                (*member.path, "use"),
                f"the target {member.name} is listed twice (first on line {line})",
                "keep one of the two; `weight` gives it a larger share",
            )
        first.setdefault(use, member.path)


def _somebody_has_weight(document: Document, team: Team) -> Iterator[Finding]:
    strategy = team.group.strategy
    if strategy in _BY_WEIGHT and not any(
        target.weight for target in team.group.targets
    ):
        yield document.error(
            (*team.path, "targets"),
            f"all targets have the weight 0: `{strategy}` can choose none of them",
            "give at least one a weight",
        )


def _tools_and_images_go_together(document: Document, team: Team) -> Iterator[Finding]:
    """Warn where a request with both finds nobody, or with one only one target."""
    members = team.living
    tools = [each for each in members if each.calls_tools]
    images = [each for each in members if each.reads_images]
    if tools and images and not any(each.reads_images for each in tools):
        yield document.warning(
            (*team.path, "targets"),
            "a request with both tools and an image finds no target: "
            f"{_names(tools)} calls tools, and {_names(images)} reads images",
            f"add a target that does both, or {_DECLARE}",
        )
    for able, kind in ((tools, "tools"), (images, "images")):
        if len(able) == 1 < len(members):
            yield document.warning(
                (*team.path, "targets"),
                f"requests with {kind} are served by {able[0].name} alone: nobody"
                " takes over when it fails",
                f"add another target for {kind}, or {_DECLARE}",
            )


def _fallbacks_lose_nothing(document: Document, team: Team) -> Iterator[Finding]:
    """Warn where each failover of a call is a translation, or impossible.

    Whoever has written down what bridges may do has decided it.
    """
    group, members = team.group, team.living
    spoken = [each.provider.dialect for each in members]
    if len(members) < _ONE_AND_ANOTHER or len(set(spoken)) != len(members):
        return
    if group.bridges == "off":
        yield document.warning(
            (*team.path, "bridges"),
            "no target takes over from another: each speaks another dialect, and"
            " bridges are off",
            "write `bridges: lossless`, or add a second target for each dialect",
        )
    elif "bridges" not in group.model_fields_set:
        yield document.warning(
            (*team.path, "targets"),
            "whoever takes over speaks another dialect: hints such as `user` or"
            " `top_k` may be dropped then, with a note",
            "write `bridges: best-effort` if that is meant, or `lossless`",
        )


def _attempts_reach_all(document: Document, team: Team) -> Iterator[Finding]:
    group, count = team.group, len(team.living)
    if group.strategy == "failover" and group.max_attempts < count:
        yield document.warning(
            (*team.path, "max_attempts"),
            f"a call tries at most {group.max_attempts} of the {count} targets",
            f"raise it to {count}, or remove targets",
        )


def _fallbacks_have_prices(document: Document, team: Team) -> Iterator[Finding]:
    for member in _unpriced_beside(team):
        yield document.warning(
            (*member.path, "use"),
            "the target has no price, and others of the group have one: calls that it"
            " serves are missing in the costs",
            "give its model a price; 0 if it costs nothing",
        )


def _unpriced_beside(team: Team) -> list[Member]:
    """Return the targets without a price, where others have one."""
    unpriced = [each for each in team.members if each.model.price is None]
    return unpriced if len(unpriced) < len(team.members) else []


def _scores_look_at_something(document: Document, team: Team) -> Iterator[Finding]:
    """Warn of scores of a dynamic group that are the same for all its targets."""
    dynamic = team.group.dynamic
    if team.group.strategy != "dynamic" or dynamic is None:
        return
    weights, path = dynamic.weights, (*team.path, "dynamic", "weights")
    for name, weight, is_known in (
        ("price", weights.price, any(each.model.price for each in team.members)),
        (
            "quality",
            weights.quality,
            any(each.model.quality is not None for each in team.members),
        ),
    ):
        if weight and not is_known:
            yield document.warning(
                (*path, name),
                f"the weight has no effect: no target of the group has a {name}",
                f"give the models a {name}, or remove the weight",
            )
    if not any(value for _, value in weights):
        yield document.error(
            path,
            "all weights are 0: targets cannot be scored by anything",
            "give one of them a weight, or write `strategy: weighted`",
        )


_RULES: Final[tuple[Callable[[Document, Team], Iterator[Finding]], ...]] = (
    _somebody_serves,
    _targets_are_listed_once,
    _somebody_has_weight,
    _tools_and_images_go_together,
    _fallbacks_lose_nothing,
    _attempts_reach_all,
    _fallbacks_have_prices,
    _scores_look_at_something,
)


def _capability(document: Document, path: KeyPath, model: Model) -> Iterator[Finding]:
    tools = model.tools or ()
    if tools and _CALLS.isdisjoint(tools):
        yield document.warning(
            (*path, "tools"),
            f"{', '.join(tools)} has no effect without `function`: the model gets no"
            " requests with tools",
            "add function, if the model calls tools",
        )
    if "image" in (model.input or ()) and not model.image_sources:
        yield document.warning(
            (*path, "image_sources"),
            "the model reads images, and may be given none: no way is allowed",
            "write `image_sources: [data]`, or remove image from input",
        )
    if {"tools", "input"}.isdisjoint(model.model_fields_set):
        yield document.warning(
            path,
            "neither tools nor input is declared: requests with tools or images are"
            " not served by this model",
            "declare what it can do, such as `tools: [function]`, or `tools: []`",
        )


def _price(document: Document, path: KeyPath, model: Model) -> Iterator[Finding]:
    if model.price is None:
        yield document.warning(
            path,
            "the model has no price: what its calls cost is unknown",
            "add price, with 0 if it costs nothing",
        )
    for index, price in enumerate(model.prices):
        if price.input_per_million is None or price.output_per_million is None:
            place = (index,) if isinstance(model.price, tuple) else ()
            yield document.warning(
                (*path, "price", *place),
                "the price is only known in part, and so the cost of calls is not",
                "give input_per_million and output_per_million",
            )


def _names(members: Sequence[Member]) -> str:
    return ", ".join(each.name for each in members)
