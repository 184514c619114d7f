"""Words of other scripts: what hides them and does not, and what is another word."""

import sys
import unicodedata

import pytest

from domain.moderation import Clean
from domain.moderation.language import is_syllable
from domain.moderation.normalization import is_letter, is_vowel_sign, read
from tests.domain.judges import censored, moderator


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("كلب", "يا كـــلب"),  # stretched
        ("كلب", "کلب"),  # the kaf of a Persian keyboard
        ("کلب", "كلب"),  # and the other way round
        ("كلب", "کــلب!"),
        ("حيوان", "حیوان"),  # the yeh of a Persian keyboard
        ("حيوان", "حىوان"),  # the yeh of an Egyptian one
        ("كلبه", "كلبہ"),  # the heh of an Urdu keyboard
        ("كلب", "كَلْب"),  # with the vowels that may be written
        ("אידיוט", "אִידְיוֹט"),
        ("हाँ", "हां"),  # candrabindu, as many write it
        ("क़लम", "कलम"),  # a nukta may be left out
        ("चूत", "चू\u0951त"),  # an accent
        ("バカ", "ﾊﾞｶ"),  # half as wide
        ("loser", "lo\u0e31ser"),  # a Thai vowel on a Latin letter
        ("loser", "lo\u093eser"),  # and one of Devanagari
    ],
)
def test_what_does_not_hide_a_word(word: str, text: str) -> None:
    assert "*" in censored(moderator(word), text), (word, text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("चूत", "चेत"),  # to be aware
        ("चूत", "चूतिया"),  # a longer word
        ("चूत", "चूति"),  # and one that is longer by a vowel only
        ("चट", "चाट"),  # a vowel that stands beside its letter
        ("হাগা", "হাগি"),  # Bengali
        ("புண்", "பண்"),  # Tamil
        ("หี", "หู"),  # ear
        ("หี", "หี่"),  # another tone
        ("ばか", "はか"),  # a grave
        ("ハカ", "バカ"),
        ("ngu", "ngủ ngon"),  # sleep well
        ("ngu", "chúc Peter ngủ ngon"),
        ("ngu", "ngù"),
        ("đĩ", "đi chơi"),  # go and play
        ("cum", "bị cúm rồi"),  # has the flu
    ],
)
def test_with_another_sign_it_is_another_word(word: str, text: str) -> None:
    assert moderator(word).judge(text) == Clean(), (word, text)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("चूत", "ये चूत"),
        ("หี", "อีหีบ"),  # written without spaces
        ("ngu", "đồ ngu"),
        ("đĩ", "con đĩ"),
        ("fuck", "fụck"),  # no syllable of Vietnamese
        ("cum", "you all cụm here"),  # no text of Vietnamese
        ("ngu", "ngửü"),
    ],
)
def test_the_word_itself_and_its_disguises_are_found(word: str, text: str) -> None:
    assert "*" in censored(moderator(word), text), (word, text)


def test_an_allowed_word_excuses_what_has_its_signs_and_nothing_else() -> None:
    judge = moderator("चेत", "चूत", allow=("चेत",))
    assert judge.judge("चेत") == Clean()
    assert censored(judge, "चूत") == "***"
    assert moderator("loser", "चूत", allow=("loser",)).judge("loser") == Clean()


def test_a_vowel_sign_is_a_letter_and_an_accent_is_not() -> None:
    signs = {char for point in range(sys.maxunicode + 1) if is_vowel_sign(char := chr(point))}
    assert set("ूेािீี่ំ゙") <= signs
    assert not signs & set("\u0951\u093c\u0301\u064e\u05b4\u0310\u200d")
    for char in signs:
        assert is_letter(char) and not char.isalpha()
        assert not any(map(is_vowel_sign, read(char, look=True)))
        assert read(char, look=False)
        assert unicodedata.category(char) in ("Mn", "Mc")


@pytest.mark.parametrize("word", ["ngủ", "nghiêng", "đường", "quốc", "ăn", "y", "cụt", "của"])
def test_syllables_of_vietnamese(word: str) -> None:
    assert is_syllable(word)


@pytest.mark.parametrize("word", ["fụck", "shịt", "ngủ̃", "föhn", "you", "strong", "cunt"])
def test_what_is_no_syllable_of_vietnamese(word: str) -> None:
    assert not is_syllable(word)
