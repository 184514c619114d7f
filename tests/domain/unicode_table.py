"""Makes domain/moderation/lookalikes.py: which signs look like a Latin letter.

    scripts/lookalikes            write it
    scripts/lookalikes --check    fail if the committed file is another

The source is the full table of Unicode's confusables (UTS #39), from the package
confusable-homoglyphs. A sign is read as a letter if, in this order,

1. it decomposes (NFKD) to it, marks aside,
2. `EXTRA` says so: letters that people use for their rough looks, which no standard lists,
3. UTS #39 says that both look alike,
4. it is a form of a Latin letter by its name, such as a small capital; or one that it looks like
   is, or looks so without its marks,
5. its other case is.

What `domain.moderation.normalization` reads by itself (NFKD, marks dropped) is left out.
"""

import json
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import confusable_homoglyphs  # type: ignore[import-untyped]

FILE = Path(__file__).resolve().parents[2] / "domain" / "moderation" / "lookalikes.py"
STROKE = "ı"  # an i or an l: UTS #39 has I, l, 1 and | in one class
COLUMNS = 92
_NAME = re.compile(r"LATIN (?:SMALL |CAPITAL )?LETTER (?:.* )?([A-Z])(?: WITH .*)?")
_BLOCK = re.compile(r"NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER ([A-Z])")
_NAMED = (("SCHWA", "e"), ("OPEN E", "e"), ("OPEN O", "c"), ("LETTER ENG", "n"))

# By their rough looks: letters of other scripts, and signs that are no letters.
EXTRA = {
    "a": "ⲁⲀᗩɒΛ丹卂ムል@^∆∂∀",
    "b": "βϐⲃⲂᏰвьЬъЪҍ乃ცԵ๒฿₿",
    "c": "ҁҀςᑕ匚ㄈ¢©₵⊂∁",
    "d": "ժᎠძ๔₫ↁ",
    "e": "ҽҼэЭєЄεϵⲉⲈξΞع乇€∑∃⋿∈",
    "f": "ϝϜғҒ千₣",
    "g": "ᎶꮆᏩﻮ₲",
    "h": "ђћЋҥҢ卄ん",
    "i": "ཇ工¡❗❕",
    "j": "נフ丿",
    "k": "ϰқҚҝҜҡҠズ₭",
    "l": "ㄥ乚しլ£₤",
    "m": "мϻ爪ოണ๓₥♏",
    "n": "пПиИΠπղռᑎ几חภ₦",
    "o": "ᗝםφ口ㄖөӨθΘфФ๏○◯●◎⊙☉°⭕◌",
    "p": "ҏҎþÞƿᎮ卩ק₱",
    "q": "ᑫϘϙԳ၃๑",
    "r": "яЯгѓ尺®",
    "s": "ƨƧƽƼՖ丂ร§",
    "t": "т丅ㄒ七イナ†‡₮✝",
    "u": "ʊцЦџ凵ㄩนມ∪⋃⊔",
    "v": "√✓",
    "w": "ωшШщЩ山ฬพ₩",
    "x": "жЖ乂メ✕✖❌",
    "y": "ўчЧㄚ丫¥",
    "z": "зЗʒƷ乙",
    STROKE: "ӏ丨ㅣ",
}
_DIGITS = dict(zip("23456789", "zeasbtbg", strict=True))  # a letter that looks like a digit


class Read(NamedTuple):
    sign: str
    letters: str
    is_letter: bool  # else it is a sign that merely stands for one


@cache
def readings() -> dict[str, str]:
    """What is read in every sign, but for signs that merely stand for several letters."""
    alike, extra = confusables(), {sign: to for to, signs in EXTRA.items() for sign in signs}
    found: dict[str, str] = {}
    for sign in _signs():
        read = _decomposed(sign) or extra.get(_unmarked(sign)) or _alike(sign, alike)
        if read:
            found[sign] = read
    for sign in filter(lambda sign: sign not in found, _signs()):
        other = {found.get(sign.lower(), ""), found.get(sign.upper(), "")} - {""}
        if other:
            found[sign] = other.pop()
    return {sign: read for sign, read in sorted(found.items()) if len(read) == 1 or is_letter(sign)}


def table() -> list[Read]:
    """Those that normalization does not find by itself, in the order of their code points."""
    found = readings()
    return [
        Read(sign, read, is_letter(sign))
        for sign, read in found.items()
        if read != _read_alone(sign, found)
    ]


def _read_alone(sign: str, found: dict[str, str]) -> str:
    """What is read in it if it is not in the table, but what it decomposes to is."""
    read = plain(sign)
    return read if read == sign else found.get(read, read)


@cache
def _signs() -> list[str]:
    every = (chr(point) for point in range(0x80, sys.maxunicode + 1))
    hangul = range(0xAC00, 0xD7A4)
    kinds = ("L", "N", "P", "S", "Mc")
    return [c for c in every if unicodedata.category(c).startswith(kinds) and ord(c) not in hangul]


def is_letter(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "LMN" or bool(_named(sign)) or plain(sign).isalnum()


def confusables() -> dict[str, set[str]]:
    """For each sign the signs or sequences that UTS #39 says it looks like."""
    folder = Path(confusable_homoglyphs.__file__).parent
    raw = json.loads((folder / "confusables.json").read_text(encoding="utf-8"))
    return {_bare(sign): {_bare(one["c"]) for one in likes} for sign, likes in raw.items()}


def _bare(sign: str) -> str:
    return sign.strip("\u200e\u200f")  # in that file they stand around signs of Hebrew and Arabic


def plain(sign: str) -> str:
    """What normalization reads in it without this table."""
    parts = unicodedata.normalize("NFKD", sign)
    if unicodedata.category(sign) == "So" and len(parts) > 1:
        return parts[1].lower() if parts[0] == "(" and len(parts) == 3 else sign
    return _unmarked(sign).lower()


def _unmarked(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if unicodedata.category(part) not in ("Mn", "Me", "Cf"))


def _decomposed(sign: str) -> str:
    """Rule 1. Forms of I, l and | are not to be told apart, unless by a mark."""
    read = plain(sign)
    if not (read.isascii() and read.isalnum()):
        return STROKE if read == "|" else ""
    marked = _unmarked(sign) != unicodedata.normalize("NFKD", sign)
    return STROKE if _unmarked(sign) in ("I", "l") and not marked else read


def _alike(sign: str, alike: dict[str, set[str]]) -> str:
    """Rules 3 and 4."""
    likes = alike.get(sign, set()) | alike.get(_unmarked(sign), set())
    if likes & {"l", "I", "1", "|"}:
        return STROKE
    if "rn" in likes:
        return "m"
    read = _ascii(likes) or _named(sign)
    if read:
        return _letter(sign, read)
    capitals = [one for one in likes if "SMALL CAPITAL" in unicodedata.name(one[0], "")]
    for one in (*sorted(capitals), *sorted(likes)):
        if _named(one):
            return _named(one)
    return _letter(sign, _ascii(set(map(_unmarked, likes))))


def _ascii(likes: set[str]) -> str:
    found = [one for one in likes if one.isascii() and one.isalnum() and len(one) <= 3]
    return min(found, key=lambda one: (len(one), not one.isalpha(), one), default="").lower()


def _letter(sign: str, read: str) -> str:
    return _DIGITS.get(read, read) if sign.isalpha() else read


def _named(sign: str) -> str:
    name = unicodedata.name(sign, "") if len(sign) == 1 and sign not in "ßẞ" else ""
    spelt = _NAME.fullmatch(name) or _BLOCK.fullmatch(name)
    if spelt is not None:
        return spelt[1].lower()
    return next((to for part, to in _NAMED if part in name and "LATIN" in name), "")


# --- the file -------------------------------------------------------------------------------------


def source() -> str:
    """The text of the module."""
    lines = [HEAD]
    for name, letters in (("LETTERS", True), ("SIGNS", False)):
        of: dict[str, str] = defaultdict(str)
        for read in table():
            if read.is_letter is letters and (letters or read.letters.isalpha()):
                of[read.letters] += read.sign
        groups = (f"{to}:{of[to]}" for to in sorted(of, key=lambda to: (len(to), to)))
        lines += [f"{name} = (", *_lines(" ".join(groups)), ")"]
    return "\n".join([*lines, ""])


def _lines(text: str) -> Iterator[str]:
    line, width = "", 0
    for sign in text:
        wide = 1 + (unicodedata.east_asian_width(sign) in "WF")
        if width + wide > COLUMNS:
            yield f'    "{line}"'
            line, width = "", 0
        line, width = line + sign, width + wide
    yield f'    "{line}"'


HEAD = '''"""Look-alikes, behind what is read in them. Made by scripts/lookalikes: do not edit."""
'''


def main(check: bool) -> int:
    text = source()
    if not check:
        FILE.write_text(text, encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != text:
        print(f"{FILE.name} is not what the table says: run scripts/lookalikes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
