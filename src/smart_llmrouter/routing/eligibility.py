"""Which targets of a group can serve a request, and what each of the others misses.

What is not declared of a model is not there; a limit that is not declared excludes
nobody. What a target must be able to do depends on few discrete properties of a
request, so that each combination of them is decided once and remembered; numbers are
compared only where some target of the group limits them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from smart_llmrouter.config.snapshot import Group, Target
from smart_llmrouter.core.requirements import (
    AUDIO,
    CONTEXT,
    DIALECT,
    DOCUMENT,
    FORCED_TOOL_CHOICE,
    IMAGE,
    IMAGE_COUNT,
    IMAGE_DATA,
    IMAGE_URL,
    ONLY_WITH_TOOLS,
    OUTPUT_CAP,
    PARALLEL_TOOLS,
    REASONING,
    REQUEST_BYTES,
    STRUCTURED_OUTPUT,
    TOOLS,
    Requirements,
)
from smart_llmrouter.routing.contract import breaches

Missing = Mapping[str, tuple[str, ...]]
"""What targets miss, by their labels."""
Shape = tuple[object, ...]

_MOST_SHAPES: Final = 4096
_NO_LIMIT: Final = math.inf
# No byte of a body weighs more than 18 twelfths of a token, no object that it begins
# more than 24 tokens beside its content; see `core.estimates`. An object has two bytes.
_BYTE_TOKENS: Final = 3 / 2
_OBJECT_TOKENS: Final = 24
_BYTE_TOKENS_WITH_OBJECTS: Final = _BYTE_TOKENS + _OBJECT_TOKENS / 2
_REQUEST_TOKENS: Final = 800


# Two of them are the same only if they are one, so that what follows can be remembered.
class Found(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Who can serve a request, in the order of the configuration, and who cannot.

    `again` says that the very same will be found for each request of the same shape.
    `wait_s` is after how many seconds the first of those can be called that miss only
    what passes.
    """

    targets: Sequence[Target]
    missing: Missing
    again: bool = False
    wait_s: float = math.inf


class Eligibility:
    """Decides for one group."""

    def __init__(self, group: Group, *, fetches_images: bool) -> None:
        """Decide over the targets of `group`.

        `fetches_images` says that the router itself can turn the URL of an image into
        its data.
        """
        self._group = group
        self._fetches_images = fetches_images
        self._by_shape: dict[Shape, Found] = {}
        targets = group.targets
        self._least_output = _least([each.max_output_tokens for each in targets])
        self._least_context = _least([each.context_tokens for each in targets])
        self._least_bytes = _least([each.max_request_bytes for each in targets])
        self._least_images = _least([each.max_images for each in targets])
        self._limits = any(
            limit < _NO_LIMIT
            for limit in (
                self._least_output,
                self._least_context,
                self._least_bytes,
                self._least_images,
            )
        )

    def of(self, needs: Requirements) -> Found:
        """Return who fits `needs`."""
        shape = _shape_of(needs)
        fit = self._by_shape.get(shape)
        if fit is None:
            fit = self._decided(needs)
            if len(self._by_shape) >= _MOST_SHAPES:
                self._by_shape.clear()
            self._by_shape[shape] = fit
        if self._limits and self._is_large(needs):
            return self._measured(fit, needs)
        return fit

    def _is_large(self, needs: Requirements) -> bool:
        """Say whether some target may be too small for the request."""
        cap, size = needs.output_cap or 0, len(needs.body)
        if cap > self._least_output or size > self._least_bytes:
            return True
        left = self._least_context - _REQUEST_TOKENS - cap
        if size * _BYTE_TOKENS_WITH_OBJECTS <= left and needs.is_text:
            return False
        return needs.images > self._least_images or (
            left < _NO_LIMIT and _may_exceed(needs, self._least_context - cap)
        )

    def _decided(self, needs: Requirements) -> Found:
        return _parted(
            {
                target.label: (
                    *self._wrong_dialect(target, needs),
                    *_lacking(target, needs, fetches_images=self._fetches_images),
                    *breaches(self._group, target),
                )
                for target in self._group.targets
            },
            self._group.targets,
            again=True,
        )

    def _wrong_dialect(self, target: Target, needs: Requirements) -> tuple[str, ...]:
        foreign = target.provider.dialect != needs.dialect
        return (DIALECT,) if foreign and self._group.bridges == "off" else ()

    def _measured(self, fit: Found, needs: Requirements) -> Found:
        return _parted(
            {
                target.label: tuple(
                    dict.fromkeys(
                        (*fit.missing.get(target.label, ()), *_too_small(target, needs))
                    )
                )
                for target in self._group.targets
            },
            self._group.targets,
        )


def _parted(
    missing: Missing, targets: Sequence[Target], *, again: bool = False
) -> Found:
    return Found(
        targets=tuple(target for target in targets if not missing[target.label]),
        missing={label: codes for label, codes in missing.items() if codes},
        again=again,
    )


def _least(limits: Sequence[int | None]) -> float:
    return min((each for each in limits if each is not None), default=_NO_LIMIT)


def _shape_of(needs: Requirements) -> Shape:
    """Return what decides who can do what is asked for, apart from numbers."""
    urls, data = needs.image_urls > 0, needs.image_data > 0
    return (
        needs.dialect,
        needs.tools,
        needs.forced_choice,
        needs.parallel_tools,
        needs.output_format is None,
        urls or data or needs.image_files > 0,
        urls,
        data,
        needs.audio,
        needs.documents > 0,
        needs.reasoning is None,
        needs.output_cap is None,
    )


def _lacking(
    target: Target, needs: Requirements, *, fetches_images: bool
) -> tuple[str, ...]:
    """Return what a target cannot do of what is asked for, in a fixed order."""
    return (
        *_lacking_tools(target, needs),
        *_lacking_senses(target, needs, fetches_images=fetches_images),
        *(
            code
            for code, missed in (
                (
                    STRUCTURED_OUTPUT,
                    needs.output_format is not None and not target.structured_outputs,
                ),
                (REASONING, needs.reasoning is not None and not target.reasons),
                (
                    OUTPUT_CAP,
                    needs.output_cap is not None and target.honors_output_cap is False,
                ),
            )
            if missed
        ),
    )


def _lacking_tools(target: Target, needs: Requirements) -> list[str]:
    declared = target.tools or ()
    # What is not there natively is said as functions.
    lacks_calls = "function" not in declared and not needs.tools.issubset(declared)
    checks = (
        (TOOLS, bool(needs.tools) and lacks_calls),
        (FORCED_TOOL_CHOICE, needs.forced_choice and "forced_choice" not in declared),
        (PARALLEL_TOOLS, needs.parallel_tools and "parallel" not in declared),
        (ONLY_WITH_TOOLS, target.only_with_tools and not needs.tools),
    )
    return [code for code, missed in checks if missed]


def _lacking_senses(
    target: Target, needs: Requirements, *, fetches_images: bool
) -> list[str]:
    reads, ways = target.reads, target.image_sources
    if needs.images and "image" not in reads:
        lacks = [IMAGE]
    else:
        fetched = fetches_images and "data" in ways
        by_url = needs.image_urls and "url" not in ways and not fetched
        lacks = [IMAGE_URL] if by_url else []
        if needs.image_data and "data" not in ways:
            lacks.append(IMAGE_DATA)
    if needs.audio and "audio" not in reads:
        lacks.append(AUDIO)
    if needs.documents and "document" not in reads:
        lacks.append(DOCUMENT)
    return lacks


def _too_small(target: Target, needs: Requirements) -> list[str]:
    """Return which limits of a target the request passes."""
    cap, context = needs.output_cap or 0, target.context_tokens
    checks = (
        (IMAGE_COUNT, _passes(needs.images, target.max_images)),
        (OUTPUT_CAP, _passes(cap, target.max_output_tokens)),
        (CONTEXT, context is not None and _exceeds(needs, context - cap)),
        (REQUEST_BYTES, _passes(needs.request_bytes, target.max_request_bytes)),
    )
    return [code for code, missed in checks if missed]


def _passes(amount: int, limit: int | None) -> bool:
    return limit is not None and amount > limit


def _exceeds(needs: Requirements, tokens: int) -> bool:
    """Say whether the input is estimated to be more; that is only made if needed."""
    if needs.counted_input_tokens is None and not _may_exceed(needs, tokens):
        return False
    return needs.estimated_input_tokens > tokens


def _may_exceed(needs: Requirements, tokens: float) -> bool:
    """Say whether the estimate of the input may be more, without making it."""
    if not needs.is_text:
        return True
    size, objects = len(needs.body), needs.body.count(b"{")
    most = size * _BYTE_TOKENS + objects * _OBJECT_TOKENS + _REQUEST_TOKENS
    return most > tokens
