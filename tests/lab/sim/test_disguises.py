"""Disguises: a moderator sees through each, and a checker that knows no moderator undoes it."""

import re
from collections.abc import Callable
from random import Random

import pytest

from domain.moderation import Clean
from lab.checkers.moderation import is_innocent, meant
from lab.plan.disguises import CARRIERS, DISGUISES, innocent
from lab.plan.scenario import named
from lab.sim.world import moderator_of

RULES = named("disguises").rules
WORDS = sorted(word for rule in RULES for word in rule.words)
JUDGE = moderator_of(RULES)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("how", DISGUISES)
def test_every_disguise_is_seen_through_and_can_be_undone(
    how: Callable[[str, Random], str], word: str
) -> None:
    rng = Random(word)
    for carrier in CARRIERS * 3:
        text = carrier.format(how(word, rng))
        assert type(JUDGE.judge(text)) is not Clean, text
        read = [meant(match[0], WORDS) for match in re.finditer(r"\w[^\s()]*\w", text)]
        assert read.count(word) == 1, text
        assert not is_innocent(text, WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_innocent_words_are_let_through(word: str) -> None:
    rng = Random(word)
    for _ in range(30):
        text = innocent(word, rng)
        assert type(JUDGE.judge(text)) is Clean, text
        assert is_innocent(text, WORDS)
        assert not any(meant(token, WORDS) for token in text.split())
