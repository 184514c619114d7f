"""tests/scenarios/moderation*.txt: what moderation makes of a text, for people to read.

A block is one command, `----`, and what it prints, up to an empty line. `pytest --rewrite` writes
the output anew; review the difference. What cannot be seen is written as in Python, for example
`\\u200b`, in what is judged and in what is printed.

    reject RULE WORD, WORD ...    a rule more; so does
    censor RULE WORD, WORD ...
    allow WORD, WORD ...
    judge TEXT
"""

from pathlib import Path

import pytest

from domain.moderation import Censored, Clean, Moderator, Policy, Rule
from tests.transcripts import check_transcript, transcripts

SCENARIOS = transcripts("moderation*.txt")


def seen(text: str) -> str:
    """What has no looks of its own, by its number."""
    return "".join(
        char if char.isprintable() and not "\u0300" <= char < "\u0370" else f"\\u{ord(char):04x}"
        for char in text
    )


def meant(text: str) -> str:
    """The reverse."""
    first, *rest = text.split("\\u")
    return first + "".join(chr(int(part[:4], 16)) + part[4:] for part in rest)


class Bench:
    def __init__(self) -> None:
        self.rules: tuple[Rule, ...] = ()
        self.allowed: tuple[str, ...] = ()

    def run(self, command: str) -> str:
        verb, _, rest = command.partition(" ")
        return str(getattr(self, f"do_{verb}")(rest) or "ok")

    def do_reject(self, rest: str) -> None:
        name, _, words = rest.partition(" ")
        self.rules += (Rule(name, tuple(words.split(", ")), "reject"),)

    def do_censor(self, rest: str) -> None:
        name, _, words = rest.partition(" ")
        self.rules += (Rule(name, tuple(words.split(", ")), "censor"),)

    def do_allow(self, rest: str) -> None:
        self.allowed += tuple(rest.split(", "))

    def do_judge(self, rest: str) -> str:
        text = meant(rest)
        verdict = Moderator(Policy(self.rules, self.allowed)).judge(text)
        if type(verdict) is Clean:
            return "clean"
        lines = [f"censored: {seen(verdict.text)}" if type(verdict) is Censored else "rejected"]
        for hit in verdict.hits:
            part = seen(text[hit.start : hit.end])
            lines.append(f"  {hit.rule} at {hit.start}-{hit.end}, {hit.view}: {part}")
        return "\n".join(lines)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_transcript_is_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    check_transcript(path, lambda: Bench().run, request)
