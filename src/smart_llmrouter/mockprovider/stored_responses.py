"""The answers of the Responses API that later requests may go on from, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.mockprovider.dialect import Refused
from smart_llmrouter.mockprovider.openai_responses_schema import Item

_MOST: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """An answer as it was given, and the whole conversation up to its end."""

    document: bytes
    items: tuple[Item, ...]
    output: tuple[Item, ...]


class StoredResponses:
    """The latest answers by their ids; the oldest go when there are too many."""

    def __init__(self) -> None:
        """Begin with none."""
        self._by_id: dict[str, StoredResponse] = {}
        self._items: dict[str, Item] = {}

    def keep(self, response_id: str, response: StoredResponse) -> None:
        """Keep `response` as `response_id`."""
        self._by_id[response_id] = response
        self._items |= {item.id: item for item in response.output if item.id}
        if len(self._by_id) > _MOST:
            self.forget(next(iter(self._by_id)))

    def find(self, response_id: str) -> StoredResponse | None:
        """Return what was kept as `response_id`."""
        return self._by_id.get(response_id)

    def forget(self, response_id: str) -> bool:
        """Drop an answer and its items; tell whether it was there."""
        gone = self._by_id.pop(response_id, None)
        for item in gone.output if gone else ():
            self._items.pop(item.id or "", None)
        return gone is not None

    def clear(self) -> None:
        """Drop everything."""
        self._by_id.clear()
        self._items.clear()

    def before(self, previous_id: str | None) -> tuple[Item, ...]:
        """Return the conversation up to `previous_id`; refuse an unknown one."""
        if previous_id is None:
            return ()
        previous = self._by_id.get(previous_id)
        if previous is None:
            raise Refused(
                f"Previous response with id '{previous_id}' not found.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        return previous.items

    def resolved(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Put stored items where only their ids are given; refuse unknown ids."""
        return tuple(
            self._item(item.id) if _stands_for_stored(item) and item.id else item
            for item in items
        )

    def _item(self, item_id: str) -> Item:
        item = self._items.get(item_id)
        if item is None:
            raise Refused(
                f"Item with id '{item_id}' not found. Items are not persisted when "
                "`store` is set to false. Try again with `store` set to true, or "
                "remove this item from your input.",
                status=404,
                kind="invalid_request_error",
                code="item_not_found",
                param="input",
            )
        return item


def _stands_for_stored(item: Item) -> bool:
    bare = item.encrypted_content is None and not item.content
    return item.type == "item_reference" or (item.type == "reasoning" and bare)
