"""The engine: joins frontier, strategy, rumors, rounds, membership and receipts into a protocol.

Rules
- Every leg is self-contained. A packet that is lost, repeated, late or out of order costs time or
  bytes and nothing else.
- "In sync" is said of roots that both sides have named in one exchange, and is never remembered
  beyond it: any news here or a different root there ends it.
- A continuation (`more`) is called at once only by a side that has just learnt something, so that
  two nodes that cannot help each other do not talk in circles.
- A packet from somebody who is no peer is counted and ignored. Bytes that are no entry are counted
  against the peer that sent them.

Theory of operation. Own entries go straight to all peers while the cluster is small (`Push`,
direct, one hop), and as rumors otherwise. Rounds call one peer at a time and repair what pushes
missed; see `gossip.packets` for the legs and `gossip.peers` for when.

`open_entry` is how the engine learns what it must not know: given a claimed dot and bytes, it
returns the predecessor's link and any value of the caller's, or None if the bytes are not that
entry.
"""

from collections.abc import Callable
from random import Random
from typing import Generic, TypeVar, assert_never

from msgspec import Struct

from domain.dot import Dot, LogId
from gossip.config import GossipConfig
from gossip.delta import cut, room_beside, runs_of
from gossip.entry import Entry, hash_of
from gossip.frontier import Added, Frontier
from gossip.incarnation import incarnation_of
from gossip.membership import Membership, State
from gossip.packets import (
    PROTOCOL_VERSION,
    Ack,
    Body,
    Feedback,
    Line,
    Packet,
    Push,
    Receipt,
    Run,
    Same,
    Stored,
    Syn,
    SynAck,
)
from gossip.peers import Exchange, Rounds, sample
from gossip.receipts import Receipts
from gossip.reconcile import Strategy
from gossip.rumor import Rumors
from gossip.store import Store

Value = TypeVar("Value")
OpenEntry = Callable[[Dot, bytes], tuple[bytes, Value] | None]


class Learnt(Struct, Generic[Value], frozen=True, gc=False):
    """An entry that is new here, with what `open_entry` made of it."""

    entry: Entry
    value: Value
    rival: bool  # its position was held with other bytes: a fork


class Engine(Generic[Value]):
    """Mutable; not thread-safe. Times are monotonic milliseconds of the caller."""

    def __init__(
        self,
        node: str,
        cluster: int,
        start: int,
        peers: tuple[str, ...],
        config: GossipConfig,
        rng: Random,
        store: Store,
        strategy: Strategy,
        open_entry: OpenEntry[Value],
    ) -> None:
        self.node = node
        self._cluster = cluster
        self._config = config
        self._rng = rng
        self._store = store
        self._strategy = strategy
        self._open_entry = open_entry
        self.frontier = Frontier(store, config.ranges_max)
        self.members = Membership(
            node,
            incarnation_of(start),
            peers,
            suspect_after_misses=config.suspect_after_misses,
            dead_ms=config.dead_ms,
            trust_ms=2 * config.exchange_timeout_ms,
        )
        self.rounds = Rounds(self.members, config, rng)
        self.rumors = Rumors(config.rumor_k)
        self.receipts = Receipts()
        self.awaits_receipts = False  # set by the caller: somebody waits for copies elsewhere
        self._direct = len(peers) <= config.direct_peers_max
        self._offered: list[Entry] = []
        self._offered_receipt = False
        self._rumor_next_ms = 0
        self._now_ms = 0
        self._number = 0
        self._sent: list[tuple[str, Packet]] = []
        self._served_ms: dict[str, int] = {}  # peers that call for the rest at once, until when
        self.exchanges: dict[str, int] = dict.fromkeys(peers, 0)  # finished ones that we began
        self.bad_entries: dict[str, int] = dict.fromkeys(peers, 0)
        self.counters = {
            "rounds_begun": 0,
            "rounds_same": 0,
            "rounds_differed": 0,
            "rounds_missed": 0,
            "entries_sent": 0,
            "entries_new": 0,
            "entries_duplicate": 0,
            "entries_rival": 0,
            "entries_far": 0,
            "entries_bad": 0,
            "strangers": 0,
        }

    # --- driving it -----------------------------------------------------------------------------

    def start(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.rounds.start(now_ms)

    def tick(self, now_ms: int) -> None:
        """Time has passed: close what is overdue, begin what is due."""
        self._now_ms = now_ms
        for peer in self.rounds.expire(now_ms):
            self.counters["rounds_missed"] += 1
            self.members.missed(peer, now_ms)
        self.members.tick(now_ms)
        for peer in self.rounds.due(now_ms):
            self._call(peer)
        if self.rumors and now_ms >= self._rumor_next_ms:
            self._rumor_next_ms = now_ms + self._config.rumor_ms
            self._tell_rumors()

    @property
    def wake_at_ms(self) -> int:
        wake_ms = self.rounds.wake_at_ms
        if self.members.suspecting:
            suspicion_ms = self.members.wake_at_ms
            if suspicion_ms is not None and suspicion_ms < wake_ms:
                wake_ms = suspicion_ms
        if self.rumors and self._rumor_next_ms < wake_ms:
            wake_ms = self._rumor_next_ms
        return wake_ms

    def restore(self, entry: Entry) -> Added:
        """Take in an entry from the node's own past; nothing is said about it."""
        self.frontier.ensure(entry.dot.log)
        return self.frontier.add(entry)

    def offer(self, entry: Entry, receipt: bool) -> Added:
        """A new own entry, as durable as promised: it goes out with the next flush."""
        self.frontier.ensure(entry.dot.log)  # however many logs others have invented
        added = self.frontier.add(entry)
        self._offered.append(entry)
        self._offered_receipt |= receipt
        return added

    def receive(self, packet: Packet, now_ms: int) -> list[Learnt[Value]]:
        """What is new here because of this packet, in the order of the packet."""
        self._now_ms = now_ms
        peer, body = packet.sender, packet.body
        if peer not in self.exchanges:
            self.counters["strangers"] += 1
            return []
        self.members.heard(peer, packet.incarnation, now_ms)
        if type(body) is Push:
            return self._on_push(peer, packet.number, body)
        if type(body) is Syn:
            return self._on_syn(peer, packet.number, body)
        if type(body) is Same:
            return self._on_same(peer, body)
        if type(body) is SynAck:
            return self._on_syn_ack(peer, body)
        if type(body) is Ack:
            return self._on_ack(peer, body)
        if type(body) is Feedback:
            self.rumors.feedback(body.re, body.useful)
            return []
        if type(body) is Receipt:
            self._on_stored(peer, body.stored)
            return []
        assert_never(body)

    def flush(self) -> list[tuple[str, Packet]]:
        """The packets to send, by the name of the peer."""
        if self._offered:
            self._push_offered()
        for origin, stored in self.receipts.due().items():
            if origin in self.exchanges:
                self._send([origin], Receipt(stored))
        sent, self._sent = self._sent, []
        return sent

    def call(self, peer: str) -> None:
        """Begin an exchange with this peer now, unless one is open."""
        if not self.rounds.busy(peer):
            self._call(peer)

    # --- rounds: calling ------------------------------------------------------------------------

    def _call(self, peer: str) -> None:
        root = self.frontier.root
        expects_same = self.rounds.calm or self.rounds.agrees(peer, root)
        lines = None if expects_same else self._lines()
        members = self.members.opinions_for(peer)
        syn = Syn(root, self._config.delta_bytes_max, lines, self.awaits_receipts, members)
        number = self._send([peer], syn)
        self.rounds.opened(peer, Exchange(number, self._now_ms, lines is not None))
        self.counters["rounds_begun"] += 1

    def _on_same(self, peer: str, body: Same) -> list[Learnt[Value]]:
        self._on_stored(peer, body.stored)
        self._hear_opinions(body)
        if self.rounds.answered(peer, body.re) is not None:
            self.exchanges[peer] += 1
            self._compare_roots(peer, body.root)
        return []

    def _on_syn_ack(self, peer: str, body: SynAck) -> list[Learnt[Value]]:
        self._on_stored(peer, body.stored)
        self._hear_opinions(body)
        learnt = self._learn(peer, body.runs)
        exchange = self.rounds.answered(peer, body.re)
        if exchange is None:
            # Late or repeated. Whatever the other side lacks, its own calls will find.
            self._strategy.compare(self.frontier, body.lines)
            return learnt
        self.exchanges[peer] += 1
        runs, more = self._delta(peer, body.lines, body.budget, asked=False)
        ask = None if exchange.said_lines else self._lines()
        if runs or ask is not None:
            self._send([peer], Ack(body.re, runs, more, ask, self._config.delta_bytes_max))
        self._compare_roots(peer, body.root)
        if body.more and learnt:
            self._call(peer)
        return learnt

    # --- rounds: answering ----------------------------------------------------------------------

    def _on_syn(self, peer: str, number: int, body: Syn) -> list[Learnt[Value]]:
        self._hear_opinions(body)
        root = self.frontier.root
        stored = self.receipts.stored_of(peer) if body.receipt else []
        members = self.members.opinions_for(peer)
        if body.root == root:
            self._send([peer], Same(number, root, stored, members))
        else:
            runs, more = list[Run](), False
            if body.lines is not None:
                runs, more = self._delta(peer, body.lines, body.budget, asked=True)
            budget, lines = self._config.delta_bytes_max, self._lines()
            self._send([peer], SynAck(number, root, budget, lines, runs, more, stored, members))
        self._compare_roots(peer, body.root)
        return []

    def _on_ack(self, peer: str, body: Ack) -> list[Learnt[Value]]:
        learnt = self._learn(peer, body.runs)
        if body.lines is not None:
            runs, more = self._delta(peer, body.lines, body.budget, asked=True)
            if runs:
                self._send([peer], Ack(body.re, runs, more))
        if body.more and learnt:
            self.call(peer)
        return learnt

    def _compare_roots(self, peer: str, theirs: bytes) -> None:
        """Both roots have been named in this exchange: do they agree, as things stand now?"""
        if theirs == self.frontier.root:
            self.counters["rounds_same"] += 1
            self.frontier.settled()
            self.rounds.agreed(peer, theirs, self._now_ms, hurry=self.awaits_receipts)
        else:
            self.counters["rounds_differed"] += 1
            self.rounds.differed(peer, theirs, self._now_ms)

    def _lines(self) -> list[Line]:
        return self._strategy.summarise(self.frontier)

    def _delta(
        self, peer: str, theirs: list[Line], budget: int, *, asked: bool
    ) -> tuple[list[Run], bool]:
        """What they lack, as much as both sides like in one leg, and whether more is left.

        Who asked and did not get all asks for the rest at once: it comes by no other way.
        """
        lacks = self._strategy.compare(self.frontier, theirs)
        if not asked and self._now_ms < self._served_ms.get(peer, 0):
            return [], False
        budget = min(budget, self._config.delta_bytes_max, room_beside(self.frontier))
        runs, more = cut(lacks, self._store, budget)
        self.counters["entries_sent"] += sum(len(run.data) for run in runs)
        if asked:
            self._served_ms[peer] = self._now_ms + self._config.exchange_timeout_ms if more else 0
        return runs, more

    # --- rumors ---------------------------------------------------------------------------------

    def _push_offered(self) -> None:
        packets = runs_of(self._offered, self._config.delta_bytes_max)
        receipt = self._offered_receipt
        self._offered, self._offered_receipt = [], False
        self.rounds.news(self._now_ms)
        if not self._direct:
            for runs in packets:
                self.rumors.learn(runs)
            self._tell_rumors()
            return
        peers = self.members.names(State.ALIVE, State.SUSPECT)
        for runs in packets:
            self.counters["entries_sent"] += len(peers) * sum(len(run.data) for run in runs)
            self._send(peers, Push(runs, direct=True, receipt=receipt))

    def _tell_rumors(self) -> None:
        live = self.members.names(State.ALIVE, State.SUSPECT)
        for peer in sample(self._rng, live, self._config.fanout):
            # The number is needed before the packet is made: feedback will name it.
            runs = self.rumors.tell(self._number + 1, self._config.delta_bytes_max)
            self._send([peer], Push(runs, direct=False, receipt=self.awaits_receipts))
            self.counters["entries_sent"] += sum(len(run.data) for run in runs)

    def _on_push(self, peer: str, number: int, body: Push) -> list[Learnt[Value]]:
        learnt: list[Learnt[Value]] = []
        useful: list[bool] = []
        for run in body.runs:
            new = self._learn(peer, [run])
            useful.append(bool(new))
            learnt += new
            log = LogId(run.origin, run.epoch)
            if body.receipt and run.origin in self.exchanges and self.frontier.get(log):
                self.receipts.owe(log, run.first + len(run.data) - 1)
        if not body.direct:
            self._send([peer], Feedback(number, useful))
            news = [run for run, new in zip(body.runs, useful, strict=True) if new]
            self.rumors.learn(news)
        return learnt

    # --- taking in ------------------------------------------------------------------------------

    def _learn(self, peer: str, runs: list[Run]) -> list[Learnt[Value]]:
        learnt: list[Learnt[Value]] = []
        counters = self.counters
        frontier = self.frontier
        for run in runs:
            log = LogId(run.origin, run.epoch)
            known = frontier.get(log)
            for seq, data in enumerate(run.data, run.first):
                # Most of what comes goes to the end of its log, and cannot be held already.
                held = known is not None and seq <= known.held.last
                if held and frontier.data_if_held(log, seq) == data:
                    counters["entries_duplicate"] += 1
                    continue
                dot = Dot(run.origin, run.epoch, seq)
                opened = self._open_entry(dot, data)
                if opened is None:
                    counters["entries_bad"] += 1
                    self.bad_entries[peer] += 1
                    continue
                entry = Entry(dot, opened[0], hash_of(data), data)
                added = frontier.add(entry)
                known = known or frontier.get(log)
                if added is Added.NEW or added is Added.RIVAL:
                    learnt.append(Learnt(entry, opened[1], added is Added.RIVAL))
                    counters["entries_new"] += 1
                    counters["entries_rival"] += added is Added.RIVAL
                else:
                    counters["entries_far" if added is Added.FAR else "entries_duplicate"] += 1
        if learnt:
            self.rounds.news(self._now_ms)
        return learnt

    def _on_stored(self, peer: str, stored: list[Stored]) -> None:
        for one in stored:
            known = self.frontier.get(LogId(one.origin, one.epoch)) is not None
            if one.origin == self.node and known:
                self.receipts.told(peer, one)

    def _hear_opinions(self, body: Syn | Same | SynAck) -> None:
        for opinion in body.members:
            self.members.told(opinion, self._now_ms)

    def _send(self, peers: list[str], body: Body) -> int:
        """Queue one packet for these peers; returns its number."""
        self._number += 1
        incarnation, number = self.members.incarnation, self._number
        packet = Packet(PROTOCOL_VERSION, self._cluster, self.node, incarnation, number, body)
        for peer in peers:
            self._sent.append((peer, packet))
        return self._number
