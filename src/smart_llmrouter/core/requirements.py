"""What one request needs of a target, typed: what eligibility is decided by.

A requirement is what would change the meaning of the answer if it were not met. What
a target lacks is told in stable codes, one for each requirement:

    dialect               it speaks another dialect, and the group bridges nothing
    not-bridged:WHAT      it speaks another dialect, which cannot say this
    not-lossless:FIELD    its dialect would drop this, and the group allows no loss
    tools                 it calls no tools of these kinds
    forced-tool-choice    it cannot be made to call one
    parallel-tools        it does not call several at once
    only-with-tools       it is meant for requests with tools, and this has none
    structured-output     it cannot be bound to JSON
    image, audio, document   it does not read these
    image-url, image-data    it does not take images in this way
    image-count           they are too many
    reasoning             it does not reason
    output-cap            its output is smaller than what is asked for, or it does not
                          keep to a cap
    context               input and output together are more than it holds
    request-bytes         the request is larger than it takes
    pinned                another target keeps what the conversation goes on from
    contract-WHAT         it does not keep what the group promises
    threshold-WHAT        it was not as good lately as the group asks for
    cooling-down          it has failed, and is left alone for a while
    capacity              it is called as often as it may be
    policy                the group's policy has left it out
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from smart_llmrouter.core.estimates import input_tokens, tokens_of_fields
from smart_llmrouter.core.request import DialectName, FormatKind

DIALECT: Final = "dialect"
TOOLS: Final = "tools"
FORCED_TOOL_CHOICE: Final = "forced-tool-choice"
PARALLEL_TOOLS: Final = "parallel-tools"
ONLY_WITH_TOOLS: Final = "only-with-tools"
STRUCTURED_OUTPUT: Final = "structured-output"
IMAGE: Final = "image"
IMAGE_URL: Final = "image-url"
IMAGE_DATA: Final = "image-data"
IMAGE_COUNT: Final = "image-count"
AUDIO: Final = "audio"
DOCUMENT: Final = "document"
REASONING: Final = "reasoning"
OUTPUT_CAP: Final = "output-cap"
CONTEXT: Final = "context"
REQUEST_BYTES: Final = "request-bytes"
PINNED: Final = "pinned"
COOLING_DOWN: Final = "cooling-down"
CAPACITY: Final = "capacity"
POLICY: Final = "policy"

PASSING: Final = frozenset({COOLING_DOWN, CAPACITY})
"""What a target misses only for a while."""

CallKind = Literal["function", "custom", "namespace", "tool_search"]
ReasoningKind = Literal["effort", "budget", "adaptive"]
NO_KINDS: Final[frozenset[CallKind]] = frozenset()


class Requirements(msgspec.Struct, kw_only=True, gc=False):
    """What a request needs; made by its dialect from the untouched body.

    `tools` are the kinds of calls that the model must be able to make; tools that the
    provider runs itself are none of them. `forced_choice` says that a call is asked
    for (`required`, `any`, or one by name), `parallel_tools` that several at once are
    asked for in words. `output_cap` is in tokens, and holds for each of the `choices`,
    the answers that are asked for to one input. `reasoning` is `None` also where the
    caller asks for none; `reasoning_level` is the effort, `reasoning_budget` the
    tokens. `goes_on` says that the provider must know an answer by its id. Images come
    as URLs, as data, or as the ids of files that the provider keeps (`image_files`).
    `other_urls` are those of documents, sound and video. `fields` are those of the body
    as they stand there, where they are at hand.
    """

    body: bytes
    dialect: DialectName
    stream: bool = False
    tools: frozenset[CallKind] = NO_KINDS
    tool_count: int = 0
    tool_schema_bytes: int = 0
    forced_choice: bool = False
    parallel_tools: bool = False
    output_format: FormatKind | None = None
    image_urls: int = 0
    image_data: int = 0
    image_files: int = 0
    other_urls: int = 0
    audio: bool = False
    documents: int = 0
    reasoning: ReasoningKind | None = None
    reasoning_level: str | None = None
    reasoning_budget: int | None = None
    output_cap: int | None = None
    choices: int = 1
    goes_on: bool = False
    fields: Mapping[str, msgspec.Raw] | None = None
    _estimate: int | None = None

    @property
    def request_bytes(self) -> int:
        """How large the request is as it came."""
        return len(self.body)

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.image_urls + self.image_data + self.image_files

    @property
    def is_text(self) -> bool:
        """Whether there is nothing but text."""
        return not (
            self.image_urls
            or self.image_data
            or self.image_files
            or self.documents
            or self.audio
        )

    @property
    def counted_input_tokens(self) -> int | None:
        """The estimate of the input, if anybody has asked for it."""
        return self._estimate

    @property
    def estimated_input_tokens(self) -> int:
        """How many tokens the input has at most; counted when first asked for."""
        if self._estimate is None:
            fields, body = self.fields, self.body
            self._estimate = (
                input_tokens(body) if fields is None else tokens_of_fields(fields, body)
            )
        return self._estimate
