"""Recordings of nodes, fed back: every output comes again, and where one does not, it is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.commands import Join, Leave, PostMessage
from domain.moderation import Policy, Rule
from lab.plan.faults import (
    Burst,
    ClockDrift,
    ClockOffset,
    Corrupt,
    Cut,
    DiskErrors,
    DiskFull,
    DiskOptions,
    Duplicate,
    Fault,
    Hold,
    Kill,
    Latency,
    Loss,
    Narrow,
    NetworkOptions,
    Op,
    Partition,
    Pause,
    Plan,
    Point,
    Reorder,
    ShortWrites,
    SlowSync,
    numbered,
)
from lab.plan.scenario import named
from lab.real.draft_event import Draft
from lab.real.feasibility import possible
from lab.real.packet_matching import Arrived, Transmission, match
from lab.real.trace_merge import put_off
from lab.sim.conformance import Conformance, OutputDifference, conform
from lab.sim.world import run
from lab.trace.file import write_lines
from lab.trace.kinds import Copied, Dropped, Got, Sent
from node.recording.format import (
    BLOCKED,
    HEADER_BYTES,
    Began,
    Entry,
    TickIn,
    Turn,
    encode_entry,
    read_recording,
)
from tests.node.recordings import Clock, Recorded, exchange


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Three nodes that talk; one is killed and comes back."""
    clock = Clock()
    nodes = [Recorded(name, tmp_path, clock) for name in ("n1", "n2", "n3")]
    for number in range(10):
        nodes[number % 3].submit(PostMessage("ana", f"hello {number}, dang it"))
        exchange(nodes)
    nodes[0].submit(Join("bob"))
    nodes[1].killed()
    nodes[1].start()
    nodes[0].replica.set_policy(Policy((Rule("new", ("hello",), "reject"),), ()))
    nodes[0].submit(PostMessage("ana", "hello"))
    nodes[0].submit(Leave("bob"))
    for _ in range(60):
        exchange(nodes)
    for node in nodes:
        node.ended()
    return tmp_path


def test_every_output_comes_again(recorded: Path) -> None:
    found = conform(recorded)
    assert (found.lives, found.differences, found.incomplete) == (4, 0, ())
    assert found.turns > 100
    assert found.first is None
    assert found.text() == f"0 differences over {found.turns} turns of 4 lives"


def test_one_recording_can_be_fed_back_alone(recorded: Path) -> None:
    assert conform(recorded / "n2" / "001.rec").lives == 1


def test_a_changed_input_is_seen_and_the_first_turn_that_differs_is_named(recorded: Path) -> None:
    path = recorded / "n1" / "001.rec"
    data = path.read_bytes()
    at = data.index(b"hello 3, dang it")
    path.write_bytes(data[:at] + b"J" + data[at + 1 :])
    turns = [entry for entry in read_recording(path).entries if type(entry) is Turn]
    changed = 1 + next(
        number
        for number, turn in enumerate(turns)
        if any(b"Jello 3" in str(item).encode() for item in turn.inputs)
    )
    found = conform(recorded)
    assert found.differences >= 1
    assert found.first is not None
    assert (found.first.node, found.first.inc, found.first.turn) == ("n1", 1, changed)
    assert found.first.detail.startswith("fed tick, submit; ")
    assert f"n1, life 1, turn {changed}" in found.text()


def rewrite(path: Path, change: Callable[[Entry], Entry]) -> None:
    """The same recording with other entries."""
    recording = read_recording(path)
    data = path.read_bytes()[:HEADER_BYTES]
    for entry in [recording.began, *recording.entries]:
        line = encode_entry(change(entry))
        data += len(line).to_bytes(4, "big") + line
    path.write_bytes(data)


def test_every_changed_output_is_seen(recorded: Path) -> None:
    path = recorded / "n3" / "001.rec"
    turns = [entry for entry in read_recording(path).entries if type(entry) is Turn]
    for number in range(0, len(turns), len(turns) // 10):
        turn = turns[number]
        wrong = replace(turn, hash=bytes([turn.hash[0] ^ 1]) + turn.hash[1:])
        rewrite(path, lambda entry, turn=turn, wrong=wrong: wrong if entry == turn else entry)  # type: ignore[misc]
        found = conform(path)
        rewrite(path, lambda entry, turn=turn, wrong=wrong: turn if entry == wrong else entry)  # type: ignore[misc]
        assert found.differences == 1
        assert found.first is not None
        assert found.first.turn == number + 1
        assert found.first.detail.endswith("as many things, other bytes")


def test_another_seed_gives_other_outputs(recorded: Path) -> None:
    path = recorded / "n1" / "001.rec"
    rewrite(path, lambda one: replace(one, rng_seed=5) if type(one) is Began else one)
    found = conform(path)
    assert found.differences > 1
    assert found.first is not None
    assert found.first.turn == 1  # it draws the number of its log


def test_a_difference_in_numbers_is_told(recorded: Path) -> None:
    path = recorded / "n1" / "001.rec"
    rewrite(path, lambda one: replace(one, inputs=one.inputs[:1]) if type(one) is Turn else one)
    found = conform(path)
    assert found.first is not None
    assert "persist 1 then, 0 now" in found.first.detail


def test_an_exception_is_a_difference(recorded: Path) -> None:
    path = recorded / "n1" / "001.rec"
    turns = [entry for entry in read_recording(path).entries if type(entry) is Turn]
    early = replace(turns[20], inputs=[TickIn(0, 0)])
    rewrite(path, lambda entry: early if entry == turns[20] else entry)
    found = conform(recorded)
    assert found.first is not None
    assert found.first.turn == 21
    assert "monotonic time went back" in found.first.got
    assert found.first.detail == "fed tick; an exception"


def test_a_recording_that_ends_too_early_is_told(tmp_path: Path) -> None:
    node = Recorded("n1", tmp_path, Clock())
    node.killed()
    node.start(bytes_max=1500)
    for number in range(20):
        node.submit(PostMessage("ana", f"{number}" * 20))
    found = conform(tmp_path)
    assert (found.lives, found.differences) == (2, 0)
    (told,) = found.incomplete
    assert "002.rec: it became too long" in told


def test_a_trace_file_can_be_fed_back(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"".join(write_lines(run(named("calm"), 7, detail="full").trace)))
    found = conform(path)
    assert (found.lives, found.differences) == (5, 0)
    assert found.turns > 1000


def test_what_tells_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recordings"):
        conform(tmp_path)
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"".join(write_lines(run(named("calm"), 3).trace)))
    with pytest.raises(ValueError, match="detail full"):
        conform(path)


def test_the_sum_is_told_in_one_line() -> None:
    assert Conformance(2, 30, 0, (), ()).text() == "0 differences over 30 turns of 2 lives"
    one = OutputDifference("n1", 1, 7, "ab", "cd")
    told = Conformance(1, 1, 1, (one,), ()).text()
    assert told == (
        "1 difference over 1 turn of 1 life; "
        "first: n1, life 1, event 7 of the trace: ab then, cd now"
    )


# --- what cannot be done to processes -----------------------------------------------------------

CUTS: tuple[Cut, ...] = (("n1", "n2"),)
NEVER: list[Fault] = [
    Burst(0.1, 0.1, 0.5),
    Corrupt(0.1),
    Narrow(1000, 1000),
    Point("n1", "after_write", 0.1, 1, 100),
    DiskErrors("n1", "sync", 0.5),
    DiskFull("n1", 0),
    ShortWrites("n1", 0.1),
    SlowSync("n1", 1000),
    ClockOffset("n1", 5),
    ClockDrift("n1", 5),
]
DONE: list[Fault] = [
    Loss(0.1),
    Duplicate(0.1, 10),
    Reorder(0.1, 10),
    Latency(10),
    Hold(CUTS),
    Partition("one", CUTS),
    Kill("n1"),
    Kill("n1", "stop", "empty"),
    Pause("n1"),
]


def plan_of(faults: list[Fault]) -> Plan:
    timed = numbered((1000, 2000, fault) for fault in faults)
    ops = (Op(1, 500, "c1", "n1", "read", "c1"), Op(2, 90_000, "c1", "n1", "read", "c1"))
    return Plan("test", 1, ("n1", "n2"), 10_000, 50_000, ops, timed)


def test_what_is_not_possible_is_left_out_and_said() -> None:
    can = possible(plan_of(NEVER + DONE))
    assert [timed.fault for timed in can.plan.faults] == DONE
    words = [line.partition(" x1: ")[0] for line in can.refused]
    assert words == sorted(str(fault.__struct_config__.tag) for fault in NEVER)
    assert [line.partition(" ")[0] for line in can.adapted] == ["duplicate", "hold", "reorder"]


def test_what_a_kill_cannot_take_with_it_is_said() -> None:
    can = possible(plan_of([Kill("n1", "power"), Kill("n1", flips=3), Kill("n1", disk="older")]))
    assert [timed.fault for timed in can.plan.faults] == [Kill("n1"), Kill("n1", disk="older")]
    assert [line.partition(":")[0] for line in can.refused] == ["flips x3", "power x1"]
    assert [line.partition(":")[0] for line in can.adapted] == ["older x1"]
    can = possible(plan_of([Kill("n1", disk="other", sectors=2)]))
    assert [timed.fault for timed in can.plan.faults] == [Kill("n1")]
    assert [line.partition(":")[0] for line in can.refused] == ["other x1", "sectors x2"]


def test_what_cannot_be_set_is_said() -> None:
    plan = plan_of([])
    assert possible(plan).adapted == ()
    options = Plan(
        "t", 1, ("n1",), 1, 1, network=NetworkOptions(min_us=5), disk=DiskOptions(segment_bytes=9)
    )
    assert [line.partition(":")[0] for line in possible(options).adapted] == ["latency", "segments"]


def test_the_phase_of_faults_can_be_made_shorter() -> None:
    plan = possible(plan_of([Pause("n1")]), 0.1).plan
    assert (plan.faults_us, plan.liveness_us) == (1000, 50_000)
    assert [op.at_us for op in plan.ops] == [50, 90_000]
    assert (plan.faults[0].at_us, plan.faults[0].until_us) == (100, 200)


# --- receipts and sends -------------------------------------------------------------------------


class Life:
    def __init__(self, node: str, begin_ns: int = 0, end_ns: int | None = None) -> None:
        self.node, self.begin_ns, self.end_ns = node, begin_ns, end_ns
        self.sent: list[Transmission] = []
        self.got: list[Arrived] = []
        self.drops: list[tuple[int, str, str, int]] = []

    def sends(self, peer: str, number: int, t_ns: int, plan: list[float] | None = None) -> Draft:
        msg_id = (self.node, 1, number)
        draft = Draft(t_ns, self.node, 1, Sent("Syn", 0, 0, 40, 0), None, msg_id, peer, 40)
        self.sent.append(Transmission(draft, plan))
        return draft

    def gets(self, peer: str, number: int, t_ns: int) -> Draft:
        draft = Draft(t_ns, self.node, 1, Got("Syn"), None, (peer, 1, number), peer, 40)
        self.got.append(Arrived(draft))
        return draft


def test_a_receipt_is_tied_to_its_send_and_repetitions_are_copies() -> None:
    one, two = Life("n1"), Life("n2")
    sent = one.sends("n2", 1, 10)
    gots = [two.gets("n1", 1, 20), two.gets("n1", 1, 30)]
    found = match([one, two], [], 100)
    assert [got.cause for got in gots] == [sent, sent]
    assert [type(draft.data) for draft in found.drafts] == [Copied]
    assert (found.ledger.sent, found.ledger.copied, found.ledger.delivered) == (1, 1, 2)
    assert (found.in_flight, found.strangers) == (0, 0)


def test_numbers_that_are_used_again_are_told_apart_by_time() -> None:
    one, two = Life("n1"), Life("n2")
    early, late = one.sends("n2", 1, 10), one.sends("n2", 1, 50)
    gots = [two.gets("n1", 1, 20), two.gets("n1", 1, 60)]
    match([one, two], [], 100)
    assert [got.cause for got in gots] == [early, late]


def test_what_never_came_has_a_reason() -> None:
    one, two = Life("n1"), Life("n2", end_ns=70)
    one.sends("n2", 1, 10, [])
    one.sends("n2", 2, 20, BLOCKED)
    one.sends("n2", 3, 30)
    one.sends("n2", 4, 40)
    one.sends("n2", 5, 80)
    one.drops.append((35, "n2", "unreachable", 1))
    found = match([one, two], [(0, 100, Loss(0.5))], 100)
    told = {
        (d.msg_id or ("", 0, 0))[2]: (d.data.why, d.t_ns)
        for d in found.drafts
        if type(d.data) is Dropped
    }
    assert told == {
        1: ("loss", 10),
        2: ("partition", 20),
        3: ("unreachable", 35),
        4: ("down", 70),
        5: ("down", 80),
    }
    assert found.ledger.fired == {"loss": 1, "partition": 1}
    assert found.in_flight == 0


def test_what_is_still_on_its_way_is_in_flight() -> None:
    one, two = Life("n1"), Life("n2")
    one.sends("n2", 1, 90, [0.0, 500.0])
    two.gets("n1", 1, 95)
    found = match([one, two], [(0, 200, Latency(500)), (0, 50, Latency(500))], 100)
    assert [type(draft.data) for draft in found.drafts] == [Copied]
    assert found.in_flight == 1
    assert found.ledger.fired == {"duplicate": 1, "latency": 1}


def test_what_nobody_sent_is_counted() -> None:
    two = Life("n2")
    two.gets("n1", 1, 20)
    assert match([two], [], 100).strangers == 1


# --- order --------------------------------------------------------------------------------------


def test_an_effect_is_put_off_until_its_cause() -> None:
    """A machine has one clock, so that this does not happen; if it does, nothing is told early."""
    sent = Draft(100, "n1", 1, Sent("Syn", 0, 0, 40, 0))
    got = Draft(90, "n2", 1, Got("Syn"), sent)
    before, after = Draft(80, "n2", 1, Got("Syn")), Draft(95, "n2", 1, Got("Syn"))
    answer = Draft(85, "n1", 1, Got("Syn"), after)
    assert put_off([[sent, answer], [before, got, after]]) == 3
    assert [one.t_ns for one in (before, got, after)] == [80, 101, 101]
    assert answer.t_ns == 102
    assert put_off([[sent, answer], [before, got, after]]) == 0
