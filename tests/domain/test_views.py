"""Folding and views: what is read in a text, and the way back to where it stands."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import folding
from domain.evidence import Context, spells
from domain.folding import (
    Folding,
    code_of,
    codes_by,
    fold_point,
    script_of,
    signs_by,
    sizes_by,
)
from domain.lexicon import Lexicon
from domain.search import Effort, Search
from domain.shapes import (
    reversed_places,
    reversed_runs,
    shaped,
    shaped_codes,
    turned,
    turned_places,
)
from domain.views import (
    LETTER,
    PLAIN,
    READINGS,
    WIDEST,
    Offsets,
    View,
    collapsed,
    views_of,
    without_runs,
)

LOOK, NATIVE = Folding(look=True), Folding(look=False)
signs = st.text(
    st.sampled_from("aabs hdо4@$|<>()/\\_!.-'\u200b\u0301é\u202e\u202cﬁ한🇦ßphv傻") | st.characters()
)


def views(text: str, reading: bytes = PLAIN) -> dict[str, View]:
    codes = LOOK.codes(text)
    return {view.kind: view for view in views_of(codes.translate(reading))}


@pytest.mark.parametrize(
    ("text", "look", "native"),
    [
        ("Ab 1!", "ab 1!", "ab 1!"),
        ("аҺ", "ah", "аһ"),
        ("éØßẞſ", "eoßßs", "eoßßs"),
        ("ﬁ⒜™Ⓐ①ª", "fia™a1a", "fia™a1a"),
        ("æŒəıŋ", "aeoeein", "aeoeəiŋ"),
        ("🅰🅐🇦", "aa🇦", "aa🇦"),
        ("a\u200b\u0301\u3164b", "ab", "ab"),
        ("\u3000\u2028\x85\u2800", "    ", "    "),
        ("\ud800\ue000\x80", "\ufffd" * 3, "\ufffd" * 3),
        ("汉𠀀㐀", "汉𠀀㐀", "汉𠀀㐀"),
        ("한", "\u1112\u1161\u11ab", "\u1112\u1161\u11ab"),
        ("Ӏ丨", "ıı", "ӏ丨"),
    ],
)
def test_what_is_read(text: str, look: str, native: str) -> None:
    assert LOOK.fold(text).chars == look
    assert NATIVE.fold(text).chars == native


def test_codes_say_what_a_sign_can_be() -> None:
    assert LOOK.codes("aЖ1!€🇧ß™ Ӏ") == b"ax1!\x84\x81b. i"
    assert code_of("傻").isupper()
    assert WIDEST[0x84] == ord("e")


@given(signs)
def test_every_position_leads_back(text: str) -> None:
    for folder in (LOOK, NATIVE):
        folded = folder.fold(text)
        assert len(folded.chars) == len(folded.codes) == len(folded.at)
        assert folded.codes == folder.codes(text)
        assert list(folded.at) == sorted(folded.at)
        for position in range(len(folded.chars)):
            start, end = folded.span(position, position + 1)
            assert end == start + 1
            assert folded.chars[position] in fold_point(text[start], folder is LOOK)


@given(signs)
@example("|< it vv")  # a sign for a sign
@example("|< ﬁt vv")  # two signs for one
def test_shapes_lead_back_too(text: str) -> None:
    folded = LOOK.fold(text)
    drawn = shaped(folded)
    assert drawn.codes == shaped_codes(folded.codes)
    assert len(drawn.chars) == len(drawn.codes) == len(drawn.at)
    ends = [drawn.span(position, position + 1) for position in range(len(drawn.chars))]
    assert all(0 <= start < end <= len(text) for start, end in ends)
    assert ends == sorted(ends)


@given(signs)
def test_texts_read_backwards_are_the_same_signs(text: str) -> None:
    order = reversed_places(text)
    assert reversed_runs(text) == "".join(text[index] for index in order)
    assert sorted(order) == list(range(len(text)))
    upside = turned_places(text)
    assert sorted(upside) == sorted(order) and len(turned(text)) == len(text)


def test_a_table_forgets_before_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MEMO_MAX", 2)
    signs = signs_by(look=True)
    codes, sizes = codes_by(signs), sizes_by(signs)
    assert [codes[point] for point in (0xE9, 0xEA, 0xEB, 0xFB01)] == ["e", "e", "e", "fi"]
    assert [ord(sizes[point]) for point in (0xE9, 0x301, 0xFB01)] == [1, 0, 2]
    assert len(signs) <= 2 and len(codes) <= 2 and len(sizes) <= 2


@given(st.binary().map(lambda data: data.replace(b"\0", b"")))
def test_runs_are_collapsed(data: bytes) -> None:
    expected = bytes(byte for i, byte in enumerate(data) if not i or data[i - 1] != byte)
    kept = bytes(0 if i and data[i - 1] == byte else 255 for i, byte in enumerate(data))
    assert collapsed(data) == expected and without_runs(data) == (expected, kept)


def test_views_undo_one_thing_each() -> None:
    found = views("Good d.a-.r..n, x y... z 4")
    assert {kind: view.stream for kind, view in found.items()} == {
        "tokens": b" bod d a r n x y z ",
        "spaced": b" darnxyz ",
        "split": b" bod darn xy z ".replace(b"xy z", b"x y z"),
    }
    assert views("plain words").keys() == {"tokens"}
    assert views("") and views("")["tokens"].stream == b" "


@given(signs)
def test_a_view_leads_back_to_its_letters(text: str) -> None:
    for reading in READINGS:
        for view in views(text, reading).values():
            origin = list(view.origin(len(text)))
            assert len(origin) == len(view.stream) + 1
            assert origin == sorted(origin)
            for byte, place in zip(view.stream, origin, strict=False):
                if byte in LETTER:
                    assert view.classes[place] == byte


def test_a_few_offsets_are_the_same_as_all() -> None:
    text = "x Good d.a-.r..n, x y... z 44 " * 100
    for view in views(text, WIDEST).values():
        few, every = view.origin(1), view.origin(len(text))
        assert type(few) is Offsets
        assert len(few) == len(every) == len(view.stream) + 1
        assert [few[index] for index in range(len(every))] == every


@given(
    signs
    | st.lists(st.sampled_from(["ass", "a", "s", " ", "h 4 d", ".", "bo", "b", "'"])).map("".join)
)
def test_the_prefilter_never_says_no_where_something_is_found(text: str) -> None:
    lexicon = Lexicon([(0, ("ass", "bad", "sad hash", "pass", "boss", "dash"))], LOOK, NATIVE)
    search = Search(lexicon.look)
    for folded in (LOOK.fold(text), shaped(LOOK.fold(text))):
        if any(search.sightings(folded, READINGS, Context(text), "", Effort())):
            assert lexicon.look.suspects(folded.codes)


def test_spelling_takes_one_step_per_sign() -> None:
    bits = {"s": 0b1001, "i": 0b010, "l": 0b100}
    assert spells(bits, 4, "s1ls", b"siis", loose=False)
    assert not spells(bits, 4, "s1s", b"sis", loose=False)
    assert not spells(bits, 4, "x", b"x", loose=False)
    assert spells({"a": 1, "b": 2}, 2, "a.b", b"a.b", loose=False)


def test_scripts_are_known_by_name() -> None:
    assert [script_of(char) for char in "aéяｆ1!汉"] == [
        "LATIN",
        "LATIN",
        "CYRILLIC",
        "LATIN",
        "",
        "",
        "CJK",
    ]
