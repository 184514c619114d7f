"""The guided tour: five real nodes in a temporary folder, from start to proof, in under a minute.

Every claim is measured during the tour, on the processes and journals that it started. The verdict
is true only if all of this holds: the roots are equal, the causal timelines are identical byte for
byte, every acknowledged message is in every timeline exactly once, and every journal is verified.
At the end no process and no file is left.
"""

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from msgspec import Struct, field

from domain.dot import Dot
from lab.client.client import Client
from lab.client.location import parse
from lab.client.timeline_reader import read_timeline
from lab.cluster.cluster import Cluster
from lab.cluster.network_faults import Fault, heal_nodes, put
from lab.cluster.network_faults import cut as cut_links
from lab.observe.convergence import lacking, wait_converged
from lab.terminal.display import cut, display_safe
from lab.terminal.errors import Exit, Problem
from lab.terminal.tables import duration
from node.control.messages import (
    Accepted,
    FrontierPage,
    Post,
    ReadFrontier,
    ReadStatus,
    Refused,
    Reply,
    SetPresence,
    Status,
)

NODES = ("n1", "n2", "n3", "n4", "n5")
CONVERGE_TIMEOUT_S = 15.0
PAUSE_S = 2.5
FAST_PAUSE_S = 0.1
CLUSTER_YAML = """\
name: demo
nodes: [n1, n2, n3, n4, n5]
moderation:
  rules:
    - {id: no-advertising, words: advertising.txt, action: reject}
    - {id: mild-language, words: mild.txt, action: censor}
"""
JUDGED = {"Buy cheap top hats here!": "rejected", "That confounded Bunbury again.": "censored"}
WORDS = {"advertising.txt": "cheap top hats\n", "mild.txt": "confounded\n"}


class DialogueLine(Struct, frozen=True):
    speaker: str
    text: str


class Proof(Struct):
    """The claims of the tour, and whether each holds."""

    roots: dict[str, str] = field(default_factory=dict)
    timelines: dict[str, str] = field(default_factory=dict)  # node -> hash of the printed lines
    events: int = 0
    acked: int = 0
    lost: int = 0  # acknowledged, and not in some timeline exactly once
    verdicts: list[str] = field(default_factory=list)  # of moderation, in the order of JUDGED
    journals: dict[str, str] = field(default_factory=dict)  # node -> "" or what is wrong

    @property
    def holds(self) -> bool:
        same = len(set(self.roots.values())) == 1 == len(set(self.timelines.values()))
        whole = len(self.roots) == len(self.timelines) == len(self.journals) == len(NODES)
        judged = self.verdicts == list(JUDGED.values())
        return same and whole and judged and not self.lost and not any(self.journals.values())


def dialogue() -> list[DialogueLine]:
    """The lines of the play that is shipped with the package."""
    text = (files("lab.demo") / "dialogue.txt").read_text(encoding="utf-8")
    lines = []
    for raw in text.splitlines():
        if raw and not raw.startswith("#"):
            speaker, _, words = raw.partition(": ")
            lines.append(DialogueLine(speaker, words))
    return lines


class Tour:
    """`tell` gets the lines of the tour; `verify` checks one journal folder, "" if it is sound."""

    def __init__(
        self,
        tell: Callable[[str], None],
        verify: Callable[[Path], str],
        fast: bool = False,
    ) -> None:
        self.tell = tell
        self.verify = verify
        self.pause_s = FAST_PAUSE_S if fast else PAUSE_S
        self.lines = dialogue()
        self.acked: list[Dot] = []
        self.verdicts: list[str] = []
        self._step = 0

    def run(self) -> Proof:
        """Run the tour. All processes and files are removed at the end, whatever happens."""
        folder = Path(tempfile.mkdtemp(prefix="chatlab-demo-"))
        cluster: Cluster | None = None
        try:
            file = folder / "cluster.yaml"
            file.write_text(CLUSTER_YAML, encoding="utf-8")
            for name, words in WORDS.items():
                (folder / name).write_text(words, encoding="utf-8")
            cluster = Cluster(parse(file))
            third = len(self.lines) // 3
            self._start(cluster)
            self._talk_everywhere(cluster, self.lines[:third])
            self._partition(cluster, self.lines[third : 2 * third])
            self._crash(cluster, self.lines[2 * third :])
            self._moderate(cluster)
            return self._prove(cluster)
        finally:
            if cluster is not None:
                cluster.down()
            shutil.rmtree(folder, ignore_errors=True)

    # --- the steps ------------------------------------------------------------------------------

    def _start(self, cluster: Cluster) -> None:
        self._head("Five nodes start. Each is a process with its own journal; nobody is in charge.")
        began = time.monotonic()
        started = cluster.up()
        failed = [one for one in started if one.state != "running"]
        if failed:
            raise Problem(f"the demo's nodes did not start: {failed[0].exit}")
        self._say(
            f"ready in {_since(began)}: "
            + ", ".join(f"{one.node} (pid {one.pid})" for one in started)
        )
        self._pause()

    def _talk_everywhere(self, cluster: Cluster, lines: Sequence[DialogueLine]) -> None:
        self._head("A play is spoken into all five nodes at once.")
        speakers = sorted({line.speaker for line in self.lines})
        for index, speaker in enumerate(speakers):
            self._join(cluster, NODES[index % len(NODES)], speaker)
        began = time.monotonic()
        count = self._talk(cluster, NODES, lines)
        self._say(f"{count} messages acknowledged in {_since(began)}, each on its node's disk")
        self._converge(cluster, "all five hold the same set", began=time.monotonic())
        self._show_tail(cluster, "n4", 4)
        self._pause()

    def _partition(self, cluster: Cluster, lines: Sequence[DialogueLine]) -> None:
        left, right = NODES[:2], NODES[2:]
        self._head(f"The network splits: {'+'.join(left)} here, {'+'.join(right)} there.")
        _all_well(cut_links(cluster, [list(left), list(right)], one_way=False))
        half = len(lines) // 2
        self._talk(cluster, left, lines[:half])
        self._talk(cluster, right, lines[half:])
        self._say(f"both sides go on talking: {half} messages left, {len(lines) - half} right")
        pages = {name: self._frontier(cluster, name) for name in ("n1", "n3")}
        for one, other in (("n1", "n3"), ("n3", "n1")):
            count = sum(m.events for m in lacking(pages[one].logs, pages[other].logs))
            self._say(f"{one} holds {count} events that {other} has never seen")
        self._show_tail(cluster, "n1", 1)
        self._show_tail(cluster, "n3", 1)
        self._pause()
        self._head("The network heals.")
        began = time.monotonic()
        _all_well(heal_nodes(cluster, list(NODES)))
        self._converge(cluster, "both sides' words are in every timeline", began)
        self._pause()

    def _crash(self, cluster: Cluster, lines: Sequence[DialogueLine]) -> None:
        self._head("n3 is killed (kill -9). The others talk on; 20 % of n1's packets now get lost.")
        before = self._status(cluster, "n3").events
        cluster.kill("n3")
        put(cluster, "n1", Fault([], loss=0.2))
        rest = [name for name in NODES if name != "n3"]
        count = self._talk(cluster, rest, lines)
        self._say(f"n3 is down with {before} events in its journal; {count} more are said")
        self._pause()
        began = time.monotonic()
        started = cluster.restart(["n3"])
        ready_ms = started[0].took_ms if started else None
        if ready_ms is None:
            raise Problem(f"n3 did not come back: {started}")
        status = self._status(cluster, "n3")
        self._say(f"n3 is back {duration(ready_ms)} after its start, with its journal re-read")
        self._converge(cluster, "n3 got the rest from its peers", began, say_node="n3")
        self._say(f"n3 had {status.events} events when it first answered")
        _all_well(heal_nodes(cluster, list(NODES)))
        self._pause()

    def _moderate(self, cluster: Cluster) -> None:
        self._head("Every node moderates what its own people say, before it becomes an event.")
        for text in JUDGED:
            reply = self._post(cluster, "n2", "ALGERNON", text)
            if type(reply) is Refused:
                self.verdicts.append("rejected")
                self._say(f'"{text}" is rejected by {", ".join(reply.rules)}: no event exists')
            elif type(reply) is Accepted:
                self.acked.append(reply.dot)
                self.verdicts.append(reply.verdict)
                rules = ", ".join(reply.rules) or "no rule"
                self._say(f'"{text}" is {reply.verdict} by {rules}: "{display_safe(reply.text)}"')
            else:
                raise Problem(f"n2 could not moderate: {reply}")
        self._pause()

    def _prove(self, cluster: Cluster) -> Proof:
        self._head("Proof.")
        self._converge(cluster, "the last word is everywhere", time.monotonic())
        proof = Proof(acked=len(self.acked), verdicts=self.verdicts)
        counts: dict[Dot, int] = dict.fromkeys(self.acked, 0)
        for name in NODES:
            proof.roots[name] = self._frontier(cluster, name).root
            lines, dots = self._timeline(cluster, name)
            proof.timelines[name] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
            proof.events = len(lines)
            for dot in dots:
                if dot in counts:
                    counts[dot] += 1
        proof.lost = sum(count != len(NODES) for count in counts.values())
        journals = {name: Path(cluster.place.nodes[name].journal_dir) for name in NODES}
        cluster.down()
        for name, folder in journals.items():
            proof.journals[name] = self.verify(folder)
        return proof

    # --- parts ----------------------------------------------------------------------------------

    def _talk(self, cluster: Cluster, nodes: Iterable[str], lines: Sequence[DialogueLine]) -> int:
        """Each node gets its share of the lines, all nodes at the same time."""
        names = list(nodes)
        acked: dict[str, list[Dot]] = {name: [] for name in names}
        problems: list[Problem] = []

        def speak(name: str, share: Sequence[DialogueLine]) -> None:
            try:
                with Client(name, cluster.place.nodes[name].control) as client:
                    for line in share:
                        request = Post(client.new_id(), line.speaker, line.text)
                        acked[name].append(client.expect(request, Accepted).dot)
            except Problem as problem:
                problems.append(problem)

        threads = [
            threading.Thread(target=speak, args=(name, lines[index :: len(names)]))
            for index, name in enumerate(names)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _all_well(problems)
        self.acked += [dot for dots in acked.values() for dot in dots]
        return sum(map(len, acked.values()))

    def _join(self, cluster: Cluster, node: str, speaker: str) -> None:
        with Client(node, cluster.place.nodes[node].control) as client:
            client.expect(SetPresence(client.new_id(), speaker, present=True), Accepted)

    def _post(self, cluster: Cluster, node: str, author: str, text: str) -> Reply:
        with Client(node, cluster.place.nodes[node].control) as client:
            return client.ask(Post(client.new_id(), author, text))

    def _status(self, cluster: Cluster, node: str) -> Status:
        with Client(node, cluster.place.nodes[node].control) as client:
            return client.expect(ReadStatus(client.new_id()), Status)

    def _frontier(self, cluster: Cluster, node: str) -> FrontierPage:
        with Client(node, cluster.place.nodes[node].control) as client:
            return client.expect(ReadFrontier(client.new_id()), FrontierPage)

    def _timeline(self, cluster: Cluster, node: str) -> tuple[list[str], list[Dot]]:
        from lab.terminal.event_line import (
            item_text,  # the very lines that `chatlab timeline` prints
        )
        from lab.terminal.tables import Paint

        with Client(node, cluster.place.nodes[node].control) as client:
            items = read_timeline(client).items
        plain = Paint(on=False)
        return [item_text(item, "causal", plain) for item in items], [i.event.dot for i in items]

    def _show_tail(self, cluster: Cluster, node: str, count: int) -> None:
        lines, _ = self._timeline(cluster, node)
        for line in lines[-count:]:
            self._say(cut(f"{node} ends with | {line.split('  ', 1)[-1]}", 96))

    def _converge(
        self, cluster: Cluster, meaning: str, began: float, say_node: str | None = None
    ) -> None:
        result = wait_converged(cluster, CONVERGE_TIMEOUT_S)
        if not result.converged:
            raise Problem(f"the nodes did not converge: {result.roots}", Exit.VERDICT_FALSE)
        count = next(iter(result.events.values()))
        took = _since(began)
        when = f"{took} after the restart of {say_node}" if say_node else f"after {took}"
        self._say(f"converged {when}: {meaning} ({count} events, equal roots)")

    def _head(self, text: str) -> None:
        self._step += 1
        self.tell(f"\n{self._step}. {text}")

    def _say(self, text: str) -> None:
        self.tell(f"   {text}")

    def _pause(self) -> None:
        time.sleep(self.pause_s)


def _since(began: float) -> str:
    return duration((time.monotonic() - began) * 1000)


def _all_well(problems: list[Problem]) -> None:
    if problems:
        raise problems[0]
