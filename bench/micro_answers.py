"""What the provider says in the micro benchmark: an answer, and a stream."""

from typing import Final

_EVENTS: Final = 30

ANSWER: Final = (
    b'{"id":"chatcmpl-Bmock","object":"chat.completion","created":1750000000,'
    b'"model":"mock-mini","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"A gateway adds one hop, whose cost should stay well below the time '
    b'that the model needs."},"finish_reason":"stop"}],"usage":{"prompt_tokens":312,'
    b'"completion_tokens":30,"total_tokens":342,"prompt_tokens_details":'
    b'{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
)
_CHUNK: Final = (
    b'data: {"id":"chatcmpl-Bmock","object":"chat.completion.chunk","created":'
    b'1750000000,"model":"mock-mini","choices":[{"index":0,"delta":%b,'
    b'"finish_reason":%b}],"usage":null}\n\n'
)
OPENING: Final = _CHUNK % (b'{"role":"assistant","content":""}', b"null")
TEXTS: Final = tuple(
    _CHUNK % (b'{"content":" token%02d"}' % at, b"null") for at in range(_EVENTS)
)
ENDING: Final = (
    _CHUNK
    % (b"{}", b'"stop"')
    + b'data: {"id":"chatcmpl-Bmock","choices":[],"usage":{"prompt_tokens":312,'
    b'"completion_tokens":30,"total_tokens":342}}\n\ndata: [DONE]\n\n'
)
