"""One conversation as each dialect says it: all that any dialect can say."""

import json
from typing import Final

from smart_llmrouter.core.request import DialectName
from tools.translation_probes import PNG

_SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}}}
_OSLO, _ROME = '{"city":"Oslo"}', '{"city":"Rome"}'
CONVERSATIONS: Final[dict[DialectName, dict[str, object]]] = {
    "openai-chat": {
        "model": "chat",
        "max_tokens": 100,
        "temperature": 0.5,
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": _SCHEMA}}
        ],
        "tool_choice": "required",
        "messages": [
            {"role": "system", "content": "Be short."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Oslo and Rome?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PNG}"},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {
                        "id": call_id,
                        "type": "function",
                        "function": {"name": "f", "arguments": arguments},
                    }
                    for call_id, arguments in (("call_1", _OSLO), ("call_2", _ROME))
                ],
            },
            {"role": "tool", "tool_call_id": "call_2", "content": "sun"},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            {"role": "user", "content": "And now?"},
        ],
    },
    "openai-responses": {
        "model": "chat",
        "max_output_tokens": 100,
        "temperature": 0.5,
        "instructions": "Be short.",
        "tools": [
            {"type": "function", "name": "f", "parameters": _SCHEMA, "strict": False}
        ],
        "tool_choice": "required",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Oslo and Rome?"},
                    {
                        "type": "input_image",
                        "image_url": f"data:image/png;base64,{PNG}",
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "output_text", "text": "I look."}],
            },
            *(
                {
                    "type": "function_call",
                    "call_id": call_id,
                    "name": "f",
                    "arguments": arguments,
                }
                for call_id, arguments in (("call_1", _OSLO), ("call_2", _ROME))
            ),
            {"type": "function_call_output", "call_id": "call_2", "output": "sun"},
            {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
            {"role": "user", "content": "And now?"},
        ],
    },
    "anthropic-messages": {
        "model": "chat",
        "max_tokens": 100,
        "temperature": 0.5,
        "system": "Be short.",
        "tools": [{"name": "f", "input_schema": _SCHEMA}],
        "tool_choice": {"type": "any"},
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Oslo and Rome?"},
                    {
                        "type": "image",
                        "source": {
                            "type": "base64",
                            "media_type": "image/png",
                            "data": PNG,
                        },
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    *(
                        {
                            "type": "tool_use",
                            "id": call_id,
                            "name": "f",
                            "input": json.loads(arguments),
                        }
                        for call_id, arguments in (
                            ("call_1", _OSLO),
                            ("call_2", _ROME),
                        )
                    ),
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_2",
                        "content": "sun",
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_1",
                        "content": "rain",
                    },
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
    },
}
