"""Moderation: verdicts and their rules. What is found how is in the transcript and the corpus."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.moderation import (
    Censored,
    Clean,
    Moderator,
    Policy,
    Rejected,
    Rule,
)
from domain.moderation.language import CONTEXT_CHARS
from domain.moderation.normalization import is_mark
from domain.moderation.search import CROWDED
from domain.verdict import Hit, rules_of
from tests.domain.judges import MILD, WORDS, censored, moderator

LETTERS = "darnhelstop 4@$1|!()<*.-'\u200b\u0301\u202e\u202cаеѕｄⓐé\n傻逼сукаI🇦ɐ\ud800"
hostile = st.text(st.sampled_from(LETTERS), max_size=40) | st.text(max_size=30)
pieces = st.lists(st.sampled_from([*WORDS, *LETTERS, " ", "d4rn", "h e l l", "(a$$", "a.s.s"]))


def test_a_clean_text_is_clean() -> None:
    assert MILD.judge("a hello from the classroom") == Clean()


def test_a_censored_text_keeps_what_is_around() -> None:
    expected = Censored("what the ****?", (Hit("r", 9, 13, "plain"),))
    assert MILD.judge("what the hell?") == expected


def test_rejecting_rules_go_first_whatever_the_order() -> None:
    rules = (Rule("a", ("darn",), "censor"), Rule("b", ("hell",), "reject"))
    for policy in (Policy(rules), Policy(rules[::-1])):
        verdict = Moderator(policy).judge("darn, hell")
        assert verdict == Rejected((Hit("b", 6, 10, "plain"),))
        assert type(Moderator(policy).judge("darn")) is Censored


def test_a_word_of_two_rules_is_a_hit_of_both() -> None:
    rules = (Rule("a", ("darn",), "censor"), Rule("b", ("DARN",), "censor"))
    verdict = Moderator(Policy(rules)).judge("darn")
    assert type(verdict) is Censored
    assert rules_of(verdict.hits) == ("a", "b")


def test_no_rules_and_empty_entries_find_nothing() -> None:
    for judge in (Moderator(Policy(())), moderator(), moderator("", " ", "-", "\u200b")):
        assert judge.judge("") == judge.judge("- anything, \u200bat all") == Clean()


def test_an_allowed_span_wins_over_hits_within_it() -> None:
    judge = moderator(
        "hell", "1488", "сука", allow=("hell's kitchen", "no. 1488", "сука блин", "🍀")
    )
    for text in ("Hell's Kitchen", "at no. 1488", "сука блин"):
        assert judge.judge(text) == Clean()
    assert censored(judge, "hell's kitchen hell") == "hell's kitchen ****"
    assert censored(judge, "h3ll's kitchen") == "****'s kitchen"  # allowed as it is written only
    assert censored(judge, "сука 1488") == "**** ****"
    assert censored(moderator("hell", allow=("ass",)), "as hell") == "as ****"


def test_an_allowed_word_is_never_found() -> None:
    assert moderator("hell", allow=("HELL",)).judge("hell and h-e-l-l") != Clean()
    assert moderator("hell", allow=("HELL",)).judge("Hell, hell") == Clean()


def test_a_phrase_needs_something_between_its_words() -> None:
    assert censored(MILD, "top hats, TOP-HATS, t0p h@ts") == "********, ********, ********"
    assert censored(MILD, "to.p hats, t o p  h a t s") == "*********, **************"
    assert MILD.judge("tophats and top hatstands") == Clean()


def test_a_contraction_in_a_phrase_is_no_evasion() -> None:
    judge = moderator("hell go", "as s")
    assert judge.judge("he'll go") == Clean()
    assert judge.judge("he-ll go") != Clean()
    assert moderator("darn").judge("da'rn") != Clean()
    assert moderator("darn").judge("d'arn") == Clean()


def test_short_words_are_found_as_they_are_written() -> None:
    assert censored(MILD, "fu, FU!") == "**, **!"
    assert MILD.judge("f u, fuu, f.u") == Clean()


def test_words_of_scripts_without_spaces_have_no_boundaries() -> None:
    assert censored(MILD, "你是傻逼吗") == "你是**吗"
    assert censored(MILD, "傻.逼") == "***"


def test_words_of_other_scripts_are_found_among_their_letters() -> None:
    assert censored(MILD, "СУКА, сууука, суки") == "****, ******, суки"
    assert censored(MILD, "это cyka блин, да") == "это **** блин, да"
    assert MILD.judge("the cyka tribe") == Clean()  # Latin letters in a Latin text


def test_letters_of_another_script_are_read_by_their_looks_where_it_is_not_spoken() -> None:
    judge = moderator("pee")
    assert judge.judge("he had to рее") != Clean()
    assert judge.judge("матрос на рее стоял") == Clean()
    assert judge.judge("рее") != Clean()
    assert judge.judge("х" * CONTEXT_CHARS + " рее") == Clean()


def test_marks_are_spelling_where_a_text_is_written_with_them() -> None:
    judge = moderator("cum", "pédé")
    assert judge.judge("you cúm today") != Clean()
    assert judge.judge("tôi bị cúm, cảm ơn bạn") == Clean()
    assert judge.judge("un café crème très bon, pédé") != Clean()  # as it is written


def test_sharp_s_is_not_two_letters_but_may_be_written_so() -> None:
    assert MILD.judge("ich aß zu viel") == Clean()
    assert censored(MILD, "Scheiße, SCHEISSE, ſcheiſſe") == "*******, ********, ********"
    assert moderator("GROẞ").judge("gross") != Clean()


def test_a_word_is_not_hidden_by_a_form_beside_it() -> None:
    judge = moderator("ass", "hell", "dash")  # `as` looks like ass where runs are collapsed
    assert censored(judge, "as hell, d@sh") == "as ****, ****"


def test_one_letter_may_be_an_i_and_another_an_l() -> None:
    assert censored(MILD, "s1||y heII SlLLY") == "***** **** *****"
    assert MILD.judge("siily heil") == Clean()


def test_an_entry_with_digits_or_signs_is_found_as_it_is_written() -> None:
    judge = moderator("1488", "🖕", "c++")
    assert censored(judge, "1488 14880 a1488 🖕🏽 C++") == "**** 14880 a1488 ** ***"


def test_numbers_and_quantities_are_innocent() -> None:
    judge = moderator("ass", "god", "tit")
    assert judge.judge("455, 60d, 71t, 7+1+7, 4 5 5") == Clean()
    assert censored(judge, "a55 @$$ 4$$ g0d") == "*** *** *** ***"


def test_digits_count_as_letters_before_a_word_in_leet_only() -> None:
    judge = moderator("rape")
    assert judge.judge("6r4pe") == Clean()
    assert judge.judge("a66r4pe") == Clean()
    assert judge.judge("66r4pe r4pe66") != Clean()
    assert judge.judge("r4pe66s") == Clean()
    assert moderator("fag", "ass").judge("f494-6 4f49 fa49 2-a455-3") == Clean()


def test_digits_part_single_letters_only() -> None:
    judge = moderator("darn")
    assert judge.judge("d1a1r1n") != Clean()
    assert judge.judge("da5rn") == Clean()


def test_a_gap_that_differs_is_a_boundary() -> None:
    judge = moderator("darn")
    for text in ("say:d.a.r.n", "d.a.r.n:said", "a d a r n", "d a r n u", "b d-a-r-n", "un-d-a-r-n",
                 "d-a-r-n-ed", "da.rn-it", "so-da.rn"):  # fmt: skip
        assert judge.judge(text) != Clean(), text
    for text in ("x d a r n", "d a r n e d", "da.rn.it", "so.da.rn", "d      a r n", "x.d.a.r.n"):
        assert judge.judge(text) == Clean(), text


def test_a_sign_that_is_read_as_several_letters_moves_nothing() -> None:
    assert censored(MILD, "ﬁve æons of hell, ﬁve") == "ﬁve æons of ****, ﬁve"


def test_marks_are_not_left_behind() -> None:
    assert censored(MILD, "hell\u0301\u0300!") == "******!"
    assert censored(MILD, "e\u0301 hell") == "e\u0301 ****"


def test_a_crowded_text_goes_as_a_whole_however_its_words_are_hidden() -> None:
    rng = Random(3)
    pieces = [*("ass", "a5s", "4ss", "@$$", "a.s.s", "h3ll", "d4rn"), " ", ".", "!", "(", "1", "e"]
    text = "".join(rng.choices(pieces, k=20_000))
    verdict = MILD.judge(text)
    assert type(verdict) is Censored
    assert verdict.text == "*" * len(text)
    assert [(hit.start, hit.end, hit.view) for hit in verdict.hits] == [(0, len(text), CROWDED)]
    assert moderator(*WORDS).judge(text) == verdict  # whatever was judged before
    strict = Moderator(Policy((Rule("r", WORDS, "reject"),)))
    assert type(strict.judge(text)) is Rejected


def test_allowed_words_that_are_too_many_to_look_at_excuse_nothing() -> None:
    """The work is bounded, whatever the list: here fifteen phrases stand at every word."""
    phrases = tuple(" ".join(["so", "la"] * n) for n in range(1, 16))
    judge = moderator("hell", allow=(*phrases, "la hell"))
    assert judge.judge("so la " * 100 + "hell") == Clean()
    assert censored(judge, "so la " * 5_000 + "hell") == "so la " * 5_000 + "****"


def test_many_allowed_words_are_looked_at_in_one_text() -> None:
    judge = moderator("hell", allow=("as", "hell as"))
    assert judge.judge("as " * 5_000 + "hell as") == Clean()
    assert censored(judge, "as " * 21_000 + "hell").endswith("as ****")


def test_a_long_text_with_few_words_is_not_crowded() -> None:
    """Whether it is one word for ever, allowed, a part of another, or a dump of bytes."""
    assert censored(MILD, "hell " * 5_000) == "**** " * 5_000
    allowing = moderator("hats", allow=("top hats",))
    assert allowing.judge("top hats " * 5_000) == Clean()
    assert MILD.judge("class 1! " * 5_000) == Clean()
    dump = Random(4).randbytes(24_000).hex(" ", 2)[:60_000]
    assert CROWDED not in {hit.view for hit in getattr(MILD.judge(dump), "hits", ())}


def test_a_text_that_goes_on_and_on_is_replaced_altogether() -> None:
    judge = moderator("asc", "ass")
    text = " ".join("a$$" * n + "asc" for n in range(8))
    left = censored(judge, text)
    assert len(left) == len(text)
    assert judge.judge(left) == Clean()
    stars = moderator("*")  # it finds what it has written, for ever
    assert censored(stars, "a * b") == "*****"
    assert censored(stars, "*****") == "*****"


def test_the_original_is_covered_where_a_run_is_shown_backwards() -> None:
    assert censored(MILD, "\u202enrad\u202c \u202ellec") == "\u202e****\u202c \u202ellec"
    assert censored(MILD, "da\u202enr\u202c") == "*****\u202c"


def test_the_verdict_names_what_was_undone() -> None:
    verdict = MILD.judge("\u202en . rr . 4 . ｄ")
    assert type(verdict) is Censored
    assert verdict.hits[0].view == "reversed+lookalike+leet+repeats+spaced"


# --- properties -----------------------------------------------------------------------------------


@given(hostile | pieces.map("".join) | pieces.map(" ".join))
def test_properties_of_every_text(text: str) -> None:
    verdict = MILD.judge(text)  # raises nothing
    assert verdict == moderator(*WORDS).judge(text)  # whatever was judged before
    if type(verdict) is not Censored:
        assert verdict == Clean()
        return
    assert len(verdict.text) == len(text)
    assert verdict.hits
    covered = set[int]()
    for hit in verdict.hits:
        assert 0 <= hit.start < hit.end <= len(text)
        covered |= set(range(hit.start, hit.end))
    for index, (old, new) in enumerate(zip(text, verdict.text, strict=True)):
        assert new == ("*" if index in covered else old)
        if index and new != "*" and index - 1 in covered:
            assert not is_mark(new)
    assert censored(MILD, verdict.text) == verdict.text


@given(st.text(st.sampled_from("abcdefgijkmoqtuvwxyz .,;?\nбвгджзийклмнопт你好")))
def test_a_text_without_the_letters_is_untouched(text: str) -> None:
    assert moderator("hers", "рыба").judge(text) == Clean()


@pytest.mark.parametrize(
    "text", ["a", "as", "as ", "(ass", "a.s.s.", "a5s!", "hell ", "\u0301", "|<"]
)
def test_a_long_text_is_judged(text: str) -> None:
    """How long it takes is for `lab.bench.moderation` to say: here it must end."""
    long = (text * 10_000)[:20_000]
    assert censored(MILD, censored(MILD, long)) == censored(MILD, long)
