"""A journal that somebody moves, removes or empties: refused at once, and told by a later start."""

from pathlib import Path

import pytest

from node.core.ports import Durability
from node.storage.files import MemoryStorage, StorageError
from node.storage.journal import Journal, JournalOptions
from node.storage.journal_id import note_journal_id, read_journal_id, refuse_if_gone
from node.storage.recovery import Known
from node.storage.scan import RecoveryRefused
from node.storage.verify import examine_storage
from tests.node.journals import EPOCH, Writer, commit, open_journal, small_journal

LOST = "the end of the journal is lost"
NAME = "00000001.seg"


def begun(durability: Durability = "always") -> tuple[MemoryStorage, Journal, Writer]:
    storage = MemoryStorage()
    journal, _ = open_journal(storage, durability=durability)
    writer = Writer()
    commit(journal, [writer.opening(), *writer.events(3)])
    return storage, journal, writer


@pytest.mark.parametrize("how", ["folder", "segment", "emptied"])
def test_nothing_is_called_durable_that_a_start_would_not_find(how: str) -> None:
    storage, journal, writer = begun()
    if how == "emptied":
        storage.empty(NAME)
    else:
        storage.vanish("" if how == "folder" else NAME)
    before = journal.durable
    journal.append(writer.events(1))
    with pytest.raises(StorageError, match="while the node ran") as caught:
        journal.sync()
    assert caught.value.final and "\n" not in str(caught.value)
    assert (journal.durable, journal.written) == (before, before)
    with pytest.raises(StorageError, match="while the node ran"):
        journal.append(writer.events(1))  # it is final
    assert "while the node ran" in journal.close(clean=True)


@pytest.mark.parametrize("durability", ["interval", "none"])
def test_in_a_relaxed_mode_nothing_is_called_written_either(durability: Durability) -> None:
    storage, journal, writer = begun(durability)
    storage.vanish()
    before = journal.written
    with pytest.raises(StorageError, match="while the node ran"):
        journal.append(writer.events(1))
    assert journal.written == before


@pytest.mark.parametrize("end", ["killed", "power_cut"])
@pytest.mark.parametrize("how", ["folder", "segment"])
@pytest.mark.parametrize("durability", ["always", "interval", "none"])
def test_what_was_refused_does_not_come_back_with_the_file(
    durability: Durability, how: str, end: str
) -> None:
    storage, journal, writer = begun(durability)
    taken = storage.vanish("" if how == "folder" else NAME)
    before = journal.written
    with pytest.raises(StorageError, match="while the node ran"):  # noqa: PT012
        journal.append(writer.events(1))
        journal.sync()
    storage.come_back(*taken)
    storage = storage.killed() if end == "killed" else storage.power_cut()
    again, found = open_journal(storage, durability=durability)
    assert (again.written, len(found.records)) == (before, before)


def test_a_journal_that_writes_nothing_is_checked_too() -> None:
    storage, journal, _ = begun()
    journal.check()
    storage.vanish(NAME)
    with pytest.raises(StorageError, match=f"{NAME} was moved or removed"):
        journal.check()


def test_a_stop_is_not_clean_where_the_journal_is_gone() -> None:
    storage, journal, _ = begun()
    storage.vanish()
    with pytest.raises(StorageError, match="while the node ran"):
        journal.close(clean=True)


def test_what_was_refused_is_not_there_when_the_journal_is_put_back() -> None:
    storage, journal, writer = begun()
    away = storage.vanish()
    journal.append(writer.events(1))
    with pytest.raises(StorageError):
        journal.sync()
    storage.come_back(*away)
    _, found = open_journal(storage.killed())
    assert (found.count, found.must_open_epoch) == (4, "")


def test_an_emptied_segment_is_damage_to_verify_and_to_the_start() -> None:
    """Also the only one, and where IDENTITY knows of no record in it."""
    storage, _, _ = begun()
    after = storage.killed()
    after.empty(NAME)
    (finding,) = [one for one in examine_storage(after).findings if one.severity == "damage"]
    assert finding.file == NAME and f"{NAME} is empty" in finding.what
    journal, found = open_journal(after)
    assert LOST in found.must_open_epoch
    assert found.new_holes == 1
    writer = Writer(epoch=EPOCH + 1)
    commit(journal, [writer.opening(), *writer.events(1)])
    journal.close(clean=True)
    _, again = open_journal(after.killed())
    assert (again.must_open_epoch, again.new_holes, again.count) == ("", 0, 2)


def test_the_last_of_many_segments_emptied_is_damage_as_well() -> None:
    storage, _ = small_journal(clean=False)
    after = storage.killed()
    after.empty("00000003.seg")
    assert not examine_storage(after).whole
    assert LOST in open_journal(after)[1].must_open_epoch


def test_a_file_made_just_before_a_crash_is_none() -> None:
    """IDENTITY does not know of it: nothing was in it."""
    storage, journal, _ = begun()
    journal.close(clean=True)
    after = storage.killed()
    after.create("00000002.seg")
    assert examine_storage(after).whole
    assert open_journal(after)[1].must_open_epoch == ""


def test_a_life_does_not_begin_empty_where_another_had_records() -> None:
    _, journal, _ = begun()
    for mode in ("strict", "tail"):
        with pytest.raises(RecoveryRefused, match="is not there: put it back"):
            Journal.open(MemoryStorage(), "n1", JournalOptions(recover=mode), 0, journal.known)
    _, found = Journal.open(
        MemoryStorage(), "n1", JournalOptions(recover="salvage"), 0, journal.known
    )
    assert found.count == 0


def test_a_life_does_not_go_on_in_another_journal_nor_miss_what_the_last_one_wrote() -> None:
    storage, journal, writer = begun()
    other = MemoryStorage("other")
    open_journal(other)
    with pytest.raises(RecoveryRefused, match="another journal"):
        Journal.open(other.killed(), "n1", JournalOptions(), 0, journal.known)
    older = storage.killed()
    commit(journal, writer.events(2))
    _, found = Journal.open(older.killed(), "n1", JournalOptions(), 0, journal.known)
    assert LOST in found.must_open_epoch and found.lost == 2
    # The next process knows only which journal it was: a copy put back is the operator's choice.
    _, found = Journal.open(
        other.killed(), "n1", JournalOptions(), 0, Known(journal.known.directory_id)
    )
    assert found.incarnation == 2


def test_the_note_outlives_the_folder(tmp_path: Path) -> None:
    note, folder = tmp_path / "n1.journal", tmp_path / "n1" / "journal"
    assert read_journal_id(note) is None
    note_journal_id(note, b"\x01" * 16)
    note_journal_id(note, b"\x02" * 16)
    known = read_journal_id(note)
    assert known == Known(b"\x02" * 16)
    for made in (False, True):
        if made:
            folder.mkdir(parents=True)
        with pytest.raises(StorageError, match="is not there: put it back") as caught:
            refuse_if_gone(folder, known)
        assert caught.value.final
    refuse_if_gone(folder, None)
    (folder / NAME).touch()
    refuse_if_gone(folder, known)


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"{}", b'{"directory_id": "zz"}', b"\xff\xfe"])
def test_a_note_that_cannot_be_read_is_none_and_is_made_anew(tmp_path: Path, data: bytes) -> None:
    note = tmp_path / "n1.journal"
    note.write_bytes(data)
    assert read_journal_id(note) is None
    note_journal_id(note, b"\x01" * 16)
    assert read_journal_id(note) == Known(b"\x01" * 16)
    note_journal_id(tmp_path / "nowhere" / "n1.journal", b"\x01" * 16)  # does without
