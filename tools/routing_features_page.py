"""The page of features: what the policies of groups are told of a request."""

from collections.abc import Mapping
from typing import Final

from smart_llmrouter.core.features import (
    FEATURES,
    TARGET_FEATURES,
    Feature,
    FeatureKind,
)

HEAD: Final = """\
# What policies see

The strategies [`rules`](routing-rules.md), [`script`](routing-script.md) and
[`external`](routing-external.md) decide over the same features of a request. They are
numbers, names of your configuration and words from closed lists. No text of the
conversation is among them, no credential, and no address of a provider.

In a rule a feature is written by its name. A script and a policy service are given
one JSON object, in which it stands at the path of the second column. A feature that a
request does not have is `null` there; rules are typed, and see an empty text or 0
instead.

*Generated from `core/features.py`.*
"""

TARGETS: Final = """\
## Targets

Policies are asked about eligible targets only: who cannot serve the request, rests
after failures, or may not be called more often now is not among them. Rules know the
label of each; scripts and services are told more, in an object for each.

| key | what it is |
| --- | --- |"""

KINDS: Final[Mapping[FeatureKind, str]] = {
    "text": "string",
    "number": "int",
    "flag": "bool",
    "texts": "list of string",
    "record": "map of string",
}


def routing_features_page() -> str:
    """Return the page: a row for each feature, and one for each fact of a target."""
    lines = [
        HEAD,
        "## Features\n",
        "| in a rule | in JSON | type | what it is |",
        "| --- | --- | --- | --- |",
        *map(_row, FEATURES),
        "",
        TARGETS,
        *(f"| `{key}` | {about} |" for key, about in TARGET_FEATURES.items()),
        "",
    ]
    return "\n".join(lines)


def _row(feature: Feature) -> str:
    kind = KINDS[feature.kind] + (", or absent" if feature.nullable else "")
    path = ".".join(feature.path)
    return f"| `{feature.name}` | `{path}` | {kind} | {feature.about} |"
