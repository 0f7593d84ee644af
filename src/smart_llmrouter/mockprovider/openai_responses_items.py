"""The writer of the Responses API: the items of an answer, and the events of each."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from smart_llmrouter.mockprovider.seal import Seal
from smart_llmrouter.mockprovider.speech import Speech, ToolCall, argument_pieces

Fields = Mapping[str, object]
Written = tuple[str, Fields]
"""The type of an event, and its other fields but the sequence number."""

_EMPTY: Final[Mapping[str, Fields]] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}
"""What of an item is still empty when it is opened."""


def output_items(
    speech: Speech, digest: str, seal: Seal, *, summary: bool, sealed: bool
) -> list[Fields]:
    """Return the items that say `speech`, with ids made from `digest`.

    `summary` and `sealed` say whether reasoning is shown, and whether it is sent along
    in a blob that can come back.
    """
    items: list[Fields] = []
    if speech.reasoning is not None:
        items.append(_reasoning(speech, digest, seal, summary=summary, sealed=sealed))
    if speech.pieces or not speech.tool_calls:
        items.append(_message(speech, digest))
    items += [_call(call) for call in speech.tool_calls]
    return items


def compaction_item(blob: str, digest: str) -> Fields:
    """Return the item with the `blob` that stands for a conversation from now on."""
    return {
        "id": f"cmp_{digest[:40]}",
        "type": "compaction",
        "encrypted_content": blob,
    }


def item_events(index: int, item: Fields, speech: Speech) -> Iterator[Written]:
    """Yield the events that bring `item`, the one at `index` of the answer."""
    kind = str(item["type"])
    opened = {**item, **_EMPTY.get(kind, {})}
    if "status" in item:
        opened["status"] = "in_progress"
    yield "response.output_item.added", {"output_index": index, "item": opened}
    place: Fields = {"item_id": item["id"], "output_index": index}
    match kind:
        case "message":
            yield from _message_events(place, speech)
        case "reasoning":
            yield from _reasoning_events(place, speech, item)
        case "function_call":
            text = str(item["arguments"])
            yield from _argument_events(place, text, "function_call_arguments")
        case "custom_tool_call":
            text = str(item["input"])
            yield from _argument_events(place, text, "custom_tool_call_input")
        case _:
            pass
    yield "response.output_item.done", {"output_index": index, "item": item}


def _reasoning(
    speech: Speech, digest: str, seal: Seal, *, summary: bool, sealed: bool
) -> Fields:
    text = speech.reasoning or ""
    shown = summary and not speech.redacted
    item: dict[str, object] = {
        "id": f"rs_{digest[:40]}",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}] if shown else [],
    }
    if sealed:
        item["encrypted_content"] = seal.closed("reasoning", text)
    return item


def _message(speech: Speech, digest: str) -> Fields:
    whole = speech.finish_reason not in {"length", "content_filter"}
    return {
        "id": f"msg_{digest[:40]}",
        "type": "message",
        "status": "completed" if whole else "incomplete",
        "role": "assistant",
        "content": [_text_part(speech.text)],
    }


def _text_part(text: str) -> Fields:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _call(call: ToolCall) -> Fields:
    named: dict[str, object] = {"call_id": f"call_{call.id}", "name": call.name}
    if call.namespace is not None:
        named["namespace"] = call.namespace
    match call.kind:
        case "function":
            return {
                "id": f"fc_{call.id}",
                "type": "function_call",
                "status": "completed",
                "arguments": call.arguments,
                **named,
            }
        case "custom":
            return {
                "id": f"ctc_{call.id}",
                "type": "custom_tool_call",
                "status": "completed",
                "input": call.arguments,
                **named,
            }
        case "search":
            return {
                "id": f"tsc_{call.id}",
                "type": "tool_search_call",
                "status": "completed",
                "execution": "client",
                "call_id": f"call_{call.id}",
                "arguments": msgspec.json.decode(call.arguments),
            }


def _message_events(place: Fields, speech: Speech) -> Iterator[Written]:
    part: Fields = {**place, "content_index": 0}
    yield "response.content_part.added", {**part, "part": _text_part("")}
    for piece in speech.pieces:
        yield "response.output_text.delta", {**part, "delta": piece, "logprobs": []}
    done = {**part, "text": speech.text, "logprobs": []}
    yield "response.output_text.done", done
    yield "response.content_part.done", {**part, "part": _text_part(speech.text)}


def _reasoning_events(place: Fields, speech: Speech, item: Fields) -> Iterator[Written]:
    if not item["summary"]:
        return
    text = speech.reasoning or ""
    part: Fields = {**place, "summary_index": 0}
    begin = {"type": "summary_text", "text": ""}
    yield "response.reasoning_summary_part.added", {**part, "part": begin}
    for piece in argument_pieces(text):
        yield "response.reasoning_summary_text.delta", {**part, "delta": piece}
    yield "response.reasoning_summary_text.done", {**part, "text": text}
    end = {"type": "summary_text", "text": text}
    yield "response.reasoning_summary_part.done", {**part, "part": end}


def _argument_events(place: Fields, text: str, kind: str) -> Iterator[Written]:
    for piece in argument_pieces(text):
        yield f"response.{kind}.delta", {**place, "delta": piece}
    field = "input" if kind.endswith("input") else "arguments"
    yield f"response.{kind}.done", {**place, field: text}
