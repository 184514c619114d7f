"""What is read in one code point, for all code points there are."""

import sys
import unicodedata

from domain.evidence import goes_on
from domain.folding import STROKE, code_of, fold_point

EVERY = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]


def test_a_symbol_is_a_letter_only_if_it_is_one_in_brackets() -> None:
    """Squared words, telephone and trade marks are signs beside a word."""
    read = {}
    for char in EVERY:
        if unicodedata.category(char) == "So":
            parts = unicodedata.normalize("NFKD", char)
            if len(parts) > 1 and not any(map(unicodedata.combining, parts)):
                read[char] = (parts, fold_point(char, look=False))
    assert read["⒜"] == ("(a)", "a") and read["℡"] == ("TEL", "℡")
    for char, (parts, seen) in read.items():
        letter = parts[1].lower() if parts[0] == "(" and len(parts) == 3 else char
        assert seen == letter, (char, parts)


def test_letters_of_other_scripts_are_coded_as_capitals_and_never_as_signs() -> None:
    """So that nothing takes them for Latin ones, which are small, or for what stands between."""
    others = [char for char in EVERY if char.isalpha() and char not in ("ß", STROKE)]
    codes = {code_of(char) for char in others if not char.isascii()}
    assert codes == {chr(point) for point in range(ord("A"), ord("Z") + 1)}


def test_a_word_ends_only_where_no_vowel_sign_follows() -> None:
    assert goes_on("a\u093e", 1) and goes_on("a\u0301\u093e", 1)
    assert not goes_on("a\u0301", 1) and not goes_on("a\u0301b\u093e", 1) and not goes_on("a", 1)


def test_every_code_fits_a_byte() -> None:
    assert max(ord(code_of(char)) for char in EVERY) <= 0xFF
