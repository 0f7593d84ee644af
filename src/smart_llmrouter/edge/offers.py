"""How a parent has all its workers serve by another configuration, or none of them.

    offered    each worker prepares it, and says when it has, or that it cannot
    accepted   each worker serves by it from now on

Editions are numbered; an offer that is not accepted leaves a gap.
"""

import msgspec

from smart_llmrouter.stores.shared_value import SharedValue


class Order(msgspec.Struct, frozen=True):
    """Which edition the workers shall prepare, and by which they shall serve.

    They are the same where nothing is offered.
    """

    offered: int = 0
    accepted: int = 0


class Offer(msgspec.Struct, frozen=True):
    """One edition, packed as by `config.handover`."""

    number: int
    content: bytes


class Offers:
    """What the parent writes and its workers read; make it before they are forked."""

    def __init__(self) -> None:
        """Begin without an offer."""
        self._order = SharedValue("order")
        self._offer = SharedValue("offer")

    def give(self, order: Order) -> None:
        """Say what is wanted of workers now."""
        self._order.write(msgspec.msgpack.encode(order))

    def show(self, offer: Offer) -> None:
        """Put an edition there, before it is ordered."""
        self._offer.write(msgspec.msgpack.encode(offer))

    def order(self) -> Order:
        """Return what is wanted of workers now."""
        _, value = self._order.read()
        return msgspec.msgpack.decode(value, type=Order) if value else Order()

    def offer(self, number: int) -> bytes | None:
        """Return the content of an edition, if it is the one that is there."""
        _, value = self._offer.read()
        offer = msgspec.msgpack.decode(value, type=Offer) if value else None
        return offer.content if offer is not None and offer.number == number else None

    def close(self) -> None:
        """Let go of everything in this process."""
        self._order.close()
        self._offer.close()
