"""Settings of providers: endpoints, credentials, models and what they cost."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag

from smart_llmrouter.config.references import is_reference
from smart_llmrouter.config.schema.allowances import Flow
from smart_llmrouter.config.schema.connections import FilePath, Tls
from smart_llmrouter.config.schema.kinds import (
    ONE,
    SEVERAL,
    Count,
    Day,
    Flag,
    Line,
    Moment,
    Name,
    Seconds,
    Section,
    Share,
    Usd,
    Whole,
    Word,
    refusal,
)
from smart_llmrouter.core.request import DialectName

Modality = Literal["text", "image", "audio", "document"]
Tool = Literal[
    "function", "forced_choice", "parallel", "custom", "namespace", "tool_search"
]
ImageSource = Literal["url", "data"]

# What stands in a URL as it is (RFC 3986, 2). It goes out as it is written here.
_URL_TEXT: Final = re.compile(r"(?:[A-Za-z0-9:/\[\]@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})+")


def _base_url(text: str) -> str:
    """Accept an http(s) URL of a host and a path; give it back without a last `/`."""
    try:
        parts = urlsplit(text)
        sound = parts.port != 0  # reading it raises for a port that is none
    except ValueError:
        parts, sound = urlsplit(""), False
    if not sound or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise refusal(
            "an http or https URL is expected",
            "write it such as https://api.acme.example/v1",
        )
    if "@" in parts.netloc:
        raise refusal(
            "the URL holds a user name or password",
            "remove them; credentials belong into api_key or headers, as ${ENV_NAME}",
        )
    if "?" in text or "#" in text:
        raise refusal(
            "the URL holds a query or fragment",
            "remove it; credentials belong into api_key or headers, as ${ENV_NAME}",
        )
    if not _URL_TEXT.fullmatch(text):
        raise refusal(
            "the URL holds spaces or special characters", "percent-encode them"
        )
    return text.rstrip("/")


def _api_key(text: str) -> str:
    if not is_reference(text):
        raise refusal(
            "a literal key must not stand in the file",
            "put it into a variable and write ${ITS_NAME}, or file:/run/secrets/name",
        )
    return text


_BELOW: Final = "Of these calls; as of shorter ones where not given."


class LongPrice(Section):
    """What a model costs in long calls, where that is not what others cost."""

    input_tokens: Annotated[Whole, Field(ge=1, le=10**9)] = Field(
        description="Calls of more input tokens than this, cached ones included."
    )
    input_per_million: Usd | None = Field(default=None, description=_BELOW)
    cached_input_per_million: Usd | None = Field(default=None, description=_BELOW)
    cache_write_per_million: Usd | None = Field(default=None, description=_BELOW)
    cache_write_1h_per_million: Usd | None = Field(default=None, description=_BELOW)
    output_per_million: Usd | None = Field(default=None, description=_BELOW)
    reasoning_per_million: Usd | None = Field(default=None, description=_BELOW)
    image_input_per_million: Usd | None = Field(default=None, description=_BELOW)


class Price(Section):
    """What a model costs, in US dollars; a part that is not given is unknown."""

    input_per_million: Usd | None = Field(
        default=None, description="A million input tokens that were not cached."
    )
    cached_input_per_million: Usd | None = Field(
        default=None,
        description=(
            "A million input tokens that the provider had cached; as input where not"
            " given."
        ),
    )
    cache_write_per_million: Usd | None = Field(
        default=None,
        description=(
            "A million input tokens written into the provider's cache, for five"
            " minutes where it knows several lifetimes; as input where not given."
        ),
    )
    cache_write_1h_per_million: Usd | None = Field(
        default=None,
        description=(
            "A million input tokens written into the provider's cache for an hour; as"
            " `cache_write_per_million` where not given."
        ),
    )
    output_per_million: Usd | None = Field(
        default=None, description="A million output tokens."
    )
    reasoning_per_million: Usd | None = Field(
        default=None,
        description="A million output tokens of reasoning; as output where not given.",
    )
    image_input_per_million: Usd | None = Field(
        default=None,
        description=(
            "A million input tokens that the provider reports to be those of images; as"
            " input where not given."
        ),
    )
    image_per_image: Usd | None = Field(
        default=None,
        description="One image of the input, beside its tokens; 0 where not given.",
    )
    above: tuple[LongPrice, ...] = Field(
        default=(),
        description=(
            "What long calls cost, in the order of their length: all of such a call,"
            " not only what is above."
        ),
    )
    effective_from: Moment | None = Field(
        default=None,
        description=(
            "When the price comes into force: a day, which begins in UTC, or a time"
            " with its zone. Where not given, it always was. A list of prices stands in"
            " the order of these times; each is in force until the next one is."
        ),
    )
    source: Line | None = Field(default=None, description="Where the price was read.")
    as_of: Day | None = Field(default=None, description="The day on which it was read.")


def _form(value: object) -> str:
    return SEVERAL if isinstance(value, (list, tuple)) else ONE


_Prices = Annotated[
    Annotated[Price, Tag(ONE)]
    | Annotated[tuple[Price, ...], Tag(SEVERAL), Field(min_length=1)],
    Discriminator(_form),
]


class Reasoning(Section):
    """How a model's reasoning is controlled."""

    control: Literal["effort", "token_budget"] | None = Field(
        default=None,
        description=(
            "How the model is told how much to think; as is usual in the provider's"
            " dialect where not given."
        ),
    )
    levels: tuple[Word, ...] = Field(
        default=(),
        description=(
            "The levels of effort that the model knows; the nearest one is asked for."
        ),
    )


class Model(Section):
    """One model of a provider."""

    model: Line | None = Field(
        default=None,
        description="The name that the provider knows; the key where not given.",
    )
    context_tokens: Count | None = Field(
        default=None,
        description=(
            "Most input and output tokens together; requests that may need more go"
            " elsewhere. Shown to callers by `/v1/models`."
        ),
    )
    max_output_tokens: Count | None = Field(
        default=None,
        description=(
            "Most output tokens; requests that ask for more go elsewhere. Where one"
            " caps nothing and the provider needs a cap, as Anthropic's do, it is this."
        ),
    )
    input: tuple[Modality, ...] | None = Field(
        default=None,
        description="What the model reads; where not given, text only.",
    )
    image_sources: tuple[ImageSource, ...] = Field(
        default=("url", "data"),
        description="How images may come: as the URL of one, or as its data.",
    )
    max_images: Count | None = Field(
        default=None, description="Most images in a request; no limit where not given."
    )
    max_request_bytes: Count | None = Field(
        default=None, description="Largest request; no limit where not given."
    )
    tools: tuple[Tool, ...] | None = Field(
        default=None,
        description=(
            "Which kinds of tool calls the model makes; where not given, none."
            " `function` includes what the router can say as functions."
        ),
    )
    structured_outputs: Flag | None = Field(
        default=None,
        description=(
            "Whether answers can be bound to JSON or to a schema of it; where not"
            " given, they cannot."
        ),
    )
    reasoning: Reasoning | None = Field(
        default=None,
        description=(
            "How reasoning is controlled; where not given, the model does not reason."
        ),
    )
    honors_output_cap: Flag | None = Field(
        default=None,
        description="`false`: never chosen for a request that caps its output.",
    )
    quality: Share | None = Field(
        default=None,
        description=(
            "How good its answers were found to be, from 0 to 1; for the strategy"
            " `dynamic`."
        ),
    )
    shaping: Flow | None = Field(
        default=None, description="How evenly the model is called."
    )
    price: _Prices | None = Field(
        default=None,
        description=(
            "What the model costs; unknown where not given. A list where that changes."
        ),
    )

    @property
    def prices(self) -> tuple[Price, ...]:
        """What the model costs, one after another; empty where that is unknown."""
        if self.price is None:
            return ()
        return self.price if isinstance(self.price, tuple) else (self.price,)


class Backoff(Section):
    """How long to leave a provider alone; each time in a row doubles the rest."""

    min_s: Seconds = Field(default=1.0, description="The first rest.")
    max_s: Seconds = Field(default=60.0, description="The longest rest.")


class RateBackoff(Backoff):
    """How long to leave a provider alone after `429`."""

    honor_retry_after: Flag = Field(
        default=True, description="Whether the provider's `Retry-After` counts."
    )


class QuotaBackoff(Backoff):
    """How long to leave a target alone whose credit or quota is used up."""

    min_s: Seconds = Field(default=30.0, description="The first rest.")
    max_s: Seconds = Field(default=300.0, description="The longest rest.")


class FailureBackoff(Backoff):
    """When a failing target is left alone, and how long."""

    failures: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        default=5, description="How many failures in a row are too many."
    )
    max_s: Seconds = Field(default=30.0, description="The longest rest.")


class Backoffs(Section):
    """How long to leave a target alone, by reason; then one call finds out.

    The rest after a reason begins with its `min_s`, and doubles each time in a row.
    """

    on_429: RateBackoff = Field(
        default_factory=RateBackoff, description="After a rate limit."
    )
    on_quota: QuotaBackoff = Field(
        default_factory=QuotaBackoff, description="After an exhausted quota."
    )
    on_failure: FailureBackoff = Field(
        default_factory=FailureBackoff, description="After failures in a row."
    )


class Provider(Section):
    """One endpoint of a provider, and the credentials for it."""

    dialect: DialectName = Field(default=..., description="What the endpoint speaks.")
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        default=...,
        description=(
            "Where its paths begin, such as `https://api.acme.example/v1`. For"
            " `anthropic-messages` the last `/v1` may be there or not."
        ),
    )
    api_key: Annotated[str, AfterValidator(_api_key)] | None = Field(
        default=None,
        description="The credential: `${ENV_NAME}` or `file:/run/secrets/name`.",
    )
    headers: dict[str, Annotated[str, StringConstraints(max_length=4096)]] = Field(
        default_factory=dict,
        description=(
            "Headers of each request. Values may hold `${ENV_NAME}`; those of"
            " credential headers must, or be `file:/run/secrets/name`."
        ),
    )
    tls: Tls | None = Field(
        default=None, description="Whom to trust and who the router is, over `https`."
    )
    unix_socket: FilePath | None = Field(
        default=None,
        description=(
            "Path of the Unix socket to connect to, instead of the host and port of"
            " `base_url`, which then only name the provider."
        ),
    )
    shaping: Flow | None = Field(
        default=None, description="How evenly the provider is called."
    )
    backoff: Backoffs = Field(
        default_factory=Backoffs,
        description="How long its targets are left alone after they failed.",
    )
    models: dict[Name, Model] = Field(
        default=...,
        min_length=1,
        description="The models, by the key that targets use.",
    )
