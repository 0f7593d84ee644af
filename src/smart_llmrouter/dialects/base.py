"""What a dialect must be able to do; the router knows it by this only.

A dialect translates to and from the canon of `core`, and to nothing else: no dialect
knows another. None of this does I/O.

    relay       peek, address, meter, usage_of     bytes stay as they are
    client      parse   -> Request                 Event* -> answer, encoder
    provider    Request -> render                  read_answer, decoder -> Event*
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from smart_llmrouter.core.errors import NOT_BRIDGED, RouterError
from smart_llmrouter.core.events import Event, Finished
from smart_llmrouter.core.notes import Note, Notes
from smart_llmrouter.core.request import DialectName, Request
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.proofs import IsForeign, ProofMark
from smart_llmrouter.wire.jsonobject import RawMembers

HostedTools = Literal["forward", "drop", "refuse"]


class NotAnAnswer(ValueError):
    """A body with status 200 that is no answer in its dialect."""


class NotAStream(ValueError):
    """An event with status 200 that is no event in its dialect."""


class NotBridged(Exception):
    """A provider of another dialect cannot carry the request, for `reasons`.

    `missing` are these as requirements in their stable spelling: `not-bridged:n`.
    """

    def __init__(self, *reasons: str, lacks: str = NOT_BRIDGED) -> None:
        """Name what it misses, such as `n`; `lacks` is the kind of requirement."""
        self.reasons = reasons
        self.missing = tuple(f"{lacks}:{reason}" for reason in reasons)
        super().__init__(", ".join(self.missing))


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """What the path needs to know of any request, beside its untouched values.

    `wants_usage` is whether the caller itself asked for the usage of a stream; it is
    true where the dialect gives it always.
    """

    members: RawMembers
    model: str | None
    stream: bool
    wants_usage: bool = True


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is rendered for: the model of one target, and its facts.

    `label` is the target's public name. `output_cap` is how much the model may put out
    at most, where that is known. `reasoning_control` and `reasoning_levels` are how its
    reasoning is asked for; without them, as is usual in its dialect.
    """

    label: str
    model: str
    output_cap: int | None = None
    reasoning_control: Literal["effort", "token_budget"] | None = None
    reasoning_levels: tuple[str, ...] = ()


class Answering(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is written for: the request, and which target gives the answer.

    `id` names the answer: 32 letters and digits, of which each dialect makes an id of
    its own. `created_s` is in seconds since 1970 UTC. `model` is what the caller asked
    for. `label` is the target's public name, under which reasoning states are sealed.
    """

    request: Request
    id: str
    created_s: int
    model: str
    label: str
    notes: Notes


class Meter(Protocol):
    """Follows a stream on its way to the caller, and keeps its end back.

    `meaningful` turns true with the first event that carries content, a tool call or an
    end. `done` turns true with the provider's last event; what then remains to be sent
    is `ending`, kept back so that the call can be written down before it leaves.
    `finished` says that the answer is complete, whether or not its last event came.
    `error` is the error that the provider reported inside its stream, as it wrote it;
    nothing after it is sent on.
    """

    usage: Usage
    meaningful: bool
    finished: bool
    done: bool
    error: bytes | None
    ending: bytes

    @property
    def stored_id(self) -> str | None:
        """The provider's id of an answer that it keeps, to be gone on from."""

    @property
    def answer_id(self) -> str | None:
        """The provider's id of the answer, where the end of a stream must repeat it."""

    @property
    def failed(self) -> bool:
        """Whether `ending` is the event in which the provider reported an error."""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return those that may be sent on now.

        Raises `NotAStream` before the first meaningful event, and `EventTooLarge`.
        """

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left without a blank line.

        `ending` is what ends the stream, if it is `finished`.
        """


class Decoder(Protocol):
    """Reads a provider's stream.

    Events come in the order that `core.events` promises: `Finished` is the last, also
    where the provider reports usage after its reason.
    """

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes from the provider; return what they tell.

        Raises `NotAStream` and `EventTooLarge`.
        """

    def end(self) -> list[Event]:
        """Take the provider's end of file.

        Gives a `Finished` only where the provider has said that the answer is complete;
        a stream that was cut has no end.
        """


class Encoder(Protocol):
    """Writes a stream for the caller."""

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return whole events of the dialect for all but `Finished` and `Failed`."""

    def finish(self, finished: Finished) -> bytes:
        """Return what ends the stream."""


class Dialect(Protocol):
    """One dialect, both as callers speak it and as providers do."""

    @property
    def name(self) -> DialectName:
        """Its name in the configuration and in reports."""

    @property
    def keep_alive(self) -> bytes:
        """What is sent while there is nothing to say, so that nobody hangs up."""

    @property
    def codex_keep_alive(self) -> bytes:
        """The same for Codex, which hangs up on a stream of nothing but comments."""

    @property
    def known_extras(self) -> frozenset[str]:
        """The names of its own fields that a note may spell out."""

    def peek(self, body: bytes) -> Peek:
        """Read as much of a request as the path must know.

        Raises `InvalidJson` and other `RequestFault`s.
        """

    def address(self, peek: Peek, *, model: bytes, keep_seals: bool = False) -> bytes:
        """Return the request for a target of this dialect; `model` is encoded JSON.

        Nothing but values that the router must set differs from what came, and what
        `dialects.sealed` sealed is taken out, because no provider knows it. With
        `keep_seals` it stays: the target is another router, which may have sealed it.
        """

    def requirements_of(self, peek: Peek, *, body: bytes) -> Requirements:
        """Return what the request in `body` needs of a target; it costs microseconds.

        What cannot be understood needs nothing.
        """

    def image_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of all images, without those that hold their data."""

    def other_urls_in(self, peek: Peek) -> Sequence[str]:
        """Return the URLs of documents, sound and video, without such data."""

    def with_images(self, peek: Peek, images: Mapping[str, str]) -> Peek:
        """Return the request with data in the place of the URLs of images.

        `images` are data URLs in base64 by the URLs that they stand for. Whatever else
        is in the request stays as it came.
        """

    def at_level(self, peek: Peek, levels: Sequence[str]) -> tuple[Peek, Note | None]:
        """Return the request with an effort of reasoning that is one of `levels`.

        That is the request itself where it asks for one of them, or for none; else the
        effort is the nearest of them, and the note says so.
        """

    def meter(self, peek: Peek) -> Meter:
        """Return the meter for the stream that answers `peek`."""

    @property
    def stores_answers(self) -> bool:
        """Whether providers keep answers under an id, for callers to go on from."""

    def goes_on_from(self, peek: Peek) -> str | None:
        """Return the id of the stored answer that a request goes on from, if any."""

    def stored_id(self, body: bytes) -> str | None:
        """Return the id of a plain answer that its provider keeps, if it does."""

    @property
    def proof_mark(self) -> ProofMark | None:
        """How proofs of reasoning stand in its JSON, if providers hand any out."""

    def last_proof(self, peek: Peek) -> bytes | None:
        """Return the digest of the last proof that the caller sends back, if any."""

    def without_foreign(self, peek: Peek, is_foreign: IsForeign) -> Peek:
        """Return the request without reasoning that others than its target proved.

        Where there is none, that is the request itself. Raises `NotBridged` where the
        conversation cannot do without one.
        """

    def conversation_of(self, peek: Peek) -> bytes | None:
        """Return the key of the conversation that a request belongs to, if it tells.

        That is the same for all requests of a conversation, but for the mark that
        `dialects.openings` puts behind it while nothing was answered.
        """

    def usage_of(self, body: bytes) -> Usage:
        """Read the usage of a plain answer. Raises `NotAnAnswer`."""

    def read_usage(self, raw: msgspec.Raw) -> Usage:
        """Read a `usage` by itself; whatever of it cannot be read stays unknown."""

    def parse(self, peek: Peek) -> Request:
        """Read a whole request. Raises `InvalidRequest`, with the field's name."""

    def render(self, request: Request, serving: Serving, notes: Notes) -> bytes:
        """Write a request, which came in any dialect, for a provider of this one.

        What cannot be carried is noted. Raises `NotBridged`.
        """

    def decoder(self) -> Decoder:
        """Return a reader of a provider's stream."""

    def read_answer(self, body: bytes) -> Sequence[Event]:
        """Read a provider's plain answer. Raises `NotAnAnswer`."""

    def encoder(self, answering: Answering) -> Encoder:
        """Return a writer of the caller's stream."""

    def write_answer(self, events: Iterable[Event], answering: Answering) -> bytes:
        """Write the caller's plain answer: the fold of a complete stream."""

    def render_error(self, error: RouterError, *, request_id: str) -> bytes:
        """Return the body of an error answer."""

    def encode_error_event(
        self, error: RouterError, *, request_id: str, answer_id: str | None = None
    ) -> bytes:
        """Return the last event of a stream that failed.

        `answer_id` is what the stream's first event has called the answer.
        """
