"""The strategy `external`: a policy service of the operator's is asked over HTTP.

It is told the features of `core.features`, and the request itself only where the
configuration says so. Where it is comes from the configuration alone, which has checked
the host: the transport follows no redirect, and a redirect is no decision.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from smart_llmrouter.config.policies import External
from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.core.decisions import PolicyKind
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.engine.policies.answers import parsed, verdict_of
from smart_llmrouter.routing.features import question_document
from smart_llmrouter.routing.policy import (
    FaultCode,
    PolicyFault,
    Question,
    Verdict,
)
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectTimedOut,
    MalformedAnswer,
    PoolExhausted,
    Transport,
    TransportError,
    UpstreamAnswer,
)

_FAULT_OF: Final[Mapping[type[TransportError], FaultCode]] = {
    PoolExhausted: "busy",
    ConnectTimedOut: "timeout",
    AnswerTooLarge: "too-large",
    MalformedAnswer: "malformed",
}
"""What failed below HTTP; all else is `unreachable`."""


class ExternalPolicy:
    """The policy service of one group."""

    kind: Final[PolicyKind] = "external"

    def __init__(
        self, external: External, transport: Transport, *, user_agent: str
    ) -> None:
        """Ask by `transport`, and say who asks."""
        self._transport = transport
        self._endpoint = endpoint_of(external, user_agent=user_agent)
        self._timeout_s = external.timeout_ms / 1000
        self._most_bytes = external.max_response_bytes
        self._includes_request = external.include_request

    async def decide(self, question: Question) -> Verdict:
        """Ask the service, within its time. Raises `PolicyFault`."""
        document = question_document(question)
        if self._includes_request:
            document["request"] = msgspec.Raw(question.needs.body)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._asked(msgspec.json.encode(document))
        except TimeoutError:
            raise PolicyFault("timeout") from None
        except TransportError as failure:
            raise PolicyFault(_FAULT_OF.get(type(failure), "unreachable")) from None
        return verdict_of(parsed(answer), question.eligible)

    async def _asked(self, body: bytes) -> bytes:
        answer = await self._transport.send(self._endpoint, body)
        try:
            if not 200 <= answer.status < 300:
                raise PolicyFault("bad-status")
            return await self._read(answer)
        finally:
            answer.close()

    async def _read(self, answer: UpstreamAnswer) -> bytes:
        read = bytearray()
        while chunk := await answer.next_chunk():
            read += chunk
            if len(read) > self._most_bytes:
                raise PolicyFault("too-large")
        return bytes(read)


def endpoint_of(external: External, *, user_agent: str) -> Endpoint:
    """Return where a policy service is asked, with all that is sent along."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": user_agent,
    }
    secrets = []
    for name, value in external.headers:
        if isinstance(value, Secret):
            secrets.append(value.reveal().encode())
        headers[name] = value.reveal() if isinstance(value, Secret) else value
    return Endpoint(
        url=external.url,
        headers=headers,
        credentials=tuple(secrets),
        tls=Tls(),
        unix_socket=None,
        proxy=None,
    )
