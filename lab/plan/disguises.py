"""Disguises for the workload: functions that write a forbidden word so that moderation should still
find it, and sentences that only resemble one.

Each function takes a plain word of Latin letters and a random generator. Each disguise can be
undone letter by letter, so that the checker C9 knows the word without using the moderator.
"""

from collections.abc import Callable
from random import Random

_LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7", "b": "8"}
_CYRILLIC = {"a": "а", "c": "с", "e": "е", "o": "о", "i": "і", "k": "к"}
_HIDDEN = "\u200b\u200c\u2060\u00ad"
_MARKS = "\u0300\u0301\u0302\u0308"


def capitals(word: str, rng: Random) -> str:
    return "".join(rng.choice((char, char.upper())) for char in word)


def signs(word: str, rng: Random) -> str:
    """At least one letter as a digit or a sign, and never the last one."""
    places = [at for at, char in enumerate(word[:-1]) if char in _LEET]
    chosen = {rng.choice(places)} if places else set()
    chosen |= {at for at in places if rng.random() < 0.5}
    return "".join(rng.choice(_LEET[c]) if at in chosen else c for at, c in enumerate(word))


def points(word: str, rng: Random) -> str:
    return rng.choice(".-_").join(word)


def wide(word: str, _: Random) -> str:
    return "".join(chr(ord(char) + 0xFEE0) for char in word)


def strange_letters(word: str, _: Random) -> str:
    return "".join(_CYRILLIC.get(char, char) for char in word)


def hidden(word: str, rng: Random) -> str:
    return "".join(char + rng.choice(_HIDDEN) for char in word[:-1]) + word[-1]


def repeated(word: str, rng: Random) -> str:
    at = rng.randrange(len(word))
    return word[:at] + word[at] * rng.randint(3, 6) + word[at + 1 :]


def marked(word: str, rng: Random) -> str:
    return "".join(char + rng.choice(_MARKS) for char in word)


DISGUISES: tuple[Callable[[str, Random], str], ...] = (
    capitals,
    signs,
    points,
    wide,
    strange_letters,
    hidden,
    repeated,
    marked,
)
CARRIERS = (
    "well, {} and so on",
    "{}",
    "what the {}, he said",
    "nobody likes {}!",
    "that ({}) was not nice",
    "{} is what it is",
)


def disguised(word: str, rng: Random) -> str:
    """A sentence with this word in it, in some disguise or in none."""
    shown = word if rng.random() < 0.1 else rng.choice(DISGUISES)(word, rng)
    if rng.random() < 0.2:
        shown += f" and {rng.choice(DISGUISES)(word, rng)}"
    return rng.choice(CARRIERS).format(shown)


def innocent(word: str, rng: Random) -> str:
    """Plain words, of which one has this one inside."""
    longer = rng.choice((f"{word}ings", f"un{word}", f"{word}like", f"over{word}ed"))
    return rng.choice(CARRIERS[:2] + CARRIERS[-1:]).replace(",", "").format(longer)
