"""The recorder: what stands in the file is what happened, and a node never suffers from it."""

import errno
import os
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from domain.commands import Join, PostMessage
from domain.moderation import Policy
from gossip.packets import Packet, Same
from node.core.interface import Outbox, PersistFailed, Submit, Tick, Unmet
from node.core.ports import AckLevel, EventRecord, Note
from node.core.replica import Replica
from node.network.link_faults import FaultTable, LinkFault
from node.recording.format import (
    BLOCKED,
    HEADER_BYTES,
    MAGIC,
    Booted,
    Ended,
    Failed,
    Links,
    PacketIn,
    PolicyIn,
    RecordingError,
    Restored,
    Said,
    SubmitIn,
    TickIn,
    Turn,
    UnwrittenIn,
    WrittenIn,
    outbox_digest,
    read_recording,
    recordings_in,
)
from node.recording.recorder import WAITING_MAX, RecordedFaults, Recorder, begin
from node.storage.files import MemoryStorage
from node.storage.journal import Journal, JournalOptions
from tests.node.recordings import WALL_MS, Clock, Recorded, exchange


@pytest.fixture
def node(tmp_path: Path) -> Recorded:
    return Recorded("n1", tmp_path, Clock())


def test_a_life_is_told_from_its_making_to_its_end(node: Recorded) -> None:
    node.submit(PostMessage("ana", "hello"))
    node.submit(Join("bob"))
    node.replica.set_policy(Policy((), ()))
    node.turn(PersistFailed(len(node.journal), "disk_full", "no room", final=False))
    node.ended()
    recording = read_recording(node.recorder.path)
    assert (recording.state, recording.lost, recording.complete) == (".", 0, True)
    assert (recording.began.node, recording.began.incarnation) == ("n1", 1)
    kinds = [type(entry) for entry in recording.entries]
    assert kinds[0] is Booted and kinds[-1] is Ended
    turns = [entry for entry in recording.entries if type(entry) is Turn]
    inputs = [item for turn in turns for item in turn.inputs]
    assert {type(item) for item in inputs} == {TickIn, SubmitIn, WrittenIn, PolicyIn, UnwrittenIn}
    first, second = (item for item in inputs if type(item) is SubmitIn)
    assert (first.action, first.author, first.text, first.ack) == (
        "post",
        "ana",
        "hello",
        "durable",
    )
    assert (second.action, second.author, second.text) == ("join", "bob", "")
    assert [turn.t_ns for turn in turns] == sorted(turn.t_ns for turn in turns)
    assert [turn.hash for turn in turns] == [outbox_digest(out) for out in node.out]


def test_what_a_start_restores_is_told(node: Recorded) -> None:
    node.submit(PostMessage("ana", "hello"))
    node.killed()
    node.start()
    entries = read_recording(node.recorder.path).entries
    assert [type(entry) for entry in entries[:2]] == [Restored, Booted]
    assert [path.name for path in recordings_in(node.folder)] == ["001.rec", "002.rec"]


def test_packets_are_told_as_their_bytes(tmp_path: Path) -> None:
    clock = Clock()
    nodes = [Recorded(name, tmp_path, clock) for name in ("n1", "n2")]
    nodes[0].submit(PostMessage("ana", "a text to look for"))
    for _ in range(3):
        exchange(nodes)
    entries = read_recording(nodes[1].recorder.path).entries
    packets = [i for e in entries if type(e) is Turn for i in e.inputs if type(i) is PacketIn]
    assert any(b"a text to look for" in packet.data for packet in packets)


def test_an_entry_is_in_the_file_before_its_outbox_is_handed_over(
    node: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill -9 at any time leaves all that was done."""
    drain = Replica.drain

    def drained(self: Replica) -> Outbox:
        drains.append(outbox_digest(out := drain(self)))
        return out

    drains: list[bytes] = []
    monkeypatch.setattr(Replica, "drain", drained)
    for number in range(3):
        node.turn()  # nothing comes of it: it may wait
        node.tickets += 1
        node.turn_only(Submit(node.tickets, PostMessage("ana", f"{number}"), AckLevel.DURABLE))
        entries = read_recording(node.recorder.path).entries
        turns = [entry for entry in entries if type(entry) is Turn]
        assert [turn.hash for turn in turns[-len(drains) :]] == drains


def test_what_waits_is_bounded(node: Recorded) -> None:
    before = len(read_recording(node.recorder.path).entries)
    for _ in range(WAITING_MAX + 1):
        node.turn()
    assert len(read_recording(node.recorder.path).entries) > before


def test_an_exception_out_of_the_core_is_told_with_its_inputs(node: Recorded) -> None:
    with pytest.raises(AssertionError):
        node.replica.step(Tick(-1, WALL_MS))
    last = read_recording(node.recorder.path).entries[-1]
    assert type(last) is Failed
    assert last.inputs == [TickIn(-1, WALL_MS)]
    assert "monotonic time went back" in last.error


# --- around the core --------------------------------------------------------------------------


def test_notes_of_others_go_to_the_log_and_into_the_file(node: Recorded) -> None:
    written: list[str] = []
    write = node.recorder.heard(lambda note, worker: written.append(f"{worker} {note.event}"))
    write(Note("worker_crashed", "error", {"restarts": 1}), "feed")
    write(Note("events_posted", "info", {}), "replica")
    node.killed()
    said = [one for one in read_recording(node.recorder.path).entries if type(one) is Said]
    assert [(one.worker, one.event, one.fields) for one in said] == [
        ("feed", "worker_crashed", {"restarts": 1})
    ]
    assert written == ["feed worker_crashed", "replica events_posted"]


def test_what_faults_did_to_packets_is_told(node: Recorded) -> None:
    faults = RecordedFaults(("n2", "n3"), Random(1), node.recorder)
    faults.set({"n2": LinkFault(loss=1.0), "n3": LinkFault(blocked=True)})
    assert faults.plan("n2") == []
    assert faults.plan("n3") == []
    faults.set({"n2": LinkFault(duplicate=1.0, delay_ms=7), "n3": LinkFault()})
    assert faults.plan("n2") == [7, 7]
    assert faults.plan("n3") == [0.0]
    dropped = {"n2": {"slow": 2}}
    node.recorder.dropped_of = lambda: dropped
    node.submit(PostMessage("ana", "1"))
    dropped = {"n2": {"slow": 3, "queue_full": 1}}
    node.submit(PostMessage("ana", "2"))
    node.submit(PostMessage("ana", "3"))
    links = [one for one in read_recording(node.recorder.path).entries if type(one) is Links]
    assert [one.plans for one in links] == [{"n2": [[], [7, 7]], "n3": [BLOCKED]}, {}]
    assert [one.dropped for one in links] == [
        {"n2": {"slow": 2}},
        {"n2": {"slow": 1, "queue_full": 1}},
    ]


def test_recorded_faults_draw_as_others_do(node: Recorded) -> None:
    fault = LinkFault(loss=0.3, duplicate=0.3, delay_ms=5, jitter_ms=5)
    plain = FaultTable(("n2",), Random(7))
    told = RecordedFaults(("n2",), Random(7), node.recorder)
    plain.set({"n2": fault})
    told.set({"n2": fault})
    assert [plain.plan("n2") for _ in range(50)] == [told.plan("n2") for _ in range(50)]


# --- bounds and bad disks -----------------------------------------------------------------------


def test_a_turn_began_with_its_tick_and_without_one_with_its_first_input(node: Recorded) -> None:
    def posts(count: int) -> list[Submit]:
        tickets = range(node.tickets, node.tickets + count)
        node.tickets += count
        return [Submit(one, PostMessage("ana", "hello"), AckLevel.WRITTEN) for one in tickets]

    began_ns = [node.clock.ns]
    node.turn_only(*posts(3))
    node.recorder.policy(Policy((), ()))  # rules are read between turns
    began_ns.append(node.clock.ns)
    node.turn_only(*posts(2))
    began_ns.append(node.clock.ns)
    for post in posts(2):
        node.replica.step(post)
    node.replica.drain()
    entries = read_recording(node.recorder.path).entries
    turns = [entry.t_ns for entry in entries if type(entry) is Turn]
    assert turns[-3:] == [ns + 1000 for ns in began_ns]  # the next look at the clock


def full_after(monkeypatch: pytest.MonkeyPatch, calls: int, *, short: bool) -> None:
    """From then on a write takes nothing, or half of what it is given."""
    write = os.write
    count = 0

    def failing(fd: int, data: bytes) -> int:
        nonlocal count
        count += 1
        if count <= calls:
            return write(fd, data)
        if short:
            return write(fd, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("node.recording.recorder.os.write", failing)


@pytest.mark.parametrize("short", [False, True])
def test_a_full_disk_ends_the_recording_and_not_the_node(
    node: Recorded, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    node.submit(PostMessage("ana", "all is well"))
    before = len(read_recording(node.recorder.path).entries)
    full_after(monkeypatch, 2, short=short)
    for _ in range(5):
        node.submit(PostMessage("ana", "goes on"))
    assert not node.recorder.complete
    node.ended()
    recording = read_recording(node.recorder.path)
    assert (recording.state, recording.complete) == ("!", False)
    assert recording.lost == node.recorder.lost > 3
    assert len(recording.entries) == before + 2
    assert node.recorder.path.stat().st_size == node.recorder.size  # half an entry is taken back
    assert "the disk took no more" in recording.why


def test_the_log_says_once_that_a_recording_has_stopped(
    node: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Note, str]] = []
    node.recorder.heard(lambda note, worker: told.append((note, worker)))
    full_after(monkeypatch, 2, short=False)
    for _ in range(5):
        node.submit(PostMessage("ana", "goes on"))
    ((note, worker),) = told
    assert (note.event, note.level, worker) == ("recording_stopped", "warning", "recorder")
    assert note.fields["reason"] == "the disk took no more"
    assert note.fields["file"] == node.recorder.path.name
    assert note.fields["bytes"] == node.recorder.size


def test_what_stopped_before_there_was_a_log_is_told_when_there_is_one(node: Recorded) -> None:
    node.killed()
    node.start(bytes_max=100)
    told: list[str] = []
    node.recorder.heard(lambda note, _: told.append(str(note.fields["reason"])))
    assert told == ["it became too long"]


def test_a_file_is_bounded(node: Recorded) -> None:
    node.submit(PostMessage("ana", "x" * 100))
    node.killed()
    node.start(bytes_max=4096)
    for number in range(20):
        node.submit(PostMessage("ana", f"{number} " + "x" * 200))
    assert node.recorder.path.stat().st_size <= 4096
    recording = read_recording(node.recorder.path)
    assert (recording.state, recording.complete) == ("^", False)


def test_a_note_that_cannot_be_written_down_breaks_nothing(node: Recorded) -> None:
    node.recorder.heard(lambda *_: None)(Note("view_failed", "error", {"error": "\ud800"}), "x")
    node.submit(PostMessage("ana", "hello"))
    assert read_recording(node.recorder.path).state == "!"


def test_where_no_file_can_be_made_there_is_no_recorder(tmp_path: Path, node: Recorded) -> None:
    _, recovery = Journal.open(MemoryStorage("disk"), "n1", JournalOptions(), WALL_MS)
    config = node.replica._config
    made = begin(tmp_path / "trace", config, 1, recovery)
    assert made is not None
    assert read_recording(made.path).began.incarnation == recovery.incarnation
    (tmp_path / "a-file").write_bytes(b"")
    assert begin(tmp_path / "a-file" / "trace", config, 1, recovery) is None


def test_a_file_is_never_written_over(node: Recorded) -> None:
    with pytest.raises(FileExistsError):
        Recorder(node.recorder.path)


# --- reading ------------------------------------------------------------------------------------


def test_an_entry_that_is_cut_off_is_left_out(node: Recorded) -> None:
    for _ in range(3):
        node.turn()
    path = node.recorder.path
    whole, data = read_recording(path).entries, path.read_bytes()
    for cut in range(1, 40):
        path.write_bytes(data[:-cut])
        assert read_recording(path).entries == whole[:-1]


@pytest.mark.parametrize(
    "data", [b"", MAGIC, b"x" * 100, MAGIC + b"+" + bytes(8), MAGIC + b"?" + bytes(20)]
)
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "1.rec"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=r"1\.rec"):
        read_recording(path)


def test_damage_is_told(node: Recorded) -> None:
    path = node.recorder.path
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 4] = 0xC1  # never used in MessagePack
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="damaged"):
        read_recording(path)


# --- the hash -----------------------------------------------------------------------------------


def test_the_hash_sees_every_part_of_an_outbox(node: Recorded) -> None:
    node.submit(PostMessage("ana", "hello"))
    arrival = node.replica.timeline.select("arrival")[0]
    packet = Packet(1, 2, "n1", 1024, 7, Same(6, bytes(16)))
    record = EventRecord(b"abc", 5, "local", "")
    unmet = Unmet("busy", "later")
    note = Note("fork_found", "error", {"a": 1})
    out = Outbox([record], [("n2", packet)], [(1, arrival)], [(1, unmet)], [note])
    others = [
        Outbox(),
        replace(out, persist=[replace(record, data=b"abd")]),
        replace(out, persist=[replace(record, received_at_ms=6)]),
        replace(out, send=[("n3", packet)]),
        replace(out, send=[("n2", replace(packet, number=8))]),
        replace(out, publish=[(2, arrival)]),
        replace(out, publish=[(1, replace(arrival, skewed=True))]),
        replace(out, reply=[(2, unmet)]),
        replace(out, reply=[(1, replace(unmet, reason="sooner"))]),
        replace(out, note=[replace(note, fields={"a": 2})]),
        replace(out, note=[note, note]),
    ]
    hashes = {outbox_digest(one) for one in [out, *others]}
    assert len(hashes) == len(others) + 1
    assert outbox_digest(replace(out)) == outbox_digest(out)
