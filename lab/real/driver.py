"""The driver executes a plan on real node processes: it starts them, applies the faults of the
plan, and records what it did and observed.

The phases are those of the simulator. The phase of liveness ends early once all nodes agree and no
op is in flight, because after that only rounds between equal nodes would follow. Times are
monotonic nanoseconds of this machine. All nodes are stopped when it ends, whatever happens.
"""

import contextlib
import shutil
import threading
import time
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from lab.client.location import parse
from lab.client.panel import Panel
from lab.cluster.cluster import Cluster
from lab.observe.convergence import look
from lab.plan.faults import Fault, Kill, Pause, Plan, Timed, word
from lab.real.client_sessions import Clock, Session
from lab.real.draft_event import DraftLog
from lab.real.link_settings import LINK_FAULTS, STEP_MS, LinkSettings
from lab.sim.injector import detail_of, nodes_of
from lab.terminal.errors import Problem
from lab.trace.kinds import Faulted, Healed, Paused, Phase, Resumed, StartRefused
from node.recording.format import recordings_in

SETTLE_S = 1.0
IDLE_S = 8.0  # for answers, at the longest
AGREED_S = 0.3  # roots must stay equal for so long
LOOK_S = 0.05
DiskIs = Literal["new", "same", "empty", "older"]


class NodeStart(Struct, frozen=True):
    t_ns: int
    node: str
    disk: DiskIs


class DriverRecord(Struct, frozen=True):
    """What the driver knows of a run besides the recordings. Times are monotonic ns."""

    log: DraftLog
    began_ns: int
    heal_ns: int
    liveness_ns: int
    end_ns: int
    starts: list[NodeStart]
    kills: list[tuple[int, str]]
    fired: dict[str, int]
    spans: list[tuple[int, int, Fault]]
    recordings: list[Path]
    roots: dict[str, str]  # what each node said of itself at the end


class Visit(Protocol):
    """The interface of a visit (`lab.real.visit`), as the driver calls it."""

    def fields(self) -> dict[str, Any]:
        """Of the cluster file, besides those of the plan."""
        ...

    def during(self, driver: "Driver") -> None: ...

    def after(self, driver: "Driver") -> None:
        """All nodes have stopped."""
        ...


class Driver:
    """Executes one plan; call `run` once. The nodes are stopped in any case. Mutable."""

    def __init__(self, plan: Plan, folder: Path, visit: Visit | None = None) -> None:
        """`visit`: what to do with the nodes once all agree."""
        self.plan = plan
        self.folder = folder
        self._visit = visit
        file = folder / "cluster.yaml"
        file.write_bytes(cluster_file(plan, folder, visit.fields() if visit is not None else {}))
        self.cluster = Cluster(parse(file))
        self.links = LinkSettings(self.cluster.place, plan.nodes)
        self.log = DraftLog()
        self._starts: list[NodeStart] = []
        self._kills: list[tuple[int, str]] = []
        self._fired: dict[str, int] = {}
        self._disk_is: dict[str, DiskIs] = {}
        self._down: set[str] = set(plan.nodes)
        self._paused: set[str] = set()
        self._wanted_older = {
            timed.fault.node
            for timed in plan.faults
            if type(timed.fault) is Kill and timed.fault.disk == "older"
        }
        self._pause = threading.Event()  # never set: its wait can be distinguished from a sleep

    def run(self) -> DriverRecord:
        log, plan, clock = self.log, self.plan, Clock()
        began_ns = time.monotonic_ns()
        log.add(began_ns, "", Phase("faults"))
        try:
            self._up(plan.nodes)
            clock.began_ns = time.monotonic_ns()
            sessions = self._sessions(clock)
            self._do_faults(clock.began_ns)
            heal_ns = time.monotonic_ns()
            log.add(heal_ns, "", Phase("heal"))
            self._settle(clock, sessions)
            liveness_ns = time.monotonic_ns()
            log.add(liveness_ns, "", Phase("liveness", plan.liveness_us))
            self._until_agreed(liveness_ns + plan.liveness_us * 1000, sessions)
            if self._visit is not None:
                self._visit.during(self)
                now_ns = time.monotonic_ns()  # from here on nothing is done to the nodes
                log.add(now_ns, "", Phase("heal"))
                log.add(now_ns, "", Phase("liveness", plan.liveness_us))
            clock.finale.set()
            for session in sessions:
                session.join(IDLE_S)
            with Panel(self.cluster.place.nodes.values()) as panel:
                roots = look(self.cluster, panel).roots
            end_ns = time.monotonic_ns()
        finally:
            clock.given_up.set()
            clock.finale.set()
            for name in self._paused:
                with contextlib.suppress(Problem):
                    self.cluster.signal(name, SIGCONT)
            self.cluster.down()
        if self._visit is not None:
            self._visit.after(self)
        return DriverRecord(
            log=log,
            began_ns=began_ns,
            heal_ns=heal_ns,
            liveness_ns=liveness_ns,
            end_ns=end_ns,
            starts=self._starts,
            kills=self._kills,
            fired=self._fired,
            spans=list(self.links.spans),
            recordings=recordings_in(self.folder),
            roots=roots,
        )

    # --- for a visit ----------------------------------------------------------------------------

    def stop(self, name: str) -> None:
        """Stop this node by SIGTERM."""
        self.cluster.stop([name])
        self._down.add(name)
        self.links.forget(name)

    def start(self, name: str) -> None:
        self._up((name,))

    def lives(self) -> dict[str, int]:
        return {name: sum(one.node == name for one in self._starts) for name in self.plan.nodes}

    def killed(self) -> dict[str, int]:
        return {name: sum(one == name for _, one in self._kills) for name in self.plan.nodes}

    # --- phases ---------------------------------------------------------------------------------

    def _sessions(self, clock: Clock) -> list[Session]:
        by_name: dict[str, list] = {}  # type: ignore[type-arg]
        for op in self.plan.ops:
            by_name.setdefault(op.session, []).append(op)
        place = self.cluster.place
        sessions = [
            Session(
                name=name,
                ops=ops,
                faults_us=self.plan.faults_us,
                place=place,
                clock=clock,
                log=self.log,
            )
            for name, ops in by_name.items()
        ]
        for session in sessions:
            session.start()
        return sessions

    def _do_faults(self, began_ns: int) -> None:
        agenda: list[tuple[int, int, int, Timed]] = []  # when, ends first, number
        for timed in self.plan.faults:
            begin_us, end_us = timed.at_us, min(timed.until_us, self.plan.faults_us)
            agenda.append((began_ns + begin_us * 1000, 1, timed.id, timed))
            agenda.append((began_ns + max(end_us, begin_us) * 1000, 2, timed.id, timed))
        agenda.append((began_ns + self.plan.faults_us * 1000, 3, 0, Timed(0, 0, 0, Pause(""))))
        agenda.sort(key=lambda one: one[:3])
        going: dict[int, Timed] = {}
        for at_ns, what, _, timed in agenda:
            self._wait_until(at_ns)
            if what == 1:
                self._begin(timed, began_ns)
                going[timed.id] = timed
            elif what == 2 and going.pop(timed.id, None) is not None:
                self._end(timed)
        self.links.tell(self._reachable())
        for name in list(self._paused):
            self._resume(name)
        self._up(tuple(self._down))

    def _settle(self, clock: Clock, sessions: list[Session]) -> None:
        until_s = time.monotonic() + SETTLE_S
        while time.monotonic() < until_s and not all(one.idle.is_set() for one in sessions):
            self._pause.wait(LOOK_S)
        clock.given_up.set()

    def _until_agreed(self, until_ns: int, sessions: list[Session]) -> None:
        """All answers have come, and all roots stay equal for a while; or the time is over."""
        idle_by_s = time.monotonic() + IDLE_S
        for session in sessions:
            session.idle.wait(max(0.0, idle_by_s - time.monotonic()))
        same: tuple[str, float] | None = None
        with Panel(self.cluster.place.nodes.values()) as panel:
            while time.monotonic_ns() < until_ns:
                seen = look(self.cluster, panel)
                now_s = time.monotonic()
                root = next(iter(seen.roots.values()), "")
                if not seen.equal or len(seen.roots) < len(self.plan.nodes):
                    same = None
                elif same is None or same[0] != root:
                    same = (root, now_s)
                elif now_s - same[1] >= AGREED_S:
                    return
                self._pause.wait(LOOK_S)

    def _wait_until(self, at_ns: int) -> None:
        while (left_s := (at_ns - time.monotonic_ns()) / 1e9) > 0:
            if not self.links.moving:
                self._pause.wait(left_s)
                return
            self._pause.wait(min(left_s, STEP_MS / 1000))
            self.links.tell(self._reachable())

    # --- faults ---------------------------------------------------------------------------------

    def _begin(self, timed: Timed, began_ns: int) -> None:
        fault = timed.fault
        told = Faulted(timed.id, word(fault), nodes_of(fault), detail_of(fault))
        self.log.add(time.monotonic_ns(), "", told)
        if isinstance(fault, LINK_FAULTS):
            until_us = min(timed.until_us, self.plan.faults_us)
            self.links.begin(timed, began_ns + until_us * 1000)
            self.links.tell(self._reachable())
        elif type(fault) is Pause:
            self._stop_still(fault.node)
        else:
            assert type(fault) is Kill, fault
            self._kill(fault)

    def _end(self, timed: Timed) -> None:
        fault = timed.fault
        if isinstance(fault, LINK_FAULTS):
            self.links.end(timed)
            self.links.tell(self._reachable())
        elif type(fault) is Pause:
            self._resume(fault.node)
        elif type(fault) is Kill and fault.node in self._down:
            self._up((fault.node,))
        self.log.add(time.monotonic_ns(), "", Healed(timed.id))

    def _kill(self, fault: Kill) -> None:
        name = fault.node
        if name not in self._down:
            self._fire("kill")
            self._paused.discard(name)
            if fault.how == "stop":
                self.cluster.stop([name])
            else:
                self._kills.append((time.monotonic_ns(), name))
                self.cluster.kill(name, SIGKILL)
            self._down.add(name)
            self.links.forget(name)
        if fault.disk == "same":
            return
        journal, copy = Path(self.cluster.place.nodes[name].journal_dir), self._copy_of(name)
        shutil.rmtree(journal, ignore_errors=True)
        Path(self.cluster.place.nodes[name].journal_id).unlink(missing_ok=True)
        self._disk_is[name] = "empty"
        if fault.disk == "older" and copy.exists():
            shutil.copytree(copy, journal)
            self._disk_is[name] = "older"
        self._fire(f"disk_{self._disk_is[name]}")

    def _stop_still(self, name: str) -> None:
        if name in self._down or name in self._paused:
            return
        self.cluster.signal(name, SIGSTOP)
        until_s = time.monotonic() + 1.0
        while not self.cluster.paused(name) and time.monotonic() < until_s:
            self._pause.wait(0.001)
        self._paused.add(name)
        self._fire("pause")
        self.log.add(time.monotonic_ns(), name, Paused())

    def _resume(self, name: str) -> None:
        if name not in self._paused:
            return
        self._paused.discard(name)
        self.log.add(time.monotonic_ns(), name, Resumed())
        self.cluster.signal(name, SIGCONT)
        self.links.tell([name])

    def _up(self, names: tuple[str, ...]) -> None:
        if not names:
            return
        now_ns = time.monotonic_ns()
        first = not self._starts
        for name in names:
            disk: DiskIs = "new" if first else self._disk_is.pop(name, "same")
            self._starts.append(NodeStart(now_ns, name, disk))
        for one in self.cluster.up(names):
            if one.state == "running":
                self._down.discard(one.node)
                self.links.forget(one.node)
            else:
                self.log.add(time.monotonic_ns(), one.node, StartRefused(one.exit or one.state))
        if first:
            for name in self._wanted_older:
                shutil.copytree(self.cluster.place.nodes[name].journal_dir, self._copy_of(name))
        self.links.tell(self._reachable())

    def _reachable(self) -> list[str]:
        return [name for name in self.plan.nodes if name not in self._down | self._paused]

    def _copy_of(self, name: str) -> Path:
        return self.folder / "older" / name

    def _fire(self, what: str) -> None:
        self._fired[what] = self._fired.get(what, 0) + 1


def cluster_file(plan: Plan, folder: Path, more: dict[str, Any]) -> bytes:
    """The cluster of a plan, as JSON, which is YAML; words of rules are files beside it."""
    rules = []
    for number, rule in enumerate(plan.rules, start=1):
        words = folder / f"words-{number}.txt"
        words.write_text("".join(f"{one}\n" for one in rule.words), encoding="utf-8")
        rules.append({"id": rule.id, "words": words.name, "action": rule.action})
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "name": "real",
                "nodes": list(plan.nodes),
                "durability": plan.durability,
                "interval_ms": plan.interval_ms,
                "quiet_ms": plan.quiet_ms,
                "gossip": plan.gossip,
                "moderation": {"rules": rules},
                "trace": True,
                **more,
            }
        )
    )
