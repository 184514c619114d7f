"""A story explains a failed run in sentences, each with the event of the trace that it describes.

    for line in tell(judged):
        print(seconds(line.t_us), line.text, line.seq)

A story says who posted what at which node, what was answered, what disks, links and power did, and
then which promise broke. Messages have short names (m1, m2, ...) in the order in which they came
about. The story of a small run has all of its events. That of a large run has those that concern
the messages and nodes that the failed checkers name. Rounds without news are never part of it.
"""

import re
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from lab.campaign.judged_run import ALL_RULES, JudgedRun
from lab.checkers import Verdict
from lab.explain.lessons import LESSONS
from lab.explain.sentences import Cast, SentenceWriter
from lab.plan.plan_text import timed_text
from lab.terminal.formats import counted
from lab.trace.kinds import (
    Dropped,
    Epoch,
    Fail,
    Faulted,
    Final,
    Fired,
    Got,
    Handed,
    Healed,
    Info,
    Invoke,
    Ok,
    Phase,
    Sent,
    Visible,
)
from lab.trace.trace import Event

SMALL = 12  # steps: the story of a plan with no more has all of them
SAME_MAX = 4  # sentences of one kind about one node, where they are many
REF = re.compile(r"\b[\w-]+\.[0-9a-f]+:\d+(?:#[0-9a-f]+)?")
_REPEATED = (Fired, Dropped, Epoch)


class StoryLine(Struct, frozen=True):
    t_us: int
    seq: int
    kind: str
    node: str
    text: str
    witness: bool = False


class StoryEnding(Struct, frozen=True):
    """Which promise broke, and why that matters."""

    rule: str
    name: str
    promise: str
    broken: str
    lesson: str


class Story(Struct, frozen=True):
    opening: str
    lines: tuple[StoryLine, ...]
    endings: tuple[StoryEnding, ...]
    names: dict[str, str]  # by ref: as the story calls it


def tell(judged: JudgedRun) -> Story:
    """The lines of the story. A run that passes has a story without an ending."""
    failed = [one for one in judged.verdicts if one.outcome == "fail"]
    events = judged.trace.events
    cast = Cast(events)
    concerned = _Concerned(judged, failed, cast)
    teller = SentenceWriter(
        cast, judged.plan, concerned.refs, concerned.nodes, whole=concerned.whole
    )
    witnesses = {seq for one in failed for seq in one.witnesses}
    lines: list[StoryLine] = []
    told: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        text = teller.tell(event) if concerned.by(event) or event.seq in witnesses else ""
        witness = event.seq in witnesses
        if not text and witness:
            text = teller.plainly(event)
        if not text:
            continue
        if isinstance(event.data, _REPEATED) and not witness:
            what = getattr(event.data, "what", "") or getattr(event.data, "why", "")
            told[event.kind, event.node, what] += 1
            if told[event.kind, event.node, what] > SAME_MAX:
                continue
        lines.append(
            StoryLine(
                t_us=event.t_us,
                seq=event.seq,
                kind=event.kind,
                node=event.node,
                text=text,
                witness=witness,
            )
        )
    endings = tuple([_ending(one, cast) for one in failed])
    return Story(_opening(judged), tuple(lines), endings, dict(cast.names))


def sentence_of(judged: JudgedRun, seq: int) -> str:
    """One event of the trace as a sentence, also where a story leaves it out."""
    events, plan = judged.trace.events, judged.plan
    event = events[seq]
    data = event.data
    if type(data) is Faulted:
        found = [timed_text(timed) for timed in plan.faults if timed.id == data.fault]
        return found[0] if found else f"{data.what} begins"
    if type(data) is Sent:
        told = f" with {counted(data.entries, 'event')}" if data.entries else ""
        return f"{event.node} sends a {data.body} to {event.peer}{told}"
    if type(data) is Got:
        return f"{event.node} gets the {data.body} that {event.peer} sent"
    cast = Cast(events)
    writer = SentenceWriter(cast, plan, set(cast.names), set(plan.nodes), whole=True)
    for earlier in events[:seq]:
        writer.tell(earlier)
    return writer.tell(event) or writer.plainly(event)


def _opening(judged: JudgedRun) -> str:
    plan = judged.plan
    nodes = (
        ", ".join(plan.nodes) if len(plan.nodes) <= 8 else f"{plan.nodes[0]} to n{len(plan.nodes)}"
    )
    told = {
        "always": "they sync before they answer",
        "interval": f"they sync every {plan.interval_ms} ms",
        "none": "they never sync",
    }
    count = "One node" if len(plan.nodes) == 1 else f"{len(plan.nodes)} nodes"
    return f"{count}: {nodes} (mode {plan.durability}: {told[plan.durability]})."


def _ending(verdict: Verdict, cast: Cast) -> StoryEnding:
    rule = ALL_RULES[verdict.rule]
    reason = cast.named(verdict.reason)
    return StoryEnding(rule.id, rule.name, rule.promise, reason, LESSONS.get(rule.id, ""))


class _Concerned:
    """What a story is about."""

    def __init__(self, judged: JudgedRun, failed: Iterable[Verdict], cast: Cast) -> None:
        events = judged.trace.events
        self.whole = len(judged.plan.ops) + len(judged.plan.faults) <= SMALL
        self.refs: set[str] = set()
        self.nodes: set[str] = set()
        self.ops: set[int] = set()
        self.faults: set[int] = set()  # that the story mentions
        for verdict in failed:
            for seq in verdict.witnesses:
                if seq < len(events):
                    self._add_event(events[seq], cast)
            for found in REF.findall(verdict.reason):
                self.refs |= {ref for ref in cast.names if ref.startswith(found)}
            self.nodes |= {
                one for one in judged.plan.nodes if re.search(rf"\b{one}\b", verdict.reason)
            }
        for ref in self.refs:
            op = cast.op_of.get(ref)
            if op is not None:
                self.ops.add(op)
            self.nodes.add(cast.home.get(ref, ""))
        self.nodes.discard("")
        if self.whole:
            self.refs |= set(cast.names)

    def _add_event(self, event: Event, cast: Cast) -> None:
        self.nodes.add(event.node)
        ref = getattr(event.data, "ref", "")
        if ref in cast.names:
            self.refs.add(ref)
        op = getattr(event.data, "op", None)
        if op is not None:
            self.ops.add(op)
            if op in cast.ref_of:
                self.refs.add(cast.ref_of[op])

    def by(self, event: Event) -> bool:
        """Whether an event belongs to the story."""
        data = event.data
        if self.whole or type(data) is Phase:
            return True
        if isinstance(data, Invoke | Ok | Fail | Info):
            return data.op in self.ops
        if isinstance(data, Handed | Visible):
            return data.ref in self.refs
        if type(data) is Faulted:
            told = not data.nodes or bool(self.nodes & set(data.nodes))
            self.faults |= {data.fault} if told else set()
            return told
        if type(data) is Final:
            return bool(self.refs)
        if type(data) is Healed:
            return data.fault in self.faults
        return event.node in self.nodes
