"""Drill of `verify`, `inspect` and `repair` of a journal (`node.storage.verify`, `.repair`).

The drill writes a journal in memory and keeps the list of its records. Some events break one rule;
or, instead, the files are damaged in one way: a torn tail, flipped bits in blocks or in the header
of a segment, a missing segment, a missing IDENTITY. The report must hold exactly the findings that
follow from this list, the items printed must be those left, and after a repair the journal must
hold them and open for a start. Left out: two kinds of damage at once, and damaged checkpoints (see
`sealing`).
"""

from random import Random

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from gossip.entry import GENESIS, hash_of
from lab.drills.beside import holds, same
from lab.drills.entries import written
from lab.drills.journals import Row, read
from node.core.ports import EpochRecord, EventRecord, Record
from node.storage.codec import decode_block
from node.storage.files import MemoryStorage
from node.storage.frames import BLOCK, HEADER_BYTES, MARK, SEGMENT_HEADER
from node.storage.journal import Journal, JournalOptions
from node.storage.recovery import IDENTITY_FILE
from node.storage.repair import repair_storage
from node.storage.verify import Report, examine_storage, inspect_storage

BATCHES = 12
EPOCH = 5
Made = tuple[Record, str, str]  # and what is found of it: severity, a word of the text
HARMS = ("none", "none", "torn", "hole", "holes", "identity", "segment", "header")


class Chain:
    """The log of one origin, as it is written."""

    def __init__(self, origin: str, epoch: int) -> None:
        self.origin, self.epoch, self.seq, self.prev = origin, epoch, 0, GENESIS
        self.stored: list[EventRecord] = []

    def event(self, seq: int, prev: bytes, text: str = "hi") -> EventRecord:
        event = MessagePosted(
            dot=Dot(self.origin, self.epoch, seq),
            stamp=Stamp(seq, 0),
            parents=(),
            author="ann",
            text=text,
            censored_by=(),
        )
        if self.origin == "n1":
            return EventRecord(written(event, prev), 9, "local", "")
        return EventRecord(written(event, prev), 9, "rumor", "n2")

    def next(self) -> EventRecord:
        self.seq += 1
        record = self.event(self.seq, self.prev)
        self.prev = hash_of(record.data)[:16]
        self.stored.append(record)
        return record


class Written:
    def __init__(self, rng: Random, *, wrong: bool) -> None:
        self.rng, self.wrong = rng, wrong
        self.own, self.far = Chain("n1", EPOCH), Chain("n2", 8)
        self.made: list[Made] = []

    def batch(self) -> list[Record]:
        made = [self._made() for _ in range(self.rng.randint(1, 3))]
        self.made += made
        return [record for record, _, _ in made]

    def _made(self) -> Made:
        rng, far = self.rng, self.far
        kind = rng.randrange(12) if self.wrong else 7
        stored = far.stored
        if kind == 0 and stored:
            return rng.choice(stored), "note", "stored twice"
        if kind == 1 and far.seq == 1:
            return far.event(1, GENESIS, f"fork {len(self.made)}"), "note", "forked"
        if kind == 2 and far.seq:
            far.seq += 1
            record = far.event(far.seq, b"\7" * 16)
            far.prev = hash_of(record.data)[:16]
            return record, "chain", "does not follow"
        if kind == 3:
            return EventRecord(b"\xff\xff", 9, "rumor", "n2"), "damage", "not an event"
        if kind == 4:
            self.own.seq += 1
            record = self.own.next()  # by hash it follows what was left out
            return record, "chain", "was due"
        if kind == 5:
            far.seq += 4  # what is not there yet is no finding
            far.prev = b"\6" * 16
            return far.next(), "", ""
        return rng.choice((self.own, far, far)).next(), "", ""


def examining(rng: Random) -> None:
    storage = MemoryStorage("e0")
    harm = rng.choice(HARMS)
    written_ = Written(rng, wrong=harm == "none")
    options = JournalOptions("always", "tail", rng.choice((1, 300, 1 << 20)))
    journal, _ = Journal.open(storage, "n1", options, wall_ms=1)
    journal.append([EpochRecord(EPOCH, "new log", 3)])
    written_.made.append((EpochRecord(EPOCH, "new log", 3), "", ""))
    for _ in range(rng.randint(2, BATCHES)):
        journal.append(written_.batch())
    journal.sync()
    if rng.random() < 0.3:
        same("closed", journal.close(clean=True), "")
    storage = storage.killed()
    before = read(storage)
    lost, harm = _do(rng, storage, before, harm)
    report = examine_storage(storage)
    _judge(storage, report, written_, before, lost, harm)
    _judge_items(storage, before, lost, harm)
    _mend(storage, before, lost, harm)


# --- harm -----------------------------------------------------------------------------------------

Lost = list[tuple[Row, int]]  # frames that cannot be read any more, and their records


def _do(rng: Random, storage: MemoryStorage, rows: list[Row], harm: str) -> tuple[Lost, str]:
    last = rows[-1]
    data = storage.read(last.name, 0, 1 << 22)
    whole = [row for row in rows if row.type == BLOCK and row is not last
             and row is not _next_of(rows, last.name)]  # fmt: skip
    if harm == "torn":
        storage.set(last.name, data + rng.choice((b"\0" * 9, data[last.offset : -1])))
    elif harm == "identity":
        storage.remove(IDENTITY_FILE)
    elif harm in ("hole", "holes") and whole:
        some = rng.sample(whole, min(len(whole), 1 if harm == "hole" else 3))
        for row in sorted(some, key=rows.index):
            at = row.offset + HEADER_BYTES + rng.randrange(len(row.payload))
            bit = row.payload[at - row.offset - HEADER_BYTES] ^ 4
            storage.damage(row.name, at, bytes([bit]))
        return [(row, row.count) for row in sorted(some, key=rows.index)], "hole"
    elif harm == "segment":
        names = sorted({row.name for row in rows})[1:-1]
        if names:
            name = rng.choice(names)
            storage.remove(name)
            return [(row, row.count) for row in rows if row.name == name], "segment"
        return [], "none"
    elif harm == "header":
        names = sorted({row.name for row in rows})[:-1]
        if names:
            name = rng.choice(names)
            row = next(one for one in rows if one.name == name and not one.offset)
            storage.damage(row.name, HEADER_BYTES, bytes([row.payload[0] ^ 4]))
            return [(row, 0)], "hole"
        return [], "none"
    else:
        return [], "none"
    return [], harm


def _next_of(rows: list[Row], name: str) -> Row | None:
    return next((row for row in rows if row.name == name and row.type == BLOCK), None)


# --- what is found --------------------------------------------------------------------------------


def _judge(
    storage: MemoryStorage,
    report: Report,
    written_: Written,
    rows: list[Row],
    lost: Lost,
    harm: str,
) -> None:
    gone = {row.place for row, _ in lost}
    left = [row for row in rows if row.place not in gone]
    records = [record for row in left if row.type == BLOCK for record in decode_block(row.payload)]
    events = [one for one in records if isinstance(one, EventRecord)]
    segments = [name for name in storage.names() if name.endswith(".seg")]
    same("node", report.node, "n1")
    same("segments", (report.segments, report.size_bytes),
         (len(segments), sum(storage.size(name) for name in segments)))  # fmt: skip
    same("records", (report.records, report.events), (len(records), len(events)))
    same("epochs", report.epochs, sum(isinstance(one, EpochRecord) for one in records))
    whose = {one.data.find(b"n2") < 0 for one in events if len(one.data) > 9}
    same("logs", report.logs, len(whose))
    wanted: list[tuple[str, str, int, int]] = []
    blocks = [row for row in rows if row.type == BLOCK]
    for number, (record, severity, word) in enumerate(written_.made, 1):
        row = next(one for one in blocks if number < one.number + one.count)
        if severity:
            size = HEADER_BYTES + len(row.payload)
            wanted.append((severity, row.name, row.offset, size))
            told = [str(one) for one in report.findings if one.offset == row.offset]
            holds(f"{word} is said: {record!r:.40}", any(word in one for one in told))
    if harm == "torn":
        last = rows[-1]
        end = last.offset + HEADER_BYTES + len(last.payload)
        wanted.append(("torn", last.name, end, storage.size(last.name) - end))
    if harm == "identity":
        wanted.append(("note", IDENTITY_FILE, 0, 0))
    if harm == "hole":
        wanted += [("damage", name, at, size) for name, at, size in _joined(lost)]
    found = [(one.severity, one.file, one.offset, one.length) for one in report.findings]
    if harm == "segment":
        same("a file is gone", [one[:2] for one in found], [("damage", lost[0][0].name)])
        holds("as many are lost", f"{sum(count for _, count in lost)} records" in
              report.findings[0].what or not sum(count for _, count in lost))  # fmt: skip
    else:
        same("findings", sorted(found), sorted(wanted))
    bad = any(severity != "note" for severity, *_ in found)
    same("whole", report.whole, not bad)


def _joined(lost: Lost) -> list[tuple[str, int, int]]:
    """The lost frames as ranges of bytes; adjacent frames are one range."""
    found: list[tuple[str, int, int]] = []
    for row, _ in lost:
        size = HEADER_BYTES + len(row.payload)
        if found and found[-1][0] == row.name and found[-1][1] + found[-1][2] == row.offset:
            found[-1] = row.name, found[-1][1], found[-1][2] + size
        else:
            found.append((row.name, row.offset, size))
    return found


def _judge_items(storage: MemoryStorage, rows: list[Row], lost: Lost, harm: str) -> None:
    gone = {row.place for row, _ in lost}
    wanted: list[tuple[object, ...]] = []
    for row in rows:
        if row.place in gone:
            continue
        if row.type == SEGMENT_HEADER:
            wanted.append((row.name, row.offset, "segment", None))
        elif row.type == MARK:
            wanted.append((row.name, row.offset, "mark", None))
        elif row.type == BLOCK:
            wanted += [
                (row.name, row.offset, "event" if isinstance(one, EventRecord) else "epoch", number)
                for number, one in enumerate(decode_block(row.payload), row.number)
            ]
    items = list(inspect_storage(storage))
    bad = [one for one in items if one["kind"] in ("damage", "torn")]
    plain = [one for one in items if one not in bad]
    told = [(one["file"], one["offset"], one["kind"], one.get("record")) for one in plain]
    same("items", told, wanted)
    data = [one.data for row in rows if row.place not in gone and row.type == BLOCK
            for one in decode_block(row.payload) if isinstance(one, EventRecord)]  # fmt: skip
    events = [one for one in plain if one["kind"] == "event"]
    same("bytes", [(one["bytes"], one["hash"]) for one in events],
         [(len(one), hash_of(one).hex()) for one in data])  # fmt: skip
    for one in events:
        if one["event"] is not None:
            local = one["via"] == "local"
            same("whose", (one["author"], str(one["text"])[:4] in ("hi", "fork")), ("ann", True))
            same("from whom", one["sender"], "" if local else "n2")
    kinds = {"torn": ["torn"], "hole": ["damage"] * len(_joined(lost)), "segment": ["damage"]}
    same("what is bad", [one["kind"] for one in bad], kinds.get(harm, []))
    places = [(str(one["file"]), one["offset"]) for one in items]
    if harm != "segment":
        same("in order", places, sorted(places, key=lambda one: (one[0], one[1])))


# --- a repair -------------------------------------------------------------------------------------


def _mend(storage: MemoryStorage, rows: list[Row], lost: Lost, harm: str) -> None:
    names = [name for name in storage.names() if name.endswith(".seg")]
    before = {name: storage.read(name, 0, 1 << 22) for name in names}
    done = repair_storage(storage)
    same("lost", done.lost, sum(count for _, count in lost))
    same("something was done", bool(done.actions), bool(lost) or harm == "torn")
    if harm in ("none", "identity"):
        same("nothing is changed", {name: storage.read(name, 0, 1 << 22) for name in names}, before)
    for kept in done.kept:
        data = storage.read(kept, 0, 1 << 22)
        holds("what was there is kept", data in before.values() or harm == "torn")
    after = examine_storage(storage)
    gone = {row.place for row, _ in lost}
    left = [one for row in rows if row.place not in gone and row.type == BLOCK
            for one in decode_block(row.payload)]  # fmt: skip
    if harm != "none":
        holds(f"whole: {[str(one) for one in after.findings]}", after.whole)
    again = repair_storage(storage)
    same("nothing is left to do", (again.actions, again.lost), ((), 0))
    journal, found = Journal.open(storage.killed(), "n1", JournalOptions(), wall_ms=9)
    same("a start has what was left", list(found.records), left)
    same("and finds no damage", (found.torn_bytes, found.new_holes), (0, 0))
    reasons = bool(sum(count for _, count in lost)) or harm in ("torn", "identity")
    why = found.must_open_epoch
    holds(f"an epoch is opened: {why}", not reasons or why != "")
    holds("not for nothing", harm != "none" or not why)
    same("closed", journal.close(clean=True), "")
