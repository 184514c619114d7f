"""The transport: packets between nodes over ZeroMQ, one way per socket.

One ROUTER, behind a gate (`node.sockets.gate`), only receives; one DEALER per peer
(`node.network.peer_sender`) is connected and only sends. A peer is known by the name inside its
packets, never by a routing id, so two nodes that claim one name cannot make each other's packets
vanish. With a keyring, connections are encrypted, and the name must be the one whose key the
connection has.

Rules
- A packet is lost before it is waited for. What cannot go out soon is dropped and counted under
  the peer and the reason; gossip repairs whatever is missing.
- Whatever comes in is a packet of this cluster, or a count and, seldom, a note. Nothing that a
  stranger sends ends the worker.
- Whoever uses another's name with a key of his own, or sends with it what is no packet, is not
  listened to for a while. A key that is taken off the list is not heard from then on, also on a
  connection that stands.
- Faults (`node.network.link_faults`) act here, on the sending side: a blocked, lost, doubled or
delayed packet.

    send -> fault plan -> queue -> DEALER  --tcp-->  gate -> ROUTER -> decode -> on_packet
"""

import asyncio
import errno
import time
from collections.abc import Callable, Mapping
from typing import Any, get_args

import zmq

from gossip.packets import Body, Packet
from gossip.wire import PACKET_BYTES_MAX, WireError, decode, encode
from node.core.ports import Note
from node.network.compression import compressed, expanded
from node.network.link_faults import FaultTable
from node.network.peer_sender import QUEUE_AGE_S, QUEUE_BYTES_MAX, Frame, PeerSender, Traffic
from node.network.penalties import Penalties
from node.security.curve import key_on, lock
from node.security.key_files import Trusted
from node.security.keyring import Keyring
from node.sockets.gate import Gate, GateLimits
from node.sockets.listening import HANDSHAKE_MS, connections_max, listen_tcp
from node.sockets.pump import Guard, Pump, RawContext, RawSocket, bare

NOTE_EVERY_S = 10.0  # about the same trouble
_OPTIONS = (
    (zmq.LINGER, 0),
    (zmq.ROUTER_MANDATORY, 1),
    (zmq.MAXMSGSIZE, PACKET_BYTES_MAX),
    (zmq.SNDHWM, 1),  # nothing is ever sent here
    (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
)
MESSAGE_BYTES_MAX = PACKET_BYTES_MAX + 256 * 1024
STRANGERS_BYTES_MAX = 8 * 1024 * 1024
PEERS_BYTES_MAX = 64 * 1024 * 1024
CONNECTIONS_MAX = 1024
KINDS: tuple[type, ...] = get_args(Body)


class AddressInUse(OSError):
    """Somebody else listens there. The text is one clear line."""


class Transport:
    """A supervised worker. `guard` fences its callbacks; `on_packet` gets a packet and its size."""

    name = "transport"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: RawContext,
        *,
        node: str,
        cluster: int,
        listen: str,
        peers: Mapping[str, str | None],
        faults: FaultTable,
        on_packet: Callable[[Packet, int, int], None],
        on_note: Callable[[Note], None],
        on_unreachable: Callable[[], None] | None = None,
        guard: Guard = bare,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
        queue_age_s: float = QUEUE_AGE_S,
        keyring: Keyring | None = None,
        compress: bool = False,
        limits: GateLimits | None = None,
        rests_s: Callable[[str], float] = lambda _: 0.0,
    ) -> None:
        self._loop = loop
        self._context = context
        self._node = node
        self._cluster = cluster
        self._listen = listen
        self.faults = faults
        self._on_packet = on_packet
        self._on_note = on_note
        self._on_unreachable = on_unreachable
        self._guard = guard
        self._keyring = keyring
        self._compress = compress
        self._trusted: Trusted | None = keyring.trusted if keyring is not None else None
        self._penalties = Penalties(loop.time)
        self._router: RawSocket | None = None
        self._pump: Pump | None = None
        limits = limits or GateLimits(
            MESSAGE_BYTES_MAX,
            STRANGERS_BYTES_MAX,
            PEERS_BYTES_MAX,
            connections_max(CONNECTIONS_MAX, share=0.5),
        )
        locked = keyring is not None
        self.gate = Gate(loop, "gossip", limits, on_note, guard, locked=locked, rests_s=rests_s)
        self._noted: dict[str, tuple[float, int]] = {}  # trouble -> when told, its count then
        self._encoded: tuple[Packet, bytes] | None = None
        self.rejected: dict[str, int] = {}  # frames that were no packets for us, by reason
        self._senders = {
            peer: PeerSender(
                loop=loop,
                context=context,
                peer=peer,
                endpoint=endpoint,
                on_dropped=self._on_dropped,
                guard=guard,
                bytes_max=queue_bytes_max,
                age_s=queue_age_s,
                keyring=keyring,
            )
            for peer, endpoint in peers.items()
        }

    @property
    def endpoint(self) -> str:
        """Where this node listens, with the port that the system chose if it was asked to."""
        return self._listen

    def traffic(self, peer: str) -> Traffic:
        return self._senders[peer].traffic

    def connected(self, peer: str) -> bool:
        return self._senders[peer].connected

    @property
    def queued_bytes(self) -> int:
        return sum(sender.queued_bytes for sender in self._senders.values())

    @property
    def counters(self) -> dict[str, int]:
        """Over all peers."""
        traffic = [sender.traffic for sender in self._senders.values()]
        return {
            **{f"rejected_{reason}": count for reason, count in self.rejected.items()},
            "packets_sent": sum(counts.sent_packets for counts in traffic),
            "bytes_sent": sum(counts.sent_bytes for counts in traffic),
            "packets_received": sum(counts.received_packets for counts in traffic),
            "bytes_received": sum(counts.received_bytes for counts in traffic),
            "packets_dropped": sum(sum(counts.dropped.values()) for counts in traffic),
            "link_queued_bytes": self.queued_bytes,
            **self.gate.counters,
        }

    def bytes_by_kind(self) -> dict[tuple[str, str], int]:
        """Over all peers: (out or in, kind of packet) -> bytes. All kinds are there, in order."""
        kinds = {(way, kind.__name__.lower()): 0 for way in ("out", "in") for kind in KINDS}
        for sender in self._senders.values():
            traffic = sender.traffic
            for way, by_kind in (("out", traffic.sent_by_kind), ("in", traffic.received_by_kind)):
                for kind, size in by_kind.items():
                    kinds[way, kind.__name__.lower()] += size
        return kinds

    def start(self) -> None:
        """Bind and connect. Raises AddressInUse."""
        assert self._router is None, "started twice"
        self._router = router = self._context.socket(zmq.ROUTER)
        for option, value in _OPTIONS:
            router.setsockopt(option, value)
        if self._keyring is not None:
            lock(router, "gossip", self._keyring.own)
        try:
            # The system's choice of a port is kept, so that a restart comes back to it.
            listener, self._listen = listen_tcp(self._listen)
        except OSError as error:
            raise _bind_error(self._node, self._listen, error) from None
        self.gate.open(listener, router)
        heard = self._on_parts if self._keyring is None else None
        frames = self._on_frames if self._keyring is not None else None
        self._pump = Pump(
            loop=self._loop,
            socket=router,
            on_parts=heard,
            on_turn=None,
            guard=self._guard,
            on_frames=frames,
            receive=self.gate.message,
        )
        for sender in self._senders.values():
            sender.open()
        self._tell_keyless()

    def stop(self) -> None:
        """Close everything at once; what is queued is lost, as on any bad day."""
        for sender in self._senders.values():
            sender.close()
        self.gate.close()
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        if self._router is not None:
            self._router.close(linger=0)
            self._router = None

    def set_endpoint(self, peer: str, endpoint: str | None) -> None:
        """The peer listens somewhere else now."""
        sender = self._senders[peer]
        if sender.endpoint == endpoint:
            return
        sender.close()
        sender.endpoint = endpoint
        if self._router is not None:
            sender.open()

    def _follow_keys(self) -> None:
        """Dial anew where the list of trusted keys has another key, or none any more."""
        if self._keyring is None or self._keyring.trusted is self._trusted:
            return
        self._trusted = self._keyring.trusted
        for sender in self._senders.values():
            if self._router is not None and sender.key != self._trusted.public_of(
                sender.peer, "peer"
            ):
                sender.close()
                sender.open()
        self._tell_keyless()

    def _tell_keyless(self) -> None:
        keyless = [sender.peer for sender in self._senders.values() if sender.key is None]
        if self._keyring is not None and keyless:
            self._on_note(Note("peers_without_key", "warning", {"peers": keyless}))

    def send(self, peer: str, packet: Packet) -> None:
        self._follow_keys()
        sender = self._senders.get(peer)
        if sender is None:
            self._reject("unknown_peer", f"a packet to {peer[:32]!r}, who is no peer of this node")
            return
        try:
            frame = Frame(self._bytes_of(packet), type(packet.body))
        except WireError as error:  # the core sends none so large; if it does, that is one lost
            self._reject("unsendable", f"a packet to {peer}: {error}")
            return
        if self.faults.whole(peer):
            sender.put(frame)
            return
        delays_ms = self.faults.plan(peer)
        if not delays_ms:
            sender.traffic.drop("blocked" if self.faults.get(peer).blocked else "lost")
        for delay_ms in delays_ms:
            if delay_ms > 0:
                sender.put_later(frame, delay_ms)
            else:
                sender.put(frame)

    def _bytes_of(self, packet: Packet) -> bytes:
        """One packet to many peers comes in a row, and is encoded once."""
        if self._encoded is None or self._encoded[0] is not packet:
            data = encode(packet)
            self._encoded = (packet, compressed(data) if self._compress else data)
        return self._encoded[1]

    # --- receiving ------------------------------------------------------------------------------

    def _on_frames(self, frames: list[Any]) -> None:
        """From a locked door: the name is that of the key, if it is trusted at this moment."""
        assert self._keyring is not None
        owner = self._keyring.trusted.owner(key_on(frames[-1]), "peer")
        if owner is None:
            self._reject("untrusted", "a packet by a key that is not trusted any more")
        elif self._penalties.silenced(owner):
            self._reject("penalised", f"a packet by the key of {owner}, who is not listened to")
        else:
            name, *parts = frames
            self._on_parts([name, *(frame.bytes for frame in parts)], owner)

    def _on_parts(self, parts: list[bytes], owner: str | None = None) -> None:
        if len(parts) != 2:
            self._abused("parts", f"a message of {len(parts) - 1} frames; a packet is one", owner)
            return
        data = parts[1]
        began_ns = time.thread_time_ns()
        try:
            packet = decode(expanded(data))
        except WireError as error:
            # A peer of another version means no harm, and comes back when it has been upgraded.
            self._abused(error.reason, str(error), owner if error.reason != "version" else None)
            return
        except Exception as error:  # the frame boundary: nothing of a stranger passes it
            self._abused("malformed", f"{type(error).__name__}: {error}", owner)
            return
        if packet.cluster != self._cluster:
            told = f"a packet of cluster {packet.cluster:08x}, from {packet.sender[:32]!r}"
            self._reject("cluster", f"{told}; this is cluster {self._cluster:08x}")
            return
        if owner is not None and packet.sender != owner:
            what = f"the key of {owner} sent a packet of {packet.sender[:32]!r}"
            self._abused("identity", what, owner)
            return
        if packet.sender == self._node:
            self._reject("own_name", "a packet from another node that uses the name of this one")
            return
        sender = self._senders.get(packet.sender)
        if sender is not None:
            sender.traffic.received(type(packet.body), len(data))
            self.gate.know(parts[0], packet.sender)
        self._on_packet(packet, len(data), (time.thread_time_ns() - began_ns) // 1000)

    # --- counting, and saying so ----------------------------------------------------------------

    def _abused(self, reason: str, what: str, owner: str | None) -> None:
        """Nothing that a sound node sends. With a proved key, that key is not heard for a while."""
        if owner is not None:
            what = (
                f"{what[:120]}: {owner} is not listened to for {self._penalties.strike(owner):g} s"
            )
        self._reject(reason, what)

    def _reject(self, reason: str, detail: str) -> None:
        count = self.rejected.get(reason, 0) + 1
        self.rejected[reason] = count
        if self._due(reason, count):
            self._note("frame_rejected", reason, count, detail=detail[:200])

    def _on_dropped(self, peer: str, reason: str) -> None:
        if reason in ("unreachable", "no_address", "no_key"):
            # Silent: that a peer is gone is for the replica to find out and to tell.
            if self._on_unreachable is not None:
                self._on_unreachable()
            return
        count = self._senders[peer].traffic.dropped[reason]
        if self._due(f"{peer} {reason}", count):
            self._note("packets_dropped", reason, count, peer=peer)

    def _due(self, trouble: str, count: int) -> bool:
        now_s = self._loop.time()
        noted = self._noted.get(trouble)
        if noted is not None and now_s - noted[0] < NOTE_EVERY_S:
            return False
        self._noted[trouble] = (now_s, count)
        return True

    def _note(self, event: str, reason: str, count: int, **fields: str) -> None:
        self._on_note(Note(event, "warning", {"reason": reason, "count": count, **fields}))


def _bind_error(node: str, endpoint: str, error: OSError) -> OSError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(
            f"{node}: {endpoint} is in use by another process; stop it or choose another port"
        )
    return OSError(f"{node}: cannot listen on {endpoint}: {error.strerror or error}")
