"""Makes the workers of a node and connects them: each gets what it needs, and the hooks to call.

Order of starting: the ZAP authenticator (worker `doors`) before the sockets that it guards, the
transport before what can be asked of the node. Supervision stops them the other way round. `Hooks`
is what they may call; nothing here runs by itself.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from msgspec import Struct

from gossip.packets import Packet
from node.control.feed import Feed
from node.control.measures import Measures
from node.control.messages import ReadStatus
from node.control.metrics_server import MetricsServer
from node.control.queries import NodeQueries, Running
from node.control.server import ControlServer
from node.core.interface import Submit
from node.core.ports import Note
from node.core.replica import Replica
from node.network.link_faults import FaultTable
from node.network.transport import AddressInUse, Transport
from node.process.settings import NodeSettings
from node.process.supervisor import Supervisor, Worker
from node.process.telemetry import Telemetry
from node.security.curve import CurveListener
from node.security.keyring import Keyring
from node.security.zap_authenticator import ZapAuthenticator
from node.sockets.pump import RawContext
from node.storage.files import StorageError

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
        settings: NodeSettings,
        supervisor: Supervisor,
        hooks: Hooks,
        *,
        replica: Replica,
        running: Running,
        faults: FaultTable,
        known: dict[str, str],
        keyring: Keyring | None,
        measures: Measures | None,
    ) -> None:
        guard, note = supervisor.guard, hooks.on_note
        self.authenticator = _authenticator(loop, context, supervisor, hooks, keyring)
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
        views = self._views(replica, running, supervisor, hooks)
        self.control = ControlServer(
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
        introduce(self.authenticator, self.transport, self.control, self.feed)
        self.telemetry = Telemetry(
            loop,
            news=partial(self._news, replica, running),
            counters=hooks.counters,
            on_note=partial(note, "telemetry"),
            guard=partial(guard, "telemetry"),
        )
        render = None if measures is None else self._rendering(replica, views, measures)
        self.metrics = _metrics(loop, settings, supervisor, hooks, render)

    def _rendering(
        self, replica: Replica, views: NodeQueries, measures: Measures
    ) -> Callable[[], tuple[bytes, str]]:
        from node.control.metrics_text import MetricsText  # lazy: of the extra chatlab[observe]

        return MetricsText(
            status=lambda: views.status(ReadStatus(0)),
            appended=lambda: len(replica.timeline) - replica.counters["restored"],
            kinds=self.transport.bytes_by_kind,
            verdicts=replica.verdicts,
            measures=measures,
            build=(_version(), replica.strategy),
        ).render

    def _views(
        self, replica: Replica, running: Running, supervisor: Supervisor, hooks: Hooks
    ) -> NodeQueries:
        return NodeQueries(
            replica=replica,
            transport=self.transport,
            running=running,
            workers=supervisor.statuses,
            counters=hooks.counters,
            now_ms=hooks.now_ms,
            wall_ms=hooks.wall_ms,
        )

    def _news(self, replica: Replica, running: Running) -> dict[str, int]:
        return {
            "events": replica.frontier.count,
            "missing": replica.frontier.missing,
            "durable": running.durable,
            "rejected": sum(self.transport.rejected.values()),
            "bad": self.control.counters["control_bad"],
            "refused": self.authenticator.counters["doors_refused"]
            if self.authenticator is not None
            else 0,
        }


def _version() -> str:
    try:
        return version("chatlab")
    except PackageNotFoundError:  # run from its sources
        return ""


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


def _authenticator(
    loop: asyncio.AbstractEventLoop,
    context: RawContext,
    supervisor: Supervisor,
    hooks: Hooks,
    keyring: Keyring | None,
) -> ZapAuthenticator | None:
    if keyring is None:
        return None
    note, guard = partial(hooks.on_note, "doors"), partial(supervisor.guard, "doors")
    keyring.on_note = note
    return ZapAuthenticator(loop, context, keyring=keyring, on_note=note, guard=guard)


def introduce(
    authenticator: ZapAuthenticator | None, transport: Transport, control: ControlServer, feed: Feed
) -> None:
    """Tell the doors, if there are any, who is outside: libzmq knows no addresses any more."""
    if authenticator is None:
        return
    authenticator.newcomers["gossip"] = transport.gate.newcomers
    authenticator.newcomers["control"] = control.gates[1].newcomers
    authenticator.newcomers["feed"] = feed.gates[1].newcomers


def _metrics(
    loop: asyncio.AbstractEventLoop,
    settings: NodeSettings,
    supervisor: Supervisor,
    hooks: Hooks,
    render: Callable[[], tuple[bytes, str]] | None,
) -> MetricsServer | None:
    if render is None:
        return None
    return MetricsServer(
        loop,
        node=settings.node,
        listen=settings.metrics_listen,
        render=render,
        on_note=partial(hooks.on_note, "metrics"),
        guard=partial(supervisor.guard, "metrics"),
    )


def _locked(listen: str | None, keyring: Keyring | None) -> CurveListener | None:
    if listen is None:
        return None
    assert keyring is not None, "a door over TCP without keys: the configuration refuses that"
    return CurveListener(listen, keyring)
