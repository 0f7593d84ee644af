"""The dialects that there are, by their names."""

from collections.abc import Mapping
from typing import Final

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.anthropic_messages.dialect import ANTHROPIC_MESSAGES
from smart_llmrouter.dialects.base import Dialect
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES

DIALECTS: Final[Mapping[DialectName, Dialect]] = {
    dialect.name: dialect
    for dialect in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES)
}
