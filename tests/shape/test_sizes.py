"""The report of what has grown too long to hold in the head."""

from pathlib import Path

from tools.sizes import long_pieces


def test_long_functions_and_modules_are_reported(tmp_path: Path) -> None:
    """A function over 45 lines and a module over 400 are named; a docstring is free."""
    long_body = "".join(f"    x{n} = {n}\n" for n in range(45))
    long_text = "    '''" + "word\n" * 60 + "    '''\n"
    (tmp_path / "long.py").write_text(f"def f():\n{long_body}")
    (tmp_path / "told.py").write_text(f"def g():\n{long_text}    return 1\n")
    (tmp_path / "vast.py").write_text("x = 1\n" * 401)

    found = list(long_pieces(tmp_path))

    assert found == ["long.py:1: f: 46 lines", "vast.py: 401 lines"]
