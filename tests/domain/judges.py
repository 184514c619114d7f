"""Moderators for tests, and what they leave of a text."""

from domain.moderation import Censored, Moderator, Policy, Rejected, Rule

WORDS = (
    "darn",
    "ass",
    "hell",
    "top hats",
    "silly",
    "merde",
    "pédé",
    "сука",
    "Scheiße",
    "傻逼",
    "fu",
)


def moderator(*words: str, allow: tuple[str, ...] = ()) -> Moderator:
    return Moderator(Policy((Rule("r", words, "censor"),), allow))


MILD = moderator(*WORDS)


def censored(judge: Moderator, text: str) -> str:
    verdict = judge.judge(text)
    assert type(verdict) is not Rejected
    return verdict.text if type(verdict) is Censored else text
