"""The table of what each class of failure means."""

from smart_llmrouter.core.errors import UpstreamRejectedRequest
from smart_llmrouter.upstream import failures
from smart_llmrouter.upstream.failure_classes import MEANINGS, Failure
from smart_llmrouter.upstream.failure_wordings import WORDINGS
from smart_llmrouter.upstream.transport import TransportError


def transport_errors(
    kind: type[TransportError] = TransportError,
) -> set[type[TransportError]]:
    """Return every kind of broken exchange."""
    below = [transport_errors(each) for each in kind.__subclasses__()]
    return {kind}.union(*below)


def test_the_table_is_total() -> None:
    """Each class that can be found means something, and nothing else stands in it."""
    read = {
        *failures._CLASS_OF_STATUS.values(),
        *failures._CLASS_OF_CODE.values(),
        *(kind.error_class for kind in transport_errors()),
        *(wording.error_class for wording in WORDINGS),
        *(f"upstream_{each}_timeout" for each in ("first_event", "idle", "total")),
        failures._UNANSWERED,
        "upstream_bad_request",
        "upstream_error_in_stream",
        "upstream_server_error",
        "upstream_unexpected_status",
    }

    assert read == MEANINGS.keys()


def test_only_what_surely_was_not_generated_is_asked_for_again() -> None:
    """Nothing is paid for twice at one target because the router was impatient."""
    again = {name for name, each in MEANINGS.items() if each.then == "again"}

    assert again == {
        "upstream_connect_failed",
        "upstream_connect_timeout",
        "upstream_unanswered",
        "upstream_overloaded",
        "upstream_server_error",
    }
    assert [name for name, each in MEANINGS.items() if each.then == "wait"] == [
        "upstream_rate_limited"
    ]


def test_a_rejected_request_goes_nowhere_but_to_a_larger_target() -> None:
    """And it says nothing against the target that has found it wrong."""
    rejected = {
        name: meaning
        for name, meaning in MEANINGS.items()
        if meaning.error is UpstreamRejectedRequest
    }

    assert {each.then for each in rejected.values()} == {"stop", "larger"}
    assert {each.standing for each in rejected.values()} == {"request"}
    assert all(Failure(error_class=name).rejected for name in rejected)
    assert not any(Failure(error_class=name).retryable for name in rejected)


def test_the_words_for_people_are_sentences() -> None:
    """They are shown as they are."""
    assert all(each.what.endswith(".") for each in MEANINGS.values())
    assert len({each.what for each in MEANINGS.values()}) == len(MEANINGS)
