"""The injector begins and ends the faults of a plan at their times, and traces both."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TypeVar, assert_never

from msgspec.structs import replace

from lab.plan.faults import (
    MISHAPS,
    WITHIN_A_CALL,
    Astray,
    ClockDrift,
    ClockOffset,
    DiskErrors,
    DiskFull,
    Fault,
    Hold,
    Kill,
    Partition,
    Pause,
    Point,
    Rot,
    ShortWrites,
    SlowSync,
    Timed,
    Worker,
    word,
)
from lab.plan.random_streams import RandomStreams
from lab.sim.crash_points import ArmedPoint
from lab.sim.host import Host
from lab.sim.network import Network
from lab.sim.packet_rules import PACKET_FAULTS
from lab.sim.scheduler import FAULTS, Scheduler
from lab.trace.kinds import Faulted, Healed
from lab.trace.trace import Trace
from node.storage.recovery import IDENTITY_FILE

Undo = Callable[[], None]
Row = TypeVar("Row")


class Injector:
    """Schedules the faults, and undoes those that last. Mutable."""

    def __init__(
        self,
        agenda: Scheduler,
        trace: Trace,
        network: Network,
        hosts: dict[str, Host],
        streams: RandomStreams,
    ) -> None:
        self._agenda = agenda
        self._trace = trace
        self._network = network
        self._hosts = hosts
        self._streams = streams
        self.planned: dict[int, Timed] = {}  # all that began or will begin, by id
        self._begun: set[int] = set()
        # Faults that last, by id: with how to undo each, and the number of its end in the agenda.
        self._undo: dict[int, tuple[Timed, Undo, int]] = {}
        self._number = FAULTS

    @property
    def active(self) -> tuple[Timed, ...]:
        """The faults that last and have not ended."""
        return tuple([timed for timed, _, _ in self._undo.values()])

    def schedule(self, faults: tuple[Timed, ...]) -> None:
        self.planned |= {timed.id: timed for timed in faults}
        for timed in faults:
            self._agenda.put(timed.at_us, self._number, self._begin, timed)
            fault = timed.fault
            if type(fault) is Kill and fault.disk == "older":
                host = self._hosts[fault.node]
                at_us = max(timed.at_us // 2, self._agenda.now_us)
                self._agenda.put(at_us, self._number + 1, host.bay.keep_copy)
            self._number += 2

    def replace_rest(self, faults: tuple[Timed, ...]) -> None:
        """What has not begun never does; of these faults those do that begin from now on."""
        self.planned = {at: timed for at, timed in self.planned.items() if at in self._begun}
        self.schedule(tuple([one for one in faults if one.at_us > self._agenda.now_us]))

    def end_at(self, fault: int, until_us: int) -> None:
        """End an active fault at this time, as if its plan had said so from the start."""
        timed, _, number = self._undo[fault]
        self._agenda.put(until_us, number, self._end, timed)

    def end_all(self) -> None:
        """End all faults at the end of their phase: everything works again, and every node is
        started.
        """
        for timed in self.active:
            self._end(timed)
        for host in self._hosts.values():
            host.points.clear()
            host.resume()
            host.mend()
            host.start()

    def _begin(self, timed: Timed) -> None:
        fault = timed.fault
        if self.planned.get(timed.id) is not timed:
            return  # it was replaced
        self._begun.add(timed.id)
        self._tell(Faulted(timed.id, word(fault), nodes_of(fault), detail_of(fault)))
        rng = self._streams.stream(f"fault {timed.id}")
        undo = self._apply(fault, rng)
        if undo is not None:
            number = self._agenda.at(timed.until_us, self._end, timed)
            self._undo[timed.id] = (timed, undo, number)

    def _end(self, timed: Timed) -> None:
        found = self._undo.pop(timed.id, None)
        if found is not None:
            found[1]()
            self._tell(Healed(timed.id))

    def _tell(self, data: Faulted | Healed) -> None:
        self._trace.add(self._agenda.now_us, "", 0, data)

    # --- one of each ----------------------------------------------------------------------------

    def _apply(self, fault: Fault, rng: Random) -> Undo | None:
        """Do it; returns how to undo it, or None if there is nothing to be undone."""
        network = self._network
        if isinstance(fault, PACKET_FAULTS):
            rule = network.begin(fault, rng)
            return partial(network.end, rule)
        if type(fault) is Hold:
            network.hold(fault.cuts)
            return partial(network.release, fault.cuts)
        if type(fault) is Partition:
            network.block(fault.cuts, 1)
            return partial(network.block, fault.cuts, -1)
        return self._apply_to_node(fault, self._hosts[fault.node], rng)

    def _apply_to_node(
        self,
        fault: Kill
        | Pause
        | Worker
        | Rot
        | Astray
        | Point
        | DiskErrors
        | DiskFull
        | ShortWrites
        | SlowSync
        | ClockOffset
        | ClockDrift,
        host: Host,
        rng: Random,
    ) -> Undo | None:
        if type(fault) is Kill:
            return self._kill(fault, host, rng)
        if type(fault) is Pause:
            if host.up:
                self._network.fire("pause")
            host.pause()
            return host.resume
        if type(fault) is Worker:
            return self._fail_transport(host)
        if type(fault) is Point:
            if fault.site in WITHIN_A_CALL:
                host.disk.faults.dies = host.asks  # from now on; without a point it says no
            return _while(host.points, ArmedPoint(fault, rng))
        if type(fault) is Astray:
            return self._lose(fault, host)
        if isinstance(fault, Rot | DiskErrors | DiskFull | ShortWrites | SlowSync):
            return self._apply_to_disk(fault, host, rng)
        if type(fault) is ClockOffset:
            self._network.fire("clock_offset")
            host.clock.offset_ms += fault.by_ms
            return partial(self._offset, host, -fault.by_ms)
        if type(fault) is ClockDrift:
            self._network.fire("clock_drift")
            host.clock.drift(fault.ppm, self._agenda.now_us)
            return partial(self._drift, host)
        assert_never(fault)

    def _apply_to_disk(
        self, fault: Rot | DiskErrors | DiskFull | ShortWrites | SlowSync, host: Host, rng: Random
    ) -> Undo | None:
        faults = host.disk.faults
        if type(fault) is Rot:
            places = host.disk.flip(rng, fault.flips)
            for place in places:
                host.damaged("flip", place)
            if places:
                self._network.fire("rot")
            return None
        if type(fault) is DiskErrors:
            return _while(faults.errors.setdefault(fault.call, []), (fault.share, rng))
        if type(fault) is DiskFull:
            room = [fault.room_bytes]
            return _while(faults.full, room)
        if type(fault) is ShortWrites:
            return _while(faults.short, (fault.share, rng))
        return _while(faults.slow_us, (fault.add_us, rng))

    def _lose(self, fault: Astray, host: Host) -> Undo | None:
        """Of a process that runs, and has it open."""
        if not host.up:
            return None
        if fault.how == "folder":
            if not host.disk.move_away():
                return None  # an earlier fault has moved it, and moves it back
            host.astray()
            return host.move_back
        place = host.disk.lose_segment(emptied=fault.how == "emptied")
        if place:
            host.damaged("end_lost", place)
            self._network.fire("astray")
        return None

    def _kill(self, fault: Kill, host: Host, rng: Random) -> Undo:
        if host.up:
            self._network.fire("kill")
        elif fault.disk in MISHAPS:
            # The next loss includes this one, and nothing has read the disk in between.
            fault = replace(fault, disk="same")
        if fault.how == "stop":
            host.stop(partial(self._while_down, fault, host, rng))
        else:
            host.crash(fault.how, power=fault.how == "power")
            self._while_down(fault, host, rng)
        return host.start

    def _while_down(self, fault: Kill, host: Host, rng: Random) -> None:
        """What is done to its disk."""
        if host.up:  # a stop may have ended in another crash, and that is fine
            return
        if fault.disk == "other":
            self._mistake(host, rng)
            return
        if fault.disk == "short":
            place = host.disk.lose_end(rng)
            if place:
                host.damaged("end_lost", place)
        elif fault.disk == "moved":
            host.bay.move()
            self._network.fire("disk_moved")
        elif fault.disk == "unnamed":
            if host.disk.lose_identity():
                self._network.fire("disk_unnamed")
        elif fault.disk != "same":
            host.bay.put(fault.disk)
            host.known = None
            self._network.fire(f"disk_{fault.disk}")
        for place in host.disk.flip(rng, fault.flips):
            host.damaged("flip", place)
        for what, place in host.disk.spoil(rng, fault.sectors):
            host.damaged(what, place)

    def _mistake(self, host: Host, rng: Random) -> None:
        """A disk of another node that has one by now, and a sound one: it says whose it is."""
        others = [
            one
            for name, one in sorted(self._hosts.items())
            if one is not host and not one.harmed and IDENTITY_FILE in one.disk.names()
        ]
        if others:
            host.bay.put_other(rng.choice(others).disk.files)
            self._network.fire("disk_other")

    def _fail_transport(self, host: Host) -> Undo | None:
        """What goes to the node and comes from it is lost, until the transport starts again."""
        process = host.process
        if process is None or process.paused:
            return None
        self._network.fire("worker")
        cuts = [(host.name, name) for name in self._hosts if name != host.name]
        links = (*cuts, *[(to, source) for source, to in cuts])
        self._network.block(links, 1)
        host.worker_note("worker_crashed")

        def restart() -> None:
            self._network.block(links, -1)
            if host.process is process:
                host.worker_note("worker_restarted")

        return restart

    def _offset(self, host: Host, by_ms: int) -> None:
        host.clock.offset_ms += by_ms

    def _drift(self, host: Host) -> None:
        host.clock.drift(0, self._agenda.now_us)


def _while(rows: list[Row], row: Row) -> Undo:
    """Put this row in; undoing takes out the very same one."""
    rows.append(row)

    def undo() -> None:
        rows[:] = [one for one in rows if one is not row]

    return undo


def nodes_of(fault: Fault) -> tuple[str, ...]:
    """The nodes that a fault acts on; none means all."""
    if type(fault) is Hold or type(fault) is Partition:
        return tuple(sorted({name for cut in fault.cuts for name in cut}))
    node = getattr(fault, "node", "")
    return (node,) if node else ()


def detail_of(fault: Fault) -> str:
    """The details of a fault, as text for users."""
    if type(fault) is Hold or type(fault) is Partition:
        cuts = " ".join(f"{a}>{b}" for a, b in fault.cuts)
        return f"{fault.shape}: {cuts}" if type(fault) is Partition else cuts
    told = [f"{name} {getattr(fault, name)}" for name in fault.__struct_fields__ if name != "node"]
    return ", ".join(told)
