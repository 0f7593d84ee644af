"""What the mock says, and what it counts."""

from smart_llmrouter.mockprovider.script import Step
from smart_llmrouter.mockprovider.speech import Prompt, ToolCall, compose, tokens_in

CALL = ToolCall(id="call_1", name="f", arguments='{"a": 1}')


def test_pieces_make_up_the_text_and_are_the_tokens() -> None:
    """Nothing is lost between the pieces of any text."""
    text = 'Some words, "quoted";\n\n  indented\tand 1.00 — plus ünïcödé 🙂 end. '

    speech = compose(Prompt(model="m"), Step(content=text))

    assert speech.text == text
    assert speech.completion_tokens == len(speech.pieces)


def test_words_are_counted_out() -> None:
    """`words` gives that many tokens."""
    speech = compose(Prompt(model="m"), Step(words=40))

    assert len(speech.pieces) == 40
    assert len(speech.text.split()) == 40


def test_tools_are_called_instead_of_talking() -> None:
    """A call has no text beside it, and its arguments cost tokens."""
    speech = compose(Prompt(model="m", tool_calls=(CALL,)), Step())

    assert (speech.text, speech.finish_reason) == ("", "tool_calls")
    assert speech.completion_tokens == tokens_in('f{"a": 1}')


def test_prescribed_content_goes_before_tools() -> None:
    """A step that says what to say is obeyed."""
    speech = compose(Prompt(model="m", tool_calls=(CALL,)), Step(content="no"))

    assert (speech.text, speech.finish_reason) == ("no", "stop")


def test_reasoning_uses_up_the_cap_first() -> None:
    """With nothing left for text, the answer is empty and cut."""
    speech = compose(Prompt(model="m", effort="medium", max_tokens=100), Step())

    assert speech.reasoning_tokens == 100
    assert (speech.text, speech.finish_reason) == ("", "length")
    assert speech.completion_tokens == 100


def test_prescribed_numbers_are_used() -> None:
    """A step may set every count and the reason of the end."""
    speech = compose(
        Prompt(model="m"),
        Step(
            prompt_tokens=11,
            cached_tokens=5,
            completion_tokens=7,
            reasoning_tokens=2,
            finish_reason="content_filter",
        ),
    )

    assert (speech.prompt_tokens, speech.cached_tokens) == (11, 5)
    assert (speech.completion_tokens, speech.reasoning_tokens) == (7, 2)
    assert speech.finish_reason == "content_filter"


def test_a_huge_text_has_exactly_so_many_bytes() -> None:
    """Also where its size is no multiple of a piece."""
    sizes = [
        len(compose(Prompt(model="m"), Step(huge_bytes=size)).text)
        for size in (1, 4096, 10_001)
    ]

    assert sizes == [1, 4096, 10_001]


def test_reasoning_that_is_written_out_is_counted() -> None:
    """Its tokens are those of its text, unless the step says how many."""
    written = compose(Prompt(model="m"), Step(reasoning_text="twelve chars"))
    told = compose(Prompt(model="m"), Step(reasoning_text="x", reasoning_tokens=9))

    assert (written.reasoning_tokens, told.reasoning_tokens) == (3, 9)


def test_a_stop_string_that_does_not_come_changes_nothing() -> None:
    """Neither does an empty one."""
    prompt = Prompt(model="m", stop=("never said", ""))

    assert compose(prompt, Step()) == compose(Prompt(model="m"), Step())
