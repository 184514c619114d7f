"""The scrub finds what changed in an open journal, once, and takes a growing end for none."""

import asyncio
import os
import threading
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest

from node.process.scrub import ColdReader, Scrub
from node.storage.files import FileStorage, MemoryStorage, StorageError
from node.storage.journal import JournalOptions
from node.storage.scan import Hole, scan_journal
from node.storage.scrub_passes import STEP_BYTES, Passes, Scrubbed
from tests.node.journals import Writer, commit, damaged, open_journal, small_journal
from tests.node.loops import PATIENCE_S, run, until

STEPS_MAX = 10_000
RATE = 1_000_000  # bytes a second; nobody rests here


def passed(passes: Passes) -> list[Hole]:
    """One whole pass."""
    for _ in range(STEPS_MAX):
        found = passes.step()
        if found is not None:
            return found
    raise AssertionError("the pass does not end")


def test_a_whole_journal_has_no_findings_and_each_pass_reads_all_of_it() -> None:
    storage, _ = small_journal()
    scrubbed = Scrubbed()
    passes = Passes(storage, scrubbed, RATE, step_bytes=100)
    assert passed(passes) == passed(passes) == []
    size = sum(storage.size(name) for name in storage.names() if name.endswith(".seg"))
    assert scrubbed.counters["scrub_bytes"] == 2 * size
    assert scrubbed.counters["scrub_passes"] == 2


def test_a_step_reads_or_checks_a_bounded_piece() -> None:
    storage, _ = small_journal(segments=1, commits=50, records=10)
    scrubbed = Scrubbed()
    passes = Passes(storage, scrubbed, RATE, step_bytes=256)
    read = 0
    while passes.step() is None:
        assert scrubbed.counters["scrub_bytes"] - read <= 256
        read = scrubbed.counters["scrub_bytes"]


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_byte_is_found_as_a_start_would_find_it_and_told_once(seed: int) -> None:
    storage, _ = small_journal()
    dice = Random(seed)
    name = dice.choice(["00000001.seg", "00000002.seg"])
    after = damaged(storage, name, dice.randrange(storage.size(name)))
    scrubbed = Scrubbed()
    passes = Passes(after, scrubbed, RATE, step_bytes=100)
    assert passed(passes) == [], "the first pass only suspects"
    assert passes.confirming
    found = passed(passes)
    assert found == scan_journal(after).holes
    assert not passes.confirming
    assert passed(passes) == passed(passes) == []
    assert scrubbed.counters["scrub_damaged"] == len(found) > 0


def test_what_an_opening_set_aside_is_no_finding() -> None:
    storage, _ = small_journal()
    after = damaged(storage, "00000001.seg", 300)
    journal, recovery = open_journal(after)
    scrubbed = Scrubbed()
    scrubbed.open(recovery.quarantined)
    passes = Passes(after, scrubbed, RATE)
    assert passed(passes) == passed(passes) == []
    journal.close(clean=True)


def test_a_finding_that_the_second_pass_does_not_see_is_none() -> None:
    storage, _ = small_journal()
    good = storage.read("00000001.seg", 0, storage.size("00000001.seg"))
    after = damaged(storage, "00000001.seg", 300)
    passes = Passes(after, Scrubbed(), RATE)
    assert passed(passes) == []
    after.set("00000001.seg", good)
    assert passed(passes) == passed(passes) == []


def test_the_end_that_is_being_written_is_no_damage() -> None:
    storage, _ = small_journal()
    name = max(n for n in storage.names() if n.endswith(".seg"))
    for cut in range(storage.size(name) - 80, storage.size(name)):
        growing = storage.killed()
        growing.truncate(name, cut)
        passes = Passes(growing, Scrubbed(), RATE)
        assert passed(passes) == passed(passes) == []


def passes_reached(scrubbed: Scrubbed, count: int) -> bool:
    return scrubbed.counters["scrub_passes"] >= count


class Shrinking(MemoryStorage):
    """A segment that was begun and is taken back between two looks."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        raise FileNotFoundError(name)


class Unreadable(MemoryStorage):
    def read(self, name: str, offset: int, length: int) -> bytes:
        raise OSError(5, "Input/output error")


def test_what_cannot_be_read_is_counted_and_no_finding() -> None:
    for kind, trouble in ((Shrinking, ""), (Unreadable, "Input/output error")):
        storage = kind()
        storage.set("00000001.seg", b"x" * 100)
        scrubbed = Scrubbed()
        passes = Passes(storage, scrubbed, RATE)
        assert passed(passes) == []
        assert passes.trouble == trouble
        assert scrubbed.counters["scrub_unreadable"] == bool(trouble)


def test_a_journal_of_a_newer_format_is_trouble_and_no_finding() -> None:
    storage, _ = small_journal()

    class Newer(MemoryStorage):
        def size(self, name: str) -> int:
            raise StorageError("journal format 2")

    passes = Passes(Newer(), Scrubbed(), RATE)
    storage = passes._reader  # type: ignore[assignment]
    storage.set("00000001.seg", b"x")
    assert passed(passes) == []
    assert passes.trouble == "journal format 2"


# --- the worker -----------------------------------------------------------------------------------


def test_the_worker_reads_at_its_rate_beside_a_journal_that_grows(tmp_path: Path) -> None:
    """Rot in an old segment is told once; appends go on meanwhile, and the loop turns."""

    async def main() -> None:
        storage = FileStorage(tmp_path)
        journal, _ = open_journal(storage)
        writer = Writer()
        commit(journal, [writer.opening(), *writer.events(20)])
        journal._options = JournalOptions(segment_bytes=1)
        commit(journal, writer.events(20))
        journal._options = JournalOptions()
        old = tmp_path / "00000001.seg"
        told: list[Hole] = []
        scrubbed = Scrubbed()
        scrub = Scrub(
            asyncio.get_running_loop(), tmp_path, scrubbed, 100 * STEP_BYTES, told.extend,
            lambda why: None, pause_s=0.01,
        )  # fmt: skip
        scrub.start()
        await until(lambda: scrubbed.counters["scrub_passes"] >= 2)
        data = bytearray(old.read_bytes())
        data[len(data) // 2] ^= 0x40
        with old.open("r+b") as file:
            os.pwrite(file.fileno(), data, 0)
        while not told:
            commit(journal, writer.events(5))
            await asyncio.sleep(0)
        passes = scrubbed.counters["scrub_passes"]
        await until(lambda: scrubbed.counters["scrub_passes"] >= passes + 2)
        assert [(hole.name, hole.known) for hole in told] == [("00000001.seg", False)]
        scrub.stop()
        journal.close(clean=True)

    run(main)


def test_a_stopped_worker_says_nothing_more_and_a_restarted_one_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        storage = FileStorage(tmp_path)
        journal, _ = open_journal(storage)
        commit(journal, Writer().events(20))
        scrubbed, told = Scrubbed(), []  # type: ignore[var-annotated]
        scrub = Scrub(
            asyncio.get_running_loop(), tmp_path, scrubbed, 100 * STEP_BYTES, told.extend,
            told.append, pause_s=0.0,
        )  # fmt: skip
        for more in range(1, 4):
            scrub.start()
            await until(partial(passes_reached, scrubbed, 10 * more))
            scrub.stop()
        await asyncio.sleep(0.02)  # a step in flight may still end
        still = scrubbed.counters["scrub_passes"]
        await asyncio.sleep(0.05)
        assert scrubbed.counters["scrub_passes"] == still
        scrub.start()
        (tmp_path / "00000001.seg").chmod(0)
        if os.getuid():  # root reads it all the same
            await until(lambda: told)
        scrub.stop()
        await until(lambda: not scrubbing() - before)  # each life's thread has ended
        journal.close(clean=True)

    before = scrubbing()
    run(main)


def scrubbing() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "scrub"}


def test_a_disk_that_does_not_answer_keeps_nobody_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, answers = threading.Event(), threading.Event()

    def read(self: ColdReader, name: str, offset: int, length: int) -> bytes:
        reading.set()
        answers.wait()
        return b""

    monkeypatch.setattr(ColdReader, "read", read)
    (tmp_path / "00000001.seg").write_bytes(b"x")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        scrub = Scrub(loop, tmp_path, Scrubbed(), RATE, print, print, pause_s=0.0)
        scrub.start()
        await until(reading.is_set)
        scrub.stop()

    began_s = time.monotonic()
    try:
        run(main)
        assert time.monotonic() - began_s < PATIENCE_S
    finally:
        answers.set()
