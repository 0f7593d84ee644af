"""How many tokens a request has at most, where nobody can be asked.

A tokenizer is a provider's own, and an estimate that is too low lets a client fill a
window that is full already. So this is meant to be over and never under:

    text      a quarter of a token for each small letter and 5/12 for each capital, 5/6
              more for each word and for each change between letters and digits, 2/3
              for each digit, 1/6 for a space, and one for each other character of
              ASCII, and for each byte of what is not ASCII. Small letters 16 in a row
              are no word: each of them is 2/3
    numbers   as the text that they are written with
    fields    a token for each field and each list, beside its name and its content
    messages  8 tokens for each item of the conversation, 24 for each tool, 700 for the
              instructions that providers add when there are tools, 32 for the request
    images    5,000 tokens each, which is more than any size takes at the usual detail
    sound     a token for each 100 characters of its base64
    files     a token for each character of their base64, or of their text; 50,000 where
              only a URL or an id is there; text beside one of these counts as text

For prose and code in many languages this is 1.4 times as much, or more, as the largest
of three public tokenizers counts. Whatever is added to the end of a text, or to a
request, its estimate does not become less.

A request weighs what its parts weigh: each item of the conversation, each other field
that may be large, and all small fields together. Agents send the same parts again
with each request, so what was weighed is remembered: see `core.remembered`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final, TypeGuard

import msgspec

from smart_llmrouter.core.remembered import Lists, Parts

IMAGE_TOKENS: Final = 5_000
UNSEEN_FILE_TOKENS: Final = 50_000
DEFAULT_OUTPUT_TOKENS: Final = 4_096
"""What is reserved for an answer of a model that declares no `max_output_tokens`."""

# All weights are in twelfths of a token, so that sums are exact.
_TOKEN: Final = 12
_WORD: Final = 10
_NO_WORD_MORE: Final = 16 * 5
_FIELD: Final = 1 * _TOKEN
_ITEM: Final = 8 * _TOKEN
_TOOL: Final = 24 * _TOKEN
_ANY_TOOLS: Final = 700 * _TOKEN
_REQUEST: Final = 32 * _TOKEN
_SOUND_CHARACTERS: Final = 100

# What a byte is. The lower half has a bit for each thing that it may be the first of:
# 1 for a number, 2 for a word, 4 for a capital after a small letter. The upper half has
# those that may begin right behind it. 8 only tells a space from any other character.
_SMALL: Final = b"\x52"
_CAPITAL: Final = b"\x16"
_DIGIT: Final = b"\x21"
_SPACE: Final = b"\x20"
_OTHER: Final = b"\x28"
_HALF: Final = 4
_KINDS: Final = b"".join(
    _SMALL
    if chr(byte) in ascii_lowercase
    else _CAPITAL
    if chr(byte) in ascii_uppercase
    else _DIGIT
    if chr(byte) in digits
    else _SPACE
    if byte == b" "[0]
    else _OTHER
    for byte in range(256)
)
"""The kind of each byte."""
_NO_WORD: Final = _SMALL * 16
_SMALL_WEIGHT: Final = 3
_CAPITAL_MORE: Final = 5 - _SMALL_WEIGHT
_DIGIT_MORE: Final = 8 - _SMALL_WEIGHT
_SPACE_MORE: Final = 2 - _SMALL_WEIGHT
_OTHER_MORE: Final = 12 - _SMALL_WEIGHT
_CONVERSATIONS: Final = ("messages", "input")
_IMAGES: Final = frozenset(
    {"image", "image_url", "input_image", "computer_screenshot", "image_file"}
)
_SOUNDS: Final = frozenset({"input_audio", "audio"})
_FILES: Final = frozenset({"document", "file", "input_file"})
_OF_MEDIA: Final = frozenset(
    {"type", "source", "data", "image", "image_url", "image_file", "input_audio"}
    | {"audio", "file", "file_data", "file_id", "file_url"}
)
"""The fields of a medium that are no text, or are weighed with it."""

_NESTING: Final = (dict, list)
_LIST: Final = b"["[0]

_KIND: Final = "type"
_TOOLS_FIELD: Final = "tools"

_NO_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode: Final = msgspec.json.Decoder().decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.Encoder().encode


def input_tokens(body: bytes) -> int:
    """Return how many tokens the request in `body`, of any dialect, has at most.

    What is no JSON object is taken for text.
    """
    try:
        fields = _decode_fields(body)
    except _NO_JSON:
        return _whole_tokens(_REQUEST + _weight_of_bytes(body))
    return tokens_of_fields(fields, body)


def tokens_of_fields(fields: Mapping[str, msgspec.Raw], body: bytes) -> int:
    """Return the same where the `fields` of the request are at hand already."""
    try:
        return _whole_tokens(_REQUEST + _weight_of_fields(fields, body))
    except _NO_JSON:
        return _whole_tokens(_REQUEST + _weight_of_bytes(body))


def _weight_of_fields(fields: Mapping[str, msgspec.Raw], body: bytes) -> int:
    """Add up the parts of a request. Raises as decoding does."""
    if _KIND in fields:
        # It may call itself a medium: then it is one part.
        request = _decode(body)
        return _ITEM * _items_in(request) + _weight_of(request) + _tools_in(request)
    small, items = dict(fields), len(_CONVERSATIONS)
    weight = 0
    for name in _LARGE:
        if name not in small:
            continue
        part = bytes(small.pop(name))
        weight += _LARGE[name]
        if name == _TOOLS_FIELD:
            weight += _TOOLS.weight_of(part)
        elif part[0] == _LIST:
            weight_of_turns, turns, _ = _LISTS.weighed(part)
            weight += _FIELD + weight_of_turns
            if name in _CONVERSATIONS:
                items += turns - 1
        else:
            weight += _VALUES.weight_of(part)
    # The rest is an object, which weighs what the request itself does beside its parts.
    return weight + _VALUES.weight_of(_encode(small)) + _ITEM * items


def text_tokens(text: str) -> int:
    """Return how many tokens a text has at most."""
    return _whole_tokens(_weight_of_texts([text]))


def _items_in(request: Mapping[str, object]) -> int:
    """Count the items of the conversation; one that is no list is one."""
    turns = [request.get(name) for name in _CONVERSATIONS]
    return sum(len(each) if isinstance(each, list) else 1 for each in turns)


def _tools_in(request: Mapping[str, object]) -> int:
    """Weigh what tools need beside what is written of them."""
    tools = request.get(_TOOLS_FIELD)
    return _ANY_TOOLS + _TOOL * len(tools) if isinstance(tools, list) and tools else 0


def _weight_of_value(part: bytes) -> int:
    return _weight_of([_decode(part)]) - _FIELD


def _weight_of_tools(part: bytes) -> int:
    tools = _decode(part)
    return _weight_of([tools]) - _FIELD + _tools_in({_TOOLS_FIELD: tools})


def _weight_of(request: Mapping[str, object] | list[object]) -> int:
    """Add up all that is in a request; deep ones are no reason to recurse."""
    weight = 0
    texts: list[str] = []
    waiting: list[Mapping[str, object] | list[object]] = [request]
    while waiting:
        each = waiting.pop()
        weight += _FIELD
        values: Iterable[object] = each
        if isinstance(each, dict):
            kind = each.get("type")
            if isinstance(kind, str) and kind in _MEDIA:
                weight += _MEDIA[kind](each) - _FIELD
                each = {name: each[name] for name in each.keys() - _OF_MEDIA}
            weight += _FIELD * len(each)
            texts += each
            values = each.values()
        for value in values:
            if isinstance(value, str):
                texts.append(value)
            elif isinstance(value, _NESTING):
                waiting.append(value)
            else:
                texts.append(str(value))
    return weight + _weight_of_texts(texts)


def _weight_of_image(_: Mapping[str, object]) -> int:
    return IMAGE_TOKENS * _TOKEN


def _weight_of_sound(block: Mapping[str, object]) -> int:
    return _TOKEN * (1 + _characters(block) // _SOUND_CHARACTERS)


def _weight_of_file(block: Mapping[str, object]) -> int:
    return max(_TOKEN * _characters(block), UNSEEN_FILE_TOKENS * _TOKEN)


def _characters(block: Mapping[str, object]) -> int:
    """Count the characters of all texts in a block."""
    count = 0
    waiting: list[object] = [block]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            count += len(each)
        elif isinstance(each, list):
            waiting += each
        elif _is_object(each):
            waiting += each.values()
    return count


_MEDIA: Final[Mapping[str, Callable[[Mapping[str, object]], int]]] = {
    **dict.fromkeys(_IMAGES, _weight_of_image),
    **dict.fromkeys(_SOUNDS, _weight_of_sound),
    **dict.fromkeys(_FILES, _weight_of_file),
}


def _weight_of_texts(texts: Sequence[str]) -> int:
    """Add up what texts weigh.

    Each begins behind a space, which weighs something: one that is empty as well. So
    they weigh the same together as one by one, and are looked at once.
    """
    if not texts:
        return 0
    return _weight_of_bytes(" ".join(texts).encode("utf-8", "surrogatepass"))


def _weight_of_bytes(text: bytes) -> int:
    """Add up what the characters of a text weigh; it may be of many megabytes.

    As one large number, all of them are compared with the one before in one step.
    """
    kinds = (b" " + text).translate(_KINDS)
    number = int.from_bytes(kinds, "little")
    starts = (number & (number << _HALF)).bit_count()
    return (
        len(kinds) * _SMALL_WEIGHT
        + kinds.count(_CAPITAL) * _CAPITAL_MORE
        + kinds.count(_DIGIT) * _DIGIT_MORE
        + kinds.count(_SPACE) * _SPACE_MORE
        + kinds.count(_OTHER) * _OTHER_MORE
        + kinds.count(_NO_WORD) * _NO_WORD_MORE
        + starts * _WORD
    )


_VALUES: Final = Parts(_weight_of_value)
_LISTS: Final = Lists(_VALUES)
_TOOLS: Final = Parts(_weight_of_tools)
_LARGE: Final[Mapping[str, int]] = {
    name: _FIELD + _weight_of_texts([name])
    for name in (*_CONVERSATIONS, _TOOLS_FIELD, "system", "instructions")
}
"""The fields that are remembered apart, and what each weighs beside its value."""


def _whole_tokens(weight: int) -> int:
    return -(-weight // _TOKEN)


def _is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, dict)
