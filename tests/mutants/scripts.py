"""Scripts: what no fault plan can say, put into a world's agenda before it runs."""

from collections.abc import Callable
from random import Random

from domain.moderation import Policy, Rule
from lab.plan.faults import Point, Site
from lab.sim.crash_points import ArmedPoint
from lab.sim.host import Host
from lab.sim.world import World
from lab.trace.kinds import Fired
from tests.mutants.plans import MS

STRICTER = Policy((Rule("stricter", ("message",), "censor"),), ())
OPENING_CALLS = 24  # calls to the disk while a journal is opened, about


def at(world: World, at_ms: int, act: Callable[[], None]) -> None:
    world.agenda.at(at_ms * MS, lambda _: act())


def strange_disk(world: World) -> None:
    """While n1 is down, n2's disk is put into it."""

    def put() -> None:
        assert not world.hosts["n1"].up
        world.hosts["n1"].disk.files = world.hosts["n2"].disk.files.killed()
        world.hosts["n1"].tell(Fired("disk_older", "it is the disk of n2"))

    at(world, 800, put)


def older_disk(world: World) -> None:
    """n1's disk as it was at 500 ms is put back while n1 is down."""

    def keep() -> None:
        world.hosts["n1"].bay.keep_copy(None)

    def put() -> None:
        assert not world.hosts["n1"].up
        world.hosts["n1"].bay.put("older")

    at(world, 500, keep)
    at(world, 900, put)


def last_frame_rots(world: World) -> None:
    """n1's newest record is damaged while it is down, and its next start dies half-way."""

    def rot() -> None:
        host = world.hosts["n1"]
        assert not host.up
        files = host.disk.files
        name = [one for one in files.names() if one.endswith(".seg")][-1]
        data = bytearray(files.read(name, 0, files.size(name)))
        data[-1] ^= 1
        files.set(name, bytes(data))
        host.damaged("flip", f"{name}:{len(data) - 1}")
        host.disk.faults.dies = _after(host, world.plan.seed % OPENING_CALLS)

    at(world, 800, rot)


def _after(host: Host, calls: int) -> Callable[[Site], bool]:
    """Dies at the call after so many, once."""
    left = [calls]

    def dies(site: Site) -> bool:
        left[0] -= 1
        if left[0] >= 0:
            return False
        host.disk.faults.dies = None
        return _armed(host)

    return dies


def _armed(host: Host) -> bool:
    """A point that is due now, as a plan would have armed it."""
    host.points.append(ArmedPoint(Point(host.name, "mid_open", 1.0, 1, 100 * MS), Random(1)))
    died = host.asks("mid_open")
    host.points.clear()
    return died


def stricter_rules(world: World) -> None:
    """n2 judges more strictly from the beginning on, and even more so in the middle."""

    def judge() -> None:
        process = world.hosts["n2"].process
        assert process is not None
        process.replica.set_policy(STRICTER)

    at(world, 250, judge)
    at(world, 1500, judge)
