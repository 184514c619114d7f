r"""tests/scenarios/decider*.txt: what the domain of one node does, as a transcript people read.

The form is that of `tests.transcripts`. The commands act on node n1, whose clock is moved by hand:

    at MS                    the wall clock shows this
    rule NAME censor|reject WORD   for the post that follows; moderation itself is tested elsewhere
    post AUTHOR TEXT         ask for a message, and apply the event if there is one
    join AUTHOR              ask to join
    leave AUTHOR             ask to leave
    receive DOT MS KIND AUTHOR [TEXT] [after=DOT,DOT]
                             an event of another node arrives; KIND is posted, joined, left, unknown
    rewind                   take the newest arrival out of every projection again
    timeline [ORDER] [last=N] [arrivals=N] [as_of_ms=N]
    late · holes · presence · quiet      (a node is quiet after 1000 ms)

In an argument `\u200b` is that code point, `\s` a space, and `{x*65}` is x 65 times.
"""

import re
from pathlib import Path

import pytest

from domain.arrival import Arrival, Via
from domain.clock import HybridClock, Stamp
from domain.commands import Command, Join, Leave, PostMessage
from domain.decider import Context, Refused, check_command, decide
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined, ParticipantLeft, UnknownEvent
from domain.presence import Presence
from domain.projection import Projection
from domain.quiet import Quiet
from domain.timeline import Timeline
from domain.verdict import Censored, Clean, Hit, Rejected, Verdict
from tests.domain.builders import ORDERS, dot, tag_of
from tests.transcripts import check_transcript, transcripts

DID: dict[type[Event], str] = {
    MessagePosted: "posted",
    ParticipantJoined: "joined",
    ParticipantLeft: "left",
    UnknownEvent: "did something unknown",
}


class Bench:
    def __init__(self) -> None:
        self.wall_ms = 1000
        self.clock = HybridClock()
        self.seq = 0
        self.heads: dict[str, Dot] = {}  # seen since the node's own last event
        self.rules: list[tuple[str, str, str]] = []
        self.timeline, self.presence, self.quiet = Timeline(), Presence(), Quiet(1000)
        self.projections: tuple[Projection, ...] = (self.timeline, self.presence, self.quiet)

    def run(self, command: str) -> str:
        verb, *words = command.split()
        options = dict(word.split("=", 1) for word in words if re.match(r"[a-z_]+=", word))
        args = [plain(word) for word in words if not re.match(r"[a-z_]+=", word)]
        return getattr(self, "do_" + verb)(*args, **options) or "nothing"

    def do_at(self, ms: str) -> str:
        self.wall_ms = int(ms)
        return "ok"

    def do_rule(self, name: str, action: str, word: str) -> str:
        self.rules.append((name, action, word))
        return "ok"

    def do_post(self, author: str, *words: str) -> str:
        text = " ".join(words)
        return self.ask(PostMessage(author, text), self.moderate(text))

    def do_join(self, author: str) -> str:
        return self.ask(Join(author), Clean())

    def do_leave(self, author: str) -> str:
        return self.ask(Leave(author), Clean())

    def do_receive(
        self, name: str, ms: str, kind: str, author: str, *words: str, after: str = ""
    ) -> str:
        header = dot(name), Stamp(int(ms), 0), tuple(map(dot, after.split(",") if after else ()))
        event: Event
        if kind == "posted":
            event = MessagePosted(*header, author, " ".join(words))
        elif kind == "joined":
            event = ParticipantJoined(*header, author)
        elif kind == "left":
            event = ParticipantLeft(*header, author)
        else:
            event = UnknownEvent(*header, author, 42)
        skewed = not self.clock.observe(event.stamp, self.wall_ms)
        self.heads[event.dot.origin] = event.dot
        return self.apply(event, "rumor", skewed)

    def do_rewind(self) -> str:
        taken = [shown(projection.rewind()) for projection in self.projections]
        assert taken == taken[:1] * len(taken)
        return taken[0]

    def do_timeline(self, order: str = "causal", **options: str) -> str:
        numbers = {name: int(value) for name, value in options.items()}
        known = ORDERS[ORDERS.index(order)]
        return "\n".join(map(shown, self.timeline.select(known, **numbers)))

    def do_late(self) -> str:
        return f"{self.timeline.late} of {len(self.timeline)} arrivals"

    def do_holes(self) -> str:
        return "\n".join(f"{o}.{e:x}:{a}-{b}" for o, e, a, b in self.timeline.holes())

    def do_presence(self) -> str:
        lines = [
            f"{of.author} {'active' if of.active else 'away'}: {of.because} at {of.since.ms}"
            f".{of.since.counter}, {of.dot}"
            for of in self.presence.participants()
        ]
        return "\n".join(lines)

    def do_quiet(self) -> str:
        still = "quiet" if self.quiet.is_quiet(self.wall_ms) else "not quiet"
        return f"{still}: nothing for {self.quiet.quiet_for_ms(self.wall_ms)} ms"

    # --- inside ---------------------------------------------------------------------------------

    def ask(self, command: Command, verdict: Verdict) -> str:
        answer: Event | Refused | None = check_command(command)
        if answer is None:
            stamp = self.clock.tick(self.wall_ms)
            context = Context(Dot("n1", 1, self.seq + 1), stamp, tuple(self.heads.values()))
            answer = decide(command, verdict, self.presence, context)
        if type(answer) is Refused:
            return f"refused: {answer.reason}"
        self.seq += 1
        self.heads.clear()
        return self.apply(answer, "local")

    def apply(self, event: Event, via: Via, skewed: bool = False) -> str:
        arrival = Arrival(event, tag_of(event), self.wall_ms, via, skewed)
        for projection in self.projections:
            projection.apply(arrival)
        return shown(arrival)

    def moderate(self, text: str) -> Verdict:
        """A stand-in: each word once, as it is written."""
        hits: dict[str, list[Hit]] = {"censor": [], "reject": []}
        censored = text
        for rule, action, word in self.rules:
            at = text.find(word)
            if at >= 0:
                hits[action].append(Hit(rule, at, at + len(word), "plain"))
                censored = censored.replace(word, "*" * len(word))
        if hits["reject"]:
            return Rejected(tuple(hits["reject"]))
        return Censored(censored, tuple(hits["censor"])) if hits["censor"] else Clean()


def plain(word: str) -> str:
    word = re.sub(r"\{(.)\*(\d+)\}", lambda match: match[1] * int(match[2]), word)
    word = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), word)
    return word.replace(r"\s", " ")


def shown(arrival: Arrival) -> str:
    event = arrival.event
    line = f"{event.dot} at {event.stamp.ms}.{event.stamp.counter}: {event.author} "
    line += DID[type(event)]
    if type(event) is MessagePosted:
        text = event.text if len(event.text) <= 40 else event.text[:40] + "..."
        line += f" {text!r}"
        if event.censored_by:
            line += f", censored by {', '.join(event.censored_by)}"
    if event.parents:
        line += f", after {' '.join(map(str, event.parents))}"
    return line + (", skewed" if arrival.skewed else "")


@pytest.mark.parametrize("path", transcripts("decider*.txt"), ids=lambda path: path.stem)
def test_the_transcript_is_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    check_transcript(path, lambda: Bench().run, request)
