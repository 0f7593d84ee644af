"""What is said when a command that may be run again is interrupted."""

import pytest
import typer

from smart_llmrouter.cli.interrupts import going_on


def test_an_interrupt_is_told_with_how_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, without a traceback, and with the usual exit code."""
    with pytest.raises(typer.Exit) as ended, going_on():
        raise KeyboardInterrupt

    said = capsys.readouterr()
    assert ended.value.exit_code == 130
    assert said.out == ""
    assert said.err == ("interrupted: what is done stays done; run it again to go on\n")
