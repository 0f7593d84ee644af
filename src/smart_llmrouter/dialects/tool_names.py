"""Names of tools for providers that know flat function names only, and back.

Such a name has at most 64 letters, digits, `_` and `-` (both OpenAI's Chat Completions
and Anthropic's Messages say so). A tool in a namespace becomes `namespace__name`; what
does not fit, or is taken already, gets a short fingerprint of its full name instead of
its end. The same tools get the same names in every call, whatever their order, so that
a provider's prompt cache keeps what it knows.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.content import CallKind
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    SearchTool,
    Tool,
)

_MAX_CHARS: Final = 64
_MARK_CHARS: Final = 8
_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_-]")
_SEPARATOR: Final = "__"
_fits: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch


class ToolName(msgspec.Struct, frozen=True):
    """A tool as its caller names it."""

    name: str
    namespace: str | None = None
    kind: CallKind = "function"


class ToolNames:
    """The tools of one request, by their own names and by their flat ones."""

    __slots__ = ("_by_place", "_flat", "_known")

    def __init__(self, tools: Sequence[Tool]) -> None:
        """Name all tools that the provider is told of as functions."""
        self._flat: dict[ToolName, str] = {}
        self._known: dict[str, ToolName] = {}
        self._by_place: dict[tuple[str | None, str], str] = {}
        if all(_keeps_its_name(tool) for tool in tools):
            return
        named = {
            ToolName(tool.name, tool.namespace, _kind_of(tool))
            for tool in tools
            if not isinstance(tool, HostedTool)
        }
        self._flat = _flattened(named)
        self._known = {flat: tool for tool, flat in self._flat.items()}
        # Of two kinds with one name the same is meant each time, whatever the order.
        self._by_place = {
            (tool.namespace, tool.name): flat
            for tool, flat in sorted(self._flat.items(), key=_kind_in)
        }

    def flat(self, name: str, namespace: str | None) -> str:
        """Return the flat name of a tool, also of one that is not declared any more."""
        known = self._by_place.get((namespace, name))
        return known or _fitted(_full(name, namespace))

    def flat_of_path(self, path: str) -> str:
        """Return the flat name of the tool that is called `namespace.name` in text."""
        for (namespace, name), flat in self._by_place.items():
            if path == (f"{namespace}.{name}" if namespace else name):
                return flat
        return path

    def known(self, flat: str) -> ToolName:
        """Return the tool that a provider calls `flat`; unknown ones are functions."""
        return self._known.get(flat) or ToolName(flat)

    @property
    def changed(self) -> Mapping[str, ToolName]:
        """The flat names that stand for something else than a plain function."""
        return {
            flat: tool
            for flat, tool in self._known.items()
            if tool.kind != "function" or tool.namespace or tool.name != flat
        }


def _keeps_its_name(tool: Tool) -> bool:
    """Say whether nothing need be remembered of a tool, as of most."""
    if type(tool) is FunctionTool:
        return tool.namespace is None and _fits(tool.name) is not None
    return type(tool) is HostedTool


def _kind_in(named: tuple[ToolName, str]) -> str:
    return named[0].kind


def are_flat(tools: Iterable[Tool]) -> bool:
    """Say whether each tool outside of namespaces may keep its name everywhere."""
    return all(
        isinstance(tool, HostedTool)
        or tool.namespace is not None
        or _fits(tool.name) is not None
        for tool in tools
    )


def _kind_of(tool: Tool) -> CallKind:
    if isinstance(tool, CustomTool):
        return "custom"
    return "tool_search" if isinstance(tool, SearchTool) else "function"


def _flattened(tools: set[ToolName]) -> dict[ToolName, str]:
    """Give each tool a name of its own; who has a fitting one keeps it."""
    fitted = {tool: _fitted(_full(tool.name, tool.namespace)) for tool in tools}
    by_name: dict[str, list[ToolName]] = {}
    for tool, flat in fitted.items():
        by_name.setdefault(flat, []).append(tool)
    for flat, claimants in by_name.items():
        if len(claimants) > 1:
            plain = [each for each in claimants if each.name == flat]
            for each in claimants:
                if plain[:1] != [each] or len(plain) > 1:
                    fitted[each] = _apart(each)
    return fitted


def _apart(tool: ToolName) -> str:
    """Return a name that tells where the namespace ends, and what kind it is."""
    full = _full(tool.name, tool.namespace)
    where = f"{tool.namespace}:" if tool.namespace else ""
    return _marked(full, f"{tool.kind}:{where}".removesuffix(":"))


def _full(name: str, namespace: str | None) -> str:
    return f"{namespace}{_SEPARATOR}{name}" if namespace else name


def _fitted(full: str) -> str:
    return full if _fits(full) is not None else _marked(full)


def _marked(full: str, kind: str = "") -> str:
    """Return a fitting name that ends in a fingerprint of the full one."""
    mark = hashlib.sha256(f"{kind}:{full}".encode()).hexdigest()[:_MARK_CHARS]
    return f"{_UNFIT.sub('_', full)[: _MAX_CHARS - _MARK_CHARS - 1]}_{mark}"
