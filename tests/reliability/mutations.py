"""Break a promise in a copy of the project, and show which of its tests fail.

Each mutation is a text that stands once in a file, and what is put in its place. It is taken back
to see that the same tests then pass. A mutation that no test notices is a failure of the tests.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".chatlab*", "__pycache__", ".*_cache", ".tools")
SHOWN = 3


class Mutation(Struct, frozen=True):
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_BATCH = "self._journal.written + len(batch)"
MUTATIONS = (
    Mutation(
        "skip fsync, in the journal",
        "node/storage/journal.py",
        "        try:\n            self._storage.sync(self._name)\n",
        "        try:\n            pass\n",
        ("tests/node/storage/test_journal.py", "tests/reliability/test_errors.py"),
    ),
    Mutation(
        "skip fsync, in the system call",
        "node/storage/files.py",
        "os.fdatasync(self._open(name))",
        "self._open(name)",
        ("tests/reliability/test_real_errors.py",),
    ),
    Mutation(
        "ack before write",
        "node/storage/committer.py",
        "        try:\n            self._journal.append(batch)\n",
        f"        self._on_progress(Persisted({_BATCH}, {_BATCH}))\n"
        "        try:\n            self._journal.append(batch)\n",
        ("tests/node/storage/test_committer.py",),
    ),
    Mutation(
        "drop the header CRC",
        "node/storage/frames.py",
        "    if actual != expected:\n",
        "    if False:\n",
        ("tests/node/storage/test_frames.py", "tests/reliability/test_journal.py"),
    ),
    Mutation(
        "lockf for flock",
        "node/storage/files.py",
        "fcntl.flock(lock,",
        "fcntl.lockf(lock,",
        ("tests/node/storage/test_files.py",),
    ),
    Mutation(
        "no ZAP domain",
        "node/security/curve.py",
        "    socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())\n"
        "    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)\n",
        "",
        ("tests/node/security/test_zap_authenticator.py",),
    ),
    Mutation(
        "no display_safe",
        "lab/terminal/display.py",
        "        text = _shown(text)\n",
        "        pass\n",
        ("tests/reliability/test_text.py", "tests/lab/terminal/test_display.py"),
    ),
    Mutation(
        "no bound on what peers claim",
        "gossip/frontier.py",
        "len(self._empty) >= CLAIMED_LOGS_MAX",
        "False",
        ("tests/reliability/test_bounds.py",),
    ),
)


def mutations() -> int:
    """Apply each, run its tests, and print what failed. Returns how many went unnoticed."""
    unnoticed = 0
    for one in MUTATIONS:
        failed = failing(one)
        unnoticed += not failed
        print(f"{'noticed' if failed else 'UNNOTICED'}  {one.name}  ({one.file})", flush=True)
        for name in failed:
            print(f"    {name}", flush=True)
    return unnoticed


def failing(one: Mutation) -> list[str]:
    """The tests that fail under this mutation, and pass without it."""
    with tempfile.TemporaryDirectory(prefix="cl-mutant-", dir="/tmp") as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        file = copy / one.file
        text = file.read_text(encoding="utf-8")
        assert text.count(one.old) == 1, f"{one.file} has changed: {one.old!r}"
        file.write_text(text.replace(one.old, one.new), encoding="utf-8")
        failed = failures(copy, one.tests)
        file.write_text(text, encoding="utf-8")
        anyway = failures(copy, tuple(failed)) if failed else []
        assert not anyway, f"without {one.name}, too: {anyway}"
        return failed


def failures(copy: Path, tests: tuple[str, ...]) -> list[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        "--timeout",
        "20",
        f"--maxfail={SHOWN}",
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run([*command, *tests], cwd=copy, capture_output=True, check=False)
    # Bytes: what a broken promise lets through to the output need not be text.
    told, errors = (out.decode(errors="backslashreplace") for out in (ran.stdout, ran.stderr))
    assert ran.returncode in (0, 1), told[-1000:] + errors[-1000:]
    return re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", told, re.MULTILINE)
