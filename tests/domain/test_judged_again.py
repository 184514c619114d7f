"""What covering brings to light is judged again: near to it, and as far as the effort goes."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.moderation import Clean, Moderator, Policy, Rule
from domain.search import Sighting
from domain.windows import Window
from tests.domain.judges import MILD, censored, moderator


def test_what_is_left_is_judged_again() -> None:
    judge = moderator("ass", "hell")
    assert censored(judge, "a$$hell of") == "******* of"
    assert censored(judge, "(ass" * 3) == "(***" * 3


def test_a_long_text_is_judged_again_near_to_what_was_covered() -> None:
    judge = moderator("ass", "hell", "sob")
    far = "class of hello " * 30
    text = f"{far}a$$hell and hell {far} a$$sob {far}sob"
    assert censored(judge, text) == f"{far}******* and **** {far} ****** {far}***"
    for place in range(60):  # the window ends within hello, somewhere
        rest = (" x" * 30)[:place] + " hello" + " x" * 200
        assert censored(moderator("hell"), f"hell{rest}") == f"****{rest}"


def test_what_is_shown_backwards_is_near_as_a_whole_or_not_at_all() -> None:
    judge = moderator("ass", "hell", "sob")
    far = "class of hello " * 30
    run = f"\u202ebos {far}llehssa\u202c"
    assert censored(judge, f"{far}a$$hell {far}{run}") == (
        f"{far}******* {far}\u202e*** {far}llehssa\u202c"
    )
    # On a screen the end of the run is next to what is before it: that is what comes to light.
    rest = far.removeprefix("class")
    assert censored(judge, f"{far}a$$\u202e{far}lleh\u202c") == f"{far}{'*' * 9}{rest}****\u202c"


def test_an_override_that_is_covered_itself_changes_what_is_shown_anywhere() -> None:
    far = "class of hello " * 30
    text = f"{far}\u202ea$$hell {far}s\u202ebo\u202c {far}"
    assert censored(moderator("ass", "hell", "sob"), text) == f"{far}{'*' * 8} {far}***** {far}"


def test_what_would_cost_too_much_to_be_judged_again_goes_as_a_whole() -> None:
    """A text with a word every thirty signs, in which all is near."""
    piece = "hell in plain words of a kind, "
    assert censored(MILD, piece * 2_000) == "**** in plain words of a kind, " * 2_000
    foreign = piece.replace("a kind", "ä kind")  # folded as well: half as much
    assert censored(MILD, foreign * 1_200) == "**** in plain words of ä kind, " * 1_200
    whole = censored(MILD, foreign * 1_300)
    assert whole == "*" * len(whole)
    few = foreign + "in plain words of a kind, " * 300  # few words are few in the longest text
    assert censored(MILD, few * 7) == few.replace("hell", "****") * 7


class Naive(Moderator):
    """Judges all of it again, wherever something was covered."""

    def _windows(self, text: str, covered: Sequence[Sighting]) -> list[Window]:
        return []


@given(
    st.lists(
        st.sampled_from(["a$$", "hell", "sob", "(ass", "a.s.s", "h e l l", "top", "hats", "e", "4"])
        | st.sampled_from(["аѕѕ", "ass\u0301", "\u200b", "é", "сука", "\u202essa\u202c", "uɹɐp"])
        | st.sampled_from([" ", "  ", ".", "class of hello " * 12, " " * 90, "x. " * 40])
        | st.sampled_from(
            ["привет мир " * 40, "안녕하세요 오늘 " * 30, "\u200b" * 400, "çok güzel " * 40]
        ),
        min_size=8,
        max_size=30,
    ).map("".join)
)
def test_what_is_near_shows_what_the_whole_text_shows(text: str) -> None:
    words = ("ass", "hell", "sob", "top hats", "darn", "сука")
    policy = Policy((Rule("r", words, "censor"),), ("hell sob hell", "class"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("domain.moderation.LONG", len(text))  # whatever it costs
        assert Moderator(policy).judge(text) == Naive(policy).judge(text)


def test_a_language_that_was_covered_speaks_no_more_for_what_is_far_away() -> None:
    """Then all of it is judged again."""
    judge = moderator("сука", "ass")
    text = f"сука {'1 ' * 600} аѕѕ"
    assert censored(judge, text) == f"**** {'1 ' * 600} ***"
    assert judge.judge(f"это {'1 ' * 600} аѕѕ") == Clean()
