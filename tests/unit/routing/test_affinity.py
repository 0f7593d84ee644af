"""What is remembered of conversations, and for how long."""

from smart_llmrouter.dialects.openings import UNANSWERED
from smart_llmrouter.routing.affinity import Affinities
from tests.support.clock import Clock


def test_a_conversation_is_found_where_it_was_kept() -> None:
    """Others are not, and the last target counts."""
    affinities = Affinities(Clock())

    affinities.keep(b"one.", "acme/mini", 600)
    affinities.keep(b"one.", "other/mini", 600)

    assert affinities.find(b"one.") == "other/mini"
    assert affinities.find(b"two.") is None
    assert len(affinities) == 1


def test_a_conversation_is_forgotten_after_its_time() -> None:
    """Each call of it begins the time anew."""
    clock = Clock()
    affinities = Affinities(clock)
    affinities.keep(b"one.", "acme/mini", 600)
    clock.now_s += 599
    affinities.keep(b"one.", "acme/mini", 600)
    clock.now_s += 599

    still, clock.now_s = affinities.find(b"one."), clock.now_s + 1

    assert still == "acme/mini"
    assert affinities.find(b"one.") is None


def test_what_is_too_old_takes_no_room() -> None:
    """Keeping a conversation drops those that have ended."""
    clock = Clock()
    affinities = Affinities(clock)
    for number in range(10):
        affinities.keep(b"%d." % number, "acme/mini", 60)
    clock.now_s += 61

    affinities.keep(b"new.", "acme/mini", 60)

    assert len(affinities) == 1


def test_no_more_than_so_many_are_remembered() -> None:
    """The one that nobody has called for longest goes first."""
    affinities = Affinities(Clock(), 2)
    for key in (b"one.", b"two.", b"one.", b"three."):
        affinities.keep(key, "acme/mini", 600)

    found = [key for key in (b"one.", b"two.", b"three.") if affinities.find(key)]

    assert found == [b"one.", b"three."]
    assert len(affinities) == 2


def test_a_conversation_that_has_no_time_is_not_kept() -> None:
    """A time of nothing is over at once."""
    affinities = Affinities(Clock())

    affinities.keep(b"one.", "acme/mini", 0)

    assert affinities.find(b"one.") is None
    assert len(affinities) == 0


def test_what_begins_in_the_same_words_is_not_the_same_conversation_yet() -> None:
    """Only a conversation that goes on is found where its first turn was answered."""
    affinities = Affinities(Clock())
    affinities.keep(b"opening." + UNANSWERED, "acme/mini", 600)

    again = affinities.find(b"opening." + UNANSWERED)
    goes_on = affinities.find(b"opening.")

    assert again is None
    assert goes_on == "acme/mini"
