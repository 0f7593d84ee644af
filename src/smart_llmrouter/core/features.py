"""What a policy is told of a request: the one table of names.

The strategies `rules`, `script` and `external` see the same features, by the names of
this table; how each is found out is in `routing.features`. None of them holds text of a
conversation, and none a credential.
"""

from dataclasses import dataclass
from typing import Final, Literal

FeatureKind = Literal["text", "number", "flag", "texts", "record"]
"""`texts` is a list of texts, `record` maps texts to texts."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: its name in a rule, and where it stands in the question's JSON.

    `path` is what `script` and `external` read, from the outermost key on. A feature
    that a request does not have is `null` there where `nullable`; rules are typed, and
    see an empty text or 0.
    """

    name: str
    kind: FeatureKind
    path: tuple[str, ...]
    about: str
    nullable: bool = False


FEATURES: Final[tuple[Feature, ...]] = (
    Feature("group", "text", ("group",), "the model group, by its name"),
    Feature(
        "requested_model",
        "text",
        ("context", "model"),
        "the model that the caller named: the group, or an alias of it",
        nullable=True,
    ),
    Feature(
        "dialect",
        "text",
        ("context", "dialect"),
        "`openai-chat`, `openai-responses` or `anthropic-messages`",
    ),
    Feature("client", "text", ("context", "client"), "the program, as in usage rows"),
    Feature("stream", "flag", ("context", "stream"), "whether the answer is streamed"),
    Feature(
        "estimated_input_tokens",
        "number",
        ("context", "estimatedTokens"),
        "tokens of the input, at most",
    ),
    Feature(
        "request_bytes",
        "number",
        ("context", "requestBytes"),
        "size of the request, in bytes",
    ),
    Feature(
        "output_cap",
        "number",
        ("context", "maxTokens"),
        "most output tokens that the caller takes",
        nullable=True,
    ),
    Feature(
        "has_tools", "flag", ("context", "hasTools"), "whether there are tools at all"
    ),
    Feature("tool_count", "number", ("context", "toolCount"), "how many tools"),
    Feature(
        "tool_schema_bytes",
        "number",
        ("context", "toolSchemaBytes"),
        "size of the tools' declarations, in bytes",
    ),
    Feature(
        "tools",
        "texts",
        ("context", "toolKinds"),
        "which of `function`, `custom`, `namespace`, `tool_search` the model must call",
    ),
    Feature(
        "forced_choice",
        "flag",
        ("context", "forcedToolChoice"),
        "whether a tool call is demanded",
    ),
    Feature(
        "parallel_tools",
        "flag",
        ("context", "parallelTools"),
        "whether several calls at once are asked for in words",
    ),
    Feature(
        "has_structured_output",
        "flag",
        ("context", "hasStructuredOutput"),
        "whether JSON is demanded",
    ),
    Feature(
        "output_format",
        "text",
        ("context", "outputFormat"),
        "`json_object` or `json_schema`",
        nullable=True,
    ),
    Feature(
        "reasoning",
        "text",
        ("context", "reasoning", "kind"),
        "how reasoning is asked for: `effort`, `budget` or `adaptive`",
        nullable=True,
    ),
    Feature(
        "reasoning_level",
        "text",
        ("context", "reasoning", "effort"),
        "the level of effort; `other` where it is no short word",
        nullable=True,
    ),
    Feature(
        "reasoning_budget",
        "number",
        ("context", "reasoning", "budgetTokens"),
        "the tokens that reasoning may take",
        nullable=True,
    ),
    Feature("images", "number", ("context", "imageCount"), "how many images"),
    Feature("image_urls", "number", ("context", "imageUrls"), "images given as a URL"),
    Feature("image_data", "number", ("context", "imageData"), "images given as data"),
    Feature("audio", "flag", ("context", "hasAudio"), "whether there is sound"),
    Feature("documents", "number", ("context", "documentCount"), "how many documents"),
    Feature(
        "goes_on",
        "flag",
        ("context", "goesOn"),
        "whether it goes on from an answer that the provider keeps",
    ),
    Feature(
        "input_modalities",
        "texts",
        ("inputModalities",),
        "which of `text`, `image`, `audio`, `document` there are",
    ),
    Feature(
        "requirements",
        "texts",
        ("requirements",),
        "what a target must be able to do, such as `tools`, `image`, `reasoning`",
    ),
    Feature(
        "caller",
        "record",
        ("caller",),
        "`id`, `user`, `project`, `environment` and `tokenId` of the token's entry",
    ),
    Feature(
        "targets",
        "texts",
        ("targets",),
        "the eligible targets, in the order of the file; in rules, their labels alone",
    ),
)

FEATURE_OF: Final = {each.name: each for each in FEATURES}

TARGET_FEATURES: Final = {
    "index": "its place in `targets`, from 0",
    "label": "its public name, `provider/model`",
    "provider": "the provider's name in the configuration",
    "model": "the model's key in the configuration",
    "dialect": "what its provider speaks",
    "native": "whether that is the dialect of the request",
    "weight": "its `weight`",
    "contextTokens": "`context_tokens`, or `null`",
    "maxOutputTokens": "`max_output_tokens`, or `null`",
    "inputPricePerMillionUsd": "dollars for a million input tokens, or `null`",
    "outputPricePerMillionUsd": "dollars for a million output tokens, or `null`",
    "inputModalities": "`input`; nothing declared is `text` alone",
    "tools": "`tools`",
    "structuredOutputs": "`structured_outputs`",
    "reasoning": "whether it reasons",
    "honorsOutputCap": "`honors_output_cap`, or `null`",
    "quality": "`quality`, or `null`",
}
"""What `script` and `external` are told of each target in `targets`."""
