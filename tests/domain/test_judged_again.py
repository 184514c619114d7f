"""What covering brings to light is judged again, until nothing new does."""

from domain.moderation import Clean
from domain.moderation.moderator import LONG
from tests.domain.judges import MILD, censored, moderator


def test_what_is_left_is_judged_again() -> None:
    judge = moderator("ass", "hell")
    assert censored(judge, "a$$hell of") == "******* of"
    assert censored(judge, "(ass" * 3) == "(***" * 3


def test_what_covering_brings_to_light_goes_wherever_it_stands() -> None:
    judge = moderator("ass", "hell", "sob")
    far = "class of hello " * 30
    text = f"{far}a$$hell and hell {far} a$$sob {far}sob"
    assert censored(judge, text) == f"{far}******* and **** {far} ****** {far}***"
    run = f"\u202ebos {far}llehssa\u202c"
    assert censored(judge, f"{far}a$$hell {far}{run}") == (
        f"{far}******* {far}\u202e*** {far}llehssa\u202c"
    )
    # On a screen the end of the run is next to what is before it: that is what comes to light.
    assert censored(judge, f"{far}a$$\u202e{far}lleh\u202c") == f"{far}***\u202e{far}****\u202c"


def test_a_long_text_is_judged_once_again() -> None:
    """If then there is something new, nothing of it is left."""
    rest = " of hello" * (LONG // 8)
    assert censored(MILD, f"a$$ hell{rest}") == f"*** ****{rest}"
    whole = censored(MILD, f"a$$hell{rest}")
    assert whole == "*" * len(whole)
    assert censored(MILD, f"a$$hell{rest[:100]}") == f"*******{rest[:100]}"


def test_many_words_in_a_long_text_are_covered_one_by_one() -> None:
    piece = "hell in plain words of a kind, "
    assert censored(MILD, piece * 2_000) == "**** in plain words of a kind, " * 2_000
    foreign = piece.replace("a kind", "ä kind")
    assert censored(MILD, foreign * 1_200) == "**** in plain words of ä kind, " * 1_200


def test_a_language_that_was_covered_speaks_no_more() -> None:
    judge = moderator("сука", "ass")
    text = f"сука {'1 ' * 600} аѕѕ"
    assert censored(judge, text) == f"**** {'1 ' * 600} ***"
    assert judge.judge(f"это {'1 ' * 600} аѕѕ") == Clean()
