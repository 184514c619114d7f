"""A visit: what clients, observers and hostile connections do to the nodes of a round, and the
checks of what the nodes must do in return.

It runs when all faults are over and all nodes agree, so that the expected results are exact: each
request has its reply, each hostile connection is counted, each byte that was sent is received. Then
one node is stopped and starts again at another address. At the end the files and logs of all nodes
are checked.

`findings` has one line of text for each thing that is wrong.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP
from typing import TYPE_CHECKING, Any

from lab.client.client import Client
from lab.client.location import NodeLocation
from lab.client.panel import Panel, status_of
from lab.client.remote import dialling
from lab.cluster.addresses import addresses_of
from lab.observe.convergence import look as roots_of
from lab.plan.faults import Plan
from lab.real import (
    feed_checks,
    hostile_connections,
    idle_checks,
    leftover_checks,
    request_checks,
    start_checks,
)
from lab.real.client_sessions import Clock, Session
from lab.real.feed_checks import Door
from lab.real.round_settings import RoundSettings, free_ports
from lab.terminal.errors import Problem
from node.config.paths import AddressBook
from node.control.messages import ReadStatus, Status
from node.security.key_files import forget, read_secret, read_trusted

if TYPE_CHECKING:
    from lab.real.driver import Driver

FIRST_OP = 100_000
WITHIN_S = 15.0
PORTS = range(12_000, 13_900)
FINDINGS_MAX = 20


class Visit:
    """The visit of one round. Mutable."""

    def __init__(self, plan: Plan, folder: Path, setting: RoundSettings) -> None:
        self.plan = plan
        self.folder = folder
        self.setting = setting
        self.findings: list[str] = []
        self._levels: dict[str, idle_checks.Level] = {}

    def report(self, text: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text)

    def fields(self) -> dict[str, Any]:
        return self.setting.fields(self.plan.nodes, self.folder)

    # --- while the nodes are at rest ------------------------------------------------------------

    def during(self, driver: "Driver") -> None:
        until_agreed(driver, self.report)
        for step in (
            self._measure,
            self._watch,
            self._ask,
            self._knock,
            self._stand,
            self._hang_up,
            self._stop_one,
            self._look,
        ):
            if not self.findings:  # what comes after one of them would only cost time
                self._try(step.__name__.strip("_"), step, driver)

    def _try(self, what: str, step: Callable[["Driver"], None], driver: "Driver") -> None:
        try:
            step(driver)
        except (Problem, OSError, ValueError, KeyError, AssertionError) as error:
            self.report(f"{what}: {type(error).__name__}: {error}")

    def _measure(self, driver: "Driver") -> None:
        self._levels = {name: idle_checks.level_of(pid) for name, pid in pids_of(driver).items()}

    def _watch(self, driver: "Driver") -> None:
        """Observers at every feed, and one at a locked door; events that are posted meanwhile."""
        place, nodes = driver.cluster.place, self.plan.nodes
        doors = [Door(name, f"ipc://{place.nodes[name].feed}") for name in nodes]
        if self.setting.encrypt:
            key = read_secret(self.folder / "keys", "otto")
            public = read_trusted(self.folder / "keys").public_of(nodes[0], "peer")
            doors.append(Door(nodes[0], f"tcp://{self.setting.doors[nodes[0]][1]}", key, public))
        session = Session(
            name="guest", ops=[], faults_us=0, place=place, clock=Clock(), log=driver.log
        )
        ops = feed_checks.ops_of(nodes, FIRST_OP)
        feed_checks.watch(place, doors, session, ops, self.report)
        until_agreed(driver, self.report)

    def _ask(self, driver: "Driver") -> None:
        place = driver.cluster.place
        for name in self.plan.nodes[:2]:
            peers = [one for one in self.plan.nodes if one != name]
            request_checks.ask(place.nodes[name], peers, self.plan.durability, self.report)

    def _knock(self, driver: "Driver") -> None:
        place, name = driver.cluster.place, self.plan.nodes[0]
        endpoint, own, public = addresses_of(place)[name], None, None
        if self.setting.encrypt:
            own = read_secret(self.folder / "keys", "mallory")
            public = read_trusted(self.folder / "keys").public_of(name, "peer")
        hostile_connections.knock(place.nodes[name], endpoint, own, public, self.report)
        if self.setting.encrypt:
            self._locked_door(driver, name)

    def _locked_door(self, driver: "Driver", name: str) -> None:
        """A client with a key comes in, until it is forgotten; an observer's key opens nothing."""
        control, feed = (f"tcp://{one}" for one in self.setting.doors[name])
        keys = self.folder / "keys"
        local = driver.cluster.place.nodes[name]
        files = (str(keys / "paula.secret"), str(keys / "otto.secret"))
        remote = _elsewhere(name, control, feed, files)
        with Client(name, local.control) as here:
            before = hostile_connections.counters_of(here)
            with Client.at(remote) as client:
                there = client.expect(ReadStatus(client.new_id()), Status)
                if there.node != name:
                    self.report(f"{there.node} answers at the locked door of {name}")
                wanted = {"doors_let_in": before["doors_let_in"] + 1}
                hostile_connections.await_counters(
                    here, wanted, self.report, "whose locked door was used"
                )
                forget(keys, "paula")
                self._await_deaf(here, client)
            wrong = dialling(_elsewhere(name, feed, feed, files), "client")
            refused = hostile_connections.counters_of(here)["doors_refused"]
            try:
                Client(name, "", dialling=wrong).close()
                self.report(f"{name} lets a forgotten client watch")
            except Problem:
                pass
            after = hostile_connections.counters_of(here)["doors_refused"]
            if after <= refused:
                self.report(f"{name} counts no refusal of a key that is for another door")

    def _await_deaf(self, here: Client, client: Client) -> None:
        """Until a client whose key was taken off the list is not answered, and is counted."""
        before = hostile_connections.counters_of(here)["control_bad"]
        until_s = time.monotonic() + WITHIN_S
        while time.monotonic() < until_s:
            client.submit([ReadStatus(client.new_id())])
            if not client.replies(0.2):
                if hostile_connections.counters_of(here)["control_bad"] <= before:
                    self.report(f"{client.node} does not count whom it does not hear")
                return
        self.report(f"{client.node} answers a key that is not trusted any more")

    def _hang_up(self, driver: "Driver") -> None:
        """SIGHUP: the log goes on in a new file, and the rules are read anew or kept."""
        name = self.plan.nodes[-1]
        file, at = Path(driver.cluster.place.file), driver.cluster.place.nodes[name]
        log, whole = Path(at.log_file), file.read_bytes()
        log.rename(log.with_name(f"{log.name}.1"))
        driver.cluster.signal(name, SIGHUP)
        await_note(at, "policy_read", self.report)
        stat = file.stat()
        file.write_bytes(whole[: len(whole) // 2])
        driver.cluster.signal(name, SIGHUP)
        await_note(at, "policy_kept", self.report)
        file.write_bytes(whole)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        if log.stat().st_mode & 0o077:
            self.report(f"the log of {name} is open to others")

    def _stop_one(self, driver: "Driver") -> None:
        """One node stops in order, and comes back at another address: its peers find it there."""
        place, name = driver.cluster.place, self.plan.nodes[1]
        at = place.nodes[name]
        before = status_of(at)
        driver.stop(name)
        left = [p for p in (at.control, at.feed, at.pid_file) if Path(p).exists()]
        if left:
            self.report(f"{name} has stopped and leaves {left}")
        book = AddressBook(Path(place.address_book))
        port = next(free_ports(PORTS))
        book.save(book.load() | {name: f"tcp://127.0.0.1:{port}"})
        start_checks.start_wrongly(place, self.report)
        driver.start(name)
        after = status_of(at)
        if before is None or after is None:
            self.report(f"{name} says nothing of itself")
        else:
            came = (after.incarnation, after.events, after.root, after.epoch, after.missing)
            due = (before.incarnation + 1, before.events, before.root, before.epoch, 0)
            if came != due or after.written_upto != before.written_upto:
                self.report(f"{name} comes back as {came}, and was {due}")
        until_agreed(driver, self.report)
        status = status_of(at)
        others = [one for one in self.plan.nodes if one != name]
        if status is not None and status.counters["gossip_connections"] > len(others):
            self.report(f"{name} has {status.counters['gossip_connections']} connections of peers")

    def _look(self, driver: "Driver") -> None:
        self._stand(driver, scrubbed=True)
        pids = pids_of(driver)
        stayed = {name: one for name, one in self._levels.items() if name != self.plan.nodes[1]}
        idle_checks.look_idle(pids, stayed, self.report)

    def _stand(self, driver: "Driver", *, scrubbed: bool = False) -> None:
        lives = driver.lives()
        sessions = len({op.session for op in self.plan.ops})
        at_rest = idle_checks.Rest(lives, self.plan.durability, sessions + 2, scrubbed)
        idle_checks.look(driver.cluster.place, at_rest, self.report)

    # --- when all have stopped ------------------------------------------------------------------

    def after(self, driver: "Driver") -> None:
        place = driver.cluster.place
        self._try("leftovers", lambda one: leftover_checks.look(
            place, one.lives(), one.killed(), self.report), driver)  # fmt: skip


def _elsewhere(name: str, control: str, feed: str, key_files: tuple[str, ...]) -> NodeLocation:
    """A node as somebody on another machine knows it."""
    empty = dict.fromkeys(NodeLocation.__struct_fields__[1:-3], "")
    return NodeLocation(name, **(empty | {"control": control, "feed": feed}), key_files=key_files)


def pids_of(driver: "Driver") -> dict[str, int]:
    records = {name: driver.cluster.process(name) for name in driver.plan.nodes}
    return {name: one.pid for name, one in records.items() if one is not None}


def until_agreed(driver: "Driver", report: Callable[[str], None]) -> None:
    until_s = time.monotonic() + WITHIN_S
    with Panel(driver.cluster.place.nodes.values()) as panel:
        while time.monotonic() < until_s:
            seen = roots_of(driver.cluster, panel)
            if seen.equal and len(seen.roots) == len(driver.plan.nodes):
                return
            time.sleep(0.05)
    report(f"nodes do not agree within {WITHIN_S:g} s: {seen.roots}")


def await_note(at: NodeLocation, event: str, report: Callable[[str], None]) -> None:
    """In the log that is there now."""
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        log = Path(at.log_file)
        if log.exists() and f'"event":"{event}"' in log.read_text(encoding="utf-8"):
            return
        time.sleep(0.02)
    report(f"{at.name} says nothing of {event}")
