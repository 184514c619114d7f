"""Nothing that a stranger wrote may command, hide or reorder what a person's terminal shows."""

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.terminal.display import cut, display_safe, json_line, width_of

VISIBLE_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
NASTY = st.text(
    st.sampled_from(
        "a1 \n\x1b\x9b\x7f\u200b\u200c\u200d\u202e\ufe0f\u0301\u0651\u094d\u0915م👩❤🏽"
    ),
    max_size=30,
)


def harmless(char: str) -> bool:
    category = unicodedata.category(char)
    if category == "Cf":
        return ord(char) in VISIBLE_FORMATS
    return category not in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")


# Every code point; but of the deserts (planes 4 to 13, private planes) only every sixty-first.
POINTS = [*range(0x40000), *range(0x40000, 0xE0000, 61), *range(0xE0000, 0xE1000)]
POINTS += [*range(0xE1000, 0x110000, 61), *range(0x10FFF0, 0x110000)]


def test_every_single_code_point_is_harmless_and_leaves_a_trace() -> None:
    for point in POINTS:
        shown = display_safe(chr(point))
        assert shown and all(map(harmless, shown)), hex(point)
        assert display_safe(shown) == shown, hex(point)


def test_every_code_point_between_letters_is_harmless() -> None:
    for point in POINTS:
        shown = display_safe(f"a{chr(point)}b")
        assert len(shown) >= 3 and all(map(harmless, shown)), hex(point)


@given(ANY_TEXT | NASTY)
def test_any_text_becomes_one_line_that_a_terminal_cannot_obey(text: str) -> None:
    shown = display_safe(text)
    for i, char in enumerate(shown):
        joiner = char in "\u200c\u200d" and 0 < i < len(shown) - 1
        assert harmless(char) or joiner
    assert "\n" not in shown and "\x1b" not in shown


@given(ANY_TEXT | NASTY)
@example("क" + "\u094d" * 5 + "\u200dक")  # a joiner behind marks that are folded
def test_showing_what_was_shown_changes_nothing(text: str) -> None:
    shown = display_safe(text)
    assert display_safe(shown) == shown


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_stays_as_it_is(text: str) -> None:
    assert display_safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("\x9b31m", "\\x9b31m"),
        ("a\x7fb\x00", "a␡b␀"),
        ("one\ntwo\r\nthree\u2028four", "one⏎two␍⏎three⏎four"),
        ("\u202egnp.exe", "⟨RLO⟩gnp.exe"),
        ("\u2067abc\u2069", "⟨RLI⟩abc⟨PDI⟩"),
        ("pass\u200bword", "pass⟨ZWSP⟩word"),
        ("a\u200db", "a⟨ZWJ⟩b"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("\udcff", "⟨U+DCFF⟩"),
        ("a\u0301\u0301\u0301\u0301", "a\u0301\u0301\u0301\u0301"),
        ("a" + "\u0301" * 9 + "b", "a\u0301\u0301\u0301\u0301⟨+5 marks⟩b"),
        ("[red]x[/foo]", "[red]x[/foo]"),
        ("a\u00a0b\u3000c", "a b c"),
    ],
)
def test_what_is_dangerous_is_made_visible(text: str, shown: str) -> None:
    assert display_safe(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👨‍👩‍👧 family",
        "❤️ and 👍🏽",
        "❤️‍🔥",
        "نمی‌خواهم",
        "क्‍ष क्‌ष",
        "naïve café, e\u0301",
        "日本語 한국어 ελληνικά",
        "1️⃣",
        "שלום",
    ],
)
def test_what_scripts_and_emoji_need_stays(text: str) -> None:
    assert display_safe(text) == text


@given(ANY_TEXT, st.integers(1, 30))
def test_a_cut_text_fits(text: str, width: int) -> None:
    assert width_of(display_safe(text, width)) <= width


def test_wide_characters_take_two_columns() -> None:
    assert width_of("日本") == 4
    assert cut("日本語", 4) == "日…"


@given(ANY_TEXT)
def test_json_is_printable_ascii_and_loses_nothing(text: str) -> None:
    line = json_line({"text": text})
    assert line.isascii() and line.isprintable()
    assert json.loads(line)["text"] == text
