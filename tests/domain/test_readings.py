"""Normalization and views: what is read in a text, and the way back to where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.moderation import normalization
from domain.moderation.normalization import Normalizer, Table, code_of, read, script_of
from domain.moderation.readings import LEET, LETTER, PLAIN, WIDEST, View, collapsed, views_of
from tests.domain.judges import censored, moderator

LOOK, NATIVE = Normalizer(look=True), Normalizer(look=False)
READINGS = (PLAIN, LEET, WIDEST)
signs = st.text(
    st.sampled_from("aabs hdо4@$|<>()/\\_!.-'\u200b\u0301é\u202e\u202cﬁ한🇦ßphv傻") | st.characters()
)


def views(text: str, reading: bytes = PLAIN) -> dict[bool, View]:
    """By whether gaps are taken out."""
    return {view.spelt: view for view in views_of(LOOK.normalize(text).codes, reading)}


@pytest.mark.parametrize(
    ("text", "look", "native"),
    [
        ("Ab 1!", "ab 1!", "ab 1!"),
        ("аҺ", "ah", "аһ"),
        ("éØßẞſ", "eoßßs", "eøßßs"),
        ("ﬁ⒜™Ⓐ①ª", "fia™a1a", "fia™a1a"),
        ("æŒəıŋ", "aeoeein", "æœəıŋ"),
        ("🅰🅐🇦", "aa🇦", "🅰🅐🇦"),
        ("a\u200b\u0301\u3164b", "ab", "ab"),
        ("\u3000\u2028\x85\u2800", "    ", "    "),
        ("\ud800\ue000\x80", "\ufffd" * 3, "\ufffd" * 3),
        ("汉𠀀㐀", "汉𠀀㐀", "汉𠀀㐀"),
        ("한", "\u1112\u1161\u11ab", "\u1112\u1161\u11ab"),
        ("Ӏ丨", "ıı", "ӏ丨"),
    ],
)
def test_what_is_read(text: str, look: str, native: str) -> None:
    assert LOOK.normalize(text).chars == look
    assert NATIVE.normalize(text).chars == native


def test_codes_say_what_a_sign_can_be() -> None:
    assert LOOK.normalize("aЖ1!€🇧ß™ Ӏ").codes == b"ax1!\x84\x81b. i"
    assert code_of("傻").isupper()
    assert WIDEST[0x84] == ord("e")


@given(signs)
def test_every_position_leads_back(text: str) -> None:
    for normalizer in (LOOK, NATIVE):
        found = normalizer.normalize(text)
        assert len(found.chars) == len(found.codes) == len(found.places)
        assert list(found.places) == sorted(found.places)
        for position in range(len(found.chars)):
            start, end = found.span(position, position + 1)
            assert end == start + 1
            assert found.chars[position] in read(text[start], look=normalizer is LOOK)


def test_a_table_forgets_before_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "MEMO_MAX", 2)
    table = Table(lambda point: read(chr(point), look=True))
    assert [table[point] for point in (0xE9, 0xEA, 0xEB, 0xFB01)] == ["e", "e", "e", "fi"]
    assert len(table) <= 2


@given(st.binary().map(lambda data: data.replace(b"\0", b"")))
def test_runs_are_collapsed(data: bytes) -> None:
    expected = bytes(byte for i, byte in enumerate(data) if not i or data[i - 1] != byte)
    kept = bytes(0 if i and data[i - 1] == byte else 255 for i, byte in enumerate(data))
    assert collapsed(data) == (expected, kept)


def test_a_view_undoes_one_thing() -> None:
    found = views("Good d.a-.r..n, x y... z 4")
    assert {spelt: view.stream for spelt, view in found.items()} == {
        False: b" bod d a r n x y r ",
        True: b" bod darnxyr ",
    }
    assert views("plain words").keys() == {False}
    assert views("") and views("")[False].stream == b" "


@given(signs)
def test_a_view_leads_back_to_its_letters(text: str) -> None:
    for reading in READINGS:
        for view in views(text, reading).values():
            origin = list(view.origin())
            assert len(origin) == len(view.stream) + 1
            assert origin == sorted(origin)
            for byte, place in zip(view.stream, origin, strict=False):
                if byte in LETTER:
                    assert view.classes[place] == byte


def test_spelling_is_read_sign_by_sign() -> None:
    judge = moderator("sils")
    assert censored(judge, "s1ls, si1s, s!l5, s11s") == "****, ****, ****, ****"
    assert censored(judge, "s1s sis") == "s1s sis"


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
