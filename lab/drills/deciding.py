"""Drill of `domain.decider.decide` and of `domain.clock.HybridClock`.

`decide` gets random commands of valid and invalid names and texts, with random verdicts of
moderation; the model states the rules again: which event follows, or that the command is refused.
The clock gets random wall times and stamps, up to the limit of a stamp's counter and around the
largest skew; the model keeps the largest stamp that it must accept. Left out: moderation itself
(see `verdicts`).
"""

from random import Random

from domain.clock import COUNTER_MAX, STAMP_MS_MAX, HybridClock, Stamp
from domain.commands import Command, Join, Leave, PostMessage
from domain.decider import Context, Refused, decide
from domain.dot import Dot
from domain.events import (
    AUTHOR_BYTES_MAX,
    RULES_MAX,
    TEXT_BYTES_MAX,
    Event,
    MessagePosted,
    ParticipantJoined,
    ParticipantLeft,
)
from domain.presence import PresenceOf, presence_of
from domain.verdict import Censored, Clean, Hit, Rejected, Verdict
from lab.drills.beside import holds, same

STEPS = 24
NAMES = ("ann", "Zoë", "a\u200db", "x" * AUTHOR_BYTES_MAX, "é" * (AUTHOR_BYTES_MAX // 2))
BAD_NAMES = ("", " ", " ann", "ann\n", "\u200d", "a\u0000b", "a\u202eb", "a\u2028b", "\ud800",
             "x" * (AUTHOR_BYTES_MAX + 1), "é" * (AUTHOR_BYTES_MAX // 2) + "x")  # fmt: skip
TEXTS = (
    "hi",
    " x ",
    "a\nb",
    "tab\tbed",
    "é",
    "x" * TEXT_BYTES_MAX,
    "\u00e9" * (TEXT_BYTES_MAX // 2),
)
BAD_TEXTS = ("", "  ", "\n\t", "\u200b", "\u00a0\u3000", "\u2028", "a\ud800",
             "x" * (TEXT_BYTES_MAX + 1), "\u00e9" * (TEXT_BYTES_MAX // 2) + "x")  # fmt: skip
CLEAN = Clean()


class Known:
    """The presence of each author; stands for the projection."""

    def __init__(self) -> None:
        self.last: dict[str, Event] = {}

    def of(self, author: str) -> PresenceOf | None:
        return presence_of(self.last[author]) if author in self.last else None


def deciding(rng: Random) -> None:
    _commands(rng)
    _clock(rng)


def _commands(rng: Random) -> None:
    known = Known()
    for seq in range(1, STEPS + 1):
        context = Context(Dot("n1", 1, seq), Stamp(seq, 0), (Dot("n2", 1, 1),))
        author, text = rng.choice(NAMES[:3] if seq % 3 else NAMES), rng.choice(TEXTS)
        if rng.random() < 0.2:
            author = rng.choice(BAD_NAMES)
        if rng.random() < 0.2:
            text = rng.choice(BAD_TEXTS)
        commands: tuple[Command, ...] = (PostMessage(author, text), Join(author), Leave(author))
        command = rng.choice(commands)
        verdict = _verdict(rng, text) if type(command) is PostMessage else CLEAN
        found = decide(command, verdict, known, context)
        wanted = _wanted(command, verdict, known, context)
        if wanted is None:
            holds(f"{command!r:.60} is refused", type(found) is Refused)
            assert type(found) is Refused
            holds("a reason of one line", bool(found.reason) and "\n" not in found.reason)
        else:
            same("decided", found, wanted)
            known.last[author] = wanted


def _verdict(rng: Random, text: str) -> Verdict:
    rules = rng.choice((1, 1, RULES_MAX + 3))
    hits = tuple([Hit(f"r{at}", 0, 1, "plain") for at in range(rules)])
    verdicts: tuple[Verdict, ...] = (
        CLEAN,
        CLEAN,
        Censored("*" + text[1:], hits),
        Censored(rng.choice(BAD_TEXTS), hits),
        Rejected(hits),
    )
    return rng.choice(verdicts)


def _wanted(command: Command, verdict: Verdict, known: Known, context: Context) -> Event | None:
    """The event that must follow; None if the command must be refused."""
    author = command.author
    dot, stamp, parents = context.dot, context.stamp, context.parents
    if author not in NAMES:
        return None
    if isinstance(command, PostMessage):
        emitted = verdict.text if isinstance(verdict, Censored) else command.text
        good = (command.text in TEXTS, emitted not in BAD_TEXTS, type(verdict) is not Rejected)
        by = tuple(dict.fromkeys(hit.rule for hit in getattr(verdict, "hits", ())))
        event = MessagePosted(
            dot=dot,
            stamp=stamp,
            parents=parents,
            author=author,
            text=emitted,
            censored_by=by[:RULES_MAX],
        )
        return event if all(good) else None
    kind = ParticipantJoined if isinstance(command, Join) else ParticipantLeft
    if type(known.last.get(author)) is kind:
        return None
    return kind(dot, stamp, parents, author)


def _clock(rng: Random) -> None:
    skew_ms = rng.choice((0, 20))
    clock, last = HybridClock(skew_ms), Stamp(0, 0)
    for _ in range(STEPS):
        wall_ms = rng.choice((last.ms, rng.randint(0, 100), last.ms + 1, max(last.ms - 3, 0)))
        ms = rng.choice(
            (last.ms, last.ms + rng.randint(0, 40), wall_ms + skew_ms + rng.randrange(2))
        )
        stamp = Stamp(min(ms, STAMP_MS_MAX), rng.choice((0, 5, COUNTER_MAX - 1, COUNTER_MAX)))
        match rng.randrange(3):
            case 0:
                same("observed", clock.observe(stamp, wall_ms), stamp.ms - wall_ms <= skew_ms)
                if stamp.ms - wall_ms <= skew_ms:
                    last = max(last, stamp)
            case 1:
                clock.restore(stamp)
                last = max(last, stamp)
            case _:
                after = Stamp(last.ms, last.counter + 1)
                if last.counter == COUNTER_MAX:
                    after = Stamp(last.ms + 1, 0)
                last = max(after, Stamp(wall_ms, 0))
                same("ticked", clock.tick(wall_ms), last)
        same("last", clock.last, last)
