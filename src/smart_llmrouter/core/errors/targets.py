"""No target can be chosen; and what one may lack, in stable spellings."""

from collections.abc import Mapping, Sequence
from typing import Final

from smart_llmrouter.core import requirements
from smart_llmrouter.core.decisions import PolicyRun
from smart_llmrouter.core.errors.root import RouterError

NOT_BRIDGED: Final = "not-bridged"
"""What a target misses that cannot say what was asked for, which follows a colon."""
NOT_LOSSLESS: Final = "not-lossless"
"""What it misses where `bridges` is `lossless`, and a field would be dropped."""
_CONTRACT: Final = "contract-"
_THRESHOLD: Final = "threshold-"
_HINTS: Final[Mapping[str, str]] = {
    NOT_BRIDGED: (
        "leave out what the other dialect cannot say, or add a target to the group "
        "that speaks the dialect of the request"
    ),
    NOT_LOSSLESS: (
        "leave out what the other dialect cannot say, or let the group drop hints "
        "(`bridges: best-effort`)"
    ),
    requirements.DIALECT: (
        "add a target to the group that speaks the dialect of the request, or let "
        "others serve it (`bridges`)"
    ),
    requirements.TOOLS: (
        "send no tools, or declare `tools: [function]` on a model that calls them"
    ),
    requirements.FORCED_TOOL_CHOICE: (
        "let the model choose (`tool_choice: auto`), or declare `forced_choice` in "
        "the `tools` of a model that can be made to call one"
    ),
    requirements.PARALLEL_TOOLS: (
        "do not ask for parallel calls, or declare `parallel` in the `tools` of a "
        "model that makes them"
    ),
    requirements.ONLY_WITH_TOOLS: (
        "add a target to the group that also serves requests without tools"
    ),
    requirements.STRUCTURED_OUTPUT: (
        "ask for plain text, or declare `structured_outputs: true` on a model that "
        "can be bound to JSON"
    ),
    requirements.IMAGE: (
        "send no images, or declare `image` in the `input` of a model that reads them"
    ),
    requirements.IMAGE_URL: (
        "send images as data, or let the router fetch them (`upstream.fetch_images`)"
    ),
    requirements.IMAGE_DATA: "send images as URLs",
    requirements.IMAGE_COUNT: "send fewer images",
    requirements.AUDIO: (
        "send no audio, or declare `audio` in the `input` of a model that hears it"
    ),
    requirements.DOCUMENT: (
        "send no documents, or declare `document` in the `input` of a model that "
        "reads them"
    ),
    requirements.REASONING: (
        "ask for no reasoning, or declare `reasoning` on a model that does"
    ),
    requirements.OUTPUT_CAP: (
        "ask for fewer output tokens, or add a target with a larger "
        "`max_output_tokens` that keeps to a cap"
    ),
    requirements.CONTEXT: (
        "shorten the conversation or ask for fewer output tokens, or add a target "
        "with more `context_tokens`"
    ),
    requirements.REQUEST_BYTES: (
        "send less, or add a target with a larger `max_request_bytes`"
    ),
    requirements.PINNED: (
        "send the whole conversation instead of going on from a stored answer"
    ),
    requirements.COOLING_DOWN: (
        "wait until it is tried again, or mend why it has failed; `/readyz` says how "
        "long it rests"
    ),
    requirements.CAPACITY: (
        "ask less often, or raise the `shaping` of the provider, the model or the "
        "target if the provider allows more"
    ),
    requirements.POLICY: "let the group's policy choose a target for such requests",
    _CONTRACT: (
        "take what the group promises out of its `contract`, or add a target that "
        "keeps it"
    ),
    _THRESHOLD: "wait until a target is better again, or relax `thresholds`",
}
_GENERAL: Final = "add a target to the group that has what is missing"


def _hint(missing: Mapping[str, Sequence[str]]) -> str:
    """Say what would help: for what the targets miss that come closest."""
    least = min((len(set(why)) for why in missing.values()), default=0)
    nearest = [why for why in missing.values() if len(set(why)) == least]
    told = dict.fromkeys(hint_for(code) for why in nearest for code in why)
    return "; ".join(told) or _GENERAL


def _passes(why: Sequence[str]) -> bool:
    """Say whether what a target misses is over by itself sooner or later."""
    return bool(why) and all(
        code.startswith(_THRESHOLD) or code in requirements.PASSING for code in why
    )


def hint_for(code: str) -> str:
    """Say what would help against one thing that a target misses."""
    for prefix in (_CONTRACT, _THRESHOLD):
        if code.startswith(prefix):
            return _HINTS[prefix]
    return _HINTS.get(code.partition(":")[0], _GENERAL)


class NoEligibleTarget(RouterError):
    """No target of the group can carry this request; none was called."""

    status = 502
    code = "no-eligible-target"
    permanent = True

    def __init__(
        self, *, group: str, dialect: str, missing: Mapping[str, Sequence[str]]
    ) -> None:
        """Name, target by target, the requirements that it misses.

        Where a target was only worse lately than the group asks for, asking again may
        help: thresholds are kept again in time.
        """
        told = "; ".join(f"{label}: {', '.join(why)}" for label, why in missing.items())
        super().__init__(
            f"no target of group {group} can serve this {dialect} request ({told})",
            details={
                "model": group,
                "dialect": dialect,
                "requirements": sorted(
                    {why for each in missing.values() for why in each}
                ),
                "targets": {label: list(why) for label, why in missing.items()},
                "hint": _hint(missing),
            },
        )
        self.permanent = not any(_passes(why) for why in missing.values())


class RoutingPolicyError(RouterError):
    """The group's policy has not decided, and there is no other way to go on."""

    status = 502
    code = "routing-policy-error"

    def __init__(self, *, group: str, run: PolicyRun) -> None:
        """Name the strategy, and what went wrong; `run` is what is recorded of it."""
        error = run.error or "raised"
        super().__init__(
            f"the routing policy of group {group} has not decided: {error}",
            details={"group": group, "strategy": run.kind, "error": error},
        )
        self.run = run
