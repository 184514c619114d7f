"""Closed logs fold into one line, and nodes that differ in them find out where."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.dot import EPOCH_MAX, LogId
from gossip import epoch_folds as limits
from gossip import places
from gossip.config import GossipConfig
from gossip.entry import GENESIS, Entry
from gossip.epoch_folds import KEPT, LISTED_MAX, OPENED_BYTES_MAX, PARTS, EpochFolds, FoldSummary
from gossip.frontier import Frontier
from gossip.packets import Ack, EpochFold, Line, Push, Syn, SynAck, Unfold
from gossip.reconcile.vector import Vector
from gossip.wire import WireError, decode, encode
from tests.gossip.builders import chain, compared_by, entry, holding, packet
from tests.gossip.engines import Flying, Net, kinds, run_of

ONE_AT_A_TIME = GossipConfig(round_ms=1000, idle_round_ms=1000)


def restarts(count: int, each: int = 1, origin: str = "n9", seed: int = 1) -> list[list[Entry]]:
    """Logs of one origin, with epochs drawn as a node draws them."""
    rng = Random(seed)
    return [chain(origin, each, epoch=rng.getrandbits(62) + 1) for _ in range(count)]


def holding_all(logs: list[list[Entry]]) -> Frontier:
    return holding([one for log in logs for one in log])


def lacked(ours: Frontier, theirs: Frontier) -> list[int]:
    """The epochs of which the other side lacks something, as its summary says."""
    compared = compared_by(EpochFolds(Vector()), ours, EpochFolds(Vector()).next_summary(theirs))
    assert compared.differing == []
    return sorted(lack.log.id.epoch for lack in compared.lacks)


def epochs(*logs: list[Entry]) -> list[int]:
    return sorted(log[0].dot.epoch for log in logs)


def summary_bytes(frontier: Frontier) -> int:
    summary = EpochFolds(Vector()).next_summary(frontier)
    return len(encode(packet(Syn(bytes(16), 1, summary.lines, folds=summary.folds))))


def pair(ours: list[list[Entry]], theirs: list[list[Entry]]) -> Net:
    net = Net("n1", "n2", config=ONE_AT_A_TIME)
    net.hold("n1", [one for log in ours for one in log])
    net.hold("n2", [one for log in theirs for one in log])
    return net


# --- what a summary says --------------------------------------------------------------------------


def test_a_summary_does_not_grow_with_the_number_of_closed_logs() -> None:
    sizes = {count: summary_bytes(holding_all(restarts(count))) for count in (6, 10, 1000, 4000)}
    assert max(sizes.values()) - min(sizes.values()) <= 4, sizes  # the count of entries, in bytes
    assert max(sizes.values()) < 250


def test_the_logs_begun_last_keep_a_line() -> None:
    logs = restarts(20)
    summary = EpochFolds(Vector()).next_summary(holding_all(logs))
    assert sorted(line.epoch for line in summary.lines) == epochs(*logs[-KEPT:])
    (fold,) = summary.folds
    assert (fold.origin, fold.first, fold.last, fold.count) == ("n9", 1, EPOCH_MAX, 16)


def test_a_few_logs_are_cheaper_in_lines() -> None:
    assert EpochFolds(Vector()).next_summary(holding_all(restarts(KEPT + 1))).folds == []


def test_each_origin_has_a_fold_of_its_own_and_many_origins_keep_fewer_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ITEMS_SHARED", 12)
    logs = [log for name in ("a", "b", "c", "d") for log in restarts(8, origin=name)]
    summary = EpochFolds(Vector()).next_summary(holding_all(logs))
    assert [fold.origin for fold in summary.folds] == ["a", "b", "c", "d"]
    assert [line.origin for line in summary.lines] == [*"aabbccdd"]


def test_forked_logs_take_turns_in_being_named_beside_the_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "NAMED_LOGS_MAX", 3)
    logs = restarts(20)
    rivals = [entry("n9", 1, branch="b", epoch=log[0].dot.epoch) for log in logs[:10]]
    frontier = holding(rivals, [one for log in logs for one in log])
    folding, named = EpochFolds(Vector()), set()
    for _ in range(4):
        summary = folding.next_summary(frontier)
        assert len(summary.lines) <= KEPT + 3
        named |= {line.epoch for line in summary.lines if line.tags}
    assert sorted(named) == epochs(*logs[:10])


def test_where_all_logs_are_named_there_is_no_fold() -> None:
    logs = restarts(20)
    rivals = [entry("n9", 1, branch="b", epoch=log[0].dot.epoch) for log in logs]
    assert EpochFolds(Vector()).next_summary(holding(rivals, [log[0] for log in logs])).folds == []


def test_a_disputed_log_of_which_nothing_is_held_is_not_named() -> None:
    frontier = holding(chain("n1", 2))
    claimed = frontier.claim(LogId("n9", 7), 3)
    assert claimed is not None
    frontier.dispute(claimed)
    lines = EpochFolds(Vector()).next_summary(frontier).lines
    assert [line.origin for line in lines] == ["n1"]


# --- comparing ------------------------------------------------------------------------------------


def test_equal_sets_need_nothing_whatever_each_side_keeps_in_lines() -> None:
    logs = restarts(50)
    assert lacked(holding_all(logs), holding_all(logs[::-1])) == []


@pytest.mark.parametrize("behind", [1, KEPT, 3 * KEPT, 49, 50])
def test_epochs_that_the_other_side_has_missed_are_seen_at_once(behind: int) -> None:
    """A restart, or a partition with many of them."""
    logs = restarts(50)
    ours, theirs = holding_all(logs), holding_all(logs[: 50 - behind])
    assert lacked(ours, theirs) == epochs(*logs[50 - behind :])
    assert lacked(ours, ours) == []


def test_whoever_holds_less_waits_for_the_other_to_say_what_it_is() -> None:
    logs = restarts(50)
    less, more = EpochFolds(Vector()), EpochFolds(Vector())
    theirs = more.next_summary(holding_all(logs))
    ours = holding_all(logs[5:30])
    differing = compared_by(less, ours, theirs).differing
    assert len(differing) == 1
    assert less.next_summary(ours, differing) == less.next_summary(ours)


def test_a_partial_summary_speaks_of_nothing_else() -> None:
    logs = restarts(60)
    frontier = holding_all(logs)
    nothing = FoldSummary([], [], whole=False)
    assert compared_by(EpochFolds(Vector()), frontier, nothing).lacks == []
    at = logs[0][0].dot.epoch
    none_there = EpochFold("n9", at, at, 0, holding().root)
    (lack,) = compared_by(
        EpochFolds(Vector()), frontier, FoldSummary([], [none_there], whole=False)
    ).lacks
    assert lack.log.id.epoch == at


def test_lines_outside_of_the_folds_of_a_partial_summary_ask_for_nothing() -> None:
    frontier, empty = holding_all(restarts(60)), holding().root
    lines = [Line(name, 50, 9, bytes(8), []) for name in ("a", "n9", "z")]
    folds = [EpochFold("n9", 1, 40, 0, empty), EpochFold("n9", 45, 60, 3, empty)]
    told = FoldSummary(lines, folds, whole=False)
    assert compared_by(EpochFolds(Vector()), frontier, told).differing == [folds[1]]


# --- exchanges ------------------------------------------------------------------------------------


def test_a_new_epoch_costs_no_unfolding() -> None:
    logs = restarts(1000)
    net = pair(logs, logs[:-1])
    net.call("n2", "n1")
    assert kinds(net.settle()) == ["Syn", "SynAck"]
    assert net.agreed


def test_one_late_entry_in_an_old_log_is_found_in_one_exchange_of_a_few_small_legs() -> None:
    logs = restarts(1000, each=2)
    less = [log[:1] if at == 500 else log for at, log in enumerate(logs)]
    for ours, theirs in ((logs, less), (less, logs)):
        net = pair(ours, theirs)
        net.call("n1", "n2")
        flown = net.settle()
        assert net.agreed
        assert len(flown) <= 7, kinds(flown)
        assert sum(len(one.data) for one in flown) < 9000


def test_gaps_and_forks_in_old_logs_are_found_too() -> None:
    logs = restarts(300, each=3)
    gap = [[log[0], log[2]] if at == 100 else log for at, log in enumerate(logs)]
    epoch = logs[7][0].dot.epoch
    fork = [
        chain("n9", 3, branch="b", epoch=epoch) if at == 7 else log for at, log in enumerate(gap)
    ]
    net = pair(logs, fork)
    for _ in range(3):
        net.call("n1", "n2")
        net.settle()
    assert net.agreed
    assert net["n1"].frontier.count == 903
    assert net["n1"].frontier.forked == net["n2"].frontier.forked == ["n9"]


def test_more_than_a_budget_lacking_in_old_logs_comes_without_waiting_for_the_next_round() -> None:
    logs = restarts(100, each=2)
    fat = [chain("n9", 2, epoch=log[0].dot.epoch, size=100_000) for log in logs[20:24]]
    net = pair([*logs[:20], *fat, *logs[24:]], [*logs[:20], *[log[:1] for log in fat], *logs[24:]])
    net.call("n2", "n1")
    assert kinds(net.settle()).count("Syn") == 2
    assert net.agreed


def test_an_unfold_that_left_something_out_is_followed_by_a_call() -> None:
    net = pair([], [])
    run = run_of(*chain("n9", 1))
    net.arrive(Flying("n2", "n1", encode(packet(Unfold(1, [run], True, [], [], 0, 0), "n2"))))
    assert kinds(list(net.flying)) == ["Syn"]


def test_a_claimed_log_is_forgotten_and_its_origin_is_not_if_it_has_others() -> None:
    frontier = holding(chain("n9", 1), chain("n8", 1))
    for origin in ("n9", "x"):
        frontier.claim(LogId(origin, 7), 3)
    assert (len(frontier), frontier.origins) == (4, 2)
    frontier.settled()
    assert (len(frontier), frontier.origins) == (2, 2)


def test_two_strangers_with_many_logs_each_settle_as_many_as_a_packet_can_name() -> None:
    logs = restarts(3000)
    rng = Random(4)
    net = pair(
        [log for log in logs if rng.random() < 0.5], [log for log in logs if rng.random() < 0.5]
    )
    biggest = exchanges = 0
    while not net.agreed:
        net.call("n1", "n2")
        exchanges += 1
        for one in net.settle():
            body = one.packet.body
            if type(body) is Unfold:
                digest = encode(packet(Unfold(1, [], False, body.lines, body.folds, 0, 0)))
                biggest = max(biggest, len(digest))
        net.tick(1000)
    assert exchanges <= 12
    assert biggest <= OPENED_BYTES_MAX + 100


def test_a_chain_of_unfolds_ends_whatever_the_other_side_says() -> None:
    """A peer that never has what it claims, and answers each leg with the same claim."""
    net = pair(restarts(100), [])
    claim = EpochFold("n9", 1, EPOCH_MAX, 7, bytes(16))
    net["n1"].receive(packet(Unfold(1, [], False, [], [claim], 10**6, 3), "n2"), net.now_ms)
    said = []
    for _ in range(10):
        sent = [one.body for _, one in net["n1"].flush()]
        said += [type(body) for body in sent]
        legs = [body.legs for body in sent if type(body) is Unfold]
        if not legs or not legs[0]:
            break
        again = Unfold(1, [], False, [], [claim], 10**6, legs[0] - 1)
        net["n1"].receive(packet(again, "n2"), net.now_ms)
    assert said == [Unfold, Unfold]


def test_an_unfold_may_come_twice_late_or_out_of_the_blue() -> None:
    logs = restarts(200, each=2)
    net = pair(logs, [log[:1] for log in logs])
    net.call("n2", "n1")
    flown: list[Flying] = []
    while net.flying:
        one = net.deliver()
        flown.append(one)
        if type(one.packet.body) is Unfold:
            net.arrive(one)
    assert "Unfold" in kinds(flown)
    while not net.agreed:
        net.tick(1000)
        net.settle()
    for one in flown:
        net.arrive(one)
    net.settle()
    assert net.agreed


def test_a_node_that_knows_no_folds_is_told_by_lines_and_misses_nothing() -> None:
    """It takes a folded log for one that is not held, and sends what the other side has."""
    logs = restarts(50)
    net = pair(logs, logs[:-1])
    lines = Vector().next_lines(net["n2"].frontier)
    net["n1"].receive(packet(Syn(bytes(16), 10**6, lines), "n2"), net.now_ms)
    ((_, answer),) = net["n1"].flush()
    body = answer.body
    assert type(body) is SynAck
    assert [run.data for run in body.runs] == [[logs[-1][0].data]]
    whole = decode(encode(packet(Ack(1, body.runs, False), "n1")))
    net["n2"].receive(whole, net.now_ms)
    assert net.agreed


# --- on the wire ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spans",
    [
        [("a", 1, 5), ("a", 5, 9)],
        [("b", 1, 5), ("a", 6, 9)],
        [("a", 6, 9), ("a", 1, 5)],
        [("a", 9, 1)],
    ],
)
def test_folds_that_overlap_or_are_out_of_order_are_malformed(
    spans: list[tuple[str, int, int]],
) -> None:
    folds = [EpochFold(*span, 0, bytes(16)) for span in spans]
    with pytest.raises(WireError, match="folds of") as caught:
        decode(encode(packet(Syn(bytes(16), 1, [], folds=folds))))
    assert caught.value.reason == "malformed"


def test_folds_of_two_origins_may_name_the_same_epochs() -> None:
    folds = [EpochFold("a", 1, 9, 0, bytes(16)), EpochFold("b", 1, 9, 0, bytes(16))]
    body = decode(encode(packet(Unfold(1, [], False, [], folds, 0, 0)))).body
    assert type(body) is Unfold and body.folds == folds


def test_parts_name_each_epoch_of_what_they_open_once() -> None:
    logs = restarts(LISTED_MAX + 1)
    folding, frontier = EpochFolds(Vector()), holding_all(logs)
    summary = folding.unfold(frontier, [EpochFold("n9", 5, EPOCH_MAX, 1, bytes(16))])
    assert summary.lines == [] and len(summary.folds) <= PARTS
    assert summary.folds[0].first == 5 and summary.folds[-1].last == EPOCH_MAX
    for before, after in zip(summary.folds, summary.folds[1:], strict=False):
        assert before.last + 1 == after.first
    assert sum(fold.count for fold in summary.folds) == len(logs)


# --- what one side tells in a line and the other one in a fold ------------------------------------


def fat_and_thin() -> tuple[list[list[Entry]], list[Entry], list[list[Entry]]]:
    """Logs with more entries, one that will be lacking, and logs with fewer."""
    logs = restarts(15, each=3)
    return logs[:7], logs[7], [log[:1] for log in logs[8:]]


@pytest.mark.parametrize("calm", [False, True])
@pytest.mark.parametrize("caller", ["n1", "n2"])
@pytest.mark.parametrize("held", [0, 1, 2])
def test_what_is_lacking_of_a_log_with_a_line_there_and_none_here_comes_in_one_exchange(
    caller: str, calm: bool, held: int
) -> None:
    """Whoever holds more tells it in a line; its fold holds less than the other's, and equals what
    the other one holds there. So neither finds a fold to open. (A seed of opened-folds found it.)
    """
    fat, lost, thin = fat_and_thin()
    net = pair([*thin, *fat[1:], lost, fat[0]], [lost[:held], *fat, *thin])
    folding, theirs = EpochFolds(Vector()), EpochFolds(Vector()).next_summary(net["n1"].frontier)
    assert compared_by(folding, net["n2"].frontier, theirs).differing == []
    net[caller].rounds.calm = calm  # a Syn without lines
    net.call(caller, "n2" if caller == "n1" else "n1")
    net.settle()
    assert net.agreed
    assert net["n2"].frontier.count == sum(map(len, [*fat, lost, *thin]))


def test_of_a_log_that_has_a_line_here_nothing_more_is_said() -> None:
    logs = restarts(20)
    folding = EpochFolds(Vector())
    longer = [*logs[:-1], chain("n9", 3, epoch=logs[-1][0].dot.epoch)]
    theirs = EpochFolds(Vector()).next_summary(holding_all(longer))
    assert folding.next_untold(holding_all(logs), theirs, []) == []
    few = EpochFolds(Vector()).next_summary(holding_all(logs[:3]))
    assert folding.next_untold(holding_all(logs[:2]), few, []) == []  # all have one


def test_what_is_in_a_fold_that_is_opened_anyway_is_told_with_that_one() -> None:
    logs = restarts(20)
    theirs = FoldSummary([Line("n9", 7, 2, bytes(8), [])], [])
    folding, ours = EpochFolds(Vector()), holding_all(logs)
    at_7 = EpochFold("n9", 7, 7, 0, holding().root)
    assert folding.next_untold(ours, theirs, []) == [at_7]
    assert folding.next_untold(ours, theirs, [EpochFold("n9", 8, 9, 1, bytes(16))]) == [at_7]
    assert folding.next_untold(ours, theirs, [EpochFold("n9", 2, 9, 1, bytes(16))]) == []


def test_many_logs_with_more_in_a_line_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNTOLD_MAX", 3)
    folding, ours = EpochFolds(Vector()), holding_all(restarts(20))
    lines = [Line("n9", epoch, 2, bytes(8), []) for epoch in [*range(1, 9), 8]]
    asked = [folding.next_untold(ours, FoldSummary(lines, []), []) for _ in range(3)]
    assert [[fold.first for fold in folds] for folds in asked] == [[1, 2, 3], [4, 5, 6], [7, 8, 1]]


@pytest.mark.parametrize("refuses", ["holding", "full"])
def test_whoever_can_keep_nothing_asks_for_nothing(
    refuses: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fat, lost, thin = fat_and_thin()
    net = pair([*thin, *fat, lost], [*fat, *thin])
    if refuses == "full":
        monkeypatch.setattr(places, "STRANGE_LOGS_MAX", len(fat) + len(thin))
    net["n2"].holding = refuses == "holding"
    net.call("n2", "n1")
    assert kinds(net.settle()) == ["Syn", "SynAck"]


def test_a_fork_is_named_to_whoever_lists_its_log_as_a_sound_one() -> None:
    """It is one of many logs in the fold, and its turn to be named there has not come."""
    logs = restarts(20)
    epoch = logs[3][0].dot.epoch
    ours = holding_all([*logs, [entry("n9", 1, branch="b", epoch=epoch)]])
    at = EpochFold("n9", epoch, epoch, 0, holding().root)
    told = EpochFolds(Vector()).unfold(
        holding_all(logs), [EpochFold("n9", epoch, epoch, 2, bytes(16))]
    )
    assert told.folds == [at] and told.lines[0].tags == b""
    assert compared_by(EpochFolds(Vector()), ours, told).differing == [at]


def test_each_peer_is_named_all_forked_logs_whoever_else_is_named_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "NAMED_LOGS_MAX", 5)
    logs = restarts(20)
    rivals = [entry("n9", 1, branch="b", epoch=log[0].dot.epoch) for log in logs[:10]]
    frontier = holding(rivals, [one for log in logs for one in log])
    folding = EpochFolds(Vector())
    named: dict[str, set[int]] = {"n1": set(), "n2": set()}
    for listener in ("n1", "n2", "n1", "n2"):
        frontier.listener = listener
        summary = folding.next_summary(frontier)
        folding.unfold(frontier, [EpochFold("n9", 1, EPOCH_MAX, 1, bytes(16))])
        named[listener] |= {line.epoch for line in summary.lines if line.tags}
    assert sorted(named["n1"]) == sorted(named["n2"]) == epochs(*logs[:10])


# --- whatever differs -----------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(2, 160), st.floats(0, 0.4))
@settings(max_examples=60, deadline=None)
def test_two_nodes_with_any_closed_logs_converge_over_a_link_that_loses_and_doubles(
    seed: int, count: int, loss: float
) -> None:
    """Logs that one side lacks, has in part, with gaps, on another branch, or in another order."""
    rng = Random(seed)
    shares: list[list[Entry]] = [[], []]
    whole: set[bytes] = set()
    different = rng.random()
    for log in restarts(count, each=3, seed=seed):
        branch = chain("n9", 2, after=log[0], branch="b", epoch=log[0].dot.epoch)
        for share in shares:
            mine = list(log)
            if rng.random() < different:
                mine = rng.sample(log + branch * (rng.random() < 0.1), rng.randint(0, 3))
            share.extend(mine)
            whole |= {one.data for one in mine}
    for share in shares:
        if rng.random() < 0.5:
            rng.shuffle(share)
    net = Net("n1", "n2", seed=seed)
    net.hold("n1", shares[0])
    net.hold("n2", shares[1])

    def arrives(_: Flying) -> int:
        return (rng.random() >= loss) + (rng.random() < 0.1)

    net.run(60_000, arrives=arrives, until=lambda: net.agreed)
    assert net.holdings() == [whole, whole]
    exchanges = net["n1"].exchanges["n2"] + net["n2"].exchanges["n1"]
    assert exchanges <= 60


@given(st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_two_nodes_that_differ_in_a_few_old_logs_agree_whichever_of_them_calls(seed: int) -> None:
    """Neither waits for the other's call, where the other one may be content, or of few words."""
    rng = Random(seed)
    logs = [log for name in ("n1", "n9") for log in restarts(rng.randint(2, 30), 3, name, seed)]
    logs = [log[: rng.randint(1, 3)] for log in logs]
    whole = {one.data for log in logs for one in log}
    shares = [[list(log) for log in logs] for _ in "12"]
    for _ in range(rng.randint(1, 4)):
        at, of = rng.randrange(len(logs)), rng.randrange(2)
        shares[of][at] = rng.sample(logs[at], rng.randrange(len(logs[at])))
        shares[1 - of][at] = list(logs[at])
    for share in shares:
        for _ in range(rng.choice([0, 1, 2, 60])):
            share.insert(rng.randrange(len(share)), share.pop(rng.randrange(len(share))))
    config = GossipConfig(ranges_max=rng.choice([1, 16]))
    net = Net("n1", "n2", config=config, seed=seed)
    net.hold("n1", [one for log in shares[0] for one in log])
    net.hold("n2", [one for log in shares[1] for one in log])
    caller, peer = rng.sample(["n1", "n2"], 2)
    calm = rng.random() < 0.5
    for _ in range(8):
        net[caller].rounds.calm = calm
        net.call(caller, peer)
        net.settle()
    assert net.holdings() == [whole, whole]


@given(st.integers(0, 2**32), st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_a_summary_is_bounded_whatever_is_held(seed: int, count: int) -> None:
    frontier = holding_all(restarts(count, each=2, seed=seed))
    assert summary_bytes(frontier) < 300


def test_a_restarting_node_among_others_costs_its_peers_a_flat_digest() -> None:
    """Each epoch is pushed to one peer only; rounds bring it to the other."""
    net = Net("n1", "n2", "n3")
    sizes = []
    for log in restarts(60):
        push = packet(Push([run_of(*log)], direct=True), "n1")
        net["n2"].receive(push, net.now_ms)
        net.run(3000, until=lambda: net.agreed)
        assert net.agreed
        sizes.append(summary_bytes(net["n3"].frontier))
    assert max(sizes[KEPT + 2 :]) - min(sizes[KEPT + 2 :]) <= 4


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 12), st.integers(1, 3)), max_size=60),
    st.data(),
)
def test_what_was_said_before_changes_nothing_of_what_is_said_now(
    told: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    """One that has lived through it all, and one that begins now, say the same."""
    frontier, old = holding(), EpochFolds(Vector())
    for origin, epoch, seq in told:
        if data.draw(st.booleans()):
            frontier.claim(LogId(origin, epoch), seq)
        frontier.add(entry(origin, seq, bytes(16) if seq > 1 else GENESIS, epoch=epoch))
        if data.draw(st.booleans()):
            frontier.settled()
        assert old.next_summary(frontier) == EpochFolds(Vector()).next_summary(frontier)
