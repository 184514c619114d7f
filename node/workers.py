"""The workers of a node, made and wired: who is given what.

Order of starting: the doors before whatever they guard, the transport before what can be asked of
the node. Supervision stops them the other way round. `Hooks` is what they may call; nothing here
runs by itself.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from gossip.packets import Packet
from node.control import Control
from node.curve import LockedDoor
from node.doors import Doors
from node.feed import Feed
from node.keyring import Keyring
from node.link import FaultTable
from node.ports import Note
from node.pump import RawContext
from node.replica import Replica
from node.settings import Settings
from node.storage import StorageError
from node.supervisor import Supervisor, Worker
from node.telemetry import Telemetry
from node.transport import AddressInUse, Transport
from node.turn import Submit
from node.views import NodeViews, Running

BIND_TRIES = 20
BIND_WAIT_S = 0.025


class Hooks(Struct, frozen=True):
    """What the runtime does with whatever its workers bring."""

    on_packet: Callable[[Packet, int, int], None]
    rests_s: Callable[[str], float]
    on_submit: Callable[[Submit], None]
    on_note: Callable[[str, Note], None]  # and the worker that says it
    on_unreachable: Callable[[], None]
    on_damage: Callable[[StorageError], None]
    counters: Callable[[], dict[str, int]]
    now_ms: Callable[[], int]
    wall_ms: Callable[[], int]


class Workers:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        settings: Settings,
        supervisor: Supervisor,
        hooks: Hooks,
        *,
        replica: Replica,
        running: Running,
        faults: FaultTable,
        known: dict[str, str],
        keyring: Keyring | None,
    ) -> None:
        guard, note = supervisor.guard, hooks.on_note
        self.doors = _doors(loop, context, supervisor, hooks, keyring)
        self.transport = Transport(
            loop,
            context,
            node=settings.node,
            cluster=settings.cluster,
            listen=settings.listen,
            peers={peer: known.get(peer) for peer in settings.peers},
            faults=faults,
            on_packet=hooks.on_packet,
            rests_s=hooks.rests_s,
            on_note=partial(note, "transport"),
            on_unreachable=hooks.on_unreachable,
            guard=partial(guard, "transport"),
            keyring=keyring,
            compress=settings.compress,
        )
        clocks = (hooks.now_ms, hooks.wall_ms)
        views = NodeViews(
            replica, self.transport, running, supervisor.statuses, hooks.counters, *clocks
        )
        self.control = Control(
            loop,
            context,
            path=settings.control,
            durability=settings.durability,
            peers=len(settings.peers),
            views=views,
            faults=faults,
            on_submit=hooks.on_submit,
            on_note=partial(note, "control"),
            on_damage=hooks.on_damage,
            guard=partial(guard, "control"),
            locked=_locked(settings.control_listen, keyring),
        )
        self.feed = Feed(
            loop,
            context,
            node=settings.node,
            path=settings.feed,
            on_note=partial(note, "feed"),
            guard=partial(guard, "feed"),
            locked=_locked(settings.feed_listen, keyring),
        )
        introduce(self.doors, self.transport, self.control, self.feed)
        self.telemetry = Telemetry(
            loop,
            news=partial(self._news, replica, running),
            counters=hooks.counters,
            on_note=partial(note, "telemetry"),
            guard=partial(guard, "telemetry"),
        )

    def _news(self, replica: Replica, running: Running) -> dict[str, int]:
        return {
            "events": replica.frontier.count,
            "missing": replica.frontier.missing,
            "durable": running.durable,
            "rejected": sum(self.transport.rejected.values()),
            "bad": self.control.counters["control_bad"],
            "refused": self.doors.counters["doors_refused"] if self.doors is not None else 0,
        }


async def start_transport(start: Callable[[Worker], None], transport: Transport) -> None:
    """A predecessor may be just about to let the port go. Raises OSError if it does not."""
    for tries_left in reversed(range(BIND_TRIES)):
        try:
            start(transport)
            return
        except AddressInUse:
            if not tries_left:
                raise
        await asyncio.sleep(BIND_WAIT_S)


def _doors(
    loop: asyncio.AbstractEventLoop,
    context: RawContext,
    supervisor: Supervisor,
    hooks: Hooks,
    keyring: Keyring | None,
) -> Doors | None:
    if keyring is None:
        return None
    note, guard = partial(hooks.on_note, "doors"), partial(supervisor.guard, "doors")
    keyring.on_note = note
    return Doors(loop, context, keyring=keyring, on_note=note, guard=guard)


def introduce(doors: Doors | None, transport: Transport, control: Control, feed: Feed) -> None:
    """Tell the doors, if there are any, who is outside: libzmq knows no addresses any more."""
    if doors is None:
        return
    doors.newcomers["gossip"] = transport.gate.newcomers
    doors.newcomers["control"] = control.gates[1].newcomers
    doors.newcomers["feed"] = feed.gates[1].newcomers


def _locked(listen: str | None, keyring: Keyring | None) -> LockedDoor | None:
    if listen is None:
        return None
    assert keyring is not None, "a door over TCP without keys: the configuration refuses that"
    return LockedDoor(listen, keyring)
