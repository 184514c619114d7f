"""What surrounds the nodes goes wrong at random: files, folders, launchers, commands, users.

A cluster is worked on by whoever has a shell: its files are edited, renamed, copied and removed,
its launcher is killed, and it is started, stopped and wiped from two folders and by two users.
A second cluster beside it must not notice. Every step is drawn from a seed, so that a run can be
done again: CHAOS_SEED and CHAOS_S (30 seconds).

Held in the end: every message that was called durable is there, unless the node that said so was
wiped or removed afterwards; no process of the other cluster was touched; no command, launcher or
node left a traceback; and where nobody ended the launcher it is there.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lab.cluster.processes import read_record, send_signal
from tests.cluster.conftest import Lab

pytestmark = pytest.mark.cluster
NODES = ("n1", "n2", "n3")
FILE = "nodes: [n1, n2, n3]\nrestart: always\nscrub_bytes_per_s: 50000000\n"
CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8}
BAD_FILES = ("", "nodes: [n1\n", "\0\0", "nodes: [n1, n2]\n", f"{FILE}quiet_ms: 100\n", "- \xff")
AS_NOBODY = (
    "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    "from lab.cli import main; sys.exit(main())"
)


class Chaos:
    """One cluster, and what is done to it. Mutable."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.rng = Random(seed)
        self.lab = lab.write(FILE)
        self.link = Lab(lab.folder.parent / f"{lab.folder.name}-link")
        self.link.folder.symlink_to(lab.folder)
        self.root = Path(lab.place.root)
        self.acked: dict[str, str] = {}  # text -> the node that said durable
        self.forgotten: set[str] = set()  # texts whose node was wiped since
        self.acked_before: set[str] = set()  # before something was moved
        self.away: list[tuple[Path, Path]] = []  # what was moved, and where it is
        self.said: list[str] = []  # every step, for whoever reads a failure
        self.count = 0

    def command(self, *arguments: str, lab: Lab | None = None) -> Any:
        ran = (lab or self.rng.choice((self.lab, self.link))).chatlab(*arguments)
        self.said.append(f"{' '.join(arguments)} -> {ran.code} {ran.err.strip()[-200:]}")
        told = ran.out + ran.err
        assert ran.code in CODES and "Traceback" not in told, self.story()
        assert "internal error" not in told, self.story()
        return ran

    def story(self) -> str:
        return "\n".join(self.said)

    # --- what people do -------------------------------------------------------------------------

    def send(self) -> None:
        self.count += 1
        node, text = self.rng.choice(NODES), f"message {self.count}"
        ran = self.command("send", node, text, "--json", "--timeout", "4")
        if ran.code == 0:
            assert ran.json["ack"] == "durable", self.story()
            self.acked[text] = node

    def up(self) -> None:
        self.command("cluster", "up", "-d")

    def look(self) -> None:
        self.command(
            *self.rng.choice((["cluster", "ps"], ["logs"], ["status"], ["timeline", "n1"]))
        )

    def harm_a_node(self) -> None:
        self.command("cluster", self.rng.choice(("kill", "restart")), self.rng.choice(NODES))

    def down(self) -> None:
        self.command("cluster", "down")

    def wipe(self) -> None:
        node = self.rng.choice(NODES)
        ran = self.command("cluster", "wipe", node)
        if ran.code != 2:
            self.forget(node)

    def forget(self, node: str) -> None:
        self.forgotten |= {text for text, said in self.acked.items() if said == node}

    def another_user(self) -> None:
        if os.geteuid() != 0:
            return
        done = subprocess.run(
            [sys.executable, "-P", "-c", AS_NOBODY, *self.rng.choice(USER_COMMANDS)],
            capture_output=True,
            cwd=self.lab.folder,
            env=self.lab.environment | {"HOME": "/nonexistent"},
            check=False,
        )
        self.said.append(f"nobody -> {done.returncode} {done.stderr.decode()[-200:]}")
        assert done.returncode in {1, 2, 4, 5} and b"Traceback" not in done.stderr, self.story()

    # --- what happens to files ------------------------------------------------------------------

    def kill_the_launcher(self) -> None:
        for name in NODES:
            record = read_record(Path(self.lab.place.nodes[name].pid_file))
            parent = _parent_of(record.pid) if record is not None else 1
            command = Path(f"/proc/{parent}/cmdline")
            if parent > 1 and os.fsencode(self.lab.folder) in command.read_bytes():
                os.kill(parent, signal.SIGKILL)
                self.said.append("the launcher is killed")
                return

    def edit_the_file(self) -> None:
        text = self.rng.choice(BAD_FILES)
        self.lab.file.write_text(text, encoding="latin-1")
        self.said.append(f"the file becomes {text[:30]!r}")
        self.command(
            *self.rng.choice((["cluster", "ps"], ["cluster", "up", "-d"], ["send", "n1", "x"]))
        )
        self.lab.write(FILE)

    def spoil_a_small_file(self) -> None:
        names = ["nodes.json", "launched.json", "faults.json", "launcher.jsonl", "n1/node.pid"]
        path = self.root / self.rng.choice([*names, "n2/node.jsonl", "n3/stderr.txt"])
        if path.parent.is_dir():
            path.write_bytes(self.rng.choice((b"", b"\0\0\0", b"\xff\xfe{", b"[1]")))
            self.said.append(f"{path.name} is spoilt")
            if path.name == "nodes.json":  # as its message says
                self.command("cluster", "up", "-d")
                path.unlink(missing_ok=True)

    def remove_sockets(self) -> None:
        for path in (self.root / self.rng.choice(NODES) / "control", self.root / "launcher.sock"):
            path.unlink(missing_ok=True)
        self.said.append("sockets are removed")

    def move_away(self) -> None:
        node = self.rng.choice(NODES)
        path = self.rng.choice((self.root, self.root / node, self.root / node / "journal"))
        if self.away or not path.is_dir():
            return
        to = self.lab.folder / f"away-{self.count}-{len(self.said)}"
        path.rename(to)
        self.acked_before = set(self.acked)
        self.away.append((path, to))
        self.said.append(f"{path.name} is moved away")

    def put_back(self) -> None:
        for path, to in self.away:
            self.said.append(f"{path.name} is put back")
            if path == self.root and path.exists():  # another cluster has begun in its place
                self.command("cluster", "down", lab=self.lab)
                self.forgotten |= self.acked.keys() - self.acked_before
            _make_room(path)
            to.rename(path)
        self.away.clear()

    def copy_and_use(self) -> None:
        """The copy is a cluster of its own; wiping it costs the original nothing."""
        copy = Lab(self.lab.folder.parent / f"{self.lab.folder.name}-copy")
        if self.away:
            return
        shutil.copytree(self.lab.folder, copy.folder, ignore=_no_sockets)
        try:
            self.command("cluster", "up", "-d", lab=copy)
            self.command("cluster", "down", "--wipe", lab=copy)
        finally:
            copy.clean()
            shutil.rmtree(copy.folder)

    def remove_a_node(self) -> None:
        """By hand: as a wipe, but nobody tells chatlab."""
        node = self.rng.choice(NODES)
        if (self.root / node).is_dir() and not self.away:
            shutil.rmtree(self.root / node)
            self.said.append(f"{node} is removed")
            self.forget(node)
            self.command("cluster", "wipe", node)

    # --- all of it ------------------------------------------------------------------------------

    def run(self, seconds: float, after_each: Callable[[], None]) -> None:
        steps = [self.send] * 12 + [self.up] * 3 + [self.look, self.harm_a_node, self.down] * 2
        steps += [self.wipe, self.another_user, self.kill_the_launcher, self.edit_the_file]
        steps += [self.spoil_a_small_file, self.remove_sockets, self.copy_and_use]
        steps += [self.move_away, self.put_back] * 2 + [self.remove_a_node]
        self.up()
        for _ in range(3):
            self.send()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.rng.choice(steps)()
            after_each()

    def settle(self) -> list[str]:
        """Everything is put back, and a person does what the messages say. Returns all texts."""
        self.put_back()
        self.lab.write(FILE)
        ran = self.command("cluster", "up", "-d", lab=self.lab)
        for node in NODES:  # what was replaced under a node asks for a restart
            if f"{node} |" in ran.err and "is not there" in ran.err:
                raise AssertionError(f"{node} has lost its journal\n{self.story()}")
        ran = self.command("cluster", "restart", *NODES, lab=self.lab)
        assert ran.code == 0, self.story()
        ran = self.command("wait", "--converged", "--timeout", "40", lab=self.lab)
        assert ran.code == 0, self.story()
        assert self.lab.cluster.launcher_runs(), self.story()
        lines = self.command("timeline", "n1", "--json", "--last", "100000", lab=self.lab).lines
        return [one["text"] for one in lines]


USER_COMMANDS = (
    ["cluster", "ps"],
    ["cluster", "up", "-d"],
    ["cluster", "down", "--wipe"],
    ["cluster", "wipe", "n1"],
    ["send", "n1", "x"],
)


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 1


def _make_room(path: Path) -> None:
    """What was made in the place of a folder that is to be put back goes."""
    if path.is_dir():
        shutil.rmtree(path)


def _no_sockets(folder: str, names: list[str]) -> list[str]:
    return [one for one in names if Path(folder, one).is_socket()]


@pytest.mark.timeout(300)
def test_what_surrounds_the_nodes_goes_wrong(lab: Lab) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "1"))
    seconds = float(os.environ.get("CHAOS_S", "30"))
    place, other = Lab(lab.folder / "one"), Lab(lab.folder / "other")
    for one in (place, other):
        one.folder.mkdir()
    other.write("nodes: [n1, n2]\n").up()
    other.well("send", "n1", "of another cluster")
    before = {name: other.cluster.process(name) for name in ("n1", "n2")}
    os.chmod(lab.folder, 0o755)
    os.chmod(place.folder, 0o755)
    chaos = Chaos(place, seed)

    def unharmed() -> None:
        now = {name: other.cluster.process(name) for name in ("n1", "n2")}
        assert now == before, chaos.story()

    chaos.run(seconds, unharmed)
    texts = chaos.settle()
    missing = chaos.acked.keys() - set(texts) - chaos.forgotten
    assert not missing, f"seed {seed}: lost {sorted(missing)}\n{chaos.story()}"
    assert len(texts) == len(set(texts)), "something is there twice"
    unharmed()
    assert [one["text"] for one in other.well("timeline", "n2", "--json").lines] == [
        "of another cluster"
    ]
    for path in [chaos.root / "launcher.stderr", *chaos.root.glob("*/stderr.txt")]:
        assert b"Traceback" not in path.read_bytes(), f"seed {seed}: {path}\n{chaos.story()}"
    assert chaos.acked, f"nobody said anything\n{chaos.story()}"
    for name in ("n1", "n2"):
        record = before[name]
        assert record is not None and send_signal(record, signal.SIGTERM)
