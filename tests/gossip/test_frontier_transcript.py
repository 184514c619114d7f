"""tests/scenarios/frontier*.txt: what frontiers say to each other, as a transcript people read.

A block is one command, `----`, and what it prints, up to an empty line. `pytest --rewrite` writes
the output anew; review the difference. A chapter begins with no nodes and no entries:

    write ORIGIN N          an author writes N more entries; nobody holds them yet
    fork ORIGIN AT N        a second author goes on after position AT: branch b, then c, ...
    add NODE ENTRY...       offer entries to a node: n1:3, n1:3b (on branch b), n1:1-5
    ranges NODE N           the node remembers N ranges above a prefix (before its first entry)
    show NODE               its lines: prefix, ranges, tags named, and what is missing
    root NODE...            roots, and whether they are equal
    compare A B             what each lacks, by the other's lines
    delta A B [BYTES]       the leg from A to B within a budget, and its size on the wire
    exchange A B [BYTES]    three legs, A calls
    lose A B                the same, but only the lines arrive
"""

import re
from itertools import groupby
from pathlib import Path

import pytest

from gossip.delta import cut
from gossip.entry import Entry
from gossip.frontier import Frontier
from gossip.packets import Run
from gossip.reconcile import Lack
from tests.gossip.builders import chain, exchange, holding, lacks_of, take, wire_bytes
from tests.transcripts import check_transcript, transcripts

SCENARIOS = transcripts("frontier*.txt")
ENTRY = re.compile(r"(\w+):(\d+)(?:-(\d+))?([b-z]?)")


def spans(positions: list[tuple[int, int]]) -> str:
    return " ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in positions) or "-"


def name_of(data: bytes) -> str:
    """`n1.1:3b` as `n1:3b`: one epoch is enough here."""
    return data[16:].split()[0].decode().replace(".1:", ":")


class Bench:
    def __init__(self) -> None:
        self.nodes: dict[str, Frontier] = {}
        self.written: dict[str, Entry] = {}
        self.branches: dict[str, str] = {}

    def run(self, command: str) -> str:
        verb, *words = command.split()
        return str(getattr(self, "do_" + verb)(*words) or "ok")

    def node(self, name: str) -> Frontier:
        return self.nodes.setdefault(name, holding())

    def keep(self, entries: list[Entry]) -> None:
        self.written |= {name_of(one.data): one for one in entries}

    def do_write(self, origin: str, count: str) -> None:
        at = 0
        while f"{origin}:{at + 1}" in self.written:
            at += 1
        self.keep(chain(origin, int(count), after=self.written.get(f"{origin}:{at}")))

    def do_fork(self, origin: str, at: str, count: str) -> str:
        branch = self.branches[origin] = chr(ord(self.branches.get(origin, "a")) + 1)
        after = self.written.get(f"{origin}:{at}")
        made = chain(origin, int(count), after=after, branch=branch)
        self.keep(made)
        return " ".join(name_of(one.data) for one in made)

    def do_add(self, node: str, *names: str) -> str:
        frontier = self.node(node)
        entries: list[Entry] = []
        for name in names:
            found = ENTRY.fullmatch(name)
            assert found is not None, name
            origin, first, last, branch = found.groups()
            seqs = range(int(first), int(last or first) + 1)
            entries += [self.written[f"{origin}:{seq}{branch}"] for seq in seqs]
        outcomes = [added.name.lower() for added in take(frontier, entries, pushed=True)]
        return ", ".join(f"{len(list(group))} {name}" for name, group in groupby(outcomes))

    def do_ranges(self, node: str, ranges_max: str) -> None:
        assert node not in self.nodes
        self.nodes[node] = holding(ranges_max=int(ranges_max))

    def do_show(self, node: str) -> str:
        frontier = self.node(node)
        text = []
        for line in frontier.next_lines():
            said = f"{line.origin} prefix {line.prefix}, above it {spans(line.ranges)}"
            if line.tags:
                said += f", names {len(line.tags) // 8} entries"
            text.append(said)
        text.append(f"{frontier.count} entries, {frontier.missing} missing")
        if frontier.forked:
            dots = " ".join(f"{dot.origin}:{dot.seq}" for dot in frontier.dots_of_forks())
            text.append(
                f"forked: {' '.join(frontier.forked)}, two entries at {dots or 'no position'}"
            )
        return "\n".join(text)

    def do_root(self, *nodes: str) -> str:
        roots = [self.node(node).root for node in nodes]
        text = [f"{node} {root.hex()[:12]}" for node, root in zip(nodes, roots, strict=True)]
        if len(nodes) > 1:
            text.append("equal" if len(set(roots)) == 1 else "different")
        return "\n".join(text)

    def do_compare(self, one: str, other: str) -> str:
        text = []
        for holder, asker in ((one, other), (other, one)):
            lines = self.node(asker).next_lines()
            found = [self.said(lack) for lack in lacks_of(self.node(holder), lines)]
            text.append(f"{asker} lacks of {holder}: {'; '.join(found) or 'nothing'}")
        return "\n".join(text)

    def said(self, lack: Lack) -> str:
        named = " ".join(name_of(data) for _, data in lack.tagged)
        return named or f"{lack.log.id.origin} {spans(lack.ranges)}"

    def leg(self, one: str, other: str, budget: str) -> tuple[list[Run], bool]:
        frontier = self.node(one)
        lacks = lacks_of(frontier, self.node(other).next_lines())
        return cut(lacks, frontier, int(budget))

    def do_delta(self, one: str, other: str, budget: str = "100000") -> str:
        runs, more = self.leg(one, other, budget)
        text = [f"{run.origin} from {run.first}: {len(run.data)} entries" for run in runs]
        size = f"{wire_bytes(runs)} bytes of {budget}"
        return "\n".join([*text, size + (", more is left" if more else "")])

    def do_exchange(self, one: str, other: str, budget: str = "100000") -> str:
        before = self.node(one).count, self.node(other).count
        exchange(self.node(one), self.node(other), int(budget))
        after = self.node(one).count, self.node(other).count
        return f"{one} +{after[0] - before[0]}, {other} +{after[1] - before[1]}"

    def do_lose(self, one: str, other: str) -> None:
        for each, asker in ((one, other), (other, one)):
            lacks_of(self.node(each), self.node(asker).next_lines())


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_transcript_is_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    check_transcript(path, lambda: Bench().run, request)
