"""YAML with places: plain values, where each stands, and what is refused before it costs."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config.cluster_mark import FILE_BYTES_MAX
from node.config.yaml_positions import DEPTH_MAX, LocatedError, YamlPosition, parse, read_text

TEXT = """\
# a comment
nodes:
  - n1
  - {name: "n2", port: 7}
  - name: n3
    on: 2026-01-31
rate: 1.5
"""


def refusal(text: str) -> tuple[str, YamlPosition | None]:
    with pytest.raises(LocatedError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    return str(caught.value), caught.value.place


def test_values_are_plain_and_every_one_has_its_place() -> None:
    document = parse(TEXT)
    assert document.value == {
        "nodes": ["n1", {"name": "n2", "port": 7}, {"name": "n3", "on": "2026-01-31"}],
        "rate": 1.5,
    }
    assert document.place(()) == YamlPosition(2, 1)
    assert document.place(("nodes", 0)) == YamlPosition(3, 5)
    assert document.place(("nodes", 1, "port")) == YamlPosition(4, 24)
    assert document.place(("nodes", 2, "on")) == YamlPosition(6, 9)
    assert document.place(("rate",), key=True) == YamlPosition(7, 1)
    assert document.place(("rate",)) == YamlPosition(7, 7)


def test_what_has_no_place_has_that_of_what_is_around_it() -> None:
    document = parse(TEXT)
    assert document.place(("nodes", 1, "gone")) == document.place(("nodes", 1))
    assert document.place(("nowhere", "at", "all")) == document.place(())
    assert parse("").place(("x",)) == YamlPosition(1, 1)


def test_it_is_known_which_scalars_stand_without_quotes() -> None:
    document = parse("a: 7\nb: '7'\nc: |\n  7\nd: x\n")
    assert document.bare == {("a",), ("d",)}


def test_columns_count_characters() -> None:
    assert parse("{é: 1, 漢字: 2}").place(("漢字",)) == YamlPosition(1, 12)


def test_nothing_is_a_document_without_a_value() -> None:
    for text in ("", "\n\n", "# only a comment\n"):
        assert parse(text).value is None


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is given twice, first in line 1", YamlPosition(3, 1)),
        ("x: {k: 1, k: 2}", "'k' is given twice, first in line 1", YamlPosition(1, 11)),
        ("a: &x [1]\nb: *x\n", "aliases are not supported: repeat the value", YamlPosition(2, 4)),
        ("a: !!python/object:os.system x", "tags are not supported", YamlPosition(1, 4)),
        ("a: !mine 1", "tags are not supported", YamlPosition(1, 4)),
        ("a: !!binary aGk=", "tags are not supported", YamlPosition(1, 4)),
        ("!!set {a, b}", "tags are not supported", YamlPosition(1, 1)),
        ("!!omap [a: 1]", "tags are not supported", YamlPosition(1, 1)),
        ("? [a]\n: 1", "a key must be a plain word", YamlPosition(1, 3)),
        ("a: !!int x", "this is not a number that can be used", YamlPosition(1, 4)),
        (f"a: {'9' * 5000}", "this is not a number that can be used", YamlPosition(1, 4)),
        ("a: \x07", "character U+0007 is not allowed", YamlPosition(1, 4)),
        ("# é\n\n é\x00", "character U+0000 is not allowed", YamlPosition(3, 3)),
    ],
)
def test_what_is_refused_says_what_and_where(text: str, what: str, place: YamlPosition) -> None:
    assert refusal(text) == (what, place)


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1", 1), ("a: b: c", 1), ("a: 1\n\tb: 2", 2), ("a: 'x", 1), ("%", 1)]
)
def test_what_is_no_yaml_has_a_place_too(text: str, line: int) -> None:
    _, place = refusal(text)
    assert place is not None
    assert line <= place.line <= line + 1


def test_a_second_document_is_refused() -> None:
    what, place = refusal("a: 1\n---\nb: 2\n")
    assert "another document" in what
    assert place == YamlPosition(2, 1)


def test_depth_has_a_limit() -> None:
    deep = "[" * DEPTH_MAX + "]" * DEPTH_MAX
    assert parse(deep).value is not None
    what, place = refusal(f"[{deep}]")
    assert what == f"nested deeper than {DEPTH_MAX} levels"
    assert place == YamlPosition(1, DEPTH_MAX + 1)


def test_a_bomb_is_refused_before_it_costs_anything() -> None:
    """Nine lines that would be a billion values; and brackets that would be a deep stack."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    began = time.monotonic()
    assert refusal("\n".join(lines))[0] == "aliases are not supported: repeat the value"
    assert refusal("[" * 100_000)[0].startswith("nested deeper")
    assert time.monotonic() - began < 2


@given(st.text(max_size=100))
def test_any_text_is_a_document_or_one_line(text: str) -> None:
    try:
        parse(text)
    except LocatedError as error:
        assert "\n" not in str(error)


def test_a_text_is_a_regular_file_in_utf_8_of_sane_size(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"\xef\xbb\xbfna\xc3\xafve")
    assert read_text(file) == "naïve"
    file.write_bytes(b"x" * FILE_BYTES_MAX)
    assert len(read_text(file)) == FILE_BYTES_MAX
    file.write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    with pytest.raises(LocatedError, match="larger than"):
        read_text(file)
    with pytest.raises(LocatedError, match="not a file"):
        read_text(tmp_path)
    with pytest.raises(LocatedError, match="not a file"):
        read_text(Path("/dev/zero"))


def test_a_byte_that_is_not_utf_8_has_a_place_that_counts_characters(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes("one\nünü ".encode() + b"\xff")
    with pytest.raises(LocatedError, match="byte 0xff is not UTF-8") as caught:
        read_text(file)
    assert caught.value.place == YamlPosition(2, 5)


@pytest.mark.parametrize(
    "text", ["0100", "1:30", "0x10", "0b11", "1_000", "-012", "1:30.5", "0o17"]
)
def test_numbers_that_people_read_in_another_way_are_refused(text: str) -> None:
    if text == "0o17":  # text, in YAML 1.1
        assert parse(f"a: {text}").value == {"a": text}
        return
    with pytest.raises(LocatedError, match=r"YAML 1\.1") as caught:
        parse(f"a: 1\nb: {text}")
    assert caught.value.place is not None and caught.value.place.line == 2
    assert parse(f"a: '{text}'").value == {"a": text}


@pytest.mark.parametrize("text", ["0", "10", "-3", "0.5", "1e3", "1.0e-3", ".5"])
def test_plain_numbers_are_taken(text: str) -> None:
    parse(f"a: {text}")


@pytest.mark.parametrize("space", ["\u00a0", "\u200b", "\u2003", "\u3000"])
def test_a_space_that_is_none_is_named_with_its_place(space: str) -> None:
    for text, column in ((f"nodes:{space}[n1]", 7), (f"a: 1\nb{space}: 2", 2)):
        with pytest.raises(LocatedError, match=f"U\\+{ord(space):04X}") as caught:
            parse(text)
        assert caught.value.place is not None and caught.value.place.column == column
    assert parse(f"a: 'x{space}y'").value == {"a": f"x{space}y"}
