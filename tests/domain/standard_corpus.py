"""A second corpus, made by rule: disguises from the full table of UTS #39, with other words.

Nothing in it was chosen by what moderation finds. Look-alikes are all signs that UTS #39 puts into
one class with a letter, digits and signs those that leet alphabets have, gaps and invisible signs
those that Unicode's categories name. The innocents are words and names of six languages and codes.
"""

import unicodedata
from collections import defaultdict
from functools import cache
from random import Random

from tests.domain.corpus import Technique
from tests.domain.unicode_table import confusables

WORDS = (
    *(
        "scumbag",
        "tosser",
        "prick",
        "bitch",
        "loser",
        "zounds",
        "wretch",
        "slut",
        "jerk",
        "quisling",
    ),
    *("arschloch", "wichser", "connard", "salope", "cabrón", "gilipollas", "stronzo", "kurwa"),
)
CARRIERS = (
    "{}",
    "so {}",
    "{} again",
    "He called me {}, imagine.",
    "Du bist ein {} sagte er",
    "quel {} alors!",
    "¿{}? no, gracias",
    "«{}» ha detto lui",
)
LEET = {"a": "4@", "b": "86", "e": "3", "g": "69", "i": "1!|", "l": "1|", "o": "0%", "q": "9"}
LEET |= {"r": "2", "s": "5$", "t": "7+", "z": "2"}
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u17b4\u180e\u200b\u200c\u200d\u200e\u2060\u2061\u2064\ufeff\ufe0f"
)
GAPS: tuple[str, ...] = (*".-_*,~'/·•|", " ", "  ", "\u00a0", "\u2003", "\t", " - ", " . ")


@cache
def look_alikes() -> dict[str, str]:
    """By letter: the signs that are letters, and look like it in either case."""
    alike: dict[str, set[str]] = defaultdict(set)
    for sign, likes in confusables().items():
        if len(sign) == 1 and unicodedata.category(sign)[0] == "L":
            for like in likes:
                if like.isascii() and like.isalpha():
                    alike["m" if like == "rn" else like.lower()].add(sign)
    return {letter: "".join(sorted(signs)) for letter, signs in alike.items() if len(letter) == 1}


def _replaced(word: str, table: dict[str, str], rng: Random, share: float) -> str:
    """One letter at least, and about that share of the others."""
    places = [at for at, letter in enumerate(word) if letter in table]
    chosen = {rng.choice(places)} if places else set()
    chosen |= {at for at in places if rng.random() < share}
    return "".join(rng.choice(table[c]) if at in chosen else c for at, c in enumerate(word))


def one_look_alike(word: str, rng: Random) -> str:
    return _replaced(word, look_alikes(), rng, 0)


def look_alike(word: str, rng: Random) -> str:
    return _replaced(word, look_alikes(), rng, 0.5)


def all_look_alike(word: str, rng: Random) -> str:
    return _replaced(word, look_alikes(), rng, 1)


def digit(word: str, rng: Random) -> str:
    """One of them; at the end of a word ! and | are punctuation."""
    return _replaced(word[:-1], LEET, rng, 0) + word[-1]


def digits(word: str, rng: Random) -> str:
    """Half of them, but not the first and the last letter."""
    return word[0] + _replaced(word[1:-1], LEET, rng, 0.5) + word[-1]


def gaps(word: str, rng: Random) -> str:
    return rng.choice(GAPS).join(word)


def one_gap(word: str, rng: Random) -> str:
    at = rng.randint(1, len(word) - 1)
    return word[:at] + rng.choice(".-_*~·") + word[at:]


def invisible(word: str, rng: Random) -> str:
    return "".join(c + rng.choice(INVISIBLE) * rng.randint(0, 2) for c in word[:-1]) + word[-1]


def stretched(word: str, rng: Random) -> str:
    return "".join(c * rng.choice((1, 1, 2, 3, 5)) for c in word)


def capitals(word: str, rng: Random) -> str:
    return "".join(rng.choice((c, c.upper())) for c in word)


def marks(word: str, rng: Random) -> str:
    every = [chr(point) for point in range(0x300, 0x370)]
    return "".join(c + "".join(rng.choices(every, k=rng.randint(0, 3))) for c in word)


def styled(word: str, rng: Random) -> str:
    """In one of the alphabets of mathematics, or wide, or in circles."""
    start = rng.choice((*range(0x1D400, 0x1D6A4, 52), 0xFF21, 0x24B6))
    bare = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    after = {0xFF21: 32}.get(start, 26)
    made = [chr(start + after + ord(c) - ord("a")) for c in bare]
    return "".join(
        m if unicodedata.category(m) != "Cn" else c for m, c in zip(made, bare, strict=True)
    )


CORE: dict[str, Technique] = {
    function.__name__: function
    for function in (
        one_look_alike, look_alike, digit, gaps, one_gap, invisible, stretched, capitals, marks,
        styled,
    )
}  # fmt: skip


def _mixed(*techniques: Technique) -> Technique:
    def mixed(word: str, rng: Random) -> str:
        for technique in techniques:
            word = technique(word, rng)
        return word

    return mixed


def _row(word: str, rng: Random) -> str:
    return rng.choice((" ", ".", "-", "_", " . ")).join(word)


HARD: dict[str, Technique] = {
    "all_look_alike": all_look_alike,
    "digits": digits,
    "digits+look_alike": _mixed(digits, one_look_alike),
    "digits+invisible": _mixed(digits, invisible),
    "digits+gaps": _mixed(digit, _row),
    "digits+stretched": _mixed(digit, stretched),
    "capitals+digits": _mixed(digit, capitals),
    "look_alike+gaps": _mixed(look_alike, _row),
    "look_alike+stretched": _mixed(look_alike, stretched),
    "look_alike+invisible": _mixed(look_alike, invisible),
    "look_alike+marks": _mixed(look_alike, marks),
    "stretched+gaps": _mixed(stretched, _row),
    "gaps+marks": _mixed(_row, marks),
    "styled+gaps": _mixed(styled, _row),
}


def evasions(techniques: dict[str, Technique], seed: int, count: int) -> list[tuple[str, str]]:
    """(technique, text), `count` for each technique."""
    made = []
    for name, technique in techniques.items():
        rng = Random(f"{seed}-{name}")
        made += [
            (name, rng.choice(CARRIERS).format(technique(rng.choice(WORDS), rng)))
            for _ in range(count)
        ]
    return made


# Words that hold one of `WORDS` or of the built-in lists, or come close; and names.
INNOCENTS = """
English: abrasive accumulate analysis arsenic assassin assess bass bassoon bastion brass butter
    button cassette circumspect class clover cocktail cockpit cocoa compass constitution cucumber
    cumin document embitter grass harass hello hitch itch jerkin jerky kitchen lasso loss loosen
    mass massage pass passion peacock pitch prickle prickly scum scrap scrape shell shirt shuttle
    sluice snigger sparse stitch switch titan title tossed wretched Dickens Hancock Hitchcock
    Sussex Essex Middlesex Cockburn Cassandra Scunthorpe
French: assez assiette attaque bitume bouche bassine boulevard caste connaissance connexion
    concours consul culture cultiver cupide débit député dispute enchère mercredi merle merlan
    pédagogue pédale pédestre putois putatif réputé salopette salon salut tapis tapisser tantôt
    Condé Concarneau Putanges Cucuron Merdrignac Bitche Connantre connerie fumée fumer foule soûl
German: Arschlochkarte Arsen Fotograf fixieren Mistel Misten Muschel Nutzen Pisten Pistole
    Schachtel Scheibe Scheitel scheinen Schwanz Titel Wachs wichtig wickeln wischen Hurtig Fickel
    Petting Kotzen Rammeln Assel Assessor großartig dass Hass nass Spaß Heil Kuss Bass Tittmoning
    Wichsenstein Pforzheim
Spanish: cabronada cabrero cabra cabrito culebra culminar cultura coñac puntilla putativo disputa
    hijodalgo marisco miércoles pendiente pollo zorro zorrillo Pollock Pollensa Cabrera Putxet
    Coslada mañana niño pingüino vergüenza
Italian: cazzuola cazzotto culla cultura figaro figura merenda mignolo pompelmo puttino stronzio
    strozzare Troia Troisi Cazzaniga Finocchiaro Cagliari Cagliostro vacca vaccino tetto tettoia
    perché città virtù
Polish: cholewa dupleks kurtyna pizza pierwszy szmaragd sukces sukno Kurowa Kutno Szczecin źrebię
    żółć gęślą jaźń
"""


def innocents() -> list[str]:
    """Words and names, by language."""
    found = []
    for line in INNOCENTS.replace("\n    ", " ").strip().splitlines():
        found += line.partition(": ")[2].split()
    return found
