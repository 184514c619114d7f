"""The journal under real processes: a second owner, a real limit, kill -9."""

import subprocess
import sys
from pathlib import Path

import pytest

from node.storage.files import FileStorage, StorageLocked
from tests.node.journals import Writer, commit, open_journal

ROOT = Path(__file__).parents[3]


def test_a_second_process_on_the_directory_is_refused_and_the_first_goes_on(
    tmp_path: Path,
) -> None:
    journal, _ = open_journal(FileStorage(tmp_path))
    writer = Writer()
    commit(journal, writer.events(2))
    with pytest.raises(StorageLocked):
        FileStorage(tmp_path)
    script = (
        "import sys; from pathlib import Path; from node.storage.files import *\n"
        "try: FileStorage(Path(sys.argv[1]))\n"
        "except StorageLocked as error: sys.exit(5)"
    )
    told = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=False)
    assert told.returncode == 5
    commit(journal, writer.events(2))
    journal.close(clean=True)
    _, found = open_journal(FileStorage(tmp_path))
    assert (found.count, found.clean) == (4, True)


def test_a_real_file_at_its_limit_is_cut_back_and_grows_again_later(tmp_path: Path) -> None:
    """RLIMIT_FSIZE gives what a full disk gives: a short write, and then an error."""
    script = """
import resource, sys
from pathlib import Path
from node.storage.files import DiskFull, FileStorage
from tests.node.journals import Writer, commit, open_journal
journal, _ = open_journal(FileStorage(Path(sys.argv[1])))
writer = Writer()
commit(journal, writer.events(3))
size = journal._storage.size("00000001.seg")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
refused = writer.events(4)
for _ in range(2):
    try:
        journal.append(refused)
    except DiskFull as error:
        print(error, journal._storage.size("00000001.seg") == size)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
commit(journal, refused)
journal.close(clean=True)
"""
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    line = (
        "journal: cannot append to 00000001.seg: File too large; free some room, appending goes on"
    )
    assert told.stdout.count(line) == 2
    assert told.stdout.count("True") == 2
    journal, found = open_journal(FileStorage(tmp_path))
    assert (found.count, found.torn_bytes, found.quarantined) == (7, 0, ())
    journal.close(clean=True)


def test_kill_9_loses_nothing_that_was_reported_as_written(tmp_path: Path) -> None:
    script = """
import itertools, os, sys
from pathlib import Path
from node.storage.committer import Committer
from node.storage.files import FileStorage
from tests.node.journals import Writer, open_journal
journal, _ = open_journal(FileStorage(Path(sys.argv[1])))
report = lambda p: os.write(1, f"{p.written} {p.durable}\\n".encode())
committer = Committer(journal, "always", 1, report)
committer.start()
writer = Writer()
while True:
    committer.submit([writer.event()])
"""
    for _ in range(3):
        before = 0
        if (tmp_path / "00000001.seg").exists():
            journal, found = open_journal(FileStorage(tmp_path))
            before = found.count
            journal.close(clean=True)
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(40)]
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        written = [int(line.split()[0]) for line in lines if line.endswith(b"\n")]
        journal, found = open_journal(FileStorage(tmp_path))
        assert found.count >= written[-1] > before
        assert not found.quarantined
        journal.close(clean=True)
