"""The simulated network encodes packets, delays their bytes, loses some, and counts all of them.

Rules
- Every packet is encoded by `gossip.wire`, and its bytes are counted by what they are for: digest
  (lines of frontiers), payload (entries), framing (all else). Payload that brought nothing new is
  counted as duplicate by the host that received it.
- A receiver gets what `gossip.wire` decodes from those bytes, never the object that was sent. They
  are decoded once for all receivers. One packet in `COMPARE_EVERY`, and each in `paranoid` mode,
  is compared with the one that was sent. A corrupted packet is decoded and then discarded, as a
  transport with a checksum discards it (TCP, CURVE).
- A link delivers in order, as TCP does, except for what a fault reorders or repeats.
- Conservation: sent + copied = delivered + dropped (by cause) + in flight.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import log
from random import Random
from statistics import NormalDist
from typing import Protocol, get_args

import msgspec

from gossip.packets import WITH_RUNS, Ack, Body, Packet, Same, Syn, SynAck, Unfold
from gossip.wire import WireError, decode, encode
from lab.plan.faults import Cut, NetworkOptions, word
from lab.sim.packet_rules import CutRule, Fate, NarrowRule, PacketFault, PacketRule, rule_of
from lab.sim.scheduler import Scheduler
from lab.trace.kinds import Copied, Dropped, Got, Sent
from lab.trace.trace import MsgId, Trace

COMPARE_EVERY = 16
QUANTILES = 1024
_LOGNORMAL_SIGMA = 1.0
_STEPS = [(i + 0.5) / QUANTILES for i in range(QUANTILES)]
_EXPONENTIAL = [-log(1 - p) for p in _STEPS]  # of mean 1
_LOGNORMAL = [NormalDist(0.0, _LOGNORMAL_SIGMA).inv_cdf(p) for p in _STEPS]  # its logarithm

_WITH_LINES = (Syn, SynAck, Ack, Unfold)
_encode_lines = msgspec.msgpack.Encoder().encode
_COPIED = Copied()
_GOT = {kind.__name__: Got(kind.__name__) for kind in get_args(Body)}


class Receiver(Protocol):
    """A process, as the network sees it."""

    incarnation: int
    paused: bool

    def arrive(self, packet: Packet, size: int, payload: int, cause: int | None) -> None: ...

    def put_off(self, flight: "Flight") -> bool:
        """Queue the packet for a paused process. False if its queue is full."""
        ...


class NetworkMachine(Protocol):
    """A host, as the network sees it."""

    name: str
    incarnation: int

    @property
    def process(self) -> Receiver | None: ...


class SimLink:
    """The directed link from one host to another. Mutable."""

    __slots__ = ("held", "last_us", "pair", "queue", "target", "waiting")

    def __init__(self, source: str, target: NetworkMachine) -> None:
        self.pair = (source, target.name)
        self.target = target
        self.last_us = 0  # when the last packet in order arrives
        self.held = 0
        self.waiting: list[Flight] = []  # while it is held
        self.queue: deque[tuple[Flight, int]] = deque()  # while it is narrow, and what comes on top


class Parcel:
    """A packet in bytes, to one peer or to many. Mutable: it is read when it first arrives."""

    __slots__ = ("data", "msg_id", "read", "told", "wire")

    def __init__(self, packet: Packet) -> None:
        self.told = packet  # the sender's object; no receiver ever gets it
        self.data = encode(packet)
        self.wire = described(packet, self.data)
        self.msg_id: MsgId = (packet.sender, packet.incarnation, packet.number)
        self.read: Packet | None = None


class Flight:
    """One transmission in flight. Immutable."""

    __slots__ = ("link", "parcel", "sent")

    def __init__(self, link: SimLink, parcel: Parcel, sent: int | None) -> None:
        self.link = link
        self.parcel = parcel
        self.sent = sent  # its event in the trace


class Ledger:
    """The counters of the network, in packets and bytes. Mutable."""

    def __init__(self) -> None:
        self.sent = self.copied = self.delivered = self.decoded = 0
        self.bytes = self.digest_bytes = self.payload_bytes = self.framing_bytes = 0
        self.duplicate_bytes = 0
        self.dropped: dict[str, int] = {}  # by cause
        self.fired: dict[str, int] = {}  # what faults did, by their word

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        mine, theirs = (self.counts(), self.fired), (other.counts(), other.fired)
        return mine == theirs and self.decoded == other.decoded

    __hash__ = None  # type: ignore[assignment]  # mutable

    def counts(self) -> dict[str, int]:
        """The counters by their names in the trace; each cause of a drop has its own."""
        return {
            "sent": self.sent,
            "copied": self.copied,
            "delivered": self.delivered,
            "bytes": self.bytes,
            "digest_bytes": self.digest_bytes,
            "payload_bytes": self.payload_bytes,
            "framing_bytes": self.framing_bytes,
            "duplicate_bytes": self.duplicate_bytes,
            **{f"dropped_{why}": count for why, count in sorted(self.dropped.items())},
        }


class Network:
    """Mutable."""

    def __init__(
        self,
        agenda: Scheduler,
        trace: Trace,
        options: NetworkOptions,
        rng: Random,
        *,
        packets_traced: bool,
        paranoid: bool = False,
    ) -> None:
        self._agenda = agenda
        self._trace = trace
        self._traced = packets_traced
        self._draw = rng.random
        self._delays = quantiles(options)
        self._compare_every = 1 if paranoid else COMPARE_EVERY
        self._hosts: dict[str, NetworkMachine] = {}
        self._links: dict[str, dict[str, SimLink]] = {}
        self._rules: list[tuple[str, PacketRule]] = []
        self._cuts = CutRule()
        self.block = self._cuts.block
        self.ledger = Ledger()
        self.watch: Callable[[str, str, Packet], None] | None = None  # is shown what is sent

    def join(self, host: NetworkMachine) -> None:
        self._hosts[host.name] = host
        self._links[host.name] = {}

    # --- sending --------------------------------------------------------------------------------

    def send(
        self, source: NetworkMachine, sends: list[tuple[str, Packet]], cause: int | None
    ) -> None:
        """Take up these packets, in order."""
        ledger, trace, agenda = self.ledger, self._trace, self._agenda
        faulty = bool(self._rules) or self._cuts.any
        now_us, name, links = agenda.now_us, source.name, self._links[source.name]
        packet = None
        for peer, following in sends:
            if self.watch is not None:
                self.watch(name, peer, following)
            if following is not packet:  # else the same one, to the next peer
                packet = following
                parcel = Parcel(packet)
                wire, msg_id, size = parcel.wire, parcel.msg_id, len(parcel.data)
                digest, payload, framing = wire.digest, wire.payload, wire.framing
            link = links.get(peer)
            if link is None:
                link = links[peer] = SimLink(name, self._hosts[peer])
            ledger.sent += 1
            ledger.bytes += size
            ledger.digest_bytes += digest
            ledger.payload_bytes += payload
            ledger.framing_bytes += framing
            sent = None
            if self._traced:
                sent = trace.add(now_us, name, source.incarnation, wire, cause, msg_id, peer, size)
            flight = Flight(link, parcel, sent)
            if faulty or link.held:
                self._send_with_faults(flight)
                continue
            at_us = now_us + self._delays[int(self._draw() * QUANTILES)]
            at_us = link.last_us = max(at_us, link.last_us)
            agenda.at(at_us, self._arrive, flight)

    def _send_with_faults(self, flight: Flight) -> None:
        link, now_us = flight.link, self._agenda.now_us
        if self._cuts.lose(link.pair):
            self.fire("partition")
            self.drop(flight, "partition")
            return
        fate = Fate(link.pair, len(flight.parcel.data), now_us)
        for what, rule in self._rules:
            if rule.meet(fate):
                self.fire(what)
        for later_us in fate.copies:
            self._copy(flight, later_us + fate.extra_us)
        if fate.drop:
            self.drop(flight, fate.drop)
        elif fate.flip >= 0:
            self._corrupt(flight, fate.flip)
        elif link.held:
            self.fire("hold")
            link.waiting.append(flight)
        elif fate.ready_us > now_us:
            link.queue.append((flight, fate.extra_us))
            self._agenda.at(fate.ready_us, self._ready, flight)
        else:
            at_us = now_us + self._delay_us() + fate.extra_us
            if not fate.overtaken:
                at_us = link.last_us = max(at_us, link.last_us)
            self._agenda.at(at_us, self._arrive, flight)

    def _ready(self, flight: Flight) -> None:
        """The last byte of it has entered the narrow link, unless that was freed meanwhile."""
        queue = flight.link.queue
        if queue and queue[0][0] is flight:
            self._fly(*queue.popleft())

    def _fly(self, flight: Flight, extra_us: int) -> None:
        link = flight.link
        link.last_us = max(self._agenda.now_us + self._delay_us() + extra_us, link.last_us)
        self._agenda.at(link.last_us, self._arrive, flight)

    def _copy(self, flight: Flight, later_us: int) -> None:
        self.ledger.copied += 1
        self._tell(flight, _COPIED)
        at_us = self._agenda.now_us + self._delay_us() + later_us
        self._agenda.at(at_us, self._arrive, flight)

    def _corrupt(self, flight: Flight, bit: int) -> None:
        data = bytearray(flight.parcel.data)
        data[bit // 8] ^= 1 << bit % 8
        with suppress(WireError):  # and it must not raise anything else
            decode(bytes(data))
        self.drop(flight, "corrupt")

    def drop(self, flight: Flight, why: str) -> None:
        """This transmission never arrives."""
        dropped = self.ledger.dropped
        dropped[why] = dropped.get(why, 0) + 1
        self._tell(flight, Dropped(why))

    def _tell(self, flight: Flight, data: Copied | Dropped) -> None:
        """Of the sender: what becomes of its transmission."""
        if self._traced:
            source, peer = flight.link.pair
            now_us, inc = self._agenda.now_us, self._hosts[source].incarnation
            name, size = flight.parcel.msg_id, len(flight.parcel.data)
            self._trace.add(now_us, source, inc, data, flight.sent, name, peer, size)

    def _delay_us(self) -> int:
        return self._delays[int(self._draw() * QUANTILES)]

    # --- arriving -------------------------------------------------------------------------------

    def _arrive(self, flight: Flight) -> None:
        process = flight.link.target.process
        if process is None:
            self.drop(flight, "down")
        elif not process.paused:
            self.deliver(flight, process)
        elif not process.put_off(flight):
            self.drop(flight, "queue")

    def deliver(self, flight: Flight, process: Receiver) -> None:
        """Hand it to the process, which is up and running."""
        ledger, link, parcel = self.ledger, flight.link, flight.parcel
        ledger.delivered += 1
        size, got = len(parcel.data), flight.sent
        if self._traced:
            got = self._trace.add(
                self._agenda.now_us,
                link.pair[1],
                process.incarnation,
                _GOT[parcel.wire.body],
                flight.sent,
                flight.parcel.msg_id,
                link.pair[0],
                size,
            )
        packet = parcel.read
        if packet is None:
            packet = parcel.read = decode(parcel.data)
            ledger.decoded += 1
            if ledger.decoded % self._compare_every == 0:
                assert packet == parcel.told, "a packet is not what its bytes say"
        process.arrive(packet, size, parcel.wire.payload, got)

    # --- faults ---------------------------------------------------------------------------------

    def fire(self, what: str) -> None:
        fired = self.ledger.fired
        fired[what] = fired.get(what, 0) + 1

    def begin(self, fault: PacketFault, rng: Random) -> PacketRule:
        """A fault that meets every packet. Returns what `end` wants."""
        rule = rule_of(fault, rng)
        self._rules.append((word(fault), rule))
        return rule

    def end(self, rule: PacketRule) -> None:
        self._rules = [one for one in self._rules if one[1] is not rule]
        if isinstance(rule, NarrowRule):
            for link in self._all_links():
                while link.queue:
                    self._fly(*link.queue.popleft())

    def hold(self, cuts: tuple[Cut, ...]) -> None:
        for cut in cuts:
            self._link(cut).held += 1

    def release(self, cuts: tuple[Cut, ...]) -> None:
        """Send the packets that were held, in order."""
        for cut in cuts:
            link = self._link(cut)
            link.held -= 1
            if link.held:
                continue
            for flight in link.waiting:
                self._fly(flight, 0)
            link.waiting = []

    @property
    def in_flight(self) -> int:
        waiting = sum(len(link.waiting) + len(link.queue) for link in self._all_links())
        return self._agenda.pending(self._arrive) + waiting

    def _all_links(self) -> Iterator[SimLink]:
        for links in self._links.values():
            yield from links.values()

    def _link(self, cut: Cut) -> SimLink:
        links = self._links[cut[0]]
        link = links.get(cut[1])
        if link is None:
            link = links[cut[1]] = SimLink(cut[0], self._hosts[cut[1]])
        return link


def described(packet: Packet, data: bytes) -> Sent:
    """Counts the bytes of a packet by their purpose: digest, payload, framing."""
    body = packet.body
    if type(body) is Same:  # many are, and nothing of them is a digest or payload
        return Sent("Same", 0, 0, len(data), 0)
    digest = payload = entries = 0
    if isinstance(body, WITH_RUNS):
        for run in body.runs:
            entries += len(run.data)
            for one in run.data:
                payload += len(one)
    if isinstance(body, _WITH_LINES) and body.lines:
        digest = len(_encode_lines(body.lines))
    return Sent(type(body).__name__, digest, payload, len(data) - digest - payload, entries)


def quantiles(options: NetworkOptions) -> list[int]:
    """Delays in µs at equal steps of probability, so that a draw is one table look-up."""
    mean, least = options.mean_us, options.min_us
    if options.latency == "constant":
        return [least + mean] * QUANTILES
    if options.latency == "uniform":
        return [least + int(2 * mean * p) for p in _STEPS]
    if options.latency == "exponential":
        return [least + int(mean * above) for above in _EXPONENTIAL]
    middle = log(mean) - _LOGNORMAL_SIGMA**2 / 2 if mean else 0.0
    return [least + int(2.718281828459045 ** (middle + above)) for above in _LOGNORMAL]
