"""Conformance replay: the recorded inputs give the recorded outputs, and a change is seen."""

import pytest
from msgspec.structs import replace

from lab.conformance import replay
from lab.kinds import Out, PacketIn, TickIn
from lab.scenario import named, names
from lab.sim.world import run
from lab.tracefile import read_lines, write_lines


@pytest.mark.parametrize("name", names())
def test_a_run_can_be_fed_back(name: str) -> None:
    for seed in range(500, 503):
        result = run(named(name), seed, detail="full")
        kinds = [type(event.data) for event in result.trace]
        assert kinds.count(Out) > 100
        assert kinds.count(PacketIn) == result.ledger.delivered
        assert replay(result.trace) == []


def test_a_file_can_be_fed_back() -> None:
    trace = run(named("crash-storm"), 1, detail="full").trace
    assert replay(read_lines(write_lines(trace))) == []


def test_recording_changes_nothing_but_the_trace() -> None:
    normal, full = run(named("all"), 31), run(named("all"), 31, detail="full")
    assert full.ledger == normal.ledger
    assert full.acts == normal.acts


@pytest.mark.parametrize("kind", [TickIn, PacketIn])
def test_a_missing_input_is_seen(kind: type) -> None:
    """Not each one matters to what is handed out; most do."""
    events = run(named("calm"), 2, detail="full").trace.events
    places = [seq for seq, event in enumerate(events) if type(event.data) is kind]
    seen = 0
    for place in places[:: len(places) // 10]:
        seen += bool(replay(events[:place] + events[place + 1 :]))
    assert seen >= 5


def test_the_first_difference_of_a_life_is_named() -> None:
    events = run(named("calm"), 2, detail="full").trace.events
    place = next(i for i, e in enumerate(events) if type(e.data) is Out and e.t_us > 3_000_000)
    events[place] = replace(events[place], data=Out("0" * 32))
    (difference,) = replay(events)
    assert (difference.node, difference.seq) == (events[place].node, place)
    assert difference.recorded == "0" * 32
