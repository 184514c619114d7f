"""A view as JSON says what the view says, and is bounded whatever the view holds."""

from typing import Any

import msgspec
import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.kinds import Facts, Handed, Note, Visible
from lab.trace.trace import Event, Trace
from lab.view.cluster_view import PEOPLE_MAX, ClusterView, Link, Poll, Queue, Worker
from lab.view.view_json import LINES, NAMES_MAX, TEXT_MAX, moment_text, view_json


@pytest.fixture(scope="module")
def trace() -> Trace:
    return run(named("churn"), seed=3).trace


def test_it_says_what_the_view_says(trace: Trace) -> None:
    view = ClusterView()
    for event in trace:
        view.apply(event)
        if event.t_us > 6_000_000:
            break
    made = msgspec.json.decode(msgspec.json.encode(view_json(view, origin_us=1_000_000)))
    assert made["t_us"] == view.t_us - 1_000_000
    assert (made["source"], made["scenario"]) == ("sim", "churn")
    assert made["events"] == len(view.messages) > 0
    assert made["converged"] == view.converged
    assert [node["name"] for node in made["nodes"]] == list(view.nodes)
    for node in made["nodes"]:
        seen = view.nodes[node["name"]]
        assert (node["health"], node["events"]) == (seen.health, len(seen.arrivals))
        assert node["lacks"] == view.lacks(seen.name)
        assert node["presence"] == seen.presence
        assert node["latencies_us"] == list(seen.latencies_us)[-40:]
    assert [fault["what"] for fault in made["faults"]] == [one.what for one in view.faults.values()]
    assert len(made["lines"]) == min(len(view.lines), LINES)


def test_a_poll_is_in_it() -> None:
    view = ClusterView()
    view.poll(
        Poll(
            t_us=5,
            node="n1",
            health="running",
            root="ab" * 16,
            workers={"control": Worker("running", 1, 4)},
            links={"n2": Link("suspect", False, fault="cut")},
            queues={"turn": Queue(3, 2048)},
        )
    )
    (node,) = view_json(view)["nodes"]
    assert node["root"] == "ab" * 8
    assert node["workers"] == {"control": {"state": "running", "restarts": 1, "budget": 4}}
    assert node["links"]["n2"]["fault"] == "cut"
    assert node["queues"] == {"turn": {"used": 3, "room": 2048}}


def test_everything_is_bounded() -> None:
    view = ClusterView()
    long = "x" * 100_000
    for seq in range(1, 3001):
        facts = Facts("joined", f"{seq}{long}", (), seq, 0, long)
        ref = f"n1.1:{seq}#0"
        view.apply(Event(seq, seq, "n1", 1, Handed(seq, ref, "local", 0, facts)))
        view.apply(Event(seq, seq, "n1", 1, Visible(seq, ref, "local")))
        names = range(100 if seq % 100 == 0 else 0)
        fields: dict[str, Any] = {f"{long}{number}": long for number in names}
        view.apply(Event(seq, seq, "n1", 1, Note(long, "info", fields)))
    view.nodes["n1"].rules = {f"{number}": 1 for number in range(1000)}
    made = view_json(view)
    (node,) = made["nodes"]
    assert (node["participants"], len(node["presence"])) == (PEOPLE_MAX, NAMES_MAX)
    assert next(iter(node["presence"])).startswith("3000x")  # the newest
    assert len(node["rules"]) == NAMES_MAX
    assert len(made["lines"]) == LINES
    assert len(msgspec.json.encode(made)) < (LINES * 4 + NAMES_MAX * 3) * TEXT_MAX


def test_a_moment_is_a_time_of_day_or_seconds_of_a_run() -> None:
    assert moment_text(12_345_678) == "12.346 s"
    assert moment_text(1_764_576_000_123_456) == "08:00:00.123Z"
