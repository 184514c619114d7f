"""tests/scenarios/exchange*.txt: what nodes say to each other, leg by leg.

Commands:

    nodes NAME... [direct_peers_max=N] [delta_bytes_max=N]   engines that know each other
    hold NODE LOG N [branch=b] [after=K] [size=BYTES]        entries from its own past
    lives NODE LOG FIRST LAST [each=N]                       N entries in each of these epochs
    emit NODE N [size=BYTES]                                 own entries, durable, to be pushed
    durable NODE LOG SEQ                                     this position is on its disk now
    wants-receipts NODE                                      somebody waits for copies elsewhere
    call NODE PEER                                           begin an exchange
    deliver [N]      the oldest packets arrive, and what they cause is sent
    lose [N] · repeat    the oldest packets vanish; or the oldest arrives twice
    settle           everything arrives
    wait MS          time passes for all; nothing arrives
    show · peers     what each node holds; what each believes of the others

A packet prints as: sender -> receiver, kind, bytes, and what it says.
"""

from pathlib import Path
from typing import Any

import pytest

from domain.dot import EPOCH_MAX
from gossip.admission import Learnt
from gossip.config import GossipConfig
from gossip.membership import State
from gossip.packets import (
    WITH_RUNS,
    Ack,
    EpochFold,
    Feedback,
    Line,
    Opinion,
    Push,
    Receipt,
    Run,
    Same,
    Syn,
    SynAck,
    Unfold,
)
from tests.gossip.builders import chain
from tests.gossip.engines import Flying, Net
from tests.transcripts import check_transcript, transcripts


class Bench:
    def __init__(self) -> None:
        self.net = Net()

    def __call__(self, command: str) -> str:
        verb, *words = command.split()
        options: dict[str, Any] = dict(word.split("=", 1) for word in words if "=" in word)
        args = [word for word in words if "=" not in word]
        return str(getattr(self, "do_" + verb.replace("-", "_"))(*args, **options) or "ok")

    def do_nodes(self, *names: str, **knobs: str) -> None:
        config = GossipConfig(**{knob: int(value) for knob, value in knobs.items()})
        self.net = Net(*names, config=config)

    def do_hold(
        self, node: str, log: str, count: str, branch: str = "", after: str = "0", size: str = "0"
    ) -> None:
        trunk = chain(log, int(after))
        last = trunk[-1] if trunk else None
        self.net.hold(node, chain(log, int(count), after=last, branch=branch, size=int(size)))

    def do_lives(self, node: str, log: str, first: str, last: str, each: str = "1") -> None:
        for epoch in range(int(first), int(last) + 1):
            self.net.hold(node, chain(log, int(each), epoch=epoch))

    def do_emit(self, node: str, count: str, size: str = "0") -> str:
        before = len(self.net.flying)
        self.net.emit(node, int(count), receipt=self.net[node].awaits_receipts, size=int(size))
        return self.sent_since(before)

    def do_durable(self, node: str, log: str, seq: str) -> str:
        before = len(self.net.flying)
        found = next(one for one in self.net[node].frontier if one.id.origin == log)
        self.net[node].receipts.durable(found.id, int(seq))
        self.net.flush(node)
        return self.sent_since(before)

    def do_wants_receipts(self, node: str) -> None:
        self.net[node].awaits_receipts = True

    def do_call(self, node: str, peer: str) -> str:
        before = len(self.net.flying)
        self.net.call(node, peer)
        return self.sent_since(before)

    def do_deliver(self, count: str = "1") -> str:
        printed = []
        for _ in range(int(count)):
            one = self.net.flying[0]
            before = len(self.net.flying) - 1
            self.net.deliver()
            printed += [self.arrived(one), self.sent_since(before)]
        return "\n".join(line for line in printed if line)

    def do_settle(self) -> str:
        printed = []
        while self.net.flying:
            printed.append(self.do_deliver())
        return "\n".join(printed)

    def do_lose(self, count: str = "1") -> str:
        lost = [self.net.drop() for _ in range(int(count))]
        if len(lost) > 2:
            return f"{len(lost)} packets are lost"
        return "\n".join(f"{one.sender} -> {one.receiver} {kind(one)} is lost" for one in lost)

    def do_repeat(self) -> str:
        one = self.net.flying[0]
        first = self.do_deliver()
        self.net.flying.appendleft(one)
        return f"{first}\n{self.do_deliver()}"

    def do_wait(self, ms: str) -> str:
        before = len(self.net.flying)
        for _ in range(int(ms) // 50):
            self.net.tick(50)
        return self.sent_since(before)

    def do_show(self) -> str:
        rows = []
        for name, engine in self.net.engines.items():
            logs = ", ".join(spans_of(engine.frontier.next_lines())) or "nothing"
            rows.append(f"{name} root {engine.frontier.root.hex()[:8]}: {logs}")
        return "\n".join(rows)

    def do_peers(self) -> str:
        rows = []
        for name, engine in self.net.engines.items():
            root = engine.frontier.root
            beliefs = [
                f"{one.name} {State(one.state).name.lower()}"
                + (" (in sync)" if engine.rounds.agrees(one.name, root) else "")
                for one in engine.members
            ]
            rows.append(f"{name} believes: {', '.join(beliefs)}")
        return "\n".join(rows)

    def arrived(self, one: Flying) -> str:
        new = self.net.learnt[one.receiver]
        self.net.learnt[one.receiver] = []
        text = ", ".join(new_texts(new))
        return f"{one.receiver} gets {kind(one)} of {one.sender}{': new ' if text else ''}{text}"

    def sent_since(self, before: int) -> str:
        return "\n".join(flying_text(one) for one in list(self.net.flying)[before:])


def new_texts(learnt: list[Learnt[str]]) -> list[str]:
    """Consecutive entries as one span; rivals with a mark."""
    spans: list[list[Learnt[str]]] = []
    for one in learnt:
        dot, last = one.entry.dot, spans[-1][-1].entry.dot if spans else None
        follows = last is not None and last.log == dot.log and last.seq + 1 == dot.seq
        if follows and spans[-1][-1].rival == one.rival:
            spans[-1].append(one)
        else:
            spans.append([one])
    return [
        f"{span[0].entry.dot.origin}:{span[0].entry.dot.seq}-{span[-1].entry.dot.seq}"
        + (" (rivals)" if span[0].rival else "")
        for span in spans
    ]


def kind(one: Flying) -> str:
    return type(one.packet.body).__name__


def flying_text(one: Flying) -> str:
    body = one.packet.body
    said: list[str] = []
    if type(body) is Syn or type(body) is Same or type(body) is SynAck:
        said.append(f"root {body.root.hex()[:8]}")
    if isinstance(body, (Syn, SynAck, Ack, Unfold)) and body.lines is not None:
        texts = [*spans_of(body.lines), *map(fold_text, body.folds)]
        said.append("holds " + (", ".join(texts) or "nothing"))
    if isinstance(body, WITH_RUNS):
        said += [f"entries {run_text(run)}" for run in body.runs]
    if type(body) is SynAck or type(body) is Ack or type(body) is Unfold:
        said += ["and more"] * body.more
    if type(body) is Feedback:
        said.append("useful " + ", ".join("yes" if useful else "no" for useful in body.useful))
    if type(body) is Same or type(body) is SynAck or type(body) is Receipt:
        said += [f"durable here {one.origin}:1-{one.prefix}" for one in body.stored]
    if type(body) is Syn or type(body) is Same or type(body) is SynAck:
        said += [opinion_text(opinion) for opinion in body.members]
    if (type(body) is Syn or type(body) is Push) and body.receipt:
        said.append("wants receipts")
    text = "; ".join(said)
    return f"  {one.sender} -> {one.receiver} {kind(one)} {len(one.data)} B: {text}".rstrip(": ")


def spans_of(lines: list[Line]) -> list[str]:
    """Many lines of one origin in a few words."""
    if len(lines) <= 8:
        return [line_text(line) for line in lines]
    return [f"{len(lines)} lines from {line_text(lines[0])} to {line_text(lines[-1])}"]


def fold_text(fold: EpochFold) -> str:
    last = "end" if fold.last == EPOCH_MAX else str(fold.last)
    return f"{fold.origin} epochs {fold.first}-{last}: {fold.count or 'nothing'} else"


def line_text(line: Line) -> str:
    spans = [f"1-{line.prefix}"] if line.prefix else []
    spans += [f"{first}-{last}" for first, last in line.ranges]
    named = f" named {len(line.tags) // 8}" if line.tags else ""
    return f"{log_text(line)}:{'+'.join(spans) or 'none'}{named}"


def run_text(run: Run) -> str:
    return f"{log_text(run)}:{run.first}-{run.first + len(run.data) - 1}"


def log_text(one: Line | Run) -> str:
    return one.origin if one.epoch == 1 else f"{one.origin}.{one.epoch}"


def opinion_text(opinion: Opinion) -> str:
    return f"{opinion.name} is {State(opinion.state).name.lower()}"


@pytest.mark.parametrize("path", transcripts("exchange*.txt"), ids=lambda path: path.stem)
def test_the_transcript_is_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    check_transcript(path, Bench, request)
