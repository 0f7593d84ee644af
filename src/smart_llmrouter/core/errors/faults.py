"""The router itself cannot go on."""

from typing import Final

from smart_llmrouter.core.errors.root import RouterError


class RouterFault(RouterError):
    """The router itself cannot go on with this call."""


class InternalError(RouterFault):
    """A defect of the router; the traceback is in its log under the request id."""

    def __init__(self) -> None:
        """Say nothing but whose fault it is."""
        super().__init__("the router failed; its log has the reason")


class ShuttingDown(RouterFault):
    """The router stopped before this call could end."""

    status = 503
    code = "shutting-down"

    def __init__(self) -> None:
        """Invite to try again."""
        super().__init__(
            "the router is shutting down; send the request again", retry_after_s=1
        )


class JournalUnwritable(RouterFault):
    """The call could not be written down, so its answer is withheld."""

    status = 503
    code = "journal-unwritable"

    def __init__(self) -> None:
        """Name the part that `/readyz` shows."""
        super().__init__(
            "the router cannot write its usage journal and answers nothing that it "
            "cannot record; /readyz shows the state of the journal"
        )


class ClientLeft(RouterFault):
    """The caller closed its connection before the answer ended; only recorded."""

    status = 499
    code = "client-left"

    def __init__(self) -> None:
        """Carry no more than the fact."""
        super().__init__("the caller closed its connection")


class TooManyConnections(RouterFault):
    """There is no room for this connection; see `server.max_connections`."""

    status = 503
    code = "too-many-connections"

    def __init__(self) -> None:
        """Invite to try again."""
        super().__init__(
            "there are too many connections to the router, or from this address; "
            "close some, or try again in a moment",
            retry_after_s=1,
        )


AGAIN_AFTER_S: Final = 30
"""When it is worth while to ask again for usage that could not be read."""


class UsageUnavailable(RouterFault):
    """The usage of the caller cannot be read now, or is still being added up."""

    status = 503
    code = "usage-unavailable"

    def __init__(self) -> None:
        """Say what may help."""
        super().__init__(
            "your usage is being added up, or cannot be read now; ask again later, or "
            "for fewer days (`from`, `to`)",
            retry_after_s=AGAIN_AFTER_S,
        )


class CountersAway(RouterFault):
    """Limits cannot be checked: the store that counts them does not answer."""

    status = 503
    code = "limits-unavailable"

    def __init__(self) -> None:
        """Say that it is not the caller's fault, and passes."""
        super().__init__(
            "the router cannot check limits now, and lets nothing pass unchecked; try"
            " again in a moment",
            retry_after_s=2,
        )
