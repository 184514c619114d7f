"""Observers send reads and nothing else: each one beside a node that counts what it is asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.client.location import parse
from lab.client.panel import Panel
from lab.cluster.cluster import Cluster
from lab.observe.convergence import look, wait_converged
from lab.observe.event_queue import EventQueue
from lab.observe.live_source import LiveSource
from lab.observe.node_states import states_of
from node.config.cluster_mark import leave_mark, new_id
from node.control.messages import (
    Failed,
    FrontierPage,
    PresencePage,
    ReadFrontier,
    ReadPresence,
    ReadStatus,
    ReadTimeline,
    Reply,
    Request,
    Status,
    TimelinePage,
)

ROOT = Path(__file__).resolve().parents[3]
READS = (ReadStatus, ReadFrontier, ReadTimeline, ReadPresence)


def answer(request: Request) -> Iterator[Reply]:
    """As a node that holds nothing."""
    if type(request) is ReadStatus:
        yield Status(
            id=request.id,
            node="n1",
            pid=os.getpid(),
            state="running",
            epoch=1,
            incarnation=1,
            events=0,
            root="00",
            frontier=[],
            missing=0,
            peers={},
            durability="always",
            written_upto=0,
            durable_upto=0,
            quiet_for_ms=0,
            stable=False,
            workers={},
            forked=[],
            uptime_ms=1,
            counters={},
        )
    elif type(request) is ReadFrontier:
        yield FrontierPage(request.id, "00", 0, [])
    elif type(request) is ReadTimeline:
        yield TimelinePage(request.id, [], 0, 0, 0, [])
    elif type(request) is ReadPresence:
        yield PresencePage(request.id, [])
    else:
        yield Failed(request.id, "bad_request", "this node is looked at only")


@pytest.fixture
def counting(short_path: Path) -> Iterator[tuple[Cluster, Any]]:
    """A cluster of one node, of which only the control socket is there."""
    file = short_path / "cluster.yaml"
    file.write_text("nodes: [n1]\n", encoding="utf-8")
    place = parse(file)
    control = Path(place.nodes["n1"].control)
    control.parent.mkdir(parents=True, mode=0o700)
    Path(place.root).mkdir(parents=True, mode=0o700, exist_ok=True)
    leave_mark(Path(place.root), file, new_id(), anew=True)
    node = sys.modules["fakenode"].FakeNode(control, answer)
    yield Cluster(place), node
    node.close()


def wait_for(done: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "it never asked"
        time.sleep(0.01)


def only_reads(node: Any) -> None:
    assert node.requests
    assert {type(one) for one in node.requests} <= set(READS)


def live(cluster: Cluster, node: Any) -> None:
    with LiveSource(cluster, every_s=0.05) as source:
        wait_for(lambda: len(node.requests) > 5)
        assert any(getattr(one, "kind", "") == "boot" for one in source.drain())


def panel(cluster: Cluster, _: Any) -> None:
    with Panel(cluster.place.nodes.values()) as one:
        look(cluster, one)


OBSERVERS: dict[str, Callable[[Cluster, Any], object]] = {
    "live": live,
    "panel": panel,
    "states": lambda cluster, _: states_of(cluster),
    "wait": lambda cluster, _: wait_converged(cluster, 0.2, 0.05),
}


@pytest.mark.parametrize("name", OBSERVERS)
def test_an_observer_only_reads(counting: tuple[Cluster, Any], name: str) -> None:
    cluster, node = counting
    OBSERVERS[name](cluster, node)
    only_reads(node)


def test_what_the_observer_itself_let_go_is_in_the_log(
    counting: tuple[Cluster, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _ = counting
    monkeypatch.setattr(EventQueue.__init__, "__defaults__", (8,))
    notes: list[Any] = []
    with LiveSource(cluster, every_s=0.05) as source:
        wait_for(lambda: source.lost.dropped > 0)

        def said() -> bool:
            notes.extend(one for one in source.drain() if getattr(one, "kind", "") == "note")
            return any(one.data.event == "observer_behind" for one in notes)

        wait_for(said)


@pytest.mark.cluster
@pytest.mark.parametrize(
    "words",
    ["watch --json --every 0.05", "stat", "timeline n1 --follow", "cluster ps", "status",
     "timeline n1", "presence n1", "wait --timeout 0.2"],
)  # fmt: skip
def test_a_command_that_observes_only_reads(counting: tuple[Cluster, Any], words: str) -> None:
    cluster, node = counting
    folder = Path(cluster.place.file).parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CHATLAB")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "lab.cli", *words.split()],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            wait_for(lambda: len(node.requests) >= 3 or process.poll() is not None)
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=20)
        finally:
            process.kill()
    assert node.requests, complaint
    only_reads(node)
