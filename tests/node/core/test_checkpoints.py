"""Checkpoints: a start by them is the start by the whole journal, and they are never believed."""

import errno
from random import Random

import msgspec
import pytest
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.commands import PostMessage
from node.core.interface import Persisted, Submit, Tick
from node.core.ports import AckLevel
from node.disk import record_pb2 as pb
from node.storage import frames
from node.storage.checkpoint_codec import encode_checkpoint
from node.storage.checkpoint_files import CHECKPOINT_SUFFIX, CheckpointKeeper, checkpoint_name
from node.storage.files import FaultyStorage, MemoryStorage, StorageError
from node.storage.journal import Journal, JournalOptions
from node.storage.recovery import IDENTITY_FILE
from node.storage.repair import repair_storage
from node.storage.segments import segment_name
from tests.node.drawn_journals import WALL_MS, Life, known, past, rewound, turned, written

SEGMENT_BYTES = 1500


def checkpoints_of(storage: MemoryStorage) -> dict[str, bytes]:
    names = [name for name in storage.names() if name.endswith(CHECKPOINT_SUFFIX)]
    return {name: storage.read(name, 0, storage.size(name)) for name in names}


def same(storage: MemoryStorage, segment_bytes: int = 2000) -> Life:
    """A start that believes what it may knows what a start knows that reads everything."""
    quick = Life(storage.killed(), segment_bytes=segment_bytes)
    whole = Life(storage.killed(), trust=False, segment_bytes=segment_bytes)
    assert whole.found.recalled == 0
    assert quick.found.count == whole.found.count
    assert known(quick.replica) == known(whole.replica)
    assert turned(quick.replica) == turned(whole.replica)
    return quick


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 120),
    segment_bytes=st.sampled_from((400, 2000, 9000)),
    forked=st.booleans(),
)
def test_a_start_by_checkpoints_is_the_start_by_the_journal(
    seed: int, count: int, segment_bytes: int, forked: bool
) -> None:
    rng = Random(seed)
    storage = written(past(seed, count, forked=forked), rng, segment_bytes)
    made = Life(storage, segment_bytes=segment_bytes)
    assert made.found.recalled == 0
    assert made.unkept == []
    files = checkpoints_of(storage)
    quick = same(storage, segment_bytes)
    if files and not forked:
        assert quick.found.recalled > 0
    for name in files:  # any that is not there makes a start read more, and no more than that
        less = storage.killed()
        less.remove(name)
        life = same(less, segment_bytes)
        assert life.found.recalled <= quick.found.recalled
        assert checkpoints_of(life.storage) == files  # and it is made again, byte for byte


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(10, 50))
def test_every_step_back_is_the_same(seed: int, count: int) -> None:
    storage = written(past(seed, count), Random(seed), 900)
    Life(storage, segment_bytes=900)
    quick = Life(storage.killed(), segment_bytes=900)
    whole = Life(storage.killed(), trust=False, segment_bytes=900)
    assert list(rewound(quick.replica)) == list(rewound(whole.replica))


@pytest.fixture(scope="module")
def kept() -> MemoryStorage:
    """A journal of some segments, with a checkpoint beside each sealed one."""
    storage = written(past(7, 150), Random(7), SEGMENT_BYTES)
    Life(storage, segment_bytes=SEGMENT_BYTES)
    assert len(checkpoints_of(storage)) >= 3
    return storage


def test_a_flipped_bit_anywhere_ends_what_is_believed(kept: MemoryStorage) -> None:
    name = checkpoint_name(2)
    data = checkpoints_of(kept)[name]
    whole = known(Life(kept.killed(), trust=False, segment_bytes=SEGMENT_BYTES).replica)
    for at in range(0, len(data), 3):
        storage = kept.killed()
        storage.set(name, data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        life = Life(storage, segment_bytes=SEGMENT_BYTES)
        first = life.found.seals[0].first - 1
        assert life.found.recalled == first
        if at % 97 == 0:
            assert known(life.replica) == whole
        assert checkpoints_of(storage) == checkpoints_of(kept)  # and is made anew


def test_one_that_was_cut_short_anywhere_is_not_believed(kept: MemoryStorage) -> None:
    name = checkpoint_name(1)
    data = checkpoints_of(kept)[name]
    for size in range(0, len(data), 3):
        storage = kept.killed()
        storage.set(name, data[:size])
        assert Life(storage, segment_bytes=SEGMENT_BYTES).found.recalled == 0
    storage = kept.killed()
    storage.set(name, data + data)
    assert Life(storage, segment_bytes=SEGMENT_BYTES).found.recalled == 0


# --- what is not believed -------------------------------------------------------------------------


def unbelieved(storage: MemoryStorage, recalled: int = 0) -> None:
    """A start goes without, and knows the same."""
    quick = same(storage, SEGMENT_BYTES)
    assert quick.found.recalled == recalled


def test_nothing_is_believed_in_another_directory(kept: MemoryStorage) -> None:
    other = written(past(7, 150), Random(7), SEGMENT_BYTES, name="another")
    assert segment_name(1) in other.names()
    for name, data in checkpoints_of(kept).items():
        other.set(name, data)
    unbelieved(other)  # the same records, and yet not the same journal


def test_nothing_is_believed_without_the_identity_nor_in_mode_strict(kept: MemoryStorage) -> None:
    lost = kept.killed()
    lost.remove(IDENTITY_FILE)
    assert Life(lost, segment_bytes=SEGMENT_BYTES).found.recalled == 0
    _, found = Journal.open(kept.killed(), "n1", JournalOptions(recover="strict"), WALL_MS)
    assert (found.recalled, found.checkpoints) == (0, [])


def test_a_segment_that_is_not_as_it_was_sealed_is_read(kept: MemoryStorage) -> None:
    first = Life(kept.killed(), trust=False, segment_bytes=SEGMENT_BYTES).found.seals[0].last
    name = segment_name(2)
    data = kept.read(name, 0, kept.size(name))
    for changed in (data[:-1], data + b"x", b"x" + data[1:], data[:-1] + bytes([data[-1] ^ 1])):
        storage = kept.killed()
        storage.set(name, changed)
        unbelieved(storage, first)


def framed(payload: bytes, **how: int) -> bytes:
    options = {"type": frames.CHECKPOINT, "offset": 0, "previous": 0, "number": 1, "count": 1}
    return frames.encode(payload, **(options | how))[0]


def test_only_this_version_in_its_own_frames_is_believed(kept: MemoryStorage) -> None:
    found = Life(kept.killed(), segment_bytes=SEGMENT_BYTES)
    name = checkpoint_name(1)
    data = checkpoints_of(kept)[name]
    payload = data[frames.HEADER_BYTES :]
    assert framed(payload) == data
    newer = pb.Checkpoint.FromString(payload)
    newer.format_version += 1
    uneven = pb.Checkpoint.FromString(payload)
    uneven.log_rows[0].firsts.append(5)
    later = bytearray(data)
    later[4] = 2
    later[36:40] = crc32c(bytes(later[:36])).to_bytes(4, "little")
    for changed in (
        framed(newer.SerializeToString()),
        framed(uneven.SerializeToString()),
        framed(b"\xff"),
        framed(payload, type=frames.BLOCK),
        framed(payload, previous=1),
        framed(payload, count=2),
        bytes(later),
    ):
        storage = kept.killed()
        storage.set(name, changed)
        unbelieved(storage)
    assert found.found.recalled > 0


def test_a_checkpoint_that_does_not_follow_the_one_before_is_not_believed(
    kept: MemoryStorage,
) -> None:
    """As a start with another memory might have left it."""
    _, found = Journal.open(kept.killed(), "n1", JournalOptions(), WALL_MS)
    one = found.checkpoints[0]
    storage = kept.killed()
    storage.set(checkpoint_name(1), framed(encode_checkpoint(one, b"x" * 16)))
    unbelieved(storage)
    directory_id = pb.Checkpoint.FromString(
        checkpoints_of(kept)[checkpoint_name(1)][frames.HEADER_BYTES :]
    ).directory_id
    one = msgspec.structs.replace(one, heads=one.heads[:1])
    assert CheckpointKeeper(storage, directory_id, 0).keep(one) == ""
    assert Life(storage, segment_bytes=SEGMENT_BYTES).found.recalled == one.seal.last


# --- damage ---------------------------------------------------------------------------------------


def test_damage_behind_a_checkpoint_is_found_by_reading_and_set_aside_by_the_next_life(
    kept: MemoryStorage,
) -> None:
    whole = known(Life(kept.killed(), segment_bytes=SEGMENT_BYTES).replica)
    name = segment_name(2)
    data = kept.read(name, 0, kept.size(name))
    met = 0
    for at in range(0, len(data), 29):
        storage = kept.killed()
        storage.set(name, data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        try:
            life = Life(storage.killed(), segment_bytes=SEGMENT_BYTES)
            if not life.found.quarantined:  # else it is where the segment begins or ends
                assert known(life.replica) == whole
        except StorageError:
            met += 1
        doubting = Life(storage, trust=False, segment_bytes=SEGMENT_BYTES)
        assert len(doubting.found.quarantined) == 1
        names = checkpoints_of(storage)
        assert list(names) == [checkpoint_name(1)]  # beside a hole there is nothing to believe
        believing = Life(storage, segment_bytes=SEGMENT_BYTES)
        assert [hole.marked > 0 for hole in believing.found.quarantined] == [True]
        assert known(believing.replica) == known(doubting.replica)
    assert met > 3


def test_a_journal_cut_anywhere_in_its_last_segment_is_the_same_with_checkpoints(
    kept: MemoryStorage,
) -> None:
    name = max(one for one in kept.names() if one.endswith(".seg"))
    data = kept.read(name, 0, kept.size(name))
    for size in range(0, len(data), 5):
        storage = kept.killed()
        storage.set(name, data[:size])
        quick = Life(storage.killed(), segment_bytes=SEGMENT_BYTES)
        whole = Life(storage.killed(), trust=False, segment_bytes=SEGMENT_BYTES)
        assert quick.found.recalled > 0
        assert known(quick.replica) == known(whole.replica)
        for field in ("count", "epoch", "must_open_epoch", "clean", "torn_bytes", "unsynced"):
            assert getattr(quick.found, field) == getattr(whole.found, field)


def test_a_repair_leaves_no_checkpoint_of_what_it_wrote_anew(kept: MemoryStorage) -> None:
    storage = kept.killed()
    name = segment_name(2)
    data = storage.read(name, 0, storage.size(name))
    storage.set(name, data[:600] + bytes([data[600] ^ 4]) + data[601:])
    assert repair_storage(storage).actions
    assert list(checkpoints_of(storage)) == [checkpoint_name(1)]
    unbelieved(storage, Life(kept.killed(), trust=False, segment_bytes=1500).found.seals[0].last)
    made = Life(storage, segment_bytes=SEGMENT_BYTES)  # and from there all goes on
    assert len(checkpoints_of(storage)) == len(checkpoints_of(kept))
    again = Life(storage, segment_bytes=SEGMENT_BYTES)
    assert again.found.recalled > made.found.recalled
    assert known(again.replica) == known(made.replica)


# --- writing --------------------------------------------------------------------------------------


def test_a_living_node_writes_what_a_start_would() -> None:
    """A cut falls where the last record of a segment became visible, not where it was written."""
    rng = Random(3)
    life = Life(MemoryStorage("n1"), segment_bytes=900)
    replica, journal = life.replica, life.journal
    replica.boot(0, WALL_MS, life.found.must_open_epoch)
    for turn in range(1, 120):
        replica.step(Tick(turn * 10, WALL_MS + turn * 10))
        for ticket in range(rng.randrange(4)):
            command = PostMessage(f"ann{ticket}", "x" * rng.randrange(1, 80))
            replica.step(Submit(10 * turn + ticket, command, AckLevel.WRITTEN))
        out = replica.drain()
        if out.persist:
            journal.append(out.persist)
        if rng.random() < 0.5:  # the loop hears of several commits at once
            continue
        journal.sync()
        life.pages.placed(journal.take_placed())
        replica.projections.seal(journal.take_seals())
        replica.step(Persisted(journal.written, journal.durable))
        for one in replica.projections.take_checkpoints():
            assert journal.keep(one) == ""
    left = life.storage.killed()
    files = checkpoints_of(left)
    assert len(files) > 5
    for name in files:
        left.remove(name)
    Life(left, segment_bytes=900)
    made = checkpoints_of(left)
    assert {name: made[name] for name in files} == files
    assert len(made) - len(files) <= 1  # the last one was not due yet


def test_a_large_checkpoint_is_several_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = written(past(9, 300), Random(9), 20_000)
    monkeypatch.setattr(frames, "PAYLOAD_BYTES_MAX", 7000)
    Life(storage, segment_bytes=20_000)
    (name, data), *_ = checkpoints_of(storage).items()
    assert len(list(frames.scan(data))) > 1
    assert same(storage, 20_000).found.recalled > 0
    last = list(frames.scan(data))[-1]
    storage.set(name, data[: last.offset])  # whole frames, and not all of them
    assert same(storage, 20_000).found.recalled == 0


def test_a_disk_that_fails_at_any_call_leaves_a_journal_that_starts() -> None:
    records = past(7, 60)
    whole = written(records, Random(7), SEGMENT_BYTES)
    for code in (errno.EIO, errno.ENOSPC):
        for call in range(1, 12):
            storage = FaultyStorage(10**9, code, name="n1")
            for name in whole.names():
                storage.set(name, whole.read(name, 0, whole.size(name)))
            options = JournalOptions(segment_bytes=SEGMENT_BYTES)
            journal, found = Journal.open(storage, "n1", options, WALL_MS)
            made = Life(whole.killed(), segment_bytes=SEGMENT_BYTES)
            _, again = Journal.open(made.storage, "n1", options, WALL_MS)
            storage.fail_at = storage.calls + call
            told = [journal.keep(one) for one in again.checkpoints]
            assert found.recalled == 0
            if any(told):
                assert checkpoint_name(1 + [bool(why) for why in told].index(True)) in "".join(told)
            same(storage.killed(), SEGMENT_BYTES)
