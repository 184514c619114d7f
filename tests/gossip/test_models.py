"""Parts of gossip beside plain models of them: whatever is done to both, they answer alike.

A model keeps everything and works it out anew each time: no sums, no caches and no fast path.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.arrival import TAG_BYTES
from gossip import delta as costs
from gossip import epoch_folds as folds
from gossip import frontier as holdings
from gossip import rumor as limits
from gossip.delta import cut
from gossip.entry import Entry, hash_of
from gossip.epoch_folds import EpochFolds
from gossip.membership import Membership, State
from gossip.packets import Opinion, Run
from gossip.reconcile import Lack
from gossip.reconcile.vector import Vector
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


# --- members --------------------------------------------------------------------------------------

PEERS = ("n2", "n3", "n4")
EVIDENCE = st.lists(
    st.tuples(
        st.sampled_from(PEERS),
        st.sampled_from(["heard", "missed", "ALIVE", "SUSPECT", "DEAD"]),
        st.integers(0, 4),
        st.integers(0, 900),
    ),
    max_size=30,
)


@given(EVIDENCE)
def test_what_is_kept_at_hand_about_members_is_what_a_look_at_each_would_say(
    story: list[tuple[str, str, int, int]],
) -> None:
    members = Membership("n1", 1, PEERS, suspect_after_misses=2, dead_ms=1500, trust_ms=400)
    now_ms = 0
    for peer, what, number, wait_ms in story:
        now_ms += wait_ms
        if what == "heard":
            members.heard(peer, number, now_ms)
        elif what == "missed":
            members.missed(peer, now_ms)
        else:
            members.receive(Opinion(peer, State[what], number), now_ms)
        members.tick(now_ms)
        states = {member.name: member.state for member in members}
        assert members.dead_count == list(states.values()).count(State.DEAD)
        for some in ((State.ALIVE,), (State.ALIVE, State.SUSPECT), (State.DEAD,)):
            assert members.names(*some) == [name for name in PEERS if states[name] in some]
        if State.SUSPECT in states.values():
            assert members.suspecting
            assert members.wake_at_ms is not None
            assert now_ms < members.wake_at_ms <= now_ms + 1500
        for name, state in states.items():
            told = {opinion.name: opinion.state for opinion in members.next_opinions(name)}
            if state is not State.ALIVE:
                assert told[name] == state, "whoever is doubted must hear it"


@given(st.integers(1, 40), st.integers(1, 12), st.integers(2, 9))
def test_the_lines_of_a_summary_share_their_room_among_the_origins(
    shared: int, origins: int, each: int
) -> None:
    """Each origin has a line, whatever room there is, and the lines are of what began last."""
    logs = [chain(f"o{at:02}", 1, epoch=n) for at in range(origins) for n in range(1, each + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "ITEMS_SHARED", shared)
        summary = EpochFolds(Vector()).next_summary(holding(*logs))
    kept = min(folds.KEPT, max(shared // origins - 1, 1))
    of_each = each if each <= kept + 1 else kept
    epochs = range(each - of_each + 1, each + 1)
    expected = [(f"o{at:02}", epoch) for at in range(origins) for epoch in epochs]
    assert [(line.origin, line.epoch) for line in summary.lines] == expected
    assert [fold.count for fold in summary.folds] == [each - of_each] * (
        origins if each > of_each else 0
    )


def test_each_claim_that_is_not_believed_counts_once() -> None:
    frontier = holding(chain("n1", 2))
    (log,) = frontier
    for count in (1, 2, 3):
        frontier.claim(log.id, 9)
        assert log.missing == 7
        frontier.disclaim(log)
        assert (frontier.claims_refused, log.missing) == (count, 0)


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
