"""Measures the speed of moderation, and the time that it takes for texts made to be expensive.

Texts per second on one core, the best of several runs; seconds of processor time for hostile texts,
the worst of them. Source of rules and texts: `lab.bench.sample_texts`. How many banned words
moderation finds is not measured here, but in tests/domain.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random

from domain.moderation import Moderator, Policy, Rule
from lab.bench.figures import Figure, figure
from lab.bench.sample_texts import banned, clean_texts
from lab.bench.session import Session

WORLD = (
    "Привет, как дела сегодня? ", "çok güzel bir gün, değil mi ", "Tôi cảm ơn bạn rất nhiều ",
    "今天天气很好，我们去公园吧。", "안녕하세요 오늘 날씨가 좋네요 ", "नमस्ते, आप कैसे हैं? ",
    "Γειά σου, τι κάνεις; ", "مرحبا كيف حالك اليوم؟ ", "naïve café 👍🏽 ", "plain English words ",
)  # fmt: skip
SIZE = 65_536
DOUBLED_FROM = 0.005  # seconds
PARTS = [  # each is repeated to the size of a text
    *("a", "s", "ass ", "ass", "as", "a s s ", "a s ", "a.s.s.", "a.s.s ", "@$$ ", "@$s(", "4ss1"),
    *(
        "a5s!",
        "1",
        "!",
        "|",
        "|_|",
        "/\\",
        "|<",
        "()",
        "ph",
        " ",
        ".",
        "*",
        "\n",
        "a ",
        "a. ",
        "a.",
    ),
    *("ass(", "he'll ", "h3||! ", "tit7i7", "arse4r5e a r s e a.r.s.e ", "а", "аѕѕ ", "ass\u0301 "),
    *("a\u0301", "a" + "\u0301" * 50, "\u200b", "a\u200bs\u200bs ", "\u202essa\u202c ", "\u202e"),
    *("ｈｅｌｌ ", "ⓗⓔⓛⓛ", "🇭🇪🇱🇱", "ɥǝll ", "👨\u200d👩", "한글", "汉字", "ß", "ﬁ", "é", "\ud800"),
    *("ass é ", "рее ass é", "(ass", "a$$hell", "a s s, ", "ass hell ", "hell, ass ", "as "),
    *("|_|(|<[) ", "phvv()", "ass hell é "),
]
# Words of everyday and phrases that cover banned words and overlap each other.
ALLOWED = ("as", "assess", "ass hell", "hell ass", "ass hell ass", "hell ass hell", "ass ass")
MIXTURES = 100  # random texts, each expensive in several ways at once
DISGUISES = ("ass", "a5s", "4ss", "@$$", "a.s.s", "a s s", "h3ll", "h.e.l.l", "t1t", *" .!(15e")


def world_texts(count: int, rng: Random) -> list[str]:
    return ["".join(rng.choices(WORLD, k=8))[:100] for _ in range(count)]


def stresses() -> Iterator[Callable[[int], str]]:
    """Texts of some size that are meant to be expensive."""

    def repeated(part: str) -> Callable[[int], str]:
        return lambda size: (part * (size // len(part) + 1))[:size]

    def drawn(of: Sequence[str], between: str = "") -> Callable[[int], str]:
        return lambda size: between.join(Random(size).choices(of, k=size))[:size]

    yield from map(repeated, PARTS)
    yield drawn(DISGUISES)
    yield drawn("as hel.ti4$! ")
    yield drawn((*ALLOWED, "ass", "hell"), " ")
    yield drawn("|<()[]\\/_-phvas ")
    yield drawn("".join(map(chr, range(32, 127))))
    yield drawn("".join(map(chr, range(0x80, 0xD800))))
    yield drawn("аѕhеӏ4$ .\u2060é")  # look-alikes, and one that is not seen
    pool, rng = (*PARTS, *DISGUISES, *WORLD, *ALLOWED), Random(MIXTURES)
    for _ in range(MIXTURES):
        yield drawn(rng.sample(pool, rng.randint(2, 6)))


def per_second(moderator: Moderator, texts: list[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        moderator.judge(text)
    return len(texts) / (time.perf_counter() - began)


def seconds(moderator: Moderator, text: str, runs: int = 3) -> float:
    """Seconds of processor time, so that other load on the machine does not count."""
    times = []
    for _ in range(runs):
        new = "".join((text[:1], text[1:]))  # no fold of it is remembered
        began = time.thread_time()
        moderator.judge(new)
        times.append(time.thread_time() - began)
    return min(times)


def sized(text: str, size: int) -> str:
    """Cut to so many bytes of UTF-8, as a message is bounded."""
    return text.encode("utf-8", "surrogatepass")[:size].decode("utf-8", "ignore")


def build_ms(words: tuple[str, ...]) -> float:
    began = time.perf_counter()
    Moderator(Policy((Rule("bench", words, "censor"),)))
    return (time.perf_counter() - began) * 1000


def run(session: Session) -> list[Figure]:
    scale = session.scale
    rng = Random(1000)
    words = banned(1000, rng)
    moderator = Moderator(Policy((Rule("bench", words, "censor"),)))
    clean, world = clean_texts(scale.moderated, rng), world_texts(scale.moderated // 2, rng)
    ascii_rates = [per_second(moderator, clean) for _ in range(scale.repeats)]
    world_rates = [per_second(moderator, world) for _ in range(scale.repeats)]
    rules = max(int(10_000 * scale.sim), 100)
    builds = [build_ms(banned(rules, Random(seed))) for seed in range(3)]
    size = max(int(SIZE * scale.sim), 100)
    moderator = Moderator(Policy((Rule("bench", words, "censor"),), ALLOWED))
    stress, doubled = list[float](), list[float]()
    for text_of in stresses():
        once, twice = (seconds(moderator, sized(text_of(n), n)) for n in (size, 2 * size))
        stress.append(once * 1000)
        if once > DOUBLED_FROM:
            doubled.append(twice / once)
    worst = f"{size:,} hostile bytes, worst"
    return [
        figure("clean ASCII", "msg/s", ascii_rates, at_least=150_000),
        figure("mixed Unicode", "msg/s", world_rates, at_least=30_000),
        figure(f"building {rules:,} rules", "ms", builds, at_most=100),
        # Any of them, so the worst is the figure. The median of all would say nothing.
        figure(worst, "ms", [max(stress)], at_most=50),
        # Twice the bytes, in times of the processor time; of what takes long enough to tell.
        figure("twice as long, worst", "x", [max(doubled, default=1.0)], at_most=2.5),
    ]
