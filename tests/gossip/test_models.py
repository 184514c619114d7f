"""Parts of gossip beside plain models of them: whatever is done to both, they answer alike.

A model keeps everything and works it out anew each time: no sums, no caches and no fast path.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip import delta as costs
from gossip import frontier as holdings
from gossip import rumor as limits
from gossip.delta import cut
from gossip.entry import TAG_BYTES, Entry, hash_of
from gossip.packets import Run
from gossip.reconcile import Lack
from gossip.rumor import Rumors
from tests.gossip.builders import chain, entries_of, entry, held, holding
from tests.gossip.test_folding import pair

# --- rumors ---------------------------------------------------------------------------------------

SIZES = st.integers(1, 300)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("learn"), st.lists(SIZES, min_size=1, max_size=4)),
        st.tuples(st.just("tell"), st.integers(0, 900)),
        st.tuples(st.just("feedback"), st.lists(st.booleans(), max_size=6)),
    ),
    max_size=30,
)
RUMORS, BYTES, K = 6, 1500, 2


class Told:
    """A rumor, as a model knows it."""

    def __init__(self, number: int, size: int) -> None:
        self.run = Run("n1", 1, number, [bytes(size)])
        ((_, self.cost),) = costs.split(self.run, 10**6)
        self.told = self.useless = 0


class Table:
    """All there is to say of rumors, with sums made anew."""

    def __init__(self) -> None:
        self.hot: list[Told] = []
        self.dropped = self.cooled = 0

    def learn(self, made: list[Told]) -> None:
        self.hot += made
        while len(self.hot) > RUMORS or sum(one.cost for one in self.hot) > BYTES:
            most = max(one.told for one in self.hot)
            self.hot.remove([one for one in self.hot if one.told == most][-1])
            self.hot.sort(key=lambda one: one.told)
            self.dropped += 1

    def tell(self, budget: int) -> list[Told]:
        found: list[Told] = []
        for one in sorted(self.hot, key=lambda one: one.told):
            if found and sum(each.cost for each in [*found, one]) > budget:
                break
            found.append(one)
        for one in found:
            one.told += 1
        return found

    def feedback(self, told: list[Told], useful: list[bool]) -> None:
        for one, news in zip(told, useful, strict=False):
            one.useless = 0 if news else one.useless + 1
        cold = [one for one in self.hot if one.useless >= K]
        self.hot = [one for one in self.hot if one not in cold]
        self.cooled += len(cold)


@given(CALLS)
def test_a_table_of_rumors_is_full_of_what_is_hot_and_of_nothing_else(
    calls: list[tuple[str, object]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "RUMORS_MAX", RUMORS)
        patch.setattr(limits, "RUMOR_BYTES_MAX", BYTES)
        rumors, model = Rumors(K), Table()
        pushes: list[list[Told]] = []
        number = 1
        for verb, given_ in calls:
            if verb == "learn":
                assert isinstance(given_, list)
                made = [Told(number + 2 * at, size) for at, size in enumerate(given_)]
                number += 2 * len(made)
                rumors.learn([one.run for one in made])
                model.learn(made)
            elif verb == "tell":
                assert isinstance(given_, int)
                pushes.append(model.tell(given_))
                assert rumors.tell(len(pushes), given_) == [one.run for one in pushes[-1]]
            elif pushes:
                assert isinstance(given_, list)
                rumors.feedback(len(pushes), given_)
                model.feedback(pushes[-1], given_)
                pushes[-1] = []  # an answer counts once
            assert (len(rumors), rumors.dropped, rumors.cooled) == (
                len(model.hot),
                model.dropped,
                model.cooled,
            )


# --- deltas ---------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 9000), st.sets(st.integers(1, 12))),
        min_size=1,
        max_size=5,
    ),
    st.integers(200, 60_000),
    st.booleans(),
)
@settings(max_examples=80)
def test_each_cut_goes_on_exactly_where_the_last_one_ended(
    logs: list[tuple[int, int, set[int]]], budget: int, by_tag: bool
) -> None:
    """In seq order within a log, nothing twice, nothing left out, and `more` is the truth."""
    groups = [
        [one for one in chain(f"n{at}", count, size=size) if one.dot.seq not in left_out]
        for at, (count, size, left_out) in enumerate(logs)
    ]
    frontier = holding(*groups, ranges_max=64)
    whole = {log.id: [(seq, data) for seq, _, data in frontier.tagged(log)] for log in frontier}
    waiting = {log: list(entries) for log, entries in whole.items()}
    largest = max((len(data) for rows in whole.values() for _, data in rows), default=0)
    for _ in range(1 + sum(map(len, whole.values()))):
        lacks = [
            Lack(
                log,
                [] if by_tag else [(seq, seq) for seq, _ in waiting[log.id]],
                waiting[log.id] if by_tag else [],
                len(waiting[log.id]),
            )
            for log in frontier
        ]
        runs, more = cut(lacks, frontier, budget)
        for one in entries_of(runs):
            assert waiting[one.dot.log].pop(0) == (one.dot.seq, one.data)
        assert more == any(waiting.values())
        if not more:
            return
        assert runs or budget < largest + 200, "what fits goes"
        if not runs:
            return
    raise AssertionError("as many cuts as entries, and something is left")


# --- crowds ---------------------------------------------------------------------------------------


@given(st.permutations(list("abcdefgh")), st.integers(1, 4))
def test_of_a_crowd_at_one_position_the_smallest_tags_stay_in_whatever_order_they_come(
    order: list[str], rivals_max: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holdings, "RIVALS_MAX", rivals_max)
        crowd = [entry("n1", 1, branch=branch) for branch in order]
        frontier = holding(crowd, crowd[::2])
        kept = sorted(crowd, key=lambda one: one.tag)[: rivals_max + 1]
        assert held(frontier) == {one.data for one in kept}
        assert frontier.count == len(kept)
        assert frontier.root == holding(kept).root
        assert frontier.forked == ["n1"]
        (log,) = frontier
        assert sorted(tag for _, tag, _ in frontier.tagged(log)) == [one.tag for one in kept]
        assert frontier.store.get(log.id, 1) not in {one.data for one in log.rivals[1].values()}, (
            "nothing is held twice"
        )
        assert hash_of(frontier.store.get(log.id, 1))[:TAG_BYTES] in {one.tag for one in kept}


# --- folds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", range(1, 81))
def test_what_is_late_in_any_epoch_is_found_in_one_exchange(late: int) -> None:
    """Epochs one beside the other: each part of a fold ends at an epoch that there is."""
    logs = [chain("n9", 2, epoch=epoch) for epoch in range(1, 81)]

    def without(at: int) -> list[list[Entry]]:
        return [log[:1] if log[0].dot.epoch == at else log for log in logs]

    less, other = without(late), without(81 - late)
    for ours, theirs in ((logs, less), (less, logs), (less, other)):
        net = pair(ours, theirs)
        net.call("n1", "n2")
        assert len(net.settle()) <= 7
        assert net.agreed
