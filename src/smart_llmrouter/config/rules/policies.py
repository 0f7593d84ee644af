"""The policies of groups are there, name their targets, and their expressions compile.

This is checked on what can be read of the file, also while other parts are wrong.
"""

from collections.abc import Iterator
from typing import Final

from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.findings import Finding, KeyPath, quoted, suggestion
from smart_llmrouter.config.outline import Outline
from smart_llmrouter.core.features import FEATURE_OF

_POLICIES: Final = ("rules", "script", "external")
_BY_SECTION: Final = ("dynamic", *_POLICIES)
_DEFAULT_STRATEGY: Final = "failover"
_UNDECLARED: Final = "undeclared reference to "


def sections_fit_strategies(document: Document, outline: Outline) -> Iterator[Finding]:
    """Yield a finding for each policy that is missing, or has no effect."""
    for name, group in outline.groups.items():
        strategy = group.texts.get("strategy", _DEFAULT_STRATEGY)
        fields = _group(document, name)
        for section in _BY_SECTION:
            if section == strategy:
                if section in _POLICIES and fields.get(section) is None:
                    yield document.error(
                        (*group.path, "strategy"),
                        f"the strategy `{strategy}` needs the section `{section}`",
                        f"write `{section}:` below the group, or another strategy",
                    )
            elif fields.get(section) is not None and not _measures(section, fields):
                yield document.warning(
                    (*group.path, section),
                    f"the setting has no effect: the strategy is {quoted(strategy)}",
                    f"write `strategy: {section}`, or remove it",
                )


def _measures(section: str, fields: dict[str, Plain]) -> bool:
    """Say whether the section tells thresholds how far back they look."""
    return section == "dynamic" and fields.get("thresholds") is not None


def rules_name_targets(document: Document, outline: Outline) -> Iterator[Finding]:
    """Yield a finding for each target of a rule that its group does not have."""
    for name in outline.groups:
        texts = (target.texts.get("use") for target in outline.targets[name])
        targets = [text for text in texts if text is not None]
        for path, rule in _rules(document, name):
            uses = listed(rule.get("use"))
            for index, use in enumerate(uses):
                if use in uses[:index]:
                    yield document.error(
                        (*path, "use", index),
                        f"the target {quoted(str(use))} is listed twice",
                        "keep one of the two",
                    )
                elif isinstance(use, str) and use not in targets:
                    meant = suggestion(use, targets)
                    yield document.error(
                        (*path, "use", index),
                        f"the group has no target {quoted(use)}",
                        "add it to the group's `targets`, or name one of them"
                        if meant is None
                        else f"did you mean `{meant}`?",
                    )


def expressions_compile(document: Document) -> Iterator[Finding]:
    """Yield a finding for each rule whose expression cannot be compiled."""
    for group in groups_of(document):
        for path, rule in _rules(document, group):
            when = rule.get("when")
            if isinstance(when, str) and when:
                yield from _uncompilable(document, (*path, "when"), when)


def rules_are_reached(document: Document) -> Iterator[Finding]:
    """Yield a finding for each rule behind one that always holds."""
    for group in groups_of(document):
        for path, rule in list(_rules(document, group))[:-1]:
            when = rule.get("when")
            if isinstance(when, str) and when.strip() == "true":
                yield document.warning(
                    (*path, "when"),
                    "this always holds: the rules behind it are never looked at",
                    "make it the last rule, or remove those behind it",
                )
                break


def _uncompilable(document: Document, path: KeyPath, when: str) -> Iterator[Finding]:
    # The library is large, and most configurations have no rules.
    from smart_llmrouter.config.expressions import (  # noqa: PLC0415
        PLAINEST,
        BadExpression,
        EvaluationFailed,
        Expression,
        NotYesOrNo,
    )

    try:
        Expression(when).holds(PLAINEST)
    except (EvaluationFailed, NotYesOrNo):
        yield document.warning(
            path,
            "it has no value for the plainest of requests, and every such call is a"
            " fault of the policy",
            "look first whether there is what it needs, as in `images > 0 && …`;"
            " `caller` has `id`, `user`, `project`, `environment` and `tokenId`",
        )
    except BadExpression as bad:
        yield document.error(
            path,
            f"line {bad.line}, column {bad.column} of the expression: {bad.message}",
            _mended(bad.message),
        )


def _mended(message: str) -> str:
    if not message.startswith(_UNDECLARED):
        return "write a CEL expression that is true or false; see the page on rules"
    unknown = message.removeprefix(_UNDECLARED).strip("'").partition(".")[0]
    meant = suggestion(unknown, FEATURE_OF)
    if meant is None:
        return "use the features of requests; the page routing-features lists them"
    return f"did you mean `{meant}`?"


def _rules(
    document: Document, group: str
) -> Iterator[tuple[KeyPath, dict[str, Plain]]]:
    rules = section_of(document, group, "rules").get("rules")
    for index, rule in enumerate(listed(rules)):
        if isinstance(rule, dict):
            yield ("groups", group, "rules", "rules", index), rule


def groups_of(document: Document) -> dict[str, Plain]:
    """Return the groups of a document by their names, whatever they are."""
    return _mapping(document.root.get("groups"))


def section_of(document: Document, group: str, section: str) -> dict[str, Plain]:
    """Return a section of a group; empty where it is none."""
    return _mapping(_group(document, group).get(section))


def listed(value: Plain) -> list[Plain]:
    """Return a list of the document; empty where it is none."""
    return value if isinstance(value, list) else []


def _group(document: Document, name: str) -> dict[str, Plain]:
    return _mapping(groups_of(document).get(name))


def _mapping(value: Plain) -> dict[str, Plain]:
    return value if isinstance(value, dict) else {}
