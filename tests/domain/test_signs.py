"""What is read in one code point, for all code points there are."""

import sys
import unicodedata

from domain.moderation.normalization import SIGN_LETTERS, STROKE, code_of, read
from tests.domain import unicode_table

EVERY = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]


def test_a_symbol_is_a_letter_only_if_it_is_one_in_brackets() -> None:
    """Squared words, telephone and trade marks are signs beside a word."""
    symbols = {}
    for char in EVERY:
        if unicodedata.category(char) == "So":
            parts = unicodedata.normalize("NFKD", char)
            if len(parts) > 1 and not any(map(unicodedata.combining, parts)):
                symbols[char] = (parts, read(char, look=False))
    assert symbols["⒜"] == ("(a)", "a") and symbols["℡"] == ("TEL", "℡")
    for char, (parts, seen) in symbols.items():
        letter = parts[1].lower() if parts[0] == "(" and len(parts) == 3 else char
        assert seen == letter, (char, parts)


def test_letters_of_other_scripts_are_coded_as_capitals_and_never_as_signs() -> None:
    """So that nothing takes them for Latin ones, which are small, or for what stands between."""
    others = [char for char in EVERY if char.isalpha() and char not in ("ß", STROKE)]
    codes = {code_of(char) for char in others if not char.isascii()}
    assert codes == {chr(point) for point in range(ord("A"), ord("Z") + 1)}


def test_every_code_fits_a_byte() -> None:
    assert max(ord(code_of(char)) for char in EVERY) <= 0xFF


# --- the table of look-alikes ---------------------------------------------------------------------


def test_the_committed_table_is_the_one_that_the_script_makes() -> None:
    assert unicode_table.main(check=True) == 0


def test_everything_that_the_table_says_is_read_so() -> None:
    letters = {
        sign: to
        for sign, to in unicode_table.readings().items()
        if unicode_table.is_letter(sign) and sign not in "ßẞ"
    }
    assert {sign: read(sign, look=True) for sign in letters} == letters
    for sign, letter in (("\u1d26", "r"), ("\u1e9d", "f"), ("\u0548", "n"), ("\u03a5", "y")):
        assert read(sign, look=True) == letter


def test_what_looks_like_one_letter_in_uts_39_is_that_letter() -> None:
    """I, l, 1 and | are one class there: a text does not tell which is meant."""
    missed = []
    for sign, likes in unicode_table.confusables().items():
        asciis = {like for like in likes if like.isascii() and like.isalpha() and len(like) == 1}
        if len(sign) == 1 and not sign.isascii() and len(asciis) == 1:
            letter, seen = asciis.pop().lower(), read(sign, look=True)
            if letter not in (SIGN_LETTERS.get(seen, seen)) and seen != STROKE:
                missed.append(sign)
    # A long s is an s; digits are read as letters in a leet reading only.
    assert [sign for sign in missed if not unicodedata.normalize("NFKC", sign).isdigit()] == ["ſ"]
