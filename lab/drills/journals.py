"""Drill of `node.storage.journal.Journal` over a few lives, in memory.

The model is the list of records, and a plain reader of the file format (`read`), which other
drills use too. In each life the drill appends, syncs, rotates segments and reads records by number.
A life ends in a clean stop, a kill, a power cut, a torn tail, a damaged block or a copied folder;
the next opening must recover the expected records and ask for a new epoch where it has to. Left
out: checkpoints (see `sealing`), write errors (see `committing`), and real files (`directories`).
"""

import struct
from itertools import pairwise
from random import Random

from msgspec import Struct, field

from lab.drills.beside import holds, same
from node.core.ports import Durability, EpochRecord, EventRecord, Record
from node.storage.codec import decode_block, encode_block
from node.storage.files import MemoryStorage
from node.storage.frames import BLOCK, HEADER_BYTES, MAGIC, SEGMENT_HEADER
from node.storage.headers import Quarantined, decode_mark, decode_segment_header
from node.storage.journal import Journal, JournalOptions
from node.storage.record_reader import RecordPages
from node.storage.recovered import Recovery
from node.storage.recovery import IDENTITY_FILE, load_identity
from node.storage.segments import SEGMENT_SUFFIX

LIVES = 4
MODES: tuple[Durability, ...] = ("always", "interval", "none")
ENDS = ("clean", "killed", "killed", "power", "torn", "hole", "copied")


class Row(Struct, frozen=True):
    """A frame, as the plain reader finds it."""

    name: str
    offset: int
    type: int
    count: int
    number: int
    payload: bytes

    @property
    def place(self) -> tuple[str, int]:
        return self.name, self.offset

    @property
    def opens_epoch(self) -> bool:
        return any(isinstance(one, EpochRecord) for one in decode_block(self.payload))


class Past(Struct):
    """What the next opening must find."""

    records: list[Record] = []
    durable: int = 0  # of them
    lives: int = 0
    mode: Durability = "always"
    end: str = ""
    torn: bytes = b""
    lost: int = 0  # records in the hole that was made
    holes: int = 0  # made before, and known
    place: str = ""
    damaged: list[tuple[str, int]] = field(default_factory=list)  # frames: file, offset


def journals(rng: Random) -> None:
    storage, past = MemoryStorage("j0"), Past()
    size = rng.choice((1, 400, 1 << 20))
    for life in range(LIVES):
        mode = rng.choice(MODES)
        options = JournalOptions(mode, "tail", size)
        journal, found = Journal.open(storage, "n1", options, wall_ms=1000 + life)
        _judge_opening(storage, journal, found, past)
        past.lives, past.mode, past.place = past.lives + 1, mode, storage.place()
        pages = RecordPages(storage, found.index, rng.choice((0, 1 << 20)))
        _live(rng, storage, journal, past, pages, found)
        storage = _end(rng, storage, journal, past)


# --- a life ---------------------------------------------------------------------------------------


def _live(
    rng: Random,
    storage: MemoryStorage,
    journal: Journal,
    past: Past,
    pages: RecordPages,
    found: Recovery,
) -> None:
    if found.must_open_epoch:
        epoch = EpochRecord(rng.randint(1, 99), found.must_open_epoch, 5)
        _append(journal, past, [epoch])
        journal.sync()
        past.durable = len(past.records)
    for _ in range(rng.randrange(5)):
        _append(journal, past, [_record(rng) for _ in range(rng.randint(0, 3))])
        if rng.random() < 0.6:
            journal.sync()
            past.durable = len(past.records)
        holds("durable", past.durable <= journal.durable <= journal.written)
        past.durable = journal.durable  # a rotation syncs
    same("written", journal.written, len(past.records))
    placed = journal.take_placed()
    same("placed", sum(one.count for one in placed), len(past.records) - found.count)
    same("placed again", journal.take_placed(), [])
    pages.placed(placed)
    data = [one.data if isinstance(one, EventRecord) else b"" for one in past.records]
    numbers = list(range(1, len(data) + 1))
    same("read", pages.events(numbers), data)
    rng.shuffle(numbers)
    same("read in any order", pages.events(numbers), [data[number - 1] for number in numbers])
    _judge_files(storage, journal, past)


def _append(journal: Journal, past: Past, records: list[Record]) -> None:
    journal.append(records)
    past.records = [*past.records, *records]


def _record(rng: Random) -> Record:
    if rng.random() < 0.1:
        return EpochRecord(rng.randint(1, 1 << 40), "asked", rng.randint(0, 99))
    return EventRecord(rng.randbytes(rng.choice((4, 60, 300))), 7, "rumor", "n2")


# --- ends -----------------------------------------------------------------------------------------


def _end(rng: Random, storage: MemoryStorage, journal: Journal, past: Past) -> MemoryStorage:
    past.end, past.torn, past.lost = rng.choice(ENDS), b"", 0
    rows = read(storage)
    damaged = set(past.damaged)
    whole = [row for row in rows if row.type == BLOCK and row.place not in damaged]
    # Beside older damage it would be one larger hole, which is new as a whole and lost once more.
    pairs = [{first.place, second.place} for first, second in pairwise(rows)]
    beside = set[tuple[str, int]]().union(*[pair for pair in pairs if pair & damaged])
    sealed = [
        row
        for row in whole
        if row.name != rows[-1].name and not row.opens_epoch and row.place not in beside
    ]
    if past.end == "hole" and not sealed:
        past.end = "killed"
    if past.end == "clean":
        same("closed", journal.close(clean=True), "")
        same("last mark", str(type(decode_mark(read(storage)[-1].payload)).__name__), "CleanStop")
        past.durable = len(past.records)
        return storage.killed()
    if past.end == "power":
        return storage.power_cut()
    if past.end == "copied":
        return storage.copy(f"{storage.name}c")
    after = storage.killed()
    if past.end == "torn":
        data = after.read(rows[-1].name, 0, 1 << 22)
        last = data[rows[-1].offset :]
        past.torn = rng.choice((last[:-1], last[: HEADER_BYTES - 3], b"\0" * 9))
        after.set(rows[-1].name, data + past.torn)
    elif past.end == "hole":
        row = rng.choice(sealed)
        at = row.offset + HEADER_BYTES + rng.randrange(len(row.payload))
        after.damage(row.name, at, bytes([row.payload[at - row.offset - HEADER_BYTES] ^ 1]))
        past.damaged.append(row.place)
        before = sum(one.count for one in whole[: whole.index(row)])
        past.records = past.records[:before] + past.records[before + row.count :]
        past.lost = row.count
    return after


# --- what must be found ---------------------------------------------------------------------------


def _judge_opening(storage: MemoryStorage, journal: Journal, found: Recovery, past: Past) -> None:
    records = list(found.records)
    if past.end == "power":  # what was synced is there, and nothing that was not written
        holds("no more than written", records == past.records[: len(records)])
        holds("all that was durable", len(records) >= past.durable)
        past.records = past.records[: len(records)]
    else:
        same("records", records, past.records)
    epochs = [one.epoch for one in records if isinstance(one, EpochRecord)]
    same("epoch", found.epoch, epochs[-1] if epochs else None)
    same("count", (found.count, len(found.records), found.recalled), (len(records),) * 2 + (0,))
    same("numbers", (journal.written, journal.durable), (len(records),) * 2)
    same("clean", found.clean, past.end == "clean")
    same("incarnation", found.incarnation, past.lives + 1)
    same("torn", found.torn_bytes, len(past.torn))
    if past.torn:
        same("kept", storage.read(found.kept_as, 0, 1 << 22), past.torn)
    same("lost", (found.lost, found.new_holes), (past.lost, int(past.lost > 0)))
    past.holes += past.lost > 0
    same("holes", len(found.quarantined), past.holes)
    same("why an epoch", found.must_open_epoch, _reasons(storage, past, epochs))
    same("unsynced", (found.unsynced, journal.unrenewed, journal.failed), (0, False, ""))
    same("no segment is missing", found.missing, ())
    identity = load_identity(storage)
    assert identity is not None
    told = (identity.node, identity.incarnation, identity.place, identity.must_open_epoch)
    same("identity", told, ("n1", past.lives + 1, storage.place(), found.must_open_epoch))
    same("no part is left", [name for name in storage.names() if name.endswith(".part")], [])
    past.durable = len(records)


def _reasons(storage: MemoryStorage, past: Past, epochs: list[int]) -> str:
    reasons = []
    if not epochs and not past.holes:
        reasons.append("new log")
    if past.torn:
        reasons.append("tail repaired")
    if past.lost:
        reasons.append("damage in the journal")
    if past.lives and past.place != storage.place():
        reasons.append("the data directory is a copy")
    if past.lives and past.mode != "always" and epochs and past.end != "clean":
        reasons.append(f"unclean stop in mode {past.mode}")
    return "; ".join(reasons)


def _judge_files(storage: MemoryStorage, journal: Journal, past: Past) -> None:
    """Compare the files with the model, by a reader that knows only the format."""
    rows = read(storage)
    if not past.holes:
        same("payloads", b"".join(row.payload for row in rows if row.type == BLOCK),
             b"".join(encode_block([one]) for one in past.records))  # fmt: skip
        blocks = [row for row in rows if row.type == BLOCK]
        same("counts", sum(row.count for row in blocks), len(past.records))
        number = 1
        for row in rows:
            same(f"number at {row.name} {row.offset}", row.number, number)
            number += row.count
        if journal.written == journal.durable:
            same("the next number", journal.known.next_number, number)
    identity = load_identity(storage)
    assert identity is not None
    for at, row in enumerate(rows):
        if row.offset:
            continue
        same("a segment begins with", row.type, SEGMENT_HEADER)
        header = decode_segment_header(row.payload)
        same("its header", (header.node, header.segment, header.directory_id),
             ("n1", int(row.name.removesuffix(SEGMENT_SUFFIX)), identity.directory_id))  # fmt: skip
        holds("whose life", 1 <= header.incarnation <= past.lives)
        holds("segments count on", not at or header.segment > 1)
    marks = [decode_mark(row.payload) for row in rows if row.type not in (BLOCK, SEGMENT_HEADER)]
    same("holes are told", sum(isinstance(mark, Quarantined) for mark in marks), past.holes)
    holds("IDENTITY is there", IDENTITY_FILE in storage.names())
    same("where it is", journal.known.directory_id, identity.directory_id)


def read(storage: MemoryStorage) -> list[Row]:
    """All frames of all segments, in order. Where one is damaged its payload is skipped."""
    rows: list[Row] = []
    for name in storage.names():
        if not name.endswith(SEGMENT_SUFFIX):
            continue
        data, at = storage.read(name, 0, 1 << 22), 0
        while at < len(data):
            magic, _, kind, _, length, count, offset, _, number = struct.unpack_from(
                "<4sBBHIIIIQ", data, at
            )
            same(f"a frame at {name} {at}", (magic, offset), (MAGIC, at))
            end = at + HEADER_BYTES + length
            rows.append(
                Row(
                    name=name,
                    offset=at,
                    type=kind,
                    count=count,
                    number=number,
                    payload=data[at + HEADER_BYTES : end],
                )
            )
            at = end
    return rows
