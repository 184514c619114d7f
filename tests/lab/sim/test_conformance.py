"""Conformance replay: the recorded inputs give the recorded outputs, and a change is seen."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from msgspec.structs import replace

from lab.plan.draw import draw
from lab.plan.scenario import named, names
from lab.sim.conformance import replay
from lab.sim.world import run, run_plan
from lab.trace.file import read_lines, write_lines
from lab.trace.kinds import Got, Out, PacketIn, TickIn
from lab.trace.trace import Event
from node.core.checkpoint import Checkpoint
from node.core.replica import Replica
from node.process.lives import Lives
from node.process.restart_budget import RestartBudget
from node.storage.recovered import Recovery


@pytest.mark.parametrize("name", names())
def test_a_run_can_be_fed_back(name: str) -> None:
    for seed in range(500, 503):
        result = run(named(name), seed, detail="full")
        kinds = [type(event.data) for event in result.trace]
        assert kinds.count(Out) > 100
        assert kinds.count(PacketIn) == result.ledger.delivered - unread(result.trace)
        assert replay(result.trace) == []


def unread(trace: Iterable[Event]) -> int:
    """Packets that were delivered, and the node died before the turn that they were to share."""
    waiting = Counter[tuple[str, int]]()
    for event in trace:
        if type(event.data) is Out:
            waiting[event.node, event.inc] = 0
        elif type(event.data) is Got:
            waiting[event.node, event.inc] += 1
    return waiting.total()


def test_a_file_can_be_fed_back() -> None:
    trace = run(named("crash-storm"), 1, detail="full").trace
    assert replay(read_lines(write_lines(trace))) == []


def test_recording_changes_nothing_but_the_trace() -> None:
    normal, full = run(named("all"), 31), run(named("all"), 31, detail="full")
    assert full.ledger == normal.ledger
    assert full.acts == normal.acts


@pytest.mark.parametrize(("kind", "share"), [(TickIn, 0.25), (PacketIn, 0.75)])
def test_a_missing_input_is_seen(kind: type, share: float) -> None:
    """Not each one matters to what is handed out: of packets most do, of ticks some 40 %."""
    events = run(named("calm"), 2, detail="full").trace.events
    places = [seq for seq, event in enumerate(events) if type(event.data) is kind]
    looked_at = places[:: len(places) // 60]
    seen = sum(bool(replay(events[:place] + events[place + 1 :])) for place in looked_at)
    assert seen >= share * len(looked_at)


def test_the_first_difference_of_a_life_is_named() -> None:
    events = run(named("calm"), 2, detail="full").trace.events
    place = next(i for i, e in enumerate(events) if type(e.data) is Out and e.t_us > 3_000_000)
    events[place] = replace(events[place], data=Out("0" * 32))
    (difference,) = replay(events)
    assert (difference.node, difference.seq) == (events[place].node, place)
    assert difference.recorded == "0" * 32


def test_a_start_by_checkpoints_goes_on_as_one_by_the_whole_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The replay restores all records, one by one, and its Outboxes are the same to the byte."""
    recalled: list[int] = []
    restore, begin = Recovery.restore, Lives.__init__

    def counted(self: Recovery, replica: Replica, keep: Callable[[Checkpoint], str]) -> object:
        recalled.append(self.recalled)
        return restore(self, replica, keep)

    def doubting(self: Lives, budget: RestartBudget) -> None:
        begin(self, budget)
        self.trust = False

    monkeypatch.setattr(Recovery, "restore", counted)
    for name in ("crash-storm", "power-cuts", "all"):
        for seed in range(600, 603):
            plan = draw(named(name), seed)
            plan = replace(plan, disk=replace(plan.disk, segment_bytes=500))
            by_checkpoints = run_plan(plan, detail="full")
            assert replay(by_checkpoints.trace) == []
            with monkeypatch.context() as without:
                without.setattr(Lives, "__init__", doubting)
                assert run_plan(plan, detail="full").trace.hash == by_checkpoints.trace.hash
    assert sum(one > 0 for one in recalled) > 20, recalled
