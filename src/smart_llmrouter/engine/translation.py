"""The translate lane: a caller and a provider that speak different dialects.

    request   canon (parsed once a call) → without what is its own dialect's only
              → rendered for this provider, with a note for each loss
    answer    the provider's bytes → events → names as the caller knows them
              → the caller's bytes

Nothing here knows any dialect: all of that is behind `dialects.base`.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from smart_llmrouter.config.snapshot import Group
from smart_llmrouter.core.decisions import LaneName
from smart_llmrouter.core.errors import NOT_LOSSLESS
from smart_llmrouter.core.events import (
    Delta,
    Event,
    Failed,
    Finished,
    Opened,
    UsageSeen,
)
from smart_llmrouter.core.notes import Note, Notes
from smart_llmrouter.core.request import DROPPABLE_HOSTED_KINDS, Request
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import (
    Answering,
    Decoder,
    Dialect,
    Encoder,
    NotAnAnswer,
    NotBridged,
    Peek,
    Serving,
)
from smart_llmrouter.dialects.lowering import BILLING_HEADER, Raising, bridged
from smart_llmrouter.dialects.tool_names import ToolNames

_EXEMPT: Final = frozenset(
    {
        BILLING_HEADER,
        "content.id",
        "content.status",
        "messages.id",
        "messages.status",
        *(f"tools.{kind}" for kind in DROPPABLE_HOSTED_KINDS),
    }
)
"""What may be dropped under `bridges: lossless`: what is not for the model, the ids and
states of items that nobody refers to, and tools about which `hosted_tools` says more.
"""

_ENDS: Final = (Failed, Finished)
_NOTHING_TO_RAISE: Final = Raising(ToolNames(()))
"""Undoes the names of no tools; it keeps nothing, so that all calls may share it."""


class Asked(msgspec.Struct, eq=False):
    """What a caller asked for, in each form that is needed, made at most once.

    `maker` tells which target gave a proof, by its digest, where that matters.
    """

    dialect: Dialect
    peek: Peek
    group: Group
    canon: Request | None = None
    portable: Request | None = None
    losses: tuple[Note, ...] = ()
    maker: Callable[[bytes], str | None] | None = None

    def shown_to(self, label: str) -> Peek:
        """Return what the target `label`, which speaks the same dialect, may see."""
        maker = self.maker
        if maker is None:
            return self.peek
        return self.dialect.without_foreign(
            self.peek, lambda proof: maker(proof) not in (None, label)
        )

    def parsed(self) -> Request:
        """Return the request in the canon. Raises `InvalidRequest`."""
        if self.canon is None:
            self.canon = self.dialect.parse(self.peek)
        return self.canon

    def bridged(self, notes: Notes) -> Request:
        """Return the request as any other dialect may say it.

        Raises `NotBridged` or `ProviderHostedToolsForbidden`.
        """
        if self.portable is None:
            lost = Notes()
            self.portable = bridged(
                self.parsed(),
                known_extras=self.dialect.known_extras,
                hosted_tools=self.group.hosted_tools,
                notes=lost,
            )
            self.losses = lost.all()
        if self.losses:
            notes.add(self.losses)
        return self.portable


class Translation:
    """One attempt at a provider that speaks another dialect than the caller."""

    name: LaneName = "translate"

    __slots__ = (
        "_answering",
        "_body",
        "_client",
        "_provider",
        "_raising",
        "notes",
    )

    def __init__(
        self,
        asked: Asked,
        provider: Dialect,
        serving: Serving,
        *,
        request_id: str,
        created_s: int = 0,
    ) -> None:
        """Render the request for `provider`.

        The answer says that it was made at `created_s`, in seconds since 1970 UTC.
        Raises `NotBridged` when it cannot carry the request, or not without the losses
        that the group forbids.
        """
        self.notes = Notes()
        self._client = asked.dialect
        self._provider = provider
        request = asked.bridged(self.notes)
        self._body = provider.render(request, serving, self.notes)
        if asked.group.bridges == "lossless":
            _insist_on_no_loss(self.notes)
        self._raising = (
            Raising(ToolNames(request.tools)) if request.tools else _NOTHING_TO_RAISE
        )
        self._answering = Answering(
            request=asked.parsed(),
            id=request_id.removeprefix("req_"),
            created_s=created_s,
            model=request.model or asked.group.name,
            label=serving.label,
            notes=self.notes,
        )

    def take_body(self) -> bytes:
        """Return the request for the provider; it is not kept."""
        body, self._body = self._body, b""
        return body

    def stored_id(self, body: bytes) -> str | None:
        """Return nothing: the id that the caller gets is the router's."""

    @property
    def proof_mark(self) -> None:
        """Nothing: the caller is sent seals, which name their maker."""

    def noted(self) -> tuple[Note, ...]:
        """Return what was approximated or dropped so far."""
        return self.notes.all()

    def answer(self, body: bytes) -> tuple[bytes, Usage]:
        """Return the caller's plain answer. Raises `NotAnAnswer`."""
        events = self._raising.raised(self._provider.read_answer(body))
        usage = UNKNOWN_USAGE
        for event in events:
            if type(event) is UsageSeen:
                usage = event.usage
            elif type(event) is Failed:
                raise NotAnAnswer
        return self._client.write_answer(events, self._answering), usage

    def meter(self) -> "Translator":
        """Return what translates the stream on its way."""
        return Translator(
            self._provider.decoder(),
            self._raising,
            self._client.encoder(self._answering),
        )


def _insist_on_no_loss(notes: Notes) -> None:
    lost = [
        note.field
        for note in notes.all()
        if note.action == "dropped" and note.field not in _EXEMPT
    ]
    if lost:
        raise NotBridged(*lost, lacks=NOT_LOSSLESS)


class Translator:
    """Translates a stream, and follows it as every `dialects.base.Meter` does."""

    # The id that the caller gets is the router's: no provider keeps it.
    stored_id: str | None = None
    answer_id: str | None = None
    failed = False

    __slots__ = (
        "_decoder",
        "_encoder",
        "_raising",
        "done",
        "ending",
        "error",
        "finished",
        "meaningful",
        "usage",
    )

    def __init__(self, decoder: Decoder, raising: Raising, encoder: Encoder) -> None:
        """Read with `decoder`, write with `encoder`."""
        self._decoder = decoder
        self._raising = raising
        self._encoder = encoder
        self.usage: Usage = UNKNOWN_USAGE
        self.meaningful = False
        self.finished = False
        self.done = False
        self.error: bytes | None = None
        self.ending = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return what may be sent on now.

        Raises `NotAStream` and `EventTooLarge`.
        """
        if self.done or self.error is not None:
            return b""
        return self._translated(self._decoder.feed(chunk))

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left."""
        if self.done or self.error is not None:
            return b""
        return self._translated(self._decoder.end())

    def _translated(self, told: Sequence[Event]) -> bytes:
        if not told:
            return b""
        events = self._raising.raised(told)
        if len(events) == 1 and type(events[0]) is Delta:
            # As most often in a stream that is not in a hurry.
            self.meaningful = True
            return self._encoder.encode(events)
        last = events[-1] if events else None
        if isinstance(last, _ENDS):
            events = events[:-1]
        block = self._encoder.encode(self._learned(events))
        if isinstance(last, Finished):
            self.meaningful = self.finished = self.done = True
            self.ending = self._encoder.finish(last)
        elif isinstance(last, Failed):
            self.error = bytes(last.raw)
        return block

    def _learned(self, events: Sequence[Event]) -> list[Event]:
        """Learn what events tell, and join deltas of a part that came together.

        They have arrived in one read, so that nobody waits for one of them because of
        another, and one event of the caller's takes as long to write as ten.
        """
        joined: list[Event] = []
        texts: list[str] = []
        index = -1
        for event in events:
            if type(event) is Delta:
                if texts and event.index != index:
                    joined.append(Delta(index, "".join(texts)))
                    texts = []
                index = event.index
                texts.append(event.text)
                continue
            if texts:
                joined.append(Delta(index, "".join(texts)))
                texts = []
            if type(event) is UsageSeen:
                self.usage = event.usage
            elif type(event) is Opened:
                self.meaningful = True
            joined.append(event)
        if texts:
            joined.append(Delta(index, "".join(texts)))
        self.meaningful |= index >= 0
        return joined
