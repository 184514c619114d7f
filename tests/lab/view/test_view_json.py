"""A view as JSON says what the view says, and is bounded whatever the view holds."""

from typing import Any

import msgspec
import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.kinds import Facts, Faulted, Handed, Note, Visible
from lab.trace.trace import Event, Trace
from lab.view.cluster_view import ClusterView, Link, Poll, Queue, Worker
from lab.view.view_json import LINES, TEXT_MAX, moment_text, view_json


@pytest.fixture(scope="module")
def trace() -> Trace:
    return run(named("churn"), seed=3).trace


def facts_of(made: dict[str, Any], name: str) -> dict[str, Any]:
    (node,) = [one for one in made["nodes"] if one["name"] == name]
    return {fact: (text, bad) for fact, text, bad in node["facts"]}


def test_it_says_what_the_view_says(trace: Trace) -> None:
    view = ClusterView()
    for event in trace:
        view.apply(event)
        if event.t_us > 6_000_000:
            break
    made = msgspec.json.decode(msgspec.json.encode(view_json(view, origin_us=1_000_000)))
    assert made["t_us"] == view.t_us - 1_000_000
    assert [node["name"] for node in made["nodes"]] == list(view.nodes)
    assert any(view.lacks(name) for name in view.nodes)
    for node in made["nodes"]:
        name, lacks = node["name"], view.lacks(node["name"])
        seen, said = view.nodes[name], facts_of(made, name)
        assert (node["health"], node["up"], node["lacks"]) == (seen.health, seen.up, lacks)
        assert said["shows"][0].split(",")[0] == str(seen.events)
        whole = f"{lacks} of {seen.events + lacks}"
        assert said["lacks"] == ((whole, True) if lacks else ("nothing known", False))
        assert ("ended" in said) == (not seen.up and bool(seen.exit))
    assert f"{view.known} messages" in made["summary"]
    assert len(made["lines"]) == min(len(view.lines), LINES)


def test_what_a_poll_and_the_run_say_is_in_it() -> None:
    view = ClusterView()
    assert view_json(view)["summary"] == "waiting for the first answer"
    view.poll(
        Poll(
            t_us=5,
            node="n1",
            health="running",
            root="ab" * 16,
            workers={"control": Worker("running", 1, 4), "feed": Worker("backoff", 2, 3)},
            links={"n2": Link("suspect", False), "n3": Link("alive", True, fault="blocked")},
            feed_unread=1200,
            queues={"turn": Queue(512, 2048), "in": Queue(7, 0), "out": Queue(0, 5)},
        )
    )
    view.apply(Event(6, 0, "", 0, Faulted(1, "partition", ("n1",))))
    view.nodes["n1"].rules, view.nodes["n1"].refused = {"rude": 2}, 1
    view.nodes["n1"].presence = {"ana": "posted", "bo": "left", "cy": "joined"}
    view.nodes["n1"].lags_us.extend([0, 500, 1000])
    made = view_json(view)
    assert made["summary"] == (
        "1 of 1 node up; 0 messages; all that are up hold the same; faults: partition"
    )
    assert made["nodes"][0]["facts"] == [
        ["lacks", "nothing known", False],
        ["shows", "0, root abababab", False],
        ["links", "1 of 2 in sync", False],
        ["", "n2 suspect, n3 blocked", True],
        ["workers", "1 of 2 run", False],
        ["", "feed backoff", True],
        ["queues", "turn 512 (25 %), in 7", False],
        ["unseen", "1,200 arrivals", True],
        ["moderated", "rude 2, 1 refused", False],
        ["lag", "▁▅█ 1.0 ms", False],
        ["present", "cy, ana", False],
    ]


def test_everything_is_bounded_and_safe() -> None:
    view = ClusterView()
    long = "\x1b\u202e" + "x" * 100_000
    for seq in range(1, 3001):
        facts = Facts("joined", f"{seq}{long}", (), seq, 0, long)
        ref = f"n1.1:{seq}#0"
        view.apply(Event(seq, seq, "n1", 1, Handed(seq, ref, "local", 0, facts)))
        view.apply(Event(seq, seq, "n1", 1, Visible(seq, ref, "local")))
        names = range(100 if seq % 100 == 0 else 0)
        fields: dict[str, Any] = {f"{long}{number}": long for number in names}
        view.apply(Event(seq, seq, "n1", 1, Note(long, "info", fields)))
        view.apply(Event(seq, seq, "", 0, Faulted(seq, long, ("n1",))))
    view.nodes["n1"].rules = {f"{long}{number}": 1 for number in range(1000)}
    made = view_json(view)
    assert len(made["lines"]) == LINES
    assert len(made["summary"]) < 10 * TEXT_MAX
    whole = msgspec.json.encode(made).decode()
    assert len(whole) < (LINES + 20) * 5 * TEXT_MAX
    assert "\u202e" not in whole and "\\u001b" not in whole


def test_a_moment_is_a_time_of_day_or_seconds_of_a_run() -> None:
    assert moment_text(12_345_678) == "12.346 s"
    assert moment_text(1_764_576_000_123_456) == "08:00:00.123Z"
