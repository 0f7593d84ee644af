"""Reading the YAML file: values, places, and what is refused."""

from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from smart_llmrouter.config.document import Document
from smart_llmrouter.config.reader import MAX_BYTES, plain_scalar, read_bytes, read_file
from tests.support.configuration import brief

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=20
)
WORDS = st.text("abcdefghijklmnop", min_size=1, max_size=8)


def read(text: str) -> Document:
    """Read a text that can be read without a finding."""
    reading = read_bytes(text.encode(), file="router.yaml")
    assert reading.findings == ()
    assert reading.document is not None
    return reading.document


def refused(text: str) -> list[tuple[int, int, str]]:
    """Return line, column and message of each finding."""
    reading = read_bytes(text.encode(), file="router.yaml")
    return [(each.line, each.column, each.message) for each in reading.findings]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-3", -3),
        ("0.25", Decimal("0.25")),
        ("2.00", Decimal("2.00")),
        ("1e3", Decimal("1e3")),
        ("yes", "yes"),
        ("off", "off"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("2027-01-01", "2027-01-01"),
        ("1" * 64, "1" * 64),
        ("1e" + "9" * 62, "1e" + "9" * 62),
        (".nan", ".nan"),
    ],
)
def test_a_scalar_is_read_as_yaml_1_2_reads_it(literal: str, value: object) -> None:
    """Numbers keep their literal, words of YAML 1.1 are text, a hash stays text."""
    read_value = plain_scalar(literal)

    assert (type(read_value), read_value) == (type(value), value)


@pytest.mark.parametrize(
    "literal", ["yes", "no", "on", "0x1F", "0o17", "1:30", "1_000"]
)
def test_what_yaml_1_1_would_resolve_stays_text(literal: str) -> None:
    """No parser underneath decides on what a word or a number is."""
    document = read(f"a: {literal}\nb: [{literal}]\n{literal}: 1\n")

    assert document.root == {"a": literal, "b": [literal], literal: 1}


@given(
    st.recursive(
        TEXTS | st.booleans() | st.integers(0, 10**12) | st.none(),
        lambda values: (
            st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_what_another_program_writes_is_read_as_it_was_meant(content: object) -> None:
    """YAML that ruamel.yaml writes, as `--write` does, comes back with every value."""
    file, writer = StringIO(), YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump({"content": content}, file)

    document = read(file.getvalue())

    assert document.root == {"content": content}


def test_a_decimal_keeps_its_digits() -> None:
    """A price that no float can hold arrives as it was written."""
    document = read("price: 0.1000000000000000055\n")

    assert str(document.root["price"]) == "0.1000000000000000055"


def test_places_count_from_one() -> None:
    """Keys, scalars and list items are found where they stand."""
    document = read("a:\n  b: x\n  c: [1, two]\n")

    assert document.key_position(("a",)) == (1, 1)
    assert document.key_position(("a", "b")) == (2, 3)
    assert document.position(("a", "b")) == (2, 6)
    assert document.position(("a", "c", 1)) == (3, 10)
    assert document.position(("a", "c")) == (3, 3)
    assert document.position(("a", "missing", "deep")) == (1, 1)


def test_a_value_that_is_not_there_is_placed_at_its_key() -> None:
    """The parser would place it at the next token, which is another line."""
    document = read("a:\n  b:\n\n\n  c: 1\n")

    assert document.position(("a", "b")) == (2, 3)


def test_every_duplicate_key_is_reported() -> None:
    """Reading does not stop at the first duplicate; the first value stays."""
    text = "a: 1\nb: {x: 1, x: 2}\na: 2\nc:\n  - k: 1\n    k: {deep: [1]}\na: 3\n"
    reading = read_bytes(text.encode(), file="router.yaml")

    assert [(f.line, f.column, f.key_path) for f in reading.findings] == [
        (2, 11, "b.x"),
        (3, 1, "a"),
        (6, 5, "c[0].k"),
        (7, 1, "a"),
    ]
    assert reading.document is not None
    assert reading.document.root == {"a": 1, "b": {"x": 1}, "c": [{"k": 1}]}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "the file is empty"),
        ("# only a comment\n", 1, 1, "the file is empty"),
        ("- a\n", 1, 1, "the file must hold a mapping of settings"),
        ("text\n", 1, 1, "the file must hold a mapping of settings"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second YAML document begins here"),
        ("a:\n\tb: 1\n", 2, 1, "this is not valid YAML: found character"),
        ("a: b: c\n", 1, 5, "this is not valid YAML: mapping values"),
        ("a: [1, 2\nb: 3\n", 2, 2, "this is not valid YAML"),
        ("a: 'x\n", 2, 1, "this is not valid YAML"),
        ("a: 1\nb: \x07\n", 2, 4, "this is not valid YAML: special characters"),
        ("ä: 1\nö: ü\x07\n", 2, 5, "this is not valid YAML: special characters"),
        ("a: 1\nb: x\u2028y", 2, 5, "this is not valid YAML: special characters"),
        ("ä: 1\nö: b: c\n", 2, 5, "this is not valid YAML: mapping values"),
        ("a: 1\n  b: 2\n", 2, 4, "this is not valid YAML: mapping values"),
        ("a: {b: 1}\n b: 2\n", 2, 2, "this is not valid YAML: did not find"),
        ("a: {b: :1}\n", 1, 8, "this is not valid YAML: did not find expected node"),
        ("a: *nowhere\n", 1, 4, "no finished value before this has"),
        ("a: &x [*x]\n", 1, 8, "no finished value before this has"),
        ("a: " + "[" * 40, 1, 27, "values are nested deeper than 24 levels"),
    ],
)
def test_what_cannot_be_read_is_one_finding_with_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    """Syntax errors and shapes that no configuration has stop the reading."""
    found = refused(text)

    assert len(found) == 1
    assert found[0][:2] == (line, column)
    assert found[0][2].startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!int 3\n", "tags are not used here"),
        ("a: !x {b: 1}\n", "tags are not used here"),
        ("base: &b {x: 1}\na:\n  <<: *b\n", "merge keys (`<<`) are not supported"),
        ("? [a, b]\n: 1\n", "a key must be plain text"),
    ],
)
def test_what_a_configuration_has_no_use_for_is_refused(
    text: str, message: str
) -> None:
    """Tags, merge keys and keys that are not text are findings."""
    found = refused(text)

    assert [each[2] for each in found] == [message]


def test_an_alias_stands_for_its_whole_value() -> None:
    """What an alias brings is found where its anchor wrote it."""
    document = read("a: &limits\n  rpm: 5\nb: *limits\nc: {d: *limits}\n")

    assert document.root["b"] == {"rpm": 5}
    assert document.root["c"] == {"d": {"rpm": 5}}
    assert document.position(("c", "d", "rpm")) == (2, 8)
    assert document.key_position(("b",)) == (3, 1)


def test_aliases_cannot_unfold_into_millions() -> None:
    """Ten levels of ten aliases are refused before they cost anything."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]"
        for level in range(1, 10)
    ]

    found = refused("\n".join(lines))

    assert len(found) == 1
    assert found[0][2].startswith("the file holds more than 500000 values")


def test_bytes_that_are_not_utf_8_are_placed() -> None:
    """The finding names the place of the first wrong byte."""
    reading = read_bytes(b"a: 1\nb: \xff\n", file="router.yaml")

    assert [brief(finding) for finding in reading.findings] == [
        (2, "", "the file is not UTF-8 text")
    ]


def test_a_byte_order_mark_is_no_mistake() -> None:
    """Editors on Windows write one."""
    reading = read_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", file="router.yaml")

    assert reading.findings == ()
    assert reading.document is not None
    assert reading.document.root == {"a": 1, "b": 2}
    assert reading.document.key_position(("a",)) == (1, 1)


def test_an_absurdly_large_file_is_refused(tmp_path: Path) -> None:
    """No more than the limit is ever read."""
    path = tmp_path / "router.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES * 4)

    reading = read_file(path)

    assert [finding.message for finding in reading.findings] == [
        f"the file is larger than {MAX_BYTES} bytes"
    ]


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    """A wrong path is told like every other mistake."""
    reading = read_file(tmp_path / "none.yaml")

    assert reading.document is None
    assert [finding.message for finding in reading.findings] == [
        "the file cannot be read: no such file or directory"
    ]


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, WORDS, min_size=1), min_size=1))
def test_every_key_is_found_where_it_was_written(
    content: dict[str, dict[str, str]],
) -> None:
    """Whatever the names, each key and value has the line and column it was put at."""
    lines: list[str] = []
    expected: dict[tuple[str, ...], tuple[int, int]] = {}
    for outer, inner in content.items():
        lines.append(f"{outer}:")
        expected[outer,] = (len(lines), 1)
        for key, value in inner.items():
            lines.append(f"  {key}: '{value}'")
            expected[outer, key] = (len(lines), len(key) + 5)

    document = read("\n".join(lines))

    assert document.root == content
    assert {path: tuple(document.position(path)) for path in expected} == expected


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    """Any text is either a document or has a finding; nothing is raised."""
    raw = text.encode("utf-8", "surrogatepass")

    reading = read_bytes(raw, file="router.yaml")

    assert reading.document is not None or reading.findings


@given(st.text("ab:[]{}&*!|>'\"#%@-?,\n\t \\x0", max_size=40))
def test_no_syntax_makes_the_reader_fail(text: str) -> None:
    """The same for texts that are nearly YAML."""
    reading = read_bytes(text.encode(), file="router.yaml")

    assert reading.document is not None or reading.findings
