"""CEL expressions over the features of a request, compiled once and then evaluated.

The names that an expression may use, and their types, are those of `core.features`; one
that is misspelled is found when the expression is compiled. Regular expressions are
those of RE2, whose time grows with the text alone.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from cel_expr_python import cel

from smart_llmrouter.core.features import FEATURES, FeatureKind

_EMPTY: Final[Mapping[FeatureKind, object]] = {"text": "", "number": 0}
"""What a typed expression sees where a request does not have a feature."""
_ABSENT: Final = {each.name: _EMPTY[each.kind] for each in FEATURES if each.nullable}
_NAMES: Final = frozenset(each.name for each in FEATURES)
_PLAIN: Final[Mapping[FeatureKind, object]] = {
    "text": "",
    "number": 0,
    "flag": False,
    "texts": [],
    "record": dict.fromkeys(("id", "user", "project", "environment", "tokenId"), ""),
}
PLAINEST: Final[Mapping[str, object]] = {
    **{each.name: _PLAIN[each.kind] for each in FEATURES},
    "input_modalities": ["text"],
    "targets": ["acme/mini"],
}
"""The features of a request that asks for nothing but an answer."""
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROBLEM: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]*)")
_STATUS: Final = re.compile(r"^[A-Z_]+: |( \[[A-Z_]+\])$")
_EXPECTING: Final = " expecting {"
_CONTAINER: Final = " (in container '')"


class BadExpression(ValueError):
    """A text that is no expression of the kind that a rule needs.

    `line` and `column` count from 1, within the expression.
    """

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        """Say what is wrong, and where."""
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class EvaluationFailed(Exception):
    """An expression has no value for this request."""


class NotYesOrNo(Exception):
    """The value of an expression is neither true nor false."""


class Expression:
    """A compiled expression; `names` are the features that it may look at."""

    __slots__ = ("_compiled", "names")

    def __init__(self, source: str) -> None:
        """Compile `source`. Raises `BadExpression`."""
        try:
            self._compiled = _environment().compile(source)
        except Exception as refusal:  # noqa: BLE001 - the library has no error of its own
            raise _told(str(refusal)) from None
        kind = self._compiled.return_type()
        if kind not in (cel.Type.BOOL, cel.Type.DYN):
            raise BadExpression(
                f"its value is {_spoken(kind)}, and never true or false"
            )
        # A name in a quoted text is none, but does no harm.
        self.names = frozenset(_WORD.findall(source)) & _NAMES

    def holds(self, features: Mapping[str, object]) -> bool:
        """Evaluate it over `features`, of which `names` must be there.

        Raises `EvaluationFailed` and `NotYesOrNo`.
        """
        seen = {
            name: _ABSENT[name] if features[name] is None else features[name]
            for name in self.names
        }
        try:
            result = self._compiled.eval(data=seen)
        except Exception as failure:  # such as a loop that is too long
            raise EvaluationFailed from failure
        value = result.value()
        if value is True or value is False:
            return bool(value)
        if result.type() == cel.Type.ERROR:
            raise EvaluationFailed
        raise NotYesOrNo


@cache
def _environment() -> cel.Env:
    kinds: Mapping[FeatureKind, cel.Type] = {
        "text": cel.Type.STRING,
        "number": cel.Type.INT,
        "flag": cel.Type.BOOL,
        "texts": cel.Type.List(cel.Type.STRING),
        "record": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    }
    return cel.NewEnv(variables={each.name: kinds[each.kind] for each in FEATURES})


def _told(refusal: str) -> BadExpression:
    """Return the first thing that the library found wrong, in its plain part."""
    found = _PROBLEM.search(refusal)
    if found is None:
        return BadExpression(_STATUS.sub("", refusal.partition("\n")[0]))
    line, column, message = found.groups()
    message = message.partition(_EXPECTING)[0].replace(_CONTAINER, "")
    message = _STATUS.sub("", message)
    return BadExpression(message, line=int(line), column=int(column))


def _spoken(kind: cel.Type) -> str:
    return f"of the type {kind.name().lower()}"
