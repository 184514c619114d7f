"""The simulated disk: what a crash may leave, and what may go wrong before."""

import errno
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.sim.disk import Died, SimDisk
from node.storage.files import SECTOR_BYTES, MemoryStorage

Step = tuple[str, bytes]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(min_size=1, max_size=1500)),
        st.tuples(st.just("sync"), st.just(b"")),
    ),
    max_size=12,
)


def quiet_disk(fired: list[str] | None = None) -> SimDisk:
    def note(what: str, where: str) -> None:
        if fired is not None:
            fired.append(what)

    disk = SimDisk("d", note)
    disk.create("f")
    disk.sync_dir()
    return disk


def done(disk: SimDisk, steps: list[Step]) -> tuple[bytes, bytes]:
    """Carries the steps out; what was written, and what of it was synced."""
    written = synced = b""
    for call, data in steps:
        if call == "append":
            assert disk.append("f", data) == len(data)
            written += data
        else:
            disk.sync("f")
            synced = written
    return written, synced


@given(STEPS)
def test_kill_keeps_everything_written(steps: list[Step]) -> None:
    disk = quiet_disk()
    written, _ = done(disk, steps)
    disk.killed()
    assert disk.read("f", 0, 10**6) == written


@given(STEPS, st.integers(0, 2**32))
def test_a_power_cut_keeps_what_was_synced_and_invents_nothing(
    steps: list[Step], seed: int
) -> None:
    disk = quiet_disk()
    written, synced = done(disk, steps)
    disk.power_cut(Random(seed))
    after = disk.read("f", 0, 10**6)
    assert after[: len(synced)] == synced
    assert len(after) <= len(written)
    for at in range(len(synced) - len(synced) % SECTOR_BYTES, len(after), SECTOR_BYTES):
        sector = slice(max(at, len(synced)), min(at + SECTOR_BYTES, len(after)))
        assert after[sector] in (written[sector], bytes(sector.stop - sector.start))


@given(STEPS, st.integers(0, 2**32), st.integers(1, 5))
def test_flips_change_so_many_bits_and_no_length(steps: list[Step], seed: int, count: int) -> None:
    disk = quiet_disk()
    written, _ = done(disk, steps)
    disk.killed()
    where = disk.flip(Random(seed), count)
    after = disk.read("f", 0, 10**6)
    assert len(after) == len(written)
    bits = sum((a ^ b).bit_count() for a, b in zip(after, written, strict=True))
    assert len(where) == (count if written else 0)
    assert bits <= len(where) and bits % 2 == len(where) % 2


def test_a_full_disk_takes_a_part_then_nothing_and_is_whole_again() -> None:
    fired: list[str] = []
    disk = quiet_disk(fired)
    disk.faults.full.append([5])
    assert disk.append("f", b"12345678") == 5
    with pytest.raises(OSError) as caught:
        disk.append("f", b"678")
    assert caught.value.errno == errno.ENOSPC
    assert fired == ["disk_full"]
    disk.faults.full.clear()
    assert disk.append("f", b"678") == 3
    assert disk.read("f", 0, 99) == b"12345678"


def test_errors_are_those_of_the_kernel_and_change_nothing() -> None:
    fired: list[str] = []
    disk = quiet_disk(fired)
    disk.faults.errors = {"write": [(1.0, Random(1))], "sync": [(1.0, Random(2))]}
    for call in (
        lambda: disk.append("f", b"x"),
        lambda: disk.sync("f"),
        lambda: disk.truncate("f", 0),
        lambda: disk.create("g"),
        lambda: disk.rename("f", "g"),
        lambda: disk.remove("f"),
        disk.sync_dir,
    ):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EIO
    assert fired == ["disk_errors"] * 7
    assert (disk.names(), disk.size("f")) == (["f"], 0)


def test_short_writes_take_a_part_and_say_so() -> None:
    fired: list[str] = []
    disk = quiet_disk(fired)
    disk.faults.short.append((1.0, Random(3)))
    count = disk.append("f", b"abcdef")
    assert 1 <= count < 6
    assert disk.read("f", 0, 99) == b"abcdef"[:count]
    assert fired == ["short_writes"]


def test_a_crash_in_the_middle_of_a_write_leaves_half_of_it() -> None:
    disk = quiet_disk()
    disk.faults.dies = lambda site: site == "mid_write"
    with pytest.raises(Died):
        disk.append("f", b"abcdef")
    assert disk.read("f", 0, 99) == b"abc"


def test_syncs_are_slow_while_they_are_said_to_be() -> None:
    disk = quiet_disk()
    usual = [disk.sync_us(800, Random(seed)) for seed in range(50)]
    assert all(400 <= one <= 1200 for one in usual)
    disk.faults.slow_us.append((100_000, Random(4)))
    assert max(disk.sync_us(800, Random(seed)) for seed in range(50)) > 50_000


@given(STEPS, st.integers(0, 2**32), st.integers(1, 4))
def test_spoilt_sectors_lose_or_misplace_what_was_written_and_no_file_grows(
    steps: list[Step], seed: int, count: int
) -> None:
    disk = quiet_disk()
    written, _ = done(disk, steps)
    disk.killed()
    done_to = disk.spoil(Random(seed), count)
    after = disk.read("f", 0, 10**6)
    assert (len(after), len(done_to)) == (len(written), count if written else 0)
    starts = range(0, len(written), SECTOR_BYTES)
    once = [bytes(written[at : at + SECTOR_BYTES]) for at in starts]
    for at in starts:
        sector = after[at : at + SECTOR_BYTES]
        # Nothing is invented: each is zeros, or some sector's bytes, over what was there.
        assert any(
            sector[:cut] == other[:cut] and sector[cut:] in (old[cut:], bytes(len(sector) - cut))
            for old in [once[at // SECTOR_BYTES]]
            for other in [*once, bytes(SECTOR_BYTES)]
            for cut in {min(len(other), len(sector)), len(sector)}
        )
    if [what for what, _ in done_to] == ["stale"]:
        assert sum(a != b for a, b in zip(after, written, strict=True)) <= SECTOR_BYTES


def test_a_disk_that_is_put_back_is_as_it_was() -> None:
    """With the bytes that no sync will write: a power cut still takes those."""
    disk = quiet_disk()
    disk.append("f", b"synced")
    disk.sync("f")
    disk.append("f", b"doomed")
    disk.faults.errors["sync"] = [(1.0, Random(1))]
    with pytest.raises(OSError):
        disk.sync("f")
    disk.faults.errors.clear()
    taken = disk.replaced(MemoryStorage("other"))
    assert disk.names() == []
    disk.power_cut(Random(1))
    disk.put_back(taken)
    assert disk.read("f", 0, 99) == b"synceddoomed"
    disk.sync("f")
    disk.power_cut(Random(1))
    assert disk.read("f", 0, 99) == b"synced" + bytes(6)


def test_what_was_damaged_is_told_as_it_was_written_until_it_is_cut_off() -> None:
    fired: list[str] = []
    disk = SimDisk("d", lambda what, where: fired.append(what))
    disk.create("a")
    disk.append("a", bytes(range(256)) * 4)
    disk.sync("a")
    disk.sync_dir()
    whole = disk.read("a", 0, 2000)
    disk.spoil(Random(1), 1)
    disk.flip(Random(2), 3)
    damaged = disk.read("a", 0, 2000)
    assert disk.rotten and damaged != whole
    with disk.as_written():
        assert disk.read("a", 0, 2000) == whole
    assert disk.read("a", 0, 2000) == damaged
    disk.truncate("a", 100)
    disk.append("a", b"new" * 300)
    with disk.as_written():
        assert disk.read("a", 0, 2000) == whole[:100] + b"new" * 300
    disk.remove("a")
    assert not disk.rotten
