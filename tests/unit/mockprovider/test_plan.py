"""What the mock does turn by turn, as the user's text tells it."""

from typing import Final

from smart_llmrouter.mockprovider.asked import Asked, Image, Message, Result, Tool
from smart_llmrouter.mockprovider.plan import PlannedTurn, directives, next_turn

BASH: Final = Tool(
    name="bash", schema={"type": "object", "properties": {"command": {}}}
)
CALLED: Final = Message(role="assistant", calls=1)
ENDED: Final = Message(role="assistant", text="Done.")


def user(text: str) -> Message:
    """Return a message of the user."""
    return Message(role="user", text=text)


def gave(*texts: str, is_error: bool = False) -> Message:
    """Return results of tools."""
    results = tuple(Result(text=text, is_error=is_error) for text in texts)
    return Message(role="tool", results=results)


def turn(*messages: Message, tools: tuple[Tool, ...] = (BASH,)) -> PlannedTurn:
    """Return the next turn of a conversation that has a plan."""
    planned = next_turn(Asked(model="m", messages=messages, tools=tools))
    assert planned is not None
    return planned


def test_directives_are_lines_of_their_own() -> None:
    """Indented or not; what a client put between quotes is taken out of them."""
    plain = directives("Do it.\n  MOCK: run ls -l \nso MOCK: run no\nMOCK: think")
    quoted = directives('"MOCK: run echo \\"x\\"\nMOCK: say y"\n')

    assert [(each.verb, each.rest) for each in plain] == [
        ("run", "ls -l"),
        ("think", ""),
    ]
    assert [(each.verb, each.rest) for each in quoted] == [
        ("run", 'echo "x"'),
        ("say", "y"),
    ]


def test_a_plan_is_done_turn_by_turn() -> None:
    """Each turn ends with a call, and the last one with what is left to say."""
    plan = user(
        "MOCK: think hard\nMOCK: say Wait.\nMOCK: run a\nMOCK: run b\nMOCK: say Bye."
    )

    first = turn(plan)
    second = turn(plan, CALLED, gave("x"))
    last = turn(plan, CALLED, gave("x"), CALLED, gave("y"))

    assert (first.reasoning, first.text) == ("hard", "Wait.")
    assert [use.arguments for use in first.uses] == ['{"command": "a"}']
    assert (second.text, [use.arguments for use in second.uses]) == (
        None,
        ['{"command": "b"}'],
    )
    assert last == PlannedTurn(text="Bye.")


def test_a_plan_without_a_last_word_ends_in_facts() -> None:
    """How many results there were, and how many of them were errors."""
    plan = user("MOCK: run a")

    last = turn(plan, CALLED, gave("x"), gave("y", is_error=True))
    overdue = turn(plan, CALLED, gave("x"), CALLED, gave("y"))

    assert last == PlannedTurn(text="Done: 2 tool results, 1 errors.")
    assert overdue == PlannedTurn(text="Done: 2 tool results, 0 errors.")


def test_facts_can_be_said() -> None:
    """Names in braces stand for them, and an escape for a line end."""
    plan = user("MOCK: run a\nMOCK: say {results}, {errors}, {images}\\n{last}")

    last = turn(plan, CALLED, gave("one\n two"))

    assert last.text == "1, 0, 0\none two"


def test_calls_can_be_made_at_once() -> None:
    """What lies between two semicolons is one of them."""
    planned = turn(user("MOCK: parallel run a ;; run b | c;;bash d"))

    assert [use.arguments for use in planned.uses] == [
        '{"command": "a"}',
        '{"command": "b | c"}',
    ]
    assert planned.text == "No tool was offered for `bash d`."


def test_what_cannot_be_done_is_said() -> None:
    """A tool that is missing, and a directive that does not exist."""
    missing = turn(user("MOCK: run a"), tools=())
    unknown = turn(user("MOCK: dance"))

    assert missing == PlannedTurn(text="No tool was offered for `run a`.")
    assert unknown == PlannedTurn(text="The mock has no directive `dance`.")


def test_images_are_told() -> None:
    """How many there are; none are told too."""
    shown = Message(role="user", text="MOCK: image", images=(Image(),))

    assert turn(shown).text == "1 image: at an address."
    assert turn(user("MOCK: image")).text == "0 images."


def test_a_plan_is_over_with_an_answer_that_calls_nothing() -> None:
    """Then no tool is called for what the user says, unless that has a plan again."""
    renewed = (user("MOCK: say x"), ENDED, user("MOCK: say y"))

    assert turn(user("MOCK: say x"), ENDED, user("thanks")) == PlannedTurn()
    assert turn(*renewed).text == "y"


def test_a_turn_that_broke_off_is_done_again() -> None:
    """A client may go on from the half of an answer that it got."""
    plan = user("MOCK: run a\nMOCK: say x")
    half = Message(role="assistant", text="I")

    again = turn(plan, half)
    after = turn(plan, half, CALLED, gave("y"))

    assert [use.arguments for use in again.uses] == ['{"command": "a"}']
    assert after.text == "x"


def test_without_directives_there_is_no_plan() -> None:
    """Directives of anybody but the user are none; a side job has its own answer."""
    system = Asked(model="m", messages=(Message(role="system", text="MOCK: say x"),))
    side_job = Asked(model="m", messages=(user("MOCK: run a"),), structured=True)

    assert next_turn(system) is None
    assert next_turn(side_job) is None


def test_thoughts_may_be_redacted() -> None:
    """Then there is a thought that nobody can read."""
    planned = turn(user("MOCK: redact\nMOCK: think\nMOCK: say x"))

    assert planned == PlannedTurn(text="x", reasoning="Let me think.", redacted=True)


def test_a_structured_end_is_left_to_the_structure() -> None:
    """With tools offered the plan is followed, and its end says nothing of its own."""
    asked = Asked(
        model="m",
        messages=(user("MOCK: run a"), CALLED, gave("x")),
        tools=(BASH,),
        structured=True,
    )

    assert next_turn(asked) == PlannedTurn()
