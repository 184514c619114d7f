"""The corpus: how many evasions of each technique are found, and that innocents are not touched."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from domain.moderation import Clean, Moderator, Policy, Rule
from node.config.cluster_file import generated, policy_of
from tests.domain.codes import KINDS, codes
from tests.domain.corpus import CORE, HARD, INNOCENTS, WORDS, Technique, evasions

COUNT = 120
OTHER_WORDS = ("damned", "bastard", "idiot", "moron", "crap", "hell", "duffer")
DICTIONARY = Path("/usr/share/dict/american-english")


def found(techniques: dict[str, Technique], words: tuple[str, ...], seed: int) -> Counter[str]:
    moderator = Moderator(Policy((Rule("corpus", words, "censor"),)))
    return Counter(
        name
        for name, text in evasions(techniques, words, seed, COUNT)
        if type(moderator.judge(text)) is not Clean
    )


@pytest.mark.parametrize("words", [WORDS, OTHER_WORDS], ids=["words", "other words"])
@pytest.mark.parametrize("seed", [7, 8])
def test_core_techniques_are_found(words: tuple[str, ...], seed: int) -> None:
    counts = found(CORE, words, seed)
    assert counts.total() >= 0.99 * COUNT * len(CORE), counts
    assert {name: counts[name] for name in CORE if counts[name] < 0.95 * COUNT} == {}


@pytest.mark.parametrize("words", [WORDS, OTHER_WORDS], ids=["words", "other words"])
@pytest.mark.parametrize("seed", [7, 8])
def test_hard_techniques_are_found(words: tuple[str, ...], seed: int) -> None:
    counts = found(HARD, words, seed)
    assert counts.total() >= 0.97 * COUNT * len(HARD), counts
    assert {name: counts[name] for name in HARD if counts[name] < 0.9 * COUNT} == {}


@pytest.mark.parametrize("category", INNOCENTS)
@pytest.mark.parametrize("words", [WORDS, OTHER_WORDS], ids=["words", "other words"])
def test_innocents_are_not_touched(words: tuple[str, ...], category: str) -> None:
    moderator = Moderator(Policy((Rule("corpus", words, "censor"),)))
    texts = INNOCENTS[category]
    assert [text for text in texts if moderator.judge(text) != Clean()] == []


@pytest.fixture(scope="module")
def builtin() -> tuple[Moderator, set[str]]:
    policy = policy_of(generated(1), Path())
    return Moderator(policy), {word.casefold() for rule in policy.rules for word in rule.words}


def test_the_built_in_lists_touch_no_innocents(builtin: tuple[Moderator, set[str]]) -> None:
    moderator, words = builtin
    texts = [text for group in INNOCENTS.values() for text in group]
    assert [text for text in texts if moderator.judge(text) != Clean()] == []
    assert all(moderator.judge(f"such a {word}!") != Clean() for word in words)


def test_the_built_in_lists_touch_no_other_english_words(
    builtin: tuple[Moderator, set[str]],
) -> None:
    if not DICTIONARY.exists():
        pytest.skip(f"{DICTIONARY} is not installed (package wamerican)")
    moderator, words = builtin
    known = words | {f"{word}'s" for word in words}
    lines = DICTIONARY.read_text(encoding="utf-8").split()
    wrong = [word for word in lines if moderator.judge(word) != Clean()]
    assert [word for word in wrong if word.casefold() not in known] == []


ROADS = [f"A{number}" for number in range(1, 1000)] + [f"M{number}" for number in range(1, 100)]


def spelt(code: str, words: set[str]) -> bool:
    """Whether the letters of a code alone are a word: then it is one."""
    runs = re.split(r"[^a-z]+", code.casefold())
    return any(run in words for run in (*runs, "".join(runs)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_built_in_lists_touch_no_codes(
    builtin: tuple[Moderator, set[str]], kind: Callable[[Random], str]
) -> None:
    moderator, words = builtin
    made = [(code, text) for code, text in codes(kind, 4000) if not spelt(code, words)]
    assert len(made) > 3900
    assert [text for _, text in made if moderator.judge(text) != Clean()] == []


def test_the_built_in_lists_touch_no_road_and_no_place(
    builtin: tuple[Moderator, set[str]],
) -> None:
    moderator, _ = builtin
    texts = [f"Take the {road} to Holyhead" for road in ROADS]
    texts += [
        "seat A-55",
        "AS5",
        "as-5",
        "A-5-5",
        "A5-S5",
        "a-455",
        "Twatt, Orkney",
        "a border of #a55",
    ]
    assert [text for text in texts if moderator.judge(text) != Clean()] == []
    for word in ("a55hole", "a-5-5", "S-H1T", "@55", "you a55", "sh1t", "5hit", "Twattt"):
        assert moderator.judge(word) != Clean(), word
