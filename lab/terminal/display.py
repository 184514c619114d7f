"""Safe output to a terminal: `display_safe` for text, and JSON that is pure ASCII.

A chat carries text from strangers. A terminal obeys some characters (escape sequences), hides
others (zero-width, tags) and reorders the line because of a third kind (bidi controls). So every
untrusted text, whether a message, a participant's name, a node's error or a file name, passes
`display_safe` before a command prints it. The stored event keeps its exact bytes.

Rules, in the order of the code:
1. C0 and DEL become their control pictures (`␛`), line ends `⏎`, C1 becomes `\\x9b`.
2. A joiner (ZWJ, ZWNJ) or a variation selector stays where scripts need it, and is named elsewhere.
3. Bidi controls are named: `⟨RLO⟩`. Everything else invisible is named by name or number.
4. Of five or more combining marks in a row the first four stay, and the rest is counted.
5. What Unicode does not assign, and lone surrogates, are shown by number.
The result is a fixed point: showing it again changes nothing. JSON output needs none of this: it
is escaped down to printable ASCII.
"""

import unicodedata
from typing import Any

MARKS_MAX = 4  # combining marks on one base; more is a stack that covers other lines
ELLIPSIS = "…"
# Signs that chatlab itself draws with, one column each: for them alone no table is loaded.
_NARROW = str.maketrans(dict.fromkeys("…·█▁▂▃▄▅▆▇●━─│╌←↑→↓", " "))

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_LINE_ENDS = {"\n", "\x85", "\u2028", "\u2029"}
_NAMES = {
    0x00AD: "SHY",
    0x034F: "CGJ",
    0x061C: "ALM",
    0x115F: "HCF",
    0x1160: "HJF",
    0x17B4: "KIVAQ",
    0x17B5: "KIVAA",
    0x180E: "MVS",
    0x200B: "ZWSP",
    0x200C: "ZWNJ",
    0x200D: "ZWJ",
    0x200E: "LRM",
    0x200F: "RLM",
    0x2028: "LS",
    0x2029: "PS",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2060: "WJ",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
    0x2800: "BLANK",
    0x3164: "HF",
    0xFEFF: "BOM",
    0xFFA0: "HHF",
}
# Signs of category Cf that have a glyph of their own: number and verse signs.
_VISIBLE_FORMATS = frozenset(
    {*range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD}
)
# Scripts in which a joiner between two letters changes how they are written.
_JOINING = (
    (0x0620, 0x08FF),  # Arabic, Syriac, Thaana, N'Ko, Mandaic, Arabic extended
    (0x0900, 0x0DFF),  # Devanagari to Sinhala
    (0x0F00, 0x109F),  # Tibetan, Myanmar
    (0x1780, 0x18AF),  # Khmer, Mongolian
    (0x1B00, 0x1BFF),  # Balinese, Sundanese, Batak
    (0xA840, 0xA87F),  # Phags-pa
    (0xA8E0, 0xA9FF),  # Devanagari extended, Javanese
    (0xFB50, 0xFDFF),  # Arabic presentation forms
    (0x11000, 0x114DF),  # Brahmi and its family
)


def display_safe(text: str, width_max: int | None = None) -> str:
    """The text in a form that is safe on a terminal: one line, without hidden or control
    characters.
    """
    if not (text.isascii() and text.isprintable()):
        text = _shown(text)
    if width_max is not None:
        text = cut(text, width_max)
    return text


def _shown(text: str) -> str:
    shown: list[str] = []
    marks = folded = 0
    for i, char in enumerate(text):
        category = unicodedata.category(char)
        if category in ("Mn", "Me") and not _hidden(char):
            marks += 1
            if marks > MARKS_MAX:
                folded += 1
                continue
            if not _is_selector(char) or _selects(text, i):
                shown.append(char)
                continue
        if folded:
            shown.append(f"⟨+{folded} marks⟩")
        # A joiner behind marks that are not shown has nothing to join.
        joins = char in (_ZWJ, _ZWNJ) and not folded and _joins(text, i)
        if category not in ("Mn", "Me"):
            marks = 0
        folded = 0
        shown.append(char if joins else _one(char, category))
    if folded:
        shown.append(f"⟨+{folded} marks⟩")
    return "".join(shown)


def _one(char: str, category: str) -> str:
    point = ord(char)
    if char in _LINE_ENDS:
        return "⏎"
    if category == "Cc":
        if point == 0x7F:
            return "␡"
        return chr(0x2400 + point) if point < 0x20 else f"\\x{point:02x}"
    if _is_selector(char):
        return f"⟨VS{_selector_number(point)}⟩"
    if _hidden(char):
        return f"⟨{_NAMES.get(point, f'U+{point:04X}')}⟩"
    if category in ("Cn", "Co", "Cs"):
        return f"⟨U+{point:04X}⟩"
    if category == "Zs" and char != " ":
        return " "  # no-break and wide spaces: a space is what a person sees
    return char


def _hidden(char: str) -> bool:
    point = ord(char)
    if point in _NAMES or 0xE0000 <= point <= 0xE00FF or 0x180B <= point <= 0x180F:
        return True
    return unicodedata.category(char) == "Cf" and point not in _VISIBLE_FORMATS


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _selector_number(point: int) -> int:
    return point - 0xFE00 + 1 if point < 0xE0100 else point - 0xE0100 + 17


def _selects(text: str, i: int) -> bool:
    """A variation selector belongs to a visible base right before it, and comes once."""
    if i == 0:
        return False
    before = text[i - 1]
    return unicodedata.category(before)[0] in "LSPN" and not _hidden(before)


def _joins(text: str, i: int) -> bool:
    """A joiner is legitimate between two emoji, or between letters of a joining script."""
    if i == 0 or i + 1 >= len(text):
        return False
    before, after = text[i - 1], text[i + 1]
    if text[i] == _ZWJ and _pictured(before) and _pictured(after):
        return True
    if text[i] == _ZWJ and before == "\ufe0f" and i >= 2 and _pictured(text[i - 2]):
        return _pictured(after)
    return _joinable(before) and _joinable(after)


def _pictured(char: str) -> bool:
    return unicodedata.category(char) == "So" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _joinable(char: str) -> bool:
    point = ord(char)
    if not any(first <= point <= last for first, last in _JOINING):
        return False
    return unicodedata.category(char)[0] in "LM" and not _hidden(char)


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal. The text is already safe to show."""
    if text.isascii() or text.translate(_NARROW).isascii():
        return len(text)
    from wcwidth import wcswidth  # lazy: tables of Unicode, for texts that need them

    width = wcswidth(text)
    return width if width >= 0 else len(text)  # below 0: a control, which safe text has not


def cut(text: str, width_max: int) -> str:
    """The text, or its head with an ellipsis, in at most `width_max` columns (1 or more)."""
    if width_of(text) <= width_max:
        return text
    if text.isascii():
        return text[: width_max - 1] + ELLIPSIS
    from wcwidth import iter_graphemes

    kept: list[str] = []
    left = width_max - 1
    for cluster in iter_graphemes(text):  # what is drawn as one is cut as one
        left -= width_of(cluster)
        if left < 0:
            break
        kept.append(cluster)
    return "".join(kept) + ELLIPSIS


def json_line(value: Any) -> str:
    """One JSON text of printable ASCII: msgspec values are built down first, DEL is escaped.

    Whatever is called `epoch` is text there, see `lab.terminal.portable_json`.
    """
    import json

    import msgspec

    from lab.terminal.portable_json import portable

    built = portable(msgspec.to_builtins(value))
    return json.dumps(built, ensure_ascii=True, separators=(", ", ": ")).replace("\x7f", "\\u007f")
