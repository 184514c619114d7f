"""Rules and texts for benches: made-up words of syllables, and texts of common English words.

Some banned words occur inside other words and across word boundaries, as in a real chat.
"""

from random import Random


def _words(text: str) -> list[str]:
    return text.split()


SYLLABLES = _words(
    "ba con da er fu gri hol in jo kra lem mo nis or pa qui rat sto tu us vel win zo "
)
COMMON = _words(
    "the of and to in that it is was he for on are with as his they at be this from have or "
    "by one had not but what all were when we there can an your which their said if will each "
    "about how up out them then she many some so these would other into has more her two like "
    "him see time could no make than first been its who now people my made over did down only "
    "way find use may water long little very after words called just where most know get "
    "through back much before go good new write our used me man too any day same right look "
    "think also around another came come work three word must because does part class assume "
    "title passage hello "
)


def banned(count: int, rng: Random) -> tuple[str, ...]:
    """Made-up words, and a few that are parts of everyday ones."""
    words = {"ass", "tit", "hell", "cum", "arse"}
    while len(words) < count:
        words.add("".join(rng.choices(SYLLABLES, k=rng.choice((2, 3, 3, 4)))))
    return tuple(sorted(words))


def clean_texts(count: int, rng: Random) -> list[str]:
    texts = []
    for _ in range(count):
        text = " ".join(rng.choices(COMMON, k=30)).capitalize()[:99]
        at = text.find(" ", 40)
        texts.append(text[:at] + rng.choice((",", ".", ";", "!", " -")) + text[at:] + ".")
    return texts


def chat_texts(count: int, rng: Random, size: int) -> list[str]:
    """Clean texts of exactly `size` ASCII characters, each another."""
    texts = []
    for _ in range(count):
        text = " ".join(rng.choices(COMMON, k=size // 4 + 1))
        texts.append(text[: text.rindex(" ", 0, size)].ljust(size, "."))
    return texts
