"""Moderation, by what must not matter: where in a text something stands, and what else is said.

No verdict is written down here. Two texts are judged, and what differs between them must not count.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.moderation import Censored, Clean, Moderator, Policy, Rule, Verdict
from lab.plan.disguises import DISGUISES

WORDS = ("darn", "arse", "zonk")
JUDGE = Moderator(Policy((Rule("r", WORDS, "censor"),), ("arsenal",)))
# Signs that may be a letter, a digit, a gap or a boundary: what is next to a word decides.
BESIDE = st.text(alphabet="0123456789ae.-'", max_size=3)
SPELT = st.sampled_from(
    [
        "darn",
        "d4rn",
        "D.A.R.N",
        "d-a-r-n",
        "arse",
        "ar5e",
        "ars3",
        "4rs3",
        "z0nk",
        "zoonk",
        "arsenal",
    ]
)
TOKENS = st.tuples(BESIDE, SPELT, BESIDE).map("".join)


def spans(verdict: Verdict, by: int = 0) -> list[tuple[int, int]]:
    if type(verdict) is Clean:
        return []
    assert type(verdict) is Censored
    stars = [at - by for at, char in enumerate(verdict.text) if char == "*"]
    return [(at, at + 1) for at in stars]


@given(TOKENS)
@settings(max_examples=300)
def test_it_does_not_matter_where_in_a_text_something_stands(token: str) -> None:
    alone = spans(JUDGE.judge(token))
    for before, after in (("so, ", ""), ("", " so it is"), ("look: ", " is it")):
        assert spans(JUDGE.judge(before + token + after), len(before)) == alone, before + token


@given(st.sampled_from(WORDS), st.sampled_from(DISGUISES), st.integers(0, 99), TOKENS)
@settings(max_examples=200)
def test_what_is_said_elsewhere_excuses_nothing(
    word: str, how: object, seed: int, other: str
) -> None:
    assert callable(how)
    shown = how(word, Random(seed))
    here = spans(JUDGE.judge(f"well {shown} then"))
    both = spans(JUDGE.judge(f"well {shown} then we said {other} of it"))
    assert here and set(here) <= set(both)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("ars3", False),
        ("ars35", True),  # 35 is a number, and no letter with something behind it
        ("4rse", False),
        ("34rse", True),
        ("334rse", True),
        ("3 4rse", False),
        ("3-4rse", False),
        ("1darn", False),
        ("1d4rn", True),  # a lone digit before a word in leet is a letter of it
        ("12darn", False),  # a number beside a word
        ("darn1", False),
        ("darn12", False),
    ],
)
def test_a_number_neither_begins_nor_ends_in_the_middle_of_digits(text: str, clean: bool) -> None:
    assert (type(JUDGE.judge(text)) is Clean) is clean
    assert (type(JUDGE.judge(f"oh {text} oh")) is Clean) is clean


@pytest.mark.parametrize("shown", ["darn", "d4rn", "d.a.r.n", "ar5e", "ARSE"])
def test_a_text_that_is_written_with_marks_excuses_no_word_without_them(shown: str) -> None:
    text = f"déjà vu à côté, très élégant, {shown} là où il était"
    assert spans(JUDGE.judge(text), text.index(shown)) == [(at, at + 1) for at in range(len(shown))]
