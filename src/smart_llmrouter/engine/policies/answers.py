"""What a script or a policy service may answer, and what of it is believed.

    "acme/mini"                            that target; the others follow
    ["acme/mini", "other/mini"]            these, and no others
    {"target": …, "fallbacks": […], …}     the same in words, with a `classLabel`

In an object a target is its label, or `{"provider": …, "model": …}`; `targetIndex` and
`fallbackIndexes` count in the question's `targets` from 0. Fallbacks that are given,
also none at all, are the only ones; without them, the others follow.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from smart_llmrouter.config.snapshot import Target
from smart_llmrouter.routing.policy import UNSAFE_LABEL, PolicyFault, Verdict

_SAFE_LABEL: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_KEYS: Final = frozenset(
    {
        "target",
        "targetIndex",
        "fallbacks",
        "fallbackIndexes",
        "classLabel",
        "metadata",
    }
)
_PARTS: Final = frozenset({"provider", "model"})


def parsed(text: bytes) -> object:
    """Return the value of a JSON text. Raises `PolicyFault` where it is none."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise PolicyFault("malformed") from None


def verdict_of(answer: object, eligible: Sequence[Target]) -> Verdict:
    """Return what an answer says. Raises `PolicyFault` for one that says nothing clear.

    Whether the targets that it names were offered is for `routing.policy.chosen`.
    """
    if isinstance(answer, str):
        return Verdict(order=(answer,))
    if isinstance(answer, list):
        return Verdict(order=tuple(map(_label, answer)), complete=True)
    if not isinstance(answer, dict) or not _KEYS.issuperset(answer):
        raise PolicyFault("malformed")
    first, others = _first(answer, eligible), _others(answer, eligible)
    return Verdict(
        order=(first, *(others or ())),
        complete=others is not None,
        class_label=_class_label(answer.get("classLabel")),
    )


def _first(answer: dict[str, Any], eligible: Sequence[Target]) -> str:
    match answer.get("target"), answer.get("targetIndex"):
        case None, index if index is not None:
            return _at(index, eligible)
        case target, None if target is not None:
            return _label(target)
        case _:
            raise PolicyFault("malformed")


def _others(
    answer: dict[str, Any], eligible: Sequence[Target]
) -> tuple[str, ...] | None:
    match answer.get("fallbacks"), answer.get("fallbackIndexes"):
        case None, None:
            return None
        case None, list(indexes):
            return tuple(_at(each, eligible) for each in indexes)
        case list(targets), None:
            return tuple(map(_label, targets))
        case _:
            raise PolicyFault("malformed")


def _label(target: object) -> str:
    if isinstance(target, str):
        return target
    if isinstance(target, dict) and target.keys() == _PARTS:
        return f"{target['provider']}/{target['model']}"
    raise PolicyFault("malformed")


def _at(index: object, eligible: Sequence[Target]) -> str:
    if not isinstance(index, int) or isinstance(index, bool):
        raise PolicyFault("malformed")
    if not 0 <= index < len(eligible):
        raise PolicyFault("unknown-target")
    return eligible[index].label


def _class_label(given: object) -> str | None:
    """Return what may be written down, and never what was written by others."""
    if given is None:
        return None
    if isinstance(given, str) and _SAFE_LABEL.fullmatch(given):
        return given
    return UNSAFE_LABEL
