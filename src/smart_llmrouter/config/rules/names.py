"""Every name that is used must be declared, and no name may mean two things."""

from collections.abc import Iterable, Iterator
from typing import Final

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.findings import Finding, quoted, suggestion
from smart_llmrouter.config.outline import Named, Outline

_USE_PARTS: Final = 2


def names_are_declared(document: Document, outline: Outline) -> Iterator[Finding]:
    """Yield a finding for each use of a target, group or alias that does not exist."""
    yield from _targets(document, outline)
    yield from _default_group(document, outline)
    yield from _allowed_groups(document, outline)


def names_are_unique(document: Document, outline: Outline) -> Iterator[Finding]:
    """Yield a finding for each alias that is a group, or another group's alias."""
    owners: dict[str, str] = {}
    for group, alias in _aliases(outline):
        if alias.text in outline.groups:
            yield document.error(
                alias.path,
                f"the alias {quoted(alias.text)} is also the name of a group",
                "rename the alias, or remove it",
            )
        elif alias.text in owners:
            yield document.error(
                alias.path,
                f"the alias {quoted(alias.text)} is already an alias of the group"
                f" {quoted(owners[alias.text])}",
                "keep it in one group",
            )
        owners.setdefault(alias.text, group)


def static_groups_have_one_target(
    document: Document, outline: Outline
) -> Iterator[Finding]:
    """Yield a finding for each `static` group with more targets than one."""
    for name, group in outline.groups.items():
        targets = outline.targets[name]
        if group.texts.get("strategy") == "static" and len(targets) > 1:
            yield document.error(
                (*group.path, "strategy"),
                f"a static group has one target, and this one has {len(targets)}",
                "keep one target, or write `strategy: failover`",
            )


def _targets(document: Document, outline: Outline) -> Iterator[Finding]:
    for targets in outline.targets.values():
        for target in targets:
            use = target.named("use")
            if use is not None:
                yield from _use(document, outline, use)


def _use(document: Document, outline: Outline, use: Named) -> Iterator[Finding]:
    parts = use.text.split("/", 1)
    if len(parts) != _USE_PARTS:
        meant = suggestion(use.text, _all_uses(outline))
        yield document.error(
            use.path,
            f"{quoted(use.text)} names no provider and model",
            _did_you_mean(meant, "write `provider/model`, as under `providers`"),
        )
        return
    provider, model = parts
    if provider not in outline.models:
        meant = suggestion(use.text, _all_uses(outline))
        yield document.error(
            use.path,
            f"no provider is called {quoted(provider)}",
            _did_you_mean(meant, f"declared are: {_listed(outline.models)}"),
        )
        return
    models = outline.models[provider]
    if models is not None and model not in models:
        meant = suggestion(model, models)
        yield document.error(
            use.path,
            f"the provider {quoted(provider)} has no model {quoted(model)}",
            _did_you_mean(
                None if meant is None else f"{provider}/{meant}",
                f"its models are: {_listed(models)}",
            ),
        )


def _default_group(document: Document, outline: Outline) -> Iterator[Finding]:
    default = outline.server.named("default_group")
    if default is not None and default.text not in {
        *outline.groups,
        *(alias.text for _, alias in _aliases(outline)),
    }:
        yield _unknown_group(document, outline, default)


def _allowed_groups(document: Document, outline: Outline) -> Iterator[Finding]:
    owner_of = {alias.text: group for group, alias in _aliases(outline)}
    for caller in outline.callers:
        for allowed in caller.lists.get("allow", ()):
            if allowed.text in outline.groups:
                continue
            owner = owner_of.get(allowed.text)
            if owner is None:
                yield _unknown_group(document, outline, allowed)
            else:
                yield document.error(
                    allowed.path,
                    f"{quoted(allowed.text)} is an alias, not a group",
                    f"allow its group, `{owner}`",
                )


def _unknown_group(document: Document, outline: Outline, name: Named) -> Finding:
    meant = suggestion(name.text, outline.groups)
    return document.error(
        name.path,
        f"no group is called {quoted(name.text)}",
        _did_you_mean(meant, f"the groups are: {_listed(outline.groups)}"),
    )


def _aliases(outline: Outline) -> Iterator[tuple[str, Named]]:
    for name, group in outline.groups.items():
        for alias in group.lists.get("aliases", ()):
            yield name, alias


def _all_uses(outline: Outline) -> list[str]:
    return [
        f"{provider}/{model}"
        for provider, models in outline.models.items()
        for model in sorted(models or ())
    ]


def _did_you_mean(meant: str | None, otherwise: str) -> str:
    return otherwise if meant is None else f"did you mean `{meant}`?"


def _listed(names: Iterable[str], *, most: int = 12) -> str:
    found = [quoted(name).strip("`") for name in sorted(names)]
    more = f", and {len(found) - most} more" if len(found) > most else ""
    return (", ".join(found[:most]) + more) or "none"
