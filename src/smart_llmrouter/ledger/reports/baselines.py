"""What calls are compared with: the price of one model, for all of them."""

from dataclasses import dataclass

from smart_llmrouter.core.money import Price


class UnknownBaseline(ValueError):
    """There is nothing of this name to compare with; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model's name, as `provider/model`, and its price now."""

    name: str
    price: Price
