"""What a frontier keeps of each origin is what a walk over all its logs finds, after any history.

The walk is the reference: it looks at every log, and keeps nothing from one question to the next.
"""

from itertools import groupby

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.dot import EPOCH_MAX, LogId
from gossip.entry import GENESIS
from gossip.epoch_folds import KEPT, LISTED_MAX, NAMED_LOGS_MAX, PARTS, EpochFolds, FoldSummary
from gossip.frontier import Frontier
from gossip.log import Log
from gossip.packets import EpochFold
from gossip.reconcile.vector import Vector
from gossip.root import root_of
from gossip.store import MemoryStore
from tests.gossip.builders import chain, compared_by, entry

ORIGINS = st.sampled_from(["a", "b", "c"])
EPOCHS = st.integers(1, 60)
SEQS = st.integers(1, 4)


def walked(frontier: Frontier) -> dict[str, list[Log]]:
    logs = sorted((log for log in frontier if log.held), key=lambda log: log.id)
    return {origin: list(own) for origin, own in groupby(logs, key=lambda log: log.id.origin)}


def fold_of(origin: str, first: int, last: int, logs: list[Log]) -> EpochFold:
    count = sum(log.count for log in logs)
    return EpochFold(origin, first, last, count, root_of(sum(log.total for log in logs), count))


def said(frontier: Frontier) -> tuple[list[LogId], list[EpochFold]]:
    """The logs that get a line, and the folds."""
    lined: list[LogId] = []
    folds: list[EpochFold] = []
    for origin, own in walked(frontier).items():
        kept = sorted(own, key=lambda log: -log.begun)[:KEPT]
        written = frontier.get(frontier.places.written(origin))
        if written in own and written not in kept:
            assert written is not None
            kept[-1] = written
        if len(own) <= KEPT + 1:
            kept = own
        kept = [log for log in own if log in kept or log.forked or log.disputed]
        rest = [log for log in own if log not in kept]
        lined += [log.id for log in kept]
        folds += [fold_of(origin, 1, EPOCH_MAX, rest)] if rest else []
    return lined, folds


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.frontier = Frontier(MemoryStore(), 4, ("a",))
        self.folding = EpochFolds(Vector())

    @rule(origin=ORIGINS, epoch=EPOCHS, seq=SEQS, branch=st.sampled_from(["", "", "x"]))
    def add(self, origin: str, epoch: int, seq: int, branch: str) -> None:
        """In order, out of order, twice, or with a link that does not fit; perhaps a rival."""
        self.frontier.add(
            entry(origin, seq, GENESIS if seq < 3 else bytes(16), branch, epoch=epoch)
        )

    @rule(origin=ORIGINS, epochs=st.lists(EPOCHS, min_size=8, max_size=40, unique=True))
    def many(self, origin: str, epochs: list[int]) -> None:
        for epoch in epochs:
            self.add(origin, epoch, 1, "")

    @rule(origin=ORIGINS, epoch=EPOCHS, last=st.integers(1, 9))
    def claim(self, origin: str, epoch: int, last: int) -> None:
        self.frontier.claim(LogId(origin, epoch), last)

    @rule(origin=ORIGINS, epoch=EPOCHS)
    def dispute(self, origin: str, epoch: int) -> None:
        log = self.frontier.get(LogId(origin, epoch))
        if log is not None:
            self.frontier.dispute(log)

    @rule()
    def settled(self) -> None:
        self.frontier.settled()

    @rule(epoch=EPOCHS)
    def write(self, epoch: int) -> None:
        self.frontier.places.write(LogId("a", epoch))

    @rule(origin=ORIGINS, epoch=st.integers(61, 70), count=SEQS)
    def fill(self, origin: str, epoch: int, count: int) -> None:
        entries = chain(origin, count, epoch=epoch)
        log = self.frontier.get(LogId(origin, epoch))
        if log is None or not log.count:
            for one in entries:
                self.frontier.store.put(one)
            total = sum(int.from_bytes(one.hash, "big") for one in entries)
            self.frontier.fill(LogId(origin, epoch), [(1, count)], total)
            self.frontier.ensure(LogId(origin, epoch)).settle(entries[-1].chain_hash, [])

    @rule(origin=ORIGINS, bounds=st.lists(st.integers(1, 80), min_size=2, max_size=2))
    def opened(self, origin: str, bounds: list[int]) -> None:
        """A fold of any range: its parts say what is there, each epoch once."""
        first, last = sorted(bounds)
        own = [
            log for log in walked(self.frontier).get(origin, []) if first <= log.id.epoch <= last
        ]
        asked = EpochFold(origin, first, last, 10**6, bytes(16))
        opened = self.folding.unfold(self.frontier, [asked])
        if len(own) <= LISTED_MAX:
            assert [line.epoch for line in opened.lines] == [log.id.epoch for log in own]
            assert opened.folds == [fold_of(origin, first, last, [])]
        else:
            assert not opened.lines and len(opened.folds) <= PARTS
            at = first
            for fold in opened.folds:
                inside = [log for log in own if fold.first <= log.id.epoch <= fold.last]
                assert fold == fold_of(origin, at, fold.last, inside)
                at = fold.last + 1
            assert at == last + 1
        # Without those of ours that began last the rest is theirs, or it is not known yet.
        for gone in (0, 1, len(own) // 2, len(own)):
            newest = sorted(own, key=lambda log: -log.begun)[:gone]
            theirs = fold_of(origin, first, last, [log for log in own if log not in newest])
            compared = compared_by(
                self.folding, self.frontier, FoldSummary([], [theirs], whole=False)
            )
            assert compared.differing == []
            assert {lack.log.id for lack in compared.lacks} == {log.id for log in newest}
        if own:
            strange = EpochFold(origin, first, last, sum(log.count for log in own), bytes(16))
            compared = compared_by(
                self.folding, self.frontier, FoldSummary([], [strange], whole=False)
            )
            assert (compared.lacks, compared.differing) == ([], [strange])

    @invariant()
    def what_is_kept_is_what_a_walk_finds(self) -> None:
        frontier, own = self.frontier, walked(self.frontier)
        assert [origin for origin, _ in frontier.by_origin] == list(own)
        assert frontier.origins == len(own)
        for origin, logs in own.items():
            kept = frontier.of(origin)
            assert kept.by_epoch == logs and len(kept) == len(logs)
            assert kept.by_age == sorted(logs, key=lambda log: log.begun)
            assert kept.count == sum(log.count for log in logs)
            assert kept.total == sum(log.total for log in logs)
        naming = [log.id for log in frontier if log.forked or log.disputed]
        assert frontier.naming.in_order() == sorted(naming)
        assert len(naming) <= NAMED_LOGS_MAX * 2

    @invariant()
    def a_summary_is_the_same_as_if_made_from_nothing(self) -> None:
        lined, folds = said(self.frontier)
        if len(self.frontier.naming.in_order()) > NAMED_LOGS_MAX:
            return  # they take turns
        summary = self.folding.next_summary(self.frontier)
        assert [LogId(line.origin, line.epoch) for line in summary.lines] == lined
        assert summary.folds == folds
        compared = compared_by(self.folding, self.frontier, summary)
        assert (compared.lacks, compared.differing) == ([], [])


Histories.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestHistories = Histories.TestCase
