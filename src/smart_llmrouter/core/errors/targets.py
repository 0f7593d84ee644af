"""No target can carry the request; and what one may lack, in stable spellings."""

from collections.abc import Mapping
from typing import Final

from smart_llmrouter.core.errors.root import RouterError

OTHER_DIALECT: Final = "dialect"
"""The requirement that a target of another dialect misses where `bridges` is `off`."""
NOT_BRIDGED: Final = "not-bridged"
"""What it misses where it cannot say what was asked for, which follows a colon."""
NOT_LOSSLESS: Final = "not-lossless"
"""What it misses where `bridges` is `lossless`, and a field would be dropped."""
_HINTS: Final = {
    NOT_BRIDGED: (
        "leave out what the other dialect cannot say, or add a target to the group "
        "that speaks the dialect of the request"
    ),
    OTHER_DIALECT: (
        "add a target to the group that speaks the dialect of the request, or let "
        "others serve it (`bridges`)"
    ),
    NOT_LOSSLESS: (
        "leave out what the other dialect cannot say, or let the group drop hints "
        "(`bridges: best-effort`)"
    ),
}


def _hint(missing: Mapping[str, list[str]]) -> str:
    """Say what would help where all targets miss the same, and else in general."""
    reasons = {why.partition(":")[0] for each in missing.values() for why in each}
    only = reasons.pop() if len(reasons) == 1 else ""
    return _HINTS.get(only, "add a target to the group that has what is missing")


class NoEligibleTarget(RouterError):
    """No target of the group can carry this request; none was called."""

    status = 502
    code = "no-eligible-target"
    permanent = True

    def __init__(
        self, *, group: str, dialect: str, missing: Mapping[str, list[str]]
    ) -> None:
        """Name, target by target, the requirements that it misses."""
        told = "; ".join(f"{label}: {', '.join(why)}" for label, why in missing.items())
        super().__init__(
            f"no target of group {group} can serve this {dialect} request ({told})",
            details={
                "model": group,
                "dialect": dialect,
                "requirements": sorted(
                    {why for each in missing.values() for why in each}
                ),
                "targets": dict(missing),
                "hint": _hint(missing),
            },
        )
