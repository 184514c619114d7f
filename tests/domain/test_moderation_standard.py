"""The second corpus: look-alikes by the standard, other words, and innocents of six languages."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from domain.moderation import Clean, Moderator, Policy, Rule
from node.config.cluster_file import generated, policy_of
from tests.domain.codes import KINDS, codes
from tests.domain.corpus import Technique
from tests.domain.standard_corpus import CORE, HARD, WORDS, evasions, innocents

COUNT = 100
STRICT = Moderator(Policy((Rule("standard", WORDS, "censor"),)))


def found(techniques: dict[str, Technique], seed: int) -> Counter[str]:
    texts = evasions(techniques, seed, COUNT)
    return Counter(name for name, text in texts if type(STRICT.judge(text)) is not Clean)


@pytest.mark.parametrize("seed", [1, 2])
def test_core_techniques_are_found(seed: int) -> None:
    counts = found(CORE, seed)
    assert counts.total() >= 0.99 * COUNT * len(CORE), counts
    assert {name: counts[name] for name in CORE if counts[name] < 0.95 * COUNT} == {}


@pytest.mark.parametrize("seed", [1, 2])
def test_hard_techniques_are_found(seed: int) -> None:
    counts = found(HARD, seed)
    assert counts.total() >= 0.97 * COUNT * len(HARD), counts
    assert {name: counts[name] for name in HARD if counts[name] < 0.9 * COUNT} == {}


def test_words_and_names_of_six_languages_are_not_touched() -> None:
    words = innocents()
    assert len(words) > 200
    builtin = Moderator(policy_of(generated(1), Path()))
    for moderator in (STRICT, builtin):
        assert [word for word in words if moderator.judge(word) != Clean()] == []
        for number in range(0, len(words), 7):
            assert moderator.judge(" ".join(words[number : number + 7])) == Clean()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_codes_are_not_touched(kind: Callable[[Random], str]) -> None:
    made = [text for _, text in codes(kind, 1000, seed=2)]
    assert [text for text in made if STRICT.judge(text) != Clean()] == []
