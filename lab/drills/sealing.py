"""Drill of checkpoints: their codec, their files, and which of them a start trusts.

A journal of small segments goes through a few lives in memory. A plain reader checks each seal of a
segment. The drill writes checkpoints with random rows and then removes, flips, cuts, extends or
swaps one, or leaves them. The model is the list of checkpoints that were written; the next start
must trust those before the first one that is not intact, and read the other segments. Left out:
damage of segments (see `journals`).
"""

from random import Random
from struct import pack

from google_crc32c import value as crc32c

from domain.clock import Stamp
from domain.dot import Dot, LogId
from domain.history import HistoryRows
from domain.presence import PresenceRows
from domain.timeline import TimelineRows
from lab.drills.beside import holds, same
from lab.drills.journals import Row, read
from node.core.checkpoint import Checkpoint, Seal
from node.core.entry_store import LogRows
from node.core.ports import CodecError, EpochRecord, EventRecord, Record
from node.storage.checkpoint_codec import decode_checkpoint, encode_checkpoint
from node.storage.checkpoint_files import checkpoint_name
from node.storage.codec import decode_block
from node.storage.files import MemoryStorage
from node.storage.frames import BLOCK
from node.storage.journal import Journal, JournalOptions
from node.storage.record_reader import RecordPages
from node.storage.recovered import Recovery
from node.storage.recovery import PART_SUFFIX, Mode

LIVES = 4
NAMES = ("n1", "n2", "é" * 9)


class Past:
    def __init__(self, salt: int) -> None:
        self.salt = salt
        self.records: list[Record] = []
        self.kept: list[Checkpoint] = []  # of segments 1, 2, ...
        self.whole = 0  # so many of them, from the first on, are as they were written
        self.arrivals = 0  # in these


def sealing(rng: Random) -> None:
    _codec(rng)
    storage, past = MemoryStorage("s0"), Past(rng.getrandbits(32))
    size = rng.choice((120, 400))
    for life in range(LIVES):
        trust, mode = rng.random() < 0.8, rng.choice(MODES)
        options = JournalOptions("always", mode, size, trust=trust)
        journal, found = Journal.open(storage, "n1", options, wall_ms=1000 + life)
        _judge(storage, found, past, trust=trust and mode != "strict")
        pages = RecordPages(storage, found.index, rng.choice((0, 1 << 20)))
        # What a start reads again is sealed again, and gets its checkpoint again.
        del past.kept[len(found.checkpoints) :]
        past.arrivals = sum(map(_arrivals, past.kept))
        _keep(storage, journal, past, found.seals)
        _live(rng, storage, journal, past, pages)
        before = [_file(storage, at) for at in range(len(past.kept))]
        # Checkpoints are not synced: without power some are gone.
        storage = storage.killed() if rng.random() < 0.7 else storage.power_cut()
        if past.kept and rng.random() < 0.6:
            _spoil(rng, storage, past)
        whole = [_file(storage, at) == data for at, data in enumerate(before)]
        past.whole = [*whole, False].index(False)


def _file(storage: MemoryStorage, at: int) -> bytes | None:
    name = checkpoint_name(at + 1)
    return storage.read(name, 0, 1 << 20) if name in storage.names() else None


MODES: tuple[Mode, ...] = ("tail", "tail", "salvage", "strict")


def _live(
    rng: Random, storage: MemoryStorage, journal: Journal, past: Past, pages: RecordPages
) -> None:
    for _ in range(rng.randrange(9)):
        records = [_record(rng) for _ in range(rng.randint(1, 3))]
        journal.append(records)
        journal.sync()
        past.records += records
        pages.placed(journal.take_placed())
        seals = journal.take_seals()
        for seal in seals:
            _judge_seal(storage, seal)
        if rng.random() < 0.9 and len(past.kept) + len(seals) == _sealed(storage):
            _keep(storage, journal, past, seals)
    numbers = list(range(1, len(past.records) + 1))
    same("read", pages.events(numbers), [_data(one) for one in past.records])


def _sealed(storage: MemoryStorage) -> int:
    return sum(name.endswith(".seg") for name in storage.names()) - 1


def _data(record: Record) -> bytes:
    return record.data if isinstance(record, EventRecord) else b""


def _record(rng: Random) -> Record:
    if rng.random() < 0.15:
        return EpochRecord(rng.randint(1, 1 << 40), "asked", 9)
    return EventRecord(rng.randbytes(rng.choice((4, 60, 150))), 7, "rumor", "n2")


def _keep(storage: MemoryStorage, journal: Journal, past: Past, seals: list[Seal]) -> None:
    for seal in seals:
        if seal.segment != len(past.kept) + 1:
            return  # there is a gap before: a chain has none
        # The same again for the same segment, as a node makes it.
        one = _checkpoint(Random(f"{past.salt} {seal.segment}"), seal, past)
        past.arrivals += _arrivals(one)
        same("kept", journal.keep(one), "")
        past.kept.append(one)
        holds("it is there", checkpoint_name(seal.segment) in storage.names())


def _judge(storage: MemoryStorage, found: Recovery, past: Past, *, trust: bool) -> None:
    wanted = past.kept[: past.whole] if trust else []
    # The last segment is always read, so its checkpoint, where it has one, is not believed.
    same("believed", found.checkpoints, wanted)
    recalled = wanted[-1].seal.last if wanted else 0
    same("recalled", found.recalled, recalled)
    same("the rest", list(found.records), past.records[recalled:])
    same("counts", (found.count, len(found.records)),
         (len(past.records), len(past.records) - recalled))  # fmt: skip
    epochs = [one.epoch for one in past.records if isinstance(one, EpochRecord)]
    same("epoch", found.epoch, epochs[-1] if epochs else None)
    segments = [seal.segment for seal in found.seals]
    sealed = [row.name for row in read(storage) if not row.offset]
    holds("seals of what was read", segments == list(range(len(wanted) + 1, len(sealed)))
          or segments == list(range(len(wanted) + 1, len(sealed) - 1)))  # fmt: skip
    for seal in found.seals:
        _judge_seal(storage, seal)
    holds("no part is left", not any(name.endswith(PART_SUFFIX) for name in storage.names()))


def _judge_seal(storage: MemoryStorage, seal: Seal) -> None:
    """Check a seal by a reader that knows only the format of frames."""
    before: list[Row] = []
    rows: list[Row] = []
    for row in read(storage):
        segment = int(row.name.partition(".")[0])
        if segment > seal.segment:
            break
        (rows if segment == seal.segment else before).append(row)
    first = 1 + sum(row.count for row in before if row.type == BLOCK)
    count = sum(row.count for row in rows if row.type == BLOCK)
    tail = rows[-1]
    number = tail.number + tail.count
    epoch, epoch_number = _last_epoch(before + rows)
    same("sealed", (seal.size, seal.tail), (storage.size(tail.name), tail.offset))
    same("its end", seal.crc, crc32c(tail.payload))
    same("records", (seal.first, seal.last), (first, first + count - 1))
    same("numbers", (seal.next_number, seal.epoch), (number, epoch))
    same("opened at", seal.epoch_number, epoch_number)


def _last_epoch(rows: list[Row]) -> tuple[int, int]:
    """The last epoch opened in these frames, and the number of its record; zeros if none."""
    for row in reversed(rows):
        records = decode_block(row.payload) if row.type == BLOCK else []
        for at, record in reversed(list(enumerate(records))):
            if isinstance(record, EpochRecord):
                return record.epoch, row.number + at
    return 0, 0


# --- checkpoints ----------------------------------------------------------------------------------


def _arrivals(one: Checkpoint) -> int:
    return len(one.history.columns[0]) // 8


def _checkpoint(rng: Random, seal: Seal, past: Past) -> Checkpoint:
    rows, named = rng.randrange(5), rng.randrange(3)

    def column(width: int, count: int) -> bytes:
        return rng.randbytes(width * count)

    logs = tuple([(rng.choice(NAMES), rng.getrandbits(64)) for _ in range(named)])
    return Checkpoint(
        seal=seal,
        first_arrival=past.arrivals,
        history=HistoryRows(
            tuple([column(width, rows) for width in (8, 4, 8, 8, 4, 8)]),
            logs,
            tuple([rng.choice(NAMES) for _ in range(named)]),
        ),
        offsets=(column(8, named), column(8, named)),
        timeline=TimelineRows(
            order=column(4, rows),
            late=column(4, named),
            raised_by=column(4, named),
            raised_logs=column(4, named),
            raised_before=column(8, named),
            names=logs,
            mentioned=tuple([(at, rng.getrandbits(63)) for at in range(named)]),
        ),
        presence=PresenceRows(
            column(4, rows), tuple([(rng.choice(NAMES), at) for at in range(named)])
        ),
        logs=tuple(
            [
                LogRows(
                    LogId(origin, epoch),
                    tuple([(at * 10 + 1, at * 10 + 5) for at in range(rng.randint(1, 3))]),
                    column(4, 5),
                    rng.getrandbits(256),
                )
                for origin, epoch in logs
            ]
        ),
        heads=tuple(
            [Dot(rng.choice(NAMES), 1 + rng.getrandbits(60), 1 + at) for at in range(named)]
        ),
        stamp=Stamp(rng.getrandbits(40), rng.getrandbits(16)),
    )


def _codec(rng: Random) -> None:
    seal = Seal(
        segment=3,
        size=400,
        tail=300,
        crc=rng.getrandbits(32),
        first=7,
        last=9,
        next_number=11,
        epoch=rng.getrandbits(64),
        epoch_number=8,
        points=(pack("<2Q", 1, 2), pack("<2I", 3, 4), pack("<2I", 5, 6)),
    )
    one, owner = _checkpoint(rng, seal, Past(0)), rng.randbytes(16)
    data = encode_checkpoint(one, owner)
    same("there and back", decode_checkpoint(data), (one, owner))
    same("in the same bytes", encode_checkpoint(one, owner), data)
    bad = data[: rng.randrange(len(data))]
    try:
        decode_checkpoint(bad)
    except (CodecError, ValueError):
        return
    holds("what is cut says another", decode_checkpoint(bad) != (one, owner))


def _spoil(rng: Random, storage: MemoryStorage, past: Past) -> None:
    """Damage one file. A start must not use it, nor any checkpoint after it."""
    at = rng.randrange(len(past.kept))
    name, data = checkpoint_name(at + 1), _file(storage, at)
    if not data:
        return
    where = rng.randrange(len(data))
    match rng.randrange(5):
        case 0:
            storage.remove(name)
        case 1:
            flipped = bytes([data[where] ^ (1 << rng.randrange(8))])
            storage.set(name, data[:where] + flipped + data[where + 1 :])
        case 2:
            storage.set(name, data[:where])
        case 3:
            storage.set(name, data + rng.choice((b"\0", data, b"x" * 60)))
        case _:
            other = _file(storage, (at + 1) % len(past.kept))
            storage.set(name, other or b"")
