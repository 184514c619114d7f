"""A seeded generator of evasions, by technique, and of innocents, by category.

Each technique is a function of a word and a Random. Core techniques are what people do every day;
hard ones mix two, or use what only few know. Innocents hold a banned word only inside something
else, or look as if they did.
"""

import unicodedata
from collections.abc import Callable, Iterator
from random import Random

WORDS = ("shit", "wanker", "bollocks", "arse", "pillock", "git", "blasted")
CARRIERS = (
    "you are such a {} today",
    "{}",
    "what the {}, he said",
    "nobody likes {}!",
    "that ({}) was not nice",
    "well, {}. Then we went home at 10:30",
    "I said {} and he said: no",
    "{} is what it is",
)
Technique = Callable[[str, Random], str]

_LEET = {"a": "4@", "b": "8", "e": "3", "g": "69", "i": "1!|", "l": "1|", "o": "0", "s": "5$"}
_LEET |= {"t": "7+", "c": "("}
_CYRILLIC = dict(zip("aceopxyijsh", "асеорхуіјѕһ", strict=True))
_GREEK = dict(zip("aoiknptuvxe", "αοικνρτυνχε", strict=True)) | {"n": "η"}
_LOOSE = dict(zip("abcehikmnoprstuwxyz", "αβсεнικмηορгѕтυшχуζ", strict=True))
_ASIAN = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz", "卂乃匚ᗪ乇千Ꮆ卄丨フҜㄥ爪几ㄖ卩Ɋ尺丂ㄒㄩᐯ山乂ㄚ乙", strict=True
    )
)
_SMALL = dict(zip("abcdefghijklmnoprstuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", strict=True))
_RARE = {"a": "^", "c": "<", "e": "€", "h": "#", "i": "¡", "l": "£", "o": "%", "s": "§", "t": "†"}
_RARE |= {"b": "฿", "f": "₣", "g": "₲", "k": "₭", "n": "₦", "p": "₱", "w": "₩", "y": "¥", "z": "2"}
_RARE |= {"r": "2"}
_ZERO = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_SPACES = (" ", "  ", "\u00a0", "\u2009", "\u3000", "\n")


def _some(word: str, table: dict[str, str], rng: Random, share: float) -> str:
    """At least one letter replaced, and of the others about that share."""
    places = [place for place, char in enumerate(word) if char in table]
    chosen = {rng.choice(places)} if places else set()
    chosen |= {place for place in places if rng.random() < share}
    return "".join(
        rng.choice(table[char]) if place in chosen and len(table[char]) < 4 else char
        for place, char in enumerate(word)
    )


def _rare_signs(word: str, table: dict[str, str], rng: Random) -> str:
    places = [place for place, char in enumerate(word) if char in table]
    chosen = set(rng.sample(places, rng.randint(1, len(places)))) if places else set()
    return "".join(table[c] if place in chosen else c for place, c in enumerate(word))


def plain(word: str, rng: Random) -> str:
    return word


def case(word: str, rng: Random) -> str:
    return "".join(rng.choice((c.lower(), c.upper())) for c in word)


def leet(word: str, rng: Random) -> str:
    read = _some(word, _LEET, rng, 0.5)
    # A sign at the end of a word is punctuation, and no letter is left of none.
    return word if read.endswith("!") or not any(map(str.isalpha, read)) else read


def spacing(word: str, rng: Random) -> str:
    return rng.choice(_SPACES).join(word)


def punctuation(word: str, rng: Random) -> str:
    return rng.choice(".-_*,~/'•·").join(word)


def punctuation_once(word: str, rng: Random) -> str:
    place = rng.randint(1, len(word) - 1)
    return word[:place] + rng.choice((".", "-", "_", "*", "..", "~")) + word[place:]


def zero_width(word: str, rng: Random) -> str:
    return "".join(c + rng.choice(_ZERO) * rng.randint(0, 2) for c in word[:-1]) + word[-1]


def homoglyph(word: str, rng: Random) -> str:
    return _some(word, rng.choice((_CYRILLIC, _GREEK)), rng, 0.6)


def full_width(word: str, rng: Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) for c in word)


def mathematical(word: str, rng: Random) -> str:
    start = rng.choice((0x1D41A, 0x1D482, 0x1D4EA, 0x1D51E + 52 * 2, 0x1D5BA, 0x1D68A))
    return "".join(chr(start + ord(c) - 97) for c in word)


def circled(word: str, rng: Random) -> str:
    start = rng.choice((0x24D0, 0x1F150, 0x1F170, 0x1F130))
    return "".join(chr(start + ord(c) - 97) for c in word)


def diacritics(word: str, rng: Random) -> str:
    marked = "".join(c + chr(rng.randint(0x300, 0x315)) * rng.randint(0, 1) for c in word)
    return unicodedata.normalize(rng.choice(("NFC", "NFD")), marked)


def repeats(word: str, rng: Random) -> str:
    place = rng.randrange(len(word))
    return "".join(
        c * (rng.randint(2, 6) if at == place else rng.choice((1, 1, 1, 3)))
        for at, c in enumerate(word)
    )


def reversed_run(word: str, rng: Random) -> str:
    return "\u202e" + word[::-1] + "\u202c"


CORE: dict[str, Technique] = {
    function.__name__: function
    for function in (
        plain, case, leet, spacing, punctuation, punctuation_once, zero_width, homoglyph,
        full_width, mathematical, circled, diacritics, repeats, reversed_run,
    )
}  # fmt: skip


def zalgo(word: str, rng: Random) -> str:
    return "".join(c + "".join(chr(rng.randint(0x300, 0x36F)) for _ in range(6)) for c in word)


def loose_homoglyph(word: str, rng: Random) -> str:
    return _some(word, _LOOSE, rng, 0.7)


def asian(word: str, rng: Random) -> str:
    return "".join(_ASIAN[c] for c in word)


def small_capitals(word: str, rng: Random) -> str:
    return _some(word, _SMALL, rng, 1.0)


def rare_leet(word: str, rng: Random) -> str:
    return _rare_signs(word, _RARE, rng)


def regional(word: str, rng: Random) -> str:
    return "\u200b".join(chr(0x1F1E6 + ord(c) - 97) for c in word)


def _mix(*techniques: Technique) -> Technique:
    def mixed(word: str, rng: Random) -> str:
        for technique in techniques:
            word = technique(word, rng)
        return word

    return mixed


def _spread(word: str, rng: Random) -> str:
    return rng.choice((" ", ".", "-", "_")).join(word)


HARD: dict[str, Technique] = {
    "zalgo": zalgo,
    "loose_homoglyph": loose_homoglyph,
    "asian": asian,
    "small_capitals": small_capitals,
    "rare_leet": rare_leet,
    "regional": regional,
    "leet+spacing": _mix(leet, _spread),
    "leet+repeats": _mix(leet, repeats),
    "homoglyph+repeats": _mix(homoglyph, repeats),
    "homoglyph+leet": _mix(leet, homoglyph),
    "homoglyph+spacing": _mix(homoglyph, _spread),
    "case+leet+zero_width": _mix(case, leet, zero_width),
    "repeats+spacing": _mix(repeats, _spread),
    "diacritics+spacing": _mix(diacritics, _spread),
    "full_width+punctuation": _mix(full_width, _spread),
    "reversed+leet": _mix(leet, reversed_run),
    "zero_width+repeats": _mix(repeats, zero_width),
}


def evasions(
    techniques: dict[str, Technique], words: tuple[str, ...], seed: int, count: int
) -> Iterator[tuple[str, str]]:
    """(technique, text), `count` for each technique."""
    for name, technique in techniques.items():
        rng = Random(f"{seed}-{name}")
        for _ in range(count):
            yield name, rng.choice(CARRIERS).format(technique(rng.choice(words), rng))


INNOCENTS: dict[str, tuple[str, ...]] = {
    "inside_word": (
        "The arsenal was a sparse affair",
        "digital legitimate agitated fugitive",
        "parse the coarse hearse and rehearse",
        "Scunthorpe, Penistone, Clitheroe and Middlesex",
        "He swanked about with swankers, unblastedly",
        "gitana GITHUB legit-looking",
        "mishits, cushits, Parsee, varsea, marsebank",
    ),
    "across_words": (
        "that without",
        "has hit the wall",
        "was hitting it",
        "as hit as it gets",
        "swan kerb, a swan ker",
        "big item, rug it, dig it",
        "far seen, ear set",
        "pills lock",
        "pus hit",
        "wash it",
        "a bar set",
        "fig its",
        "plan b last edition",
    ),
    "world": (
        "Привет, как дела? Рота шла по полю, рее и сор",
        "שלום לכולם, מה שלומכם היום",
        "مرحبا كيف حالك اليوم؟ می‌خواهم بروم",
        "नमस्ते, आप कैसे हैं? क्षत्रिय",
        "สวัสดีครับ วันนี้อากาศดี",
        "你好，今天天气很好。工口日山",
        "こんにちは、元気ですか？ピロック",
        "안녕하세요 오늘 날씨가 좋네요",
        "Γειά σου, τι κάνεις; Το σπίτι",
        "Tôi bị cúm, cảm ơn bạn rất nhiều",
        "Ich aß Grütze, dann Spaß",
        "Příliš žluťoučký kůň úpěl ďábelské ódy",
        "Çok güzel bir gün, değil mi?",
        "ქართული ენა",
        "Հայերեն լեզու",
        "አማርኛ ቋንቋ",
        "தமிழ் மொழி",
        "မြန်မာဘာသာ",
        "Þetta er íslenska, góðan daginn",
    ),
    "names": (
        "Mr. Gittins met Arsène and Wanda K. Er",
        "Marsel Dickerson of Arsenal",
        "Gita, Gitte, Gitlab",
        "Oceanus's Cummerbund",
        "Blastoise",
        "Kinshita Hitoshi",
    ),
    "numbers": (
        "call 455 1488 or 0612-345-678",
        "it is 60d until 61t",
        "$5.55 + $1.50 = $7.05",
        "at 7:17, 1+1=2, 7+1+7",
        "A4, b2b, mp3, h2o, 4x4, k8s, i18n",
        "0x1f2e3d #a55f00 v1.2.3",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    ),
    "punctuation": (
        "(well) {yes} [no] <maybe> 'so' \"it\" *is* _here_ ~",
        "he'll, she'll, we'd, it's, l'arsenal",
        "s. o. s., a. b. c., U.S.A., e.g. i.e.",
        "a, b, c; d - e - f",
        "if (x[i] == y) { return s[1]; }",
        "http://example.org/a/r/s?x=1&github=2#top",
        "mail me: jane.doe@example.org",
        ":-) ;-( <3 ^^ o_O",
    ),
    "emoji": (
        "👨‍👩‍👧‍👦 👍🏽 🏳️‍🌈 ❤️ 1️⃣2️⃣3️⃣",
        "🇫🇷🇩🇪🇬🇧",
        "👩🏽‍🚀 to the 🌕!",
        "™ © ® № ℃",
    ),
}
