"""tests/scenarios/recovery*.txt: what recovery does, as a transcript that people read.

A block is one command, `----`, and what it prints, up to an empty line. `pytest --rewrite` writes
the output anew; review the difference. The commands act on one journal in memory:

    open [mode=strict|tail|salvage] [durability=always|interval|none] [node=n1]
    epoch            open a new epoch, sync
    append N         N own events in one commit, no sync
    sync             make everything durable
    seal             begin a new segment with the next append
    stop             a clean stop
    kill             kill -9: what was written stays
    power-cut        power loss: what was synced stays
    tail TEXT        put these bytes behind the last segment
    flip FILE BYTE   damage one byte
    cut FILE SIZE    cut a file
    remove FILE      delete it
    copy             the directory is copied, and the copy is used
    files · frames · texts · verify · repair
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.events import MessagePosted
from node.core.ports import EpochRecord, EventRecord
from node.storage import frames
from node.storage.codec import ProtobufCodec
from node.storage.files import MemoryStorage, StorageError
from node.storage.journal import Journal, JournalOptions
from node.storage.repair import repair_storage
from node.storage.scan import scan_journal
from node.storage.segments import list_segments, read_frames, read_records
from node.storage.verify import examine_storage
from tests.node.journals import Writer
from tests.transcripts import check_transcript, transcripts

SCENARIOS = transcripts("recovery*.txt")
TYPES = {1: "segment", 2: "block", 3: "identity", 4: "mark"}


class Bench:
    def __init__(self) -> None:
        self.storage = MemoryStorage("disk-1")
        self.journal: Journal | None = None
        self.writer = Writer()
        self.copies = 1

    def run(self, command: str) -> str:
        verb, *words = command.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        args = [word for word in words if "=" not in word]
        try:
            handler = getattr(self, "do_" + verb.replace("-", "_"))
            return str(handler(*args, **options) or "ok")
        except StorageError as error:
            return f"{type(error).__name__}: {error}"

    def do_open(self, mode: str = "tail", durability: str = "always", node: str = "n1") -> str:
        options = JournalOptions(durability, mode)  # type: ignore[arg-type]
        self.journal, found = Journal.open(self.storage, node, options, 5000)
        self.take_up(found.epoch)
        epoch = "none" if found.epoch is None else found.epoch
        stop = "clean" if found.clean else "unclean"
        lines = [
            f"{found.count} records, epoch {epoch}, start {found.incarnation}, last stop {stop}"
        ]
        if found.torn_bytes:
            lines.append(
                f"torn: {found.torn_bytes} bytes kept as {found.kept_as}: {found.torn_cause}"
            )
        for hole in found.quarantined:
            known = " (known)" if hole.known else ""
            lines.append(
                f"hole{known}: {hole.name} offset {hole.offset}, {hole.length} bytes, "
                f"{hole.records} records: {hole.cause}"
            )
        if found.new_holes:
            lines.append(f"degraded: {found.lost} records to be pulled back from peers")
        if found.must_open_epoch:
            lines.append(f"needs a new epoch: {found.must_open_epoch}")
        return "\n".join(lines)

    def take_up(self, epoch: int | None) -> None:
        self.writer = Writer(epoch=epoch or 1)
        for record in self.events():
            dot = ProtobufCodec().decode(record.data).event.dot
            if dot.epoch == self.writer.epoch:
                self.writer.event()

    def do_epoch(self) -> None:
        assert self.journal is not None
        self.writer = Writer(epoch=self.writer.epoch + 1)
        self.journal.append([EpochRecord(self.writer.epoch, "asked for", 5000)])
        self.journal.sync()

    def do_append(self, count: str) -> str:
        assert self.journal is not None
        self.journal.append(self.writer.events(int(count)))
        return f"written {self.journal.written}, durable {self.journal.durable}"

    def do_sync(self) -> str:
        assert self.journal is not None
        self.journal.sync()
        return f"written {self.journal.written}, durable {self.journal.durable}"

    def do_seal(self) -> None:
        assert self.journal is not None
        self.journal._rotate()

    def do_stop(self) -> None:
        assert self.journal is not None
        self.journal.close(clean=True)
        self.storage = self.storage.killed()

    def do_kill(self) -> None:
        self.storage = self.storage.killed()

    def do_power_cut(self) -> None:
        self.storage = self.storage.power_cut()

    def do_copy(self) -> None:
        self.copies += 1
        self.storage = self.storage.copy(f"disk-{self.copies}")

    def do_tail(self, text: str) -> None:
        self.storage.append(list_segments(self.storage)[-1].name, text.encode())
        self.storage = self.storage.killed()

    def do_flip(self, name: str, at: str) -> None:
        data = bytearray(self.storage.read(name, 0, 10**9))
        data[int(at)] ^= 0xFF
        self.storage.set(name, bytes(data))

    def do_cut(self, name: str, size: str) -> None:
        self.storage.set(name, self.storage.read(name, 0, int(size)))

    def do_remove(self, name: str) -> None:
        self.storage.remove(name)

    def do_files(self) -> str:
        return "\n".join(f"{n} {self.storage.size(n)}" for n in self.storage.names())

    def do_frames(self) -> str:
        lines: list[str] = []
        for segment in scan_journal(self.storage).segments:
            for frame, _ in read_frames(self.storage, segment):
                line = f"{segment.name} {frame.offset:4}-{frame.end:<4} {TYPES[frame.type]:8}"
                if frame.count:
                    line += f"records {frame.number}-{frame.number + frame.count - 1}"
                lines.append(line.rstrip())
        return "\n".join(lines)

    def events(self) -> Iterator[EventRecord]:
        for record in read_records(self.storage, scan_journal(self.storage).segments):
            if type(record) is EventRecord:
                yield record

    def do_texts(self) -> str:
        events = [ProtobufCodec().decode(record.data).event for record in self.events()]
        return "\n".join(
            f"{event.dot} {event.text}" for event in events if type(event) is MessagePosted
        )

    def do_verify(self) -> str:
        report = examine_storage(self.storage)
        lines = [f"{finding.severity}: {finding}" for finding in report.findings]
        return "\n".join([*lines, f"{report.records} records, whole: {report.whole}"])

    def do_repair(self) -> str:
        repaired = repair_storage(self.storage)
        lines = [*repaired.actions, *(f"kept: {name}" for name in repaired.kept)]
        return "\n".join([*lines, f"lost: {repaired.lost}"])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_transcript_is_what_happens(path: Path, request: pytest.FixtureRequest) -> None:
    assert frames.FRAME_VERSION == 1  # offsets in the transcripts are those of this version
    check_transcript(path, lambda: Bench().run, request)
