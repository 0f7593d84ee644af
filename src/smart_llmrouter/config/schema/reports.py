"""How `smart-llmrouter usage report` tells of usage."""

from typing import Annotated

from pydantic import Field, StringConstraints

from smart_llmrouter.config.schema.allowances import Timezone
from smart_llmrouter.config.schema.kinds import Section

_Use = Annotated[str, StringConstraints(min_length=3, max_length=192)]


class Reports(Section):
    """How reports tell of usage; calls are not affected by any of this."""

    timezone: Timezone = Field(
        default="UTC", description="Where hours, days and months begin in reports."
    )
    baselines: tuple[_Use, ...] = Field(
        default=(),
        max_length=16,
        description=(
            "Models, as `provider/model`, with whose price reports compare what calls"
            " cost: the first one, unless another one is asked for."
        ),
    )
