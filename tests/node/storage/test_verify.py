"""Offline reading names every damage by file and offset; a repaired journal has none left."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from node.core.ports import EpochRecord, EventRecord, Record
from node.storage.files import FileStorage, MemoryStorage, StorageError, StorageLocked
from node.storage.verify import examine, inspect, repair, verify
from tests.node.journals import EPOCH, Writer, commit, open_journal, small_journal

BIG = 10**9


def on_disk(storage: MemoryStorage, path: Path) -> Path:
    """The same journal as files, with an identity that knows this place."""
    path.mkdir(mode=0o700)
    for name in storage.names():
        (path / name).write_bytes(storage.read(name, 0, BIG))
    return path


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(bytes(data))


def held_by(path: Path) -> list[Record]:
    journal, found = open_journal(FileStorage(path), recover="tail")
    records = list(found.records)
    journal.close(clean=True)
    return records


def test_a_whole_journal_has_no_findings(tmp_path: Path) -> None:
    storage, held = small_journal()
    report = examine(on_disk(storage, tmp_path / "j"))
    assert report.findings == ()
    assert report.whole
    assert (report.node, report.segments, report.records) == ("n1", 3, len(held))
    assert (report.events, report.epochs, report.logs) == (len(held) - 1, 1, 1)


def test_the_directory_above_will_do(tmp_path: Path) -> None:
    storage, _ = small_journal()
    on_disk(storage, tmp_path / "journal")
    assert verify(tmp_path) == []


def test_a_path_without_a_journal_gives_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        for read in (verify, repair, lambda path: list(inspect(path))):
            with pytest.raises(StorageError, match="there is no journal here"):
                read(path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="Not a directory"):
        verify(tmp_path / "file")


def test_a_flip_at_any_byte_is_found_in_its_place(tmp_path: Path) -> None:
    storage, _ = small_journal(segments=2, commits=2)
    path = on_disk(storage, tmp_path / "j")
    for name in ("00000001.seg", "00000002.seg"):
        for at in range(0, (path / name).stat().st_size, 3):
            flip(path / name, at)
            (finding,) = verify(path)
            assert finding.severity in ("damage", "torn")
            assert finding.file == name
            assert finding.offset <= at < finding.offset + finding.length
            assert str(finding).startswith(f"{name}: offset {finding.offset}: ")
            flip(path / name, at)
    assert verify(path) == []


def test_a_torn_tail_is_a_note_while_the_node_runs(tmp_path: Path) -> None:
    storage, _ = small_journal()
    path = on_disk(storage, tmp_path / "j")
    with (path / "00000003.seg").open("ab") as file:
        file.write(b"\xf7lab half a frame")
    assert [finding.severity for finding in verify(path)] == ["torn"]
    running = FileStorage(path)
    assert [finding.severity for finding in verify(path)] == ["note"]
    assert examine(path).whole
    with pytest.raises(StorageLocked):
        repair(path)
    running.close()


def test_a_lost_identity_is_a_note(tmp_path: Path) -> None:
    storage, _ = small_journal()
    path = on_disk(storage, tmp_path / "j")
    (path / "IDENTITY").unlink()
    assert [(f.severity, f.file) for f in verify(path)] == [("note", "IDENTITY")]


def journal_of(records: Sequence[Record], path: Path) -> Path:
    journal, _ = open_journal(FileStorage(path))
    for record in records:
        commit(journal, [record])
    journal.close(clean=True)
    return path


def test_an_event_that_does_not_follow_its_predecessor_is_found(tmp_path: Path) -> None:
    mine, theirs, other = Writer(), Writer("n2", 5), Writer("n2", 5)
    other.event("another beginning")
    broken = other.event("does not follow", "rumor")
    records: list[Record] = [mine.opening(), mine.event(), theirs.event(via="rumor"), broken]
    (finding,) = verify(journal_of(records, tmp_path / "j"))
    assert finding.severity == "chain"
    assert "n2.5:2 does not follow n2.5:1 by hash" in finding.what


def test_a_predecessor_that_came_later_or_never_is_no_finding(tmp_path: Path) -> None:
    theirs = Writer("n2", 5)
    first, second, _, fourth = (theirs.event(via="rumor") for _ in range(4))
    assert verify(journal_of([second, first, fourth], tmp_path / "j")) == []


def test_both_branches_of_a_fork_verify_and_the_fork_is_noted(tmp_path: Path) -> None:
    one, two = Writer("n2", 5), Writer("n2", 5)
    records: list[Record] = [one.event("a", "rumor"), one.event("b", "rumor")]
    records += [two.event("c", "rumor"), two.event("d", "rumor")]
    findings = verify(journal_of(records, tmp_path / "j"))
    assert [finding.severity for finding in findings] == ["note", "note"]
    assert "n2.5:1 exists in 2 versions" in findings[0].what


def test_own_events_out_of_turn_are_found(tmp_path: Path) -> None:
    mine = Writer()
    opening, first, _, third = mine.opening(), mine.event(), mine.event(), mine.event()
    stranger = Writer("n9").event()
    unopened = Writer(epoch=7).event()
    records: list[Record] = [opening, first, third, stranger, opening, unopened]
    whats = [finding.what for finding in verify(journal_of(records, tmp_path / "j"))]
    assert len(whats) == 3
    assert "comes where seq 2 was due" in whats[0]
    assert "is marked as local, and this is the journal of n1" in whats[1]
    assert "is of an epoch that was not opened here" in whats[2]


def test_a_record_that_is_no_event_is_found(tmp_path: Path) -> None:
    records: list[Record] = [EventRecord(b"\xff\xff", 1, "rumor", "n2")]
    path = journal_of(records, tmp_path / "j")
    (finding,) = verify(path)
    assert (finding.severity, "is not an event" in finding.what) == ("damage", True)
    (item,) = [item for item in inspect(path) if item["kind"] == "event"]
    assert item["event"] is None
    assert "not a protobuf event" in str(item["error"])


def test_inspect_gives_everything_in_order_as_json(tmp_path: Path) -> None:
    mine = Writer()
    path = journal_of([mine.opening(), mine.event("héllo"), mine.event()], tmp_path / "j")
    items = list(inspect(path))
    assert json.loads(json.dumps(items)) == items
    assert [item["kind"] for item in items] == ["segment", "epoch", "event", "event", "mark"]
    assert [item.get("record") for item in items] == [None, 1, 2, 3, None]
    event = items[2]
    assert event["dot"] == {"origin": "n1", "epoch": EPOCH, "seq": 1}
    assert (event["event"], event["author"], event["text"]) == ("posted", "ann", "héllo")
    assert (event["via"], event["sender"]) == ("local", "")
    assert items[4]["mark"] == "clean-stop"


def test_inspect_calls_each_mark_by_its_name(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "j")
    for _ in range(2):  # the second start says that it was
        journal, _ = open_journal(storage)
        commit(journal, [EpochRecord(EPOCH, "asked", 1)])
    journal.close(clean=True)
    marks = [item for item in inspect(tmp_path / "j") if item["kind"] == "mark"]
    assert [(item["mark"], item["incarnation"]) for item in marks] == [
        ("started", 2),
        ("clean-stop", 2),
    ]


def test_inspect_shows_damage_in_its_place(tmp_path: Path) -> None:
    storage, _ = small_journal()
    path = on_disk(storage, tmp_path / "j")
    flip(path / "00000002.seg", 200)
    with (path / "00000003.seg").open("ab") as file:
        file.write(b"torn")
    items = list(inspect(path))
    places = [(str(item["file"]), int(str(item["offset"]))) for item in items]
    assert places == sorted(places)
    assert [item["kind"] for item in items if item["kind"] in ("damage", "torn")] == [
        "damage",
        "torn",
    ]


# --- repair -------------------------------------------------------------------------------------


def test_a_whole_journal_is_left_alone_by_repair(tmp_path: Path) -> None:
    storage, _ = small_journal()
    path = on_disk(storage, tmp_path / "j")
    before = {file: (path / file).read_bytes() for file in os.listdir(path)}
    assert repair(path).actions == ()
    assert before == {file: (path / file).read_bytes() for file in before}


@pytest.mark.parametrize("seed", range(60))
def test_repair_keeps_every_readable_record_and_leaves_no_finding(
    seed: int, tmp_path: Path
) -> None:
    rng = Random(seed)
    storage, _ = small_journal()
    path = on_disk(storage, tmp_path / "j")
    for _ in range(rng.randrange(1, 6)):
        name = f"0000000{rng.randrange(1, 4)}.seg"
        if not (path / name).exists():
            continue
        size = (path / name).stat().st_size
        if size < 2:
            continue
        match rng.randrange(6):
            case 0:
                os.truncate(path / name, rng.randrange(1, size))
            case 1:
                (path / name).unlink()
            case _:
                flip(path / name, rng.randrange(size)) if size else None
    if not any((path / f"0000000{n}.seg").exists() for n in (1, 2, 3)) or not verify(path):
        return  # nothing is left, or only the newest segments are gone, which no file can tell
    readable = [item for item in inspect(path) if item["kind"] in ("event", "epoch")]
    repaired = repair(path)
    assert repaired.actions
    assert [f for f in verify(path) if f.severity != "note"] == []
    again = [item for item in inspect(path) if item["kind"] in ("event", "epoch")]
    assert [item.get("hash") for item in again] == [item.get("hash") for item in readable]
    assert repair(path).actions == ()
    for kept in repaired.kept:
        assert (path / kept).exists()
    # The next start opens a new epoch, because of the repair.
    journal, found = open_journal(FileStorage(path), recover="strict")
    assert found.must_open_epoch
    commit(journal, [EpochRecord(9, found.must_open_epoch, 1)])
    journal.close(clean=True)
    assert held_by(path)[-1] == EpochRecord(9, found.must_open_epoch, 1)


def test_repair_says_what_it_did_and_what_it_kept(tmp_path: Path) -> None:
    storage, held = small_journal()
    path = on_disk(storage, tmp_path / "j")
    original = (path / "00000002.seg").read_bytes()
    flip(path / "00000002.seg", 200)
    damaged = (path / "00000002.seg").read_bytes()
    with (path / "00000003.seg").open("ab") as file:
        file.write(b"torn")
    repaired = repair(path)
    assert repaired.actions[0].startswith("00000003.seg: cut 4 torn bytes off at offset ")
    assert "00000002.seg: written anew" in repaired.actions
    assert set(repaired.kept) >= {"00000003.seg.torn-1", "00000002.seg.damaged-1"}
    assert (path / "00000002.seg.damaged-1").read_bytes() == damaged != original
    assert repaired.lost == 2
    assert len(held_by(path)) == len(held) - 2


def test_repair_after_a_quarantine_and_more_records(tmp_path: Path) -> None:
    storage, held = small_journal()
    path = on_disk(storage, tmp_path / "j")
    flip(path / "00000001.seg", 300)
    journal, found = open_journal(FileStorage(path))
    later = Writer(epoch=77)
    commit(journal, [later.opening(), *later.events(3)])
    journal.close(clean=True)
    (finding,) = verify(path)
    assert "quarantined" in finding.what
    repair(path)
    assert verify(path) == []
    assert len(held_by(path)) == len(held) - found.lost + 4


def test_the_reader_in_the_documentation_reads_the_golden_journal(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    page = (root / "docs" / "disk-format.md").read_text()
    script = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "reader.py").write_text(script)
    golden = root / "tests" / "golden" / "v1" / "journal"
    told = subprocess.run(
        [sys.executable, str(tmp_path / "reader.py"), str(golden)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONIOENCODING": "utf-8"},
    )
    expected = [
        f"{dot['origin']}.{dot['epoch']:x}:{dot['seq']} {item['author']}: {item['text']}"
        for item in inspect(golden)
        if isinstance(dot := item.get("dot"), dict) and item["kind"] == "event"
    ]
    assert len(expected) == 12
    assert told.stdout.splitlines() == expected
