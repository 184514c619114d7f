"""A live source beside real nodes: what it says is what happened, and it disturbs nothing."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.campaign.judged_run import judged_trace
from lab.client.client import Client
from lab.client.panel import statuses_of
from lab.observe.live_source import LiveSource
from lab.trace.file import read_lines
from lab.trace.trace import Event
from lab.view.cluster_view import ClusterView, NodeView, Poll
from lab.view.history import ViewHistory
from node.control.messages import Accepted, Done, Post, Refused, SetFault

pytestmark = pytest.mark.cluster
THREE = """\
nodes: [n1, n2, n3]
moderation:
  rules:
    - {id: soft, words: soft.txt, action: censor}
    - {id: hard, words: hard.txt, action: reject}
"""


class Watched:
    """A live source whose entries are folded as they are drained."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.history = ViewHistory()
        self.events: list[Event] = []

    @property
    def view(self) -> ClusterView:
        self.fold()
        return self.history.latest

    def fold(self) -> None:
        for entry in self.source.drain():
            self.history.add(entry)
            if not isinstance(entry, Poll):
                self.events.append(entry)

    def kinds(self, node: str) -> list[str]:
        kinds = ("boot", "crash", "stop", "pause", "resume")
        self.fold()
        return [one.kind for one in self.events if one.node == node and one.kind in kinds]

    def agree(self, count: int) -> Callable[[], bool]:
        def done() -> bool:
            nodes = self.view.nodes.values()
            return len(nodes) == 3 and all(one.up and one.events == count for one in nodes)

        return done


def post(lab: Any, node: str, *texts: str) -> None:
    with Client.at(lab.place.nodes[node]) as client:
        for text in texts:
            client.expect(Post(client.new_id(), "ada", text), Accepted)


def plain(view: ClusterView) -> dict[str, object]:
    """What a trace file can say of it, too."""

    def of(node: NodeView) -> object:
        shown = (list(node.arrivals), list(node.held), node.presence, node.root, node.health)
        return *shown, node.life, node.rules, list(node.lags_us)

    nodes: dict[str, object] = {name: of(node) for name, node in view.nodes.items()}
    whole = (view.messages, view.first_us, view.spread_us, view.faults, list(view.lines))
    return {**nodes, "": (*whole, view.known, list(view.spreads_us))}


@pytest.fixture
def three(lab: Any) -> Any:
    (lab.folder / "soft.txt").write_text("zounds\n", encoding="utf-8")
    (lab.folder / "hard.txt").write_text("gadzooks\n", encoding="utf-8")
    lab.write(THREE)
    lab.up()
    return lab


def test_what_is_seen_live_and_in_its_file_is_the_same(
    three: Any, until: Callable[..., None], tmp_path: Path
) -> None:
    post(three, "n1", "before anybody looked")
    source = LiveSource(three.cluster, every_s=0.05)
    source.record(tmp_path / "run.jsonl")
    with source:
        seen = Watched(source)
        until(seen.agree(1))
        post(three, "n2", *(f"message {number}" for number in range(20)))
        until(seen.agree(21))
        three.cluster.kill("n3")
        until(lambda: not seen.view.nodes["n3"].up)
        post(three, "n1", "n3 does not hear that")
        until(lambda: seen.view.lacks("n3") == 1)
        lack = [one.text for one in seen.view.lacking("n3")]
        assert lack == ["n3 does not hear that"]
        three.cluster.restart(["n3"])
        until(seen.agree(22))
        assert seen.kinds("n3") == ["boot", "crash", "boot"]
        assert seen.view.converged and seen.view.spreads_us
        until(lambda: len({one.root for one in seen.view.nodes.values()}) == 1)
        source.close()
        live = seen.view
    trace = read_lines((tmp_path / "run.jsonl").read_bytes().splitlines())
    recorded = ClusterView()
    for event in trace:
        recorded.apply(event)
    assert trace.events == seen.events
    assert plain(recorded) == plain(live)
    assert judged_trace(trace).verdicts == ()  # an observer does not see everything
    half = seen.history.at(live.t_us // 2)
    assert half.known <= live.known and half.t_us == live.t_us // 2


def test_stops_pauses_faults_and_moderation_are_seen(
    three: Any, until: Callable[..., None]
) -> None:
    with LiveSource(three.cluster, every_s=0.05) as source:
        seen = Watched(source)
        until(seen.agree(0))
        three.cluster.signal("n1", signal.SIGSTOP)
        until(lambda: seen.view.nodes["n1"].health == "paused")
        assert seen.view.nodes["n2"].health == "running"
        three.cluster.signal("n1", signal.SIGCONT)
        until(lambda: seen.view.nodes["n1"].health == "running")
        with Client.at(three.place.nodes["n1"]) as client:
            client.expect(SetFault(client.new_id(), ["n2", "n3"], blocked=True), Done)
            until(lambda: [one.nodes for one in seen.view.faults.values()] == [("n1", "n2", "n3")])
            client.expect(SetFault(client.new_id(), ["n2", "n3"], blocked=False), Done)
            until(lambda: not seen.view.faults)
            client.expect(Post(client.new_id(), "ada", "zounds"), Accepted)
            client.expect(Post(client.new_id(), "ada", "gadzooks"), Refused)
        until(lambda: seen.view.nodes["n1"].refused == 1)
        until(lambda: seen.view.nodes["n1"].rules == {"soft": 1})
        three.cluster.stop(["n2"])
        until(lambda: not seen.view.nodes["n2"].up)
        assert seen.kinds("n1") == ["boot", "pause", "resume"]
        assert seen.kinds("n2") == ["boot", "stop"]
        assert any(line.event == "faults_set" for line in seen.view.lines)


def test_it_changes_nothing_of_a_node(three: Any, until: Callable[..., None]) -> None:
    post(three, "n1", "hello")
    three.well("wait", "--timeout", "10")
    before = statuses_of(three.place.nodes.values())
    with LiveSource(three.cluster, every_s=0.05) as source:
        seen = Watched(source)
        until(lambda: seen.view.t_us > 1_000_000)
        assert sum(one.kind == "boot" for one in seen.events) == 3
    after = statuses_of(three.place.nodes.values())
    kept = ("posted", "refused", "rejected", "entries_new", "journal_commits", "feed_published")
    for name, status in before.items():
        now = after[name]
        assert (now.root, now.written_upto) == (status.root, status.written_upto)
        assert {one: now.counters[one] for one in kept} == {
            one: status.counters[one] for one in kept
        }
        assert not any(peer.link for peer in now.peers.values())


def test_a_flood_is_not_read_whole_and_counted_all_the_same(
    three: Any, until: Callable[..., None]
) -> None:
    count = 6000
    with LiveSource(three.cluster, every_s=0.1) as source:
        seen = Watched(source)
        until(seen.agree(0))
        lines = "".join(f"message {number}\n" for number in range(count)).encode()
        three.well("send", "n1", "--stdin", stdin=lines)
        until(seen.agree(count), 30)
        view = seen.view
        assert len(view.messages) <= 2000
        assert (view.known, view.older) == (count, count - len(view.messages))
        assert source.lost.dropped == 0
        last = f"message {count - 1}"
        until(lambda: all(seen.view.timeline(name, 1)[0].text == last for name in view.nodes))
