"""Chaos of ownership: two folders, copies and moved ones of these, two users, files of one name.

What surrounds one cluster goes wrong in `test_surroundings`. Here it is clusters that meet, for
CHAOS_S seconds (30) of the seed CHAOS_SEED. Whatever happens, in whatever order:

- an event that was acknowledged, and not wiped on purpose, is there in the end;
- no process of another cluster is touched, and no event of one gets into the other;
- every command ends with an exit code of its own and without a traceback;
- a launcher still does its work in the end.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lab.client.location import parse
from lab.cluster.cluster import Cluster
from lab.cluster.processes import live_record, lives, record_of, send_signal
from lab.terminal.errors import Exit
from node.process.pidfile import ProcessRecord
from tests.cluster.conftest import Lab, Ran

pytestmark = pytest.mark.cluster

SECONDS = float(os.environ.get("CHAOS_S", "30"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
CODES = {int(one) for one in Exit}
NODES = ("n1", "n2", "n3")


class Project:
    """A folder with a cluster file, and what its cluster has promised to keep."""

    def __init__(self, chaos: "Chaos", name: str) -> None:
        self.chaos = chaos
        self.name = name
        self.folder = chaos.lab.folder / name
        self.folder.mkdir()
        self.acked: dict[str, str] = {}  # text -> the node that acknowledged it
        self.said = 0
        self.edit(NODES[:2])

    @property
    def root(self) -> Path:
        return self.folder / ".chatlab" / "chatlab"

    @property
    def records(self) -> list[ProcessRecord]:
        found = [live_record(path) for path in sorted(self.root.glob("*/node.pid"))]
        return [one for one in found if one is not None]

    def edit(self, nodes: tuple[str, ...], more: str = "") -> None:
        text = f"restart: always\nnodes: [{', '.join(nodes)}]\n{more}"
        (self.folder / "cluster.yaml").write_text(text, encoding="utf-8")

    def run(self, *words: str, file: str = "cluster.yaml", user: int | None = None) -> Ran:
        return self.chaos.run("-f", str(self.folder / file), *words, user=user)

    def send(self, node: str) -> None:
        self.said += 1
        text = f"{self.name} {self.said}"
        if self.run("send", node, text, "--ack", "durable", "--timeout", "5").code == 0:
            self.acked[text] = node

    def launcher(self) -> ProcessRecord | None:
        """By its child: nobody else may be hit."""
        for record in self.records:
            raw = Path(f"/proc/{record.pid}/stat").read_text()
            parent = int(raw.rpartition(")")[2].split()[1])
            told = Path(f"/proc/{parent}/cmdline").read_bytes()
            if b"lab.cluster.launcher" in told and parent != os.getpid():
                return record_of(parent)
        return None


class Chaos:
    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.rng = Random(seed)
        self.did: list[str] = []
        lab.folder.chmod(0o755)
        self.a, self.b = Project(self, "a"), Project(self, "b")
        (self.a.folder / "other.yaml").write_text("nodes: [n1]\n")

    def run(self, *words: str, user: int | None = None) -> Ran:
        as_user = {} if user is None else {"user": user, "group": user, "extra_groups": ()}
        done = subprocess.run(
            self.lab.command(*words),
            cwd=self.lab.folder,
            env=self.lab.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=90,
            check=False,
            **as_user,  # type: ignore[call-overload]
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        self.did.append(f"{' '.join(words)} -> {ran.code}")
        assert ran.code in CODES, (self.tale, ran)
        for bad in ("Traceback", "internal error"):
            assert bad not in ran.err, (self.tale, ran)
        return ran

    @property
    def tale(self) -> str:
        return "\n".join(self.did[-24:])

    # --- what may happen to the first folder ----------------------------------------------------

    def say(self) -> None:
        for _ in range(3):
            self.rng.choice((self.a, self.b)).send(self.rng.choice(NODES))

    def edit(self) -> None:
        nodes = self.rng.choice((NODES[:2], NODES, NODES[1:]))
        self.a.edit(nodes, f"quiet_ms: {self.rng.choice((100, 500, 2000))}\n")
        self.up()

    def up(self) -> None:
        self.a.run("cluster", "up", "-d", *self.rng.choice(((), ("--apply",))))

    def down(self) -> None:
        self.a.run("cluster", "down")

    def wipe(self) -> None:
        node = self.rng.choice(NODES)
        self.a.acked = {text: by for text, by in self.a.acked.items() if by != node}
        self.a.run("cluster", "wipe", node)

    def wipe_all(self) -> None:
        self.a.acked.clear()
        self.a.run("cluster", "down", "--wipe")

    def kill_launcher(self) -> None:
        launcher = self.a.launcher()
        if launcher is not None:
            self.did.append("launcher killed")
            send_signal(launcher, signal.SIGKILL)

    def kill(self) -> None:
        self.a.run("cluster", "kill", self.rng.choice(NODES))

    def move(self) -> None:
        there, before = self.lab.folder / f"a-{len(self.did)}", self.a.records
        self.a.folder.rename(there)
        self.a.folder = there
        self.did.append(f"moved to {there.name}")
        self._ends(before)

    def copy(self) -> None:
        """With pid files and sockets. The copy is somebody else's from then on, or refused."""
        copy = self.lab.folder / "copy"
        subprocess.run(["cp", "-a", str(self.a.folder), str(copy)], check=False)
        before = self.a.records
        file = "-f", str(copy / "cluster.yaml")
        up = self.run(*file, "cluster", "up", "-d")
        if before and all(lives(one) for one in before):
            assert up.code != 0, (self.tale, up)
        self.run(*file, "cluster", "down", *self.rng.choice(((), ("--wipe",))))
        assert all(lives(one) for one in before), self.tale
        self._remove(copy)

    def remove(self) -> None:
        """The state folder of a copy is removed under its running nodes: they end."""
        self.down()
        copy = self.lab.folder / "copy"
        subprocess.run(["cp", "-a", str(self.a.folder), str(copy)], check=False)
        self.run("-f", str(copy / "cluster.yaml"), "cluster", "up", "-d")
        self._remove(copy)
        self.did.append("copy removed")

    def _remove(self, folder: Path) -> None:
        found = [live_record(path) for path in folder.glob(".chatlab/*/*/node.pid")]
        shutil.rmtree(folder, ignore_errors=True)  # a node may just make a file there
        shutil.rmtree(folder, ignore_errors=True)
        self._ends([one for one in found if one is not None])

    def _ends(self, records: list[ProcessRecord]) -> None:
        until = time.monotonic() + 15
        while any(lives(one) for one in records):
            assert time.monotonic() < until, (self.tale, "nodes outlive their folder")
            time.sleep(0.05)

    def other_file(self) -> None:
        there = self.a.root.joinpath("cluster.json").exists()
        before = self.a.records
        ran = self.a.run("cluster", "down", "--wipe", file="other.yaml")
        assert not there or ran.code == 2, (self.tale, ran)
        assert all(lives(one) for one in before), self.tale

    def other_user(self) -> None:
        if os.getuid() != 0 or not self.a.root.exists():
            return
        before = self.a.records
        for words in (("cluster", "down", "--wipe"), ("cluster", "up", "-d"), ("send", "n1", "x")):
            ran = self.a.run(*words, user=65534)
            assert ran.code == 2, (self.tale, ran)
        assert all(lives(one) for one in before), self.tale

    @property
    def acts(self) -> list[Callable[[], None]]:
        often = [self.say] * 4 + [self.up] * 3 + [self.edit] * 2
        return [
            *often,
            *(self.down, self.wipe, self.wipe_all, self.kill_launcher, self.kill, self.move),
            *(self.copy, self.remove, self.other_file, self.other_user),
        ]

    # --- the whole ------------------------------------------------------------------------------

    def all_of_it(self, seconds: float) -> None:
        for one in (self.a, self.b):
            assert one.run("cluster", "up", "-d").code == 0
        untouched = self.b.records
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.rng.choice(self.acts)()
            assert all(lives(one) for one in untouched), self.tale

    def judge(self) -> None:
        for one in (self.a, self.b):
            one.edit(NODES)
            end = time.monotonic() + 30
            while (ran := one.run("cluster", "up", "-d", "--apply")).code != 0:
                assert time.monotonic() < end, (self.tale, ran)
            ran = one.run("wait", "--converged", "--timeout", "30")
            assert ran.code == 0, (self.tale, ran)
            lines = one.run("timeline", "n1", "--json").lines
            held = {line["text"] for line in lines if line.get("text")}
            assert set(one.acked) <= held, (self.did, set(one.acked) - held)
            assert all(text.startswith(f"{one.name} ") for text in held), held
            self._restarts(one)

    def _restarts(self, one: Project) -> None:
        """The launcher is there: it keeps its word."""
        cluster = Cluster(parse(one.folder / "cluster.yaml"))
        before = cluster.process("n1")
        assert before is not None
        one.run("cluster", "kill", "n1")
        until = time.monotonic() + 20
        while (now := cluster.process("n1")) is None or now.pid == before.pid:
            assert time.monotonic() < until, (self.tale, "not started again")
            time.sleep(0.05)


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_mixed_up_whatever_happens_around_the_nodes(lab: Any) -> None:
    chaos = Chaos(lab, SEED)
    chaos.all_of_it(SECONDS)
    chaos.judge()
    assert len(chaos.did) >= 12, "not much has happened"
