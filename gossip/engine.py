"""The engine: joins frontier, strategy, rumors, rounds, membership and receipts into a protocol.

Rules
- Every leg is self-contained. A packet that is lost, repeated, late or out of order costs time or
  bytes and nothing else.
- "In sync" is said of roots that both sides have named in one exchange, and is never remembered
  beyond it: any news here or a different root there ends it.
- A continuation (`more`) is called at once only by a side that has just learnt something, so that
  two nodes that cannot help each other do not talk in circles.
- What a peer makes this node compare is paid from an allowance (`gossip.allowance`): where it is
  used up, entries are still taken in and equal roots still answered.
- A packet from somebody who is no peer is counted and ignored. Bytes that are no entry are counted
  against the peer that sent them.

Theory of operation. Own entries go straight to all peers while the cluster is small (`Push`,
direct, one hop), and as rumors otherwise. Rounds call one peer at a time and repair what pushes
missed; see `gossip.packets` for the legs and `gossip.rounds` for when.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Generic, assert_never

from domain.dot import LogId
from gossip.admission import COUNTERS, Learnt, OpenEntry, Share, Value, learn
from gossip.allowance import LINE_BYTES, Allowance
from gossip.backlog import Backlogs
from gossip.config import GossipConfig
from gossip.delta import cut, room_beside
from gossip.entry import Entry
from gossip.epoch_folds import LEGS, Compared, EpochFolds, FoldSummary
from gossip.frontier import Added, Frontier
from gossip.incarnation import incarnation_of, token_of
from gossip.mail import Mail
from gossip.membership import Membership
from gossip.packets import (
    ENTRIES_MAX,
    LOGS_BEGUN_MAX,
    Ack,
    Feedback,
    Packet,
    Push,
    Receipt,
    Run,
    Same,
    Stored,
    Syn,
    SynAck,
    Unfold,
)
from gossip.pushing import Pushing
from gossip.receipts import Receipts
from gossip.reconcile import Lack, Strategy
from gossip.rounds import PATIENCE, Exchange, Rounds
from gossip.store import Store


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
        self.strategy = strategy.name
        self._folding = EpochFolds(strategy)
        self._open_entry = open_entry
        self._share = Share()
        self.frontier = Frontier(store, config.ranges_max, (node, *peers))
        self.members = Membership(
            node,
            incarnation_of(start),
            peers,
            suspect_after_misses=config.suspect_after_misses,
            dead_ms=config.dead_ms,
            trust_ms=2 * config.exchange_timeout_ms,
        )
        self._mail = Mail(self.members, cluster)
        self.rounds = Rounds(self.members, config, rng)
        self.receipts = Receipts(self.frontier)
        self.awaits_receipts = False  # set by the caller: somebody waits for copies elsewhere
        self.holding = False  # set by the caller: it cannot keep entries now, peers shall send none
        self._now_ms = 0
        direct = len(peers) <= config.direct_peers_max
        self.counters = dict.fromkeys(COUNTERS, 0)
        self._pushing = Pushing(self.members, self._mail, config, rng, self.counters, direct=direct)
        self.rumors = self._pushing.rumors
        self._holders = self._pushing.holders
        self._backlogs = Backlogs(config.exchange_timeout_ms)
        self._allowance = Allowance(peers)
        self._work_bytes = 0  # of the comparison at hand, beside what it reads
        self.exchanges: dict[str, int] = dict.fromkeys(peers, 0)  # finished ones that we began
        self.bad_entries: dict[str, int] = dict.fromkeys(peers, 0)

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
        for peer in self.rounds.take_due(now_ms):
            self._call(peer)
        self._pushing.tick(now_ms, awaits_receipts=self.awaits_receipts)

    @property
    def wake_at_ms(self) -> int:
        wake_ms = self.rounds.wake_at_ms
        if self.members.suspecting:
            suspicion_ms = self.members.wake_at_ms
            if suspicion_ms is not None and suspicion_ms < wake_ms:
                wake_ms = suspicion_ms
        telling_ms = self._pushing.wake_at_ms
        if telling_ms is not None and telling_ms < wake_ms:
            wake_ms = telling_ms
        return wake_ms

    def restore(self, entry: Entry) -> Added:
        """Take in an entry from the node's own past; nothing is said about it."""
        return self.frontier.add(entry, always=True)

    def offer(self, entry: Entry, receipt: bool) -> Added:
        """A new own entry, as durable as promised: it goes out with the next flush."""
        self.frontier.places.write(entry.dot.log)
        added = self.frontier.add(entry, always=True)
        self._pushing.offer(entry, receipt=receipt)
        return added

    def receive(self, packet: Packet, now_ms: int) -> list[Learnt[Value]]:
        """What is new here because of this packet, in the order of the packet."""
        self._now_ms = now_ms
        peer, body = packet.sender, packet.body
        if peer not in self.exchanges or packet.cluster != self._cluster:
            self.counters["strangers"] += 1
            return []
        self.members.heard(peer, packet.incarnation, now_ms)
        self.frontier.meter.begin()
        self._share.left, self._share.begins = ENTRIES_MAX, LOGS_BEGUN_MAX
        self.frontier.listener = peer
        if type(body) is Push:
            return self._on_push(peer, token_of(packet.incarnation, packet.number), body)
        if type(body) is Same:
            return self._on_same(peer, body)
        if type(body) is Syn:
            token = token_of(packet.incarnation, packet.number)
            if body.root == self.frontier.root:
                return self._on_syn(peer, token, body)
            return self._paid(peer, body, partial(self._on_syn, peer, token, body))
        if type(body) is SynAck:
            return self._paid(peer, body, partial(self._on_syn_ack, peer, body))
        if type(body) is Ack:
            if body.lines is None:
                return self._on_ack(peer, body)
            return self._paid(peer, body, partial(self._on_ack, peer, body))
        if type(body) is Unfold:
            return self._paid(peer, body, partial(self._on_unfold, peer, body))
        if type(body) is Feedback:
            self.rumors.feedback(body.re, body.useful)
            return []
        if type(body) is Receipt:
            self._on_stored(peer, body.stored)
            return []
        assert_never(body)

    def _paid(
        self,
        peer: str,
        body: Syn | SynAck | Ack | Unfold,
        compare: Callable[[], list[Learnt[Value]]],
    ) -> list[Learnt[Value]]:
        """Compare what this leg tells of its sender, if that has not used up its allowance."""
        if not self._allowance.grants(peer, self._now_ms):
            self.counters["comparisons_refused"] += 1
            if type(body) is SynAck:
                self.rounds.answered(peer, body.re)
            return [] if type(body) is Syn else self._learn(peer, body.runs)
        before = self.frontier.read_bytes
        self._work_bytes = LINE_BYTES * (len(body.lines or ()) + len(body.folds))
        learnt = compare()
        self._allowance.spend(peer, self.frontier.read_bytes - before + self._work_bytes)
        return learnt

    def flush(self) -> list[tuple[str, Packet]]:
        """The packets to send, by the name of the peer."""
        if self._pushing.offered:
            self.rounds.news(self._now_ms)
            self._pushing.flush(awaits_receipts=self.awaits_receipts)
        if self.receipts.touched:
            for origin, stored in self.receipts.take_due().items():
                if origin in self.exchanges:
                    self._mail.send([origin], Receipt(stored))
        return self._mail.take()

    def call(self, peer: str) -> None:
        """Begin an exchange with this peer now, unless one is open."""
        if not self.rounds.busy(peer):
            self._call(peer)

    # --- rounds: calling ------------------------------------------------------------------------

    def _call(self, peer: str) -> None:
        root = self.frontier.root
        self.frontier.listener = peer
        expects_same = self.rounds.calm or self.rounds.agrees(peer, root)
        ours = FoldSummary([], []) if expects_same else self._folding.next_summary(self.frontier)
        lines = None if expects_same else ours.lines
        writes = 0 if expects_same else self.frontier.places.written(self.node).epoch
        members, budget = self.members.next_opinions(peer), self._budget_bytes
        syn = Syn(
            root=root,
            budget=budget,
            lines=lines,
            receipt=self.awaits_receipts,
            members=members,
            folds=ours.folds,
            writes=writes,
        )
        self.rounds.said(len(ours.lines) + len(ours.folds))
        self.rounds.opened(peer, Exchange(self._mail.next_token, self._now_ms, lines is not None))
        self._mail.send([peer], syn)
        self.counters["rounds_begun"] += 1

    @property
    def _budget_bytes(self) -> int:
        """What we ask for: bytes of entries that one leg to us may carry."""
        return 0 if self.holding else self._config.delta_bytes_max

    def _on_same(self, peer: str, body: Same) -> list[Learnt[Value]]:
        self._holders.agreed(peer)
        self._on_stored(peer, body.stored)
        self._hear_opinions(body)
        if self.rounds.answered(peer, body.re) is not None:
            self.exchanges[peer] += 1
            self._compare_roots(peer, body.root)
        return []

    def _on_syn_ack(self, peer: str, body: SynAck) -> list[Learnt[Value]]:
        self._holders.heed(peer, body.budget)
        self.frontier.places.write(LogId(peer, body.writes))
        self._on_stored(peer, body.stored)
        self._hear_opinions(body)
        learnt = self._learn(peer, body.runs)
        exchange = self.rounds.answered(peer, body.re)
        theirs = FoldSummary(body.lines, body.folds)
        if exchange is None:
            # Late or repeated. Whatever the other side lacks, its own calls will find; what this
            # one lacks, its next call, if that says lines.
            self._folding.hear(self.frontier, theirs)
            if body.root != self.frontier.root:
                self.rounds.doubted(peer, body.root)
            return learnt
        self.exchanges[peer] += 1
        if exchange.said_lines:
            coming = body.more and bool(learnt)  # what differs may be what is still on its way
            legs = 0 if coming else LEGS
            self._answer(peer, body.re, theirs, body.budget, legs, asked=False, coming=coming)
        else:
            compared, ask = self._compared(theirs)
            runs, more = self._delta(
                peer, compared.lacks, body.budget, ask, asked=False, partial=compared.partial
            )
            budget = self._budget_bytes
            self._mail.send(
                [peer],
                Ack(
                    re=body.re,
                    runs=runs,
                    more=more,
                    lines=ask.lines,
                    budget=budget,
                    folds=ask.folds,
                ),
            )
        self._compare_roots(peer, body.root)
        if body.more and learnt:
            self._call(peer)
        return learnt

    # --- rounds: answering ----------------------------------------------------------------------

    def _on_syn(self, peer: str, token: int, body: Syn) -> list[Learnt[Value]]:
        self._holders.heed(peer, body.budget)
        self._hear_opinions(body)
        self.frontier.places.write(LogId(peer, body.writes))
        root = self.frontier.root
        stored = self.receipts.stored_of(peer) if body.receipt else []
        members = self.members.next_opinions(peer)
        if body.root == root:
            self._mail.send([peer], Same(token, root, stored, members))
        else:
            said = None if body.lines is None else FoldSummary(body.lines, body.folds)
            compared, ours = self._compared(said)
            lacks, partial, asked = compared.lacks, compared.partial, said is not None
            runs, more = self._delta(peer, lacks, body.budget, ours, asked=asked, partial=partial)
            budget, lines, folds = self._budget_bytes, ours.lines, ours.folds
            writes = self.frontier.places.written(self.node).epoch
            ack = SynAck(
                re=token,
                root=root,
                budget=budget,
                lines=lines,
                runs=runs,
                more=more,
                stored=stored,
                members=members,
                folds=folds,
                writes=writes,
            )
            self._mail.send([peer], ack)
        self._compare_roots(peer, body.root)
        return []

    def _on_ack(self, peer: str, body: Ack) -> list[Learnt[Value]]:
        learnt = self._learn(peer, body.runs)
        if body.lines is not None:
            self._holders.heed(peer, body.budget)
            theirs = FoldSummary(body.lines, body.folds)
            coming = body.more and bool(learnt)
            self._answer(peer, body.re, theirs, body.budget, LEGS, asked=True, coming=coming)
        if body.more and learnt:
            self.call(peer)
        return learnt

    def _on_unfold(self, peer: str, body: Unfold) -> list[Learnt[Value]]:
        self._holders.heed(peer, body.budget)
        learnt = self._learn(peer, body.runs)
        theirs = FoldSummary(body.lines, body.folds, whole=False)
        self._answer(peer, body.re, theirs, body.budget, body.legs, asked=True)
        if body.more and learnt:
            self.call(peer)
        return learnt

    def _answer(
        self,
        peer: str,
        re: int,
        theirs: FoldSummary,
        budget_bytes: int,
        legs: int,
        *,
        asked: bool,
        coming: bool = False,
    ) -> None:
        """What they lack; and where that is not clear, what we hold there in more detail.

        `coming`: what we lack is on its way, or will be asked for in a call of ours.
        """
        self._folding.hear(self.frontier, theirs)
        compared = self._folding.next_comparison(self.frontier, theirs)
        differing = compared.differing if legs else []
        if theirs.whole and not (coming or self.holding):
            untold = self._folding.next_untold(self.frontier, theirs, differing)
            differing = differing + untold
        ours = self._folding.unfold(self.frontier, differing)
        lacks, partial = compared.lacks, compared.partial
        runs, more = self._delta(peer, lacks, budget_bytes, ours, asked=asked, partial=partial)
        if ours.folds:
            budget = self._budget_bytes
            self._mail.send(
                [peer],
                Unfold(
                    re=re,
                    runs=runs,
                    more=more,
                    lines=ours.lines,
                    folds=ours.folds,
                    budget=budget,
                    legs=legs - 1,
                ),
            )
        elif runs:
            self._mail.send([peer], Ack(re, runs, more))

    def _compare_roots(self, peer: str, theirs: bytes) -> None:
        """Both roots have been named in this exchange: do they agree, as things stand now?"""
        if theirs == self.frontier.root:
            self.counters["rounds_same"] += 1
            self.frontier.settled()
            self.rounds.agreed(peer, theirs, self._now_ms, hurry=self.awaits_receipts)
        else:
            self.counters["rounds_differed"] += 1
            ours, patience = self.frontier.root, PATIENCE + 4 * self.frontier.summaries_needed
            useless = self.rounds.differed(peer, theirs, ours, self._now_ms, patience)
            self.counters["rounds_useless"] += useless

    def _compared(self, theirs: FoldSummary | None) -> tuple[Compared, FoldSummary]:
        """What they lack by their summary, if they gave one, and our own summary for them."""
        if theirs is None:
            return Compared([], [], partial=False), self._folding.next_summary(self.frontier)
        self._folding.hear(self.frontier, theirs)
        compared = self._folding.next_comparison(self.frontier, theirs)
        return compared, self._folding.next_summary(self.frontier, compared.differing)

    def _delta(
        self,
        peer: str,
        lacks: list[Lack],
        budget_bytes: int,
        beside: FoldSummary,
        *,
        asked: bool,
        partial: bool,
    ) -> tuple[list[Run], bool]:
        """Of what they lack as much as both sides like in one leg, and whether more is left.

        `partial`: they told a part of what they hold, so there may be more than can be known yet.
        """
        self._work_bytes += LINE_BYTES * (len(beside.lines) + len(beside.folds))
        if not asked and self._backlogs.fetches(peer, self._now_ms):
            return [], False
        room = min(room_beside(beside.lines, beside.folds), self._config.delta_bytes_max)
        runs, more = cut(lacks, self.frontier, min(budget_bytes, room))
        self._work_bytes += 2 * sum(len(data) for run in runs for data in run.data)
        self.counters["entries_sent"] += sum(len(run.data) for run in runs)
        more |= partial and bool(runs)
        if asked:
            self._backlogs.answered(peer, self._now_ms, more=more and bool(runs))
        return runs, more

    # --- rumors ---------------------------------------------------------------------------------

    def _on_push(self, peer: str, token: int, body: Push) -> list[Learnt[Value]]:
        learnt: list[Learnt[Value]] = []
        useful: list[bool] = []
        unread = body.runs[ENTRIES_MAX:]
        self.counters["entries_unread"] += sum(len(run.data) for run in unread)
        for run in body.runs[:ENTRIES_MAX]:
            new = self._learn(peer, [run], pushed=True)
            useful.append(bool(new))
            learnt += new
            log = LogId(run.origin, run.epoch)
            if body.receipt and run.origin in self.exchanges and self.frontier.get(log):
                self.receipts.owe(log, run.first + len(run.data) - 1)
            if run.origin == peer and not self.frontier.room(log):
                self.call(peer)  # to hear whether it really writes there
        if not body.direct:
            useful += [False] * len(unread)
            self._mail.send([peer], Feedback(token, useful))
            self._pushing.hear([run for run, new in zip(body.runs, useful, strict=True) if new])
        return learnt

    # --- taking in ------------------------------------------------------------------------------

    def _learn(self, peer: str, runs: list[Run], *, pushed: bool = False) -> list[Learnt[Value]]:
        bad = self.counters["entries_bad"]
        opener, counters = self._open_entry, self.counters
        learnt = learn(self.frontier, opener, runs, counters, self._share, pushed=pushed)
        self.bad_entries[peer] += self.counters["entries_bad"] - bad
        if learnt:
            self.rounds.news(self._now_ms)
            if not pushed:
                self.rounds.learnt(peer)
        return learnt

    def _on_stored(self, peer: str, stored: list[Stored]) -> None:
        for receipt in stored:
            log = self.frontier.get(LogId(receipt.origin, receipt.epoch))
            if receipt.origin == self.node and log is not None:
                self.frontier.claim(log.id, receipt.prefix)
                if self.frontier.confirm(log, receipt.prefix, receipt.head):
                    self.receipts.receive(peer, receipt)

    def _hear_opinions(self, body: Syn | Same | SynAck) -> None:
        for opinion in body.members:
            self.members.receive(opinion, self._now_ms)
