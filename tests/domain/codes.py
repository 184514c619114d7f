"""Codes that people write, made by rule: by the forms of those who give them out.

Roads (United Kingdom, France, Germany, United States), seats and flights (IATA: rows and letters
without I, two-letter designators), licence plates and postal codes (United Kingdom, Germany,
France, Canada, Netherlands), colours and hexadecimal (CSS, C), versions (semver.org), prices, times
(ISO 8601), models of things, UUIDs, addresses of network cards, accounts, books, telephones, serial
numbers. Where letters alone spell a word of the list, a code is left out.
"""

from collections.abc import Callable, Iterator
from random import Random

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SEATS = "ABCDEFGHJK"
HEX = "0123456789abcdef"
CARRIERS = (
    "{}",
    "Take the {} to Holyhead",
    "we have {} tomorrow",
    "is it {} or not?",
    "({}) was the last one",
    "{}, please",
)


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(count))


def _number(rng: Random, digits: int = 4) -> str:
    """Often with the digits that letters are written with."""
    if rng.random() < 0.5:
        return "".join(rng.choice("14570358") for _ in range(rng.randint(1, digits)))
    return str(rng.randint(1, 10**digits - 1))


def road(rng: Random) -> str:
    return rng.choice("ABMNDIELS") + rng.choice(("", "-", " ")) + _number(rng)


def seat(rng: Random) -> str:
    row, letter = str(rng.randint(1, 99)), rng.choice(SEATS)
    return rng.choice((row + letter, letter + row, f"{letter}-{row}", f"{row}-{letter}"))


def flight(rng: Random) -> str:
    return _letters(rng, 2) + rng.choice(("", " ")) + _number(rng)


def plate(rng: Random) -> str:
    kind = rng.randrange(3)
    if kind == 0:
        return f"{_letters(rng, 2)}{rng.randint(1, 99):02} {_letters(rng, 3)}"
    if kind == 1:
        return f"{_letters(rng, rng.randint(1, 3))}-{_letters(rng, 2)} {_number(rng)}"
    return f"{_letters(rng, 2)}-{rng.randint(1, 999):03}-{_letters(rng, 2)}"


def postcode(rng: Random) -> str:
    form = rng.choice(
        ("A9 9AA", "A99 9AA", "AA9 9AA", "AA99 9AA", "A9A 9AA", "AA9A 9AA", "A9A 9A9", "9999 AA")
    )
    made = (rng.choice(LETTERS if sign == "A" else "0123456789") for sign in form if sign != " ")
    return "".join(" " if sign == " " else next(made) for sign in form)


def colour(rng: Random) -> str:
    return "#" + "".join(rng.choice(HEX) for _ in range(rng.choice((3, 6))))


def hexadecimal(rng: Random) -> str:
    return "0x" + "".join(rng.choice(HEX) for _ in range(rng.randint(2, 8)))


def version(rng: Random) -> str:
    return rng.choice(("", "v")) + ".".join(str(rng.randint(0, 60)) for _ in range(3))


def price(rng: Random) -> str:
    return rng.choice("$€£") + rng.choice((_number(rng), f"{rng.randint(0, 99)}.{_number(rng, 2)}"))


def time(rng: Random) -> str:
    hour, minute, second = rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)
    return rng.choice(
        (
            f"{hour}:{minute:02}",
            f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T{hour:02}:{minute:02}:{second:02}Z",
            f"{hour}h{minute:02}",
        )
    )


def model(rng: Random) -> str:
    made = _letters(rng, rng.randint(1, 3)) + rng.choice(("", "-", " ")) + _number(rng)
    return rng.choice((made, made + rng.choice(LETTERS), made.lower() if "-" in made else made))


def uuid(rng: Random) -> str:
    return "-".join("".join(rng.choices(HEX, k=size)) for size in (8, 4, 4, 4, 12))


def hardware(rng: Random) -> str:
    """Of a network card, by IEEE 802."""
    return rng.choice(":-").join("".join(rng.choices(HEX, k=2)) for _ in range(6))


def account(rng: Random) -> str:
    """IBAN, in groups of four."""
    digits = [f"{rng.randrange(10_000):04}" for _ in range(rng.randint(3, 5))]
    return " ".join((f"{_letters(rng, 2)}{rng.randrange(100):02}", *digits))


def book(rng: Random) -> str:
    """ISBN-13."""
    return f"978-{rng.choice('0123')}-{rng.randrange(10_000):04}-{rng.randrange(10_000):04}-6"


def phone(rng: Random) -> str:
    parts = (rng.randrange(1, 100), rng.randrange(100, 1000), rng.randrange(1000, 10_000))
    return f"+{rng.choice(' -./').join(map(str, parts))}"


def serial(rng: Random) -> str:
    signs = LETTERS + "0123456789"
    return "-".join("".join(rng.choices(signs, k=5)) for _ in range(4))


KINDS: tuple[Callable[[Random], str], ...] = (
    *(road, seat, flight, plate, postcode, colour, hexadecimal, version, price, time, model),
    *(uuid, hardware, account, book, phone, serial),
)


def codes(kind: Callable[[Random], str], count: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """Codes of one kind, and each in a text."""
    rng = Random(f"{seed} {kind.__name__}")
    for _ in range(count):
        code = kind(rng)
        yield code, rng.choice(CARRIERS).format(code)
