"""Rounds call every live peer in bounded time, slow down while roots agree, and probe the dead."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.config import GossipConfig
from gossip.membership import Membership
from gossip.packets import Opinion
from gossip.rounds import LINES_FEW, LINES_PER_MS, PATIENCE, Exchange, Rounds, below, sample

CONFIG = GossipConfig()
ROOT, OTHER = b"r" * 16, b"o" * 16
DEAD = 2


def cluster(size: int, seed: int = 1) -> tuple[Membership, Rounds]:
    """The members and rounds of n1 in a cluster with n2..n(size + 1)."""
    peers = tuple(f"n{i}" for i in range(2, size + 2))
    members = Membership("n1", 1, peers, suspect_after_misses=2, dead_ms=3000, trust_ms=1000)
    rounds = Rounds(members, CONFIG, Random(seed))
    rounds.start(0)
    return members, rounds


def bury(members: Membership, *names: str) -> None:
    for name in names:
        members.receive(Opinion(name, DEAD, 1), 0)


def called(rounds: Rounds, until_ms: int, from_ms: int = 0) -> list[tuple[int, str]]:
    """Who is called when, if each call is answered at once with another root."""
    calls = []
    now_ms = max(from_ms, rounds.wake_at_ms)
    while now_ms <= until_ms:
        for peer in rounds.take_due(now_ms):
            calls.append((now_ms, peer))
            rounds.opened(peer, Exchange(len(calls), now_ms, said_lines=False))
            assert rounds.answered(peer, len(calls)) is not None
            rounds.differed(peer, OTHER, now_ms.to_bytes(16, "big"), now_ms)  # there was news
        now_ms = rounds.wake_at_ms
    return calls


# --- whom ---------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_each_live_peer_is_called_once_before_any_twice(size: int, seed: int) -> None:
    _, rounds = cluster(size, seed)
    names = [peer for _, peer in called(rounds, 100_000)]
    for start in range(0, len(names) - size, size):
        assert len(set(names[start : start + size])) == size


@given(
    st.integers(2, 12),
    st.integers(0, 2**32),
    st.data(),
)
def test_a_live_peer_is_called_within_two_passes_whatever_happens_to_others(
    size: int, seed: int, data: st.DataObject
) -> None:
    """Others may agree, be slow, or die: the wait for one that is alive and differs is bounded."""
    members, rounds = cluster(size, seed)
    fates = data.draw(st.lists(st.sampled_from("adsx"), min_size=60, max_size=60))
    now_ms, waited = 0, 0
    for number, fate in enumerate(fates):
        now_ms = max(now_ms + CONFIG.idle_round_ms * 2, rounds.wake_at_ms)
        rounds.expire(now_ms)
        calls = rounds.take_due(now_ms)
        waited = 0 if "n2" in calls else waited + 1
        assert waited < 2 * size
        for peer in calls:
            if peer == "n2":
                rounds.differed(peer, OTHER, now_ms.to_bytes(16, "big"), now_ms)
            elif fate == "a":
                rounds.agreed(peer, ROOT, now_ms)
            elif fate == "s":
                rounds.opened(peer, Exchange(number, now_ms, said_lines=True))
            elif fate == "d":
                members.receive(Opinion(peer, DEAD, number), now_ms)


def test_a_peer_that_has_just_agreed_is_not_called_within_the_pause() -> None:
    _, rounds = cluster(2)
    rounds.agreed("n2", ROOT, 150)
    assert [peer for peer in rounds.take_due(160) if peer == "n2"] == []
    assert [peer for _, peer in called(rounds, 200)] == ["n3"] * len(called(rounds, 200))


def test_with_everybody_in_agreement_nobody_is_called_until_the_pause_is_over() -> None:
    _, rounds = cluster(3)
    for peer in ("n2", "n3", "n4"):
        rounds.agreed(peer, ROOT, 100)
    assert rounds.take_due(110) == []
    assert len(rounds.take_due(100 + CONFIG.idle_round_ms)) == 1


def test_a_suspect_is_called_like_a_live_peer_even_if_it_has_agreed() -> None:
    members, rounds = cluster(1)
    rounds.agreed("n2", ROOT, 50)
    for _ in range(2):
        members.missed("n2", 60)
    assert rounds.take_due(61) == ["n2"]


def test_a_busy_peer_is_not_called_again() -> None:
    _, rounds = cluster(1)
    assert rounds.take_due(100) == ["n2"]
    rounds.opened("n2", Exchange(7, 100, said_lines=False))
    assert rounds.busy("n2")
    assert rounds.take_due(400) == []
    assert not rounds.busy("n3")


def test_a_peer_that_died_while_it_waited_for_its_turn_loses_it() -> None:
    members, rounds = cluster(5)
    assert len(rounds.take_due(100)) == 1
    bury(members, *(member.name for member in members))
    assert rounds.take_due(400) == []


def test_alone_there_is_nobody_to_call() -> None:
    _, rounds = cluster(0)
    assert rounds.take_due(100) == []
    assert rounds.wake_at_ms > 100


def test_one_dead_peer_is_probed_at_a_time_beside_the_live_rounds() -> None:
    members, rounds = cluster(6)
    bury(members, "n2", "n3", "n4")
    calls = called(rounds, 60_000)
    dead = [(at, peer) for at, peer in calls if peer in {"n2", "n3", "n4"}]
    pauses = [after[0] - before[0] for before, after in pairwise(dead)]
    assert {peer for _, peer in dead} == {"n2", "n3", "n4"}
    assert all(400 <= pause <= 600 for pause in pauses)
    assert {peer for _, peer in calls} == {f"n{i}" for i in range(2, 8)}


def test_a_dead_peer_with_an_open_probe_is_not_probed_again() -> None:
    members, rounds = cluster(1)
    bury(members, "n2")
    assert rounds.take_due(500) == ["n2"]
    rounds.opened("n2", Exchange(1, 500, said_lines=False))
    assert rounds.take_due(5000) == []


def test_the_dead_wake_nobody_once_they_live() -> None:
    members, rounds = cluster(1)
    rounds.take_due(100)
    live_ms = rounds.wake_at_ms
    bury(members, "n2")
    rounds.take_due(live_ms)
    assert rounds.wake_at_ms == min(rounds._next_ms, rounds._dead_next_ms)
    members.heard("n2", 1, 300)
    assert rounds.wake_at_ms == rounds._next_ms


# --- when ---------------------------------------------------------------------------------------


def test_nodes_that_start_together_do_not_call_together() -> None:
    firsts = {called(cluster(3, seed)[1], 1000)[0][0] for seed in range(50)}
    assert len(firsts) > 10
    assert all(0 <= first <= CONFIG.round_ms // 10 for first in firsts)


def test_while_something_is_new_rounds_come_at_the_pace_of_the_config() -> None:
    calls = [at for at, _ in called(cluster(5)[1], 60_000)]
    pauses = [after - before for before, after in pairwise(calls)]
    assert all(160 <= pause <= 240 for pause in pauses)
    assert abs(sum(pauses) / len(pauses) - CONFIG.round_ms) < 10
    assert len(set(pauses)) > 20  # jittered


def test_agreement_stretches_the_pause_up_to_its_limit_and_news_shortens_it_at_once() -> None:
    _, rounds = cluster(1)
    pauses = [rounds._pause_ms]
    for at in range(10):
        rounds.agreed("n2", ROOT, at)
        pauses.append(rounds._pause_ms)
    assert pauses[:5] == [200, 301, 452, 679, 1000]
    assert pauses[-1] == CONFIG.idle_round_ms
    rounds.take_due(5000)
    assert rounds.wake_at_ms >= 5800
    assert rounds.calm
    rounds.news(5001)
    assert not rounds.calm
    assert 5001 + 160 <= rounds.wake_at_ms <= 5001 + 240
    assert rounds.take_due(5250) == ["n2"]


def test_who_agreed_with_what_was_is_called_about_what_is() -> None:
    _, rounds = cluster(1)
    rounds.agreed("n2", ROOT, 50)
    rounds.news(51)
    assert rounds.take_due(52) == ["n2"]


def test_news_never_delays_the_next_round() -> None:
    _, rounds = cluster(1)
    rounds.agreed("n2", ROOT, 0)
    before = rounds.wake_at_ms
    rounds.news(before - 1)
    assert rounds.wake_at_ms == before
    rounds.news(before - 1)
    assert rounds.wake_at_ms == before


def test_a_root_that_differs_is_news() -> None:
    _, rounds = cluster(2)
    rounds.agreed("n2", ROOT, 0)
    assert rounds.calm
    assert rounds.agrees("n2", ROOT)
    assert not rounds.differed("n2", OTHER, ROOT, 10)
    assert not rounds.calm
    assert not rounds.agrees("n2", ROOT)
    assert rounds.agrees("n2", OTHER)
    assert not rounds.agrees("n3", ROOT)


# --- answers ------------------------------------------------------------------------------------


def test_an_answer_closes_its_exchange_once() -> None:
    _, rounds = cluster(2)
    exchange = Exchange(5, 100, said_lines=True)
    rounds.opened("n2", exchange)
    assert rounds.answered("n2", 4) is None  # late
    assert rounds.answered("n3", 5) is None  # not asked
    assert rounds.answered("n2", 5) is exchange
    assert rounds.answered("n2", 5) is None  # repeated
    assert not rounds.busy("n2")


@pytest.mark.parametrize(("after_ms", "late"), [(499, []), (500, ["n2"]), (9000, ["n2", "n3"])])
def test_exchanges_expire_in_time_and_only_once(after_ms: int, late: list[str]) -> None:
    _, rounds = cluster(2)
    rounds.agreed("n2", ROOT, 1000)
    rounds.opened("n2", Exchange(1, 1000, said_lines=False))
    rounds.opened("n3", Exchange(2, 1200, said_lines=False))
    assert rounds.expire(1000 + after_ms) == late
    assert rounds.expire(1000 + after_ms) == []
    assert [rounds.busy(peer) for peer in ("n2", "n3")] == ["n2" not in late, "n3" not in late]


def test_a_wake_comes_in_time_for_what_expires() -> None:
    _, rounds = cluster(1)
    rounds.agreed("n2", ROOT, 0)
    rounds._next_ms = 90_000
    rounds.opened("n2", Exchange(1, 1000, said_lines=False))
    assert rounds.wake_at_ms == 1500
    assert rounds.expire(rounds.wake_at_ms) == ["n2"]


def test_a_missed_exchange_ends_the_agreement() -> None:
    _, rounds = cluster(1)
    for _ in range(5):
        rounds.agreed("n2", ROOT, 1000)
    rounds.opened("n2", Exchange(1, 1000, said_lines=False))
    assert rounds.expire(1500) == ["n2"]
    assert rounds.take_due(1500) == ["n2"]  # well within the pause


def test_the_same_seed_calls_the_same_peers_at_the_same_times() -> None:
    assert called(cluster(9, 5)[1], 20_000) == called(cluster(9, 5)[1], 20_000)
    assert called(cluster(9, 5)[1], 20_000) != called(cluster(9, 6)[1], 20_000)


def test_a_sample_is_of_different_names_or_of_all() -> None:
    names = [f"n{i}" for i in range(10)]
    counts = dict.fromkeys(names, 0)
    rng = Random(1)
    for _ in range(3000):
        some = sample(rng, names, 3)
        assert len(set(some)) == 3
        for name in some:
            counts[name] += 1
    assert all(800 < count < 1000 for count in counts.values())
    assert sample(rng, names[:3], 3) == names[:3]
    assert sample(rng, [], 3) == []


@given(st.integers(1, 2**40), st.integers(0, 2**32))
def test_below_draws_what_randrange_draws(n: int, seed: int) -> None:
    ours, theirs = Random(seed), Random(seed)
    assert [below(ours, n) for _ in range(8)] == [theirs.randrange(n) for _ in range(8)]
    assert ours.getstate() == theirs.getstate()


# --- meetings in vain -----------------------------------------------------------------------------


def calls_in(rounds: Rounds, begin_ms: int, end_ms: int, *, patience: int) -> int:
    """How often the two peers are called, where all sides name the same two roots each time."""
    count, now_ms = 0, begin_ms
    while now_ms < end_ms:
        for peer in rounds.take_due(now_ms):
            count += 1
            rounds.differed(peer, OTHER, ROOT, now_ms, patience)
        now_ms = max(rounds.wake_at_ms, now_ms + 1)
    return count


def test_a_peer_met_in_vain_is_called_at_the_slowest_pace_in_the_end() -> None:
    _, rounds = cluster(2)
    assert calls_in(rounds, 0, 2_000, patience=PATIENCE) >= PATIENCE
    assert calls_in(rounds, 10_000, 30_000, patience=PATIENCE) <= 2 * 20_000 // 800


def test_whoever_has_more_to_tell_is_more_patient() -> None:
    _, rounds = cluster(2)
    assert calls_in(rounds, 0, 10_000, patience=1000) >= 45


def test_the_same_roots_again_are_a_meeting_in_vain_and_others_are_not() -> None:
    _, rounds = cluster(2)
    told = [rounds.differed("n2", theirs, ROOT, 0) for theirs in (OTHER, OTHER, ROOT, OTHER, OTHER)]
    assert told == [False, True, False, False, True]
    assert not rounds.differed("n3", OTHER, ROOT, 0)


@pytest.mark.parametrize("event", ["nothing", "learnt", "agreed"])
def test_who_was_left_alone_is_left_alone_sooner_until_something_comes_of_it(event: str) -> None:
    _, rounds = cluster(2)
    for at in range(PATIENCE + 2):
        assert rounds.differed("n2", OTHER, ROOT, 0) == (at > 0)
    assert "n2" not in rounds.take_due(300)
    if event == "learnt":
        rounds.learnt("n2")
    elif event == "agreed":
        rounds.agreed("n2", ROOT, 301)
    meetings, now_ms = 0, 1000
    rounds.news(now_ms)
    while True:  # news on both sides: other roots than before
        rounds.differed("n2", b"3" * 16, b"4" * 16, now_ms)
        if now_ms < rounds._rest_ms.get("n2", 0):
            break
        meetings += 1
    assert meetings == (2 if event == "nothing" else PATIENCE + 1)


@pytest.mark.parametrize("event", ["news", "agreed", "other root"])
def test_any_news_ends_the_rest(event: str) -> None:
    _, rounds = cluster(2)
    calls_in(rounds, 0, 20_000, patience=2)
    rounds.differed("n2", OTHER, ROOT, 20_000, 2)
    assert "n2" not in rounds.take_due(20_300)
    if event == "news":
        rounds.news(20_301)
    elif event == "agreed":
        rounds.agreed("n2", ROOT, 19_000)
    else:
        assert not rounds.differed("n2", b"3" * 16, ROOT, 20_301, 2)
    assert "n2" in rounds.take_due(20_800)


def test_a_summary_of_many_lines_stretches_the_pause_until_a_short_one() -> None:
    def pause(lines: int) -> float:
        _, rounds = cluster(1)
        rounds.said(lines)
        times = [at for at, _ in called(rounds, 20_000)]
        return (times[-1] - times[0]) / (len(times) - 1)

    assert pause(LINES_FEW) < 1.2 * CONFIG.round_ms
    assert 0.8 * 700 < pause(700 * LINES_PER_MS) < 1.2 * 700
    assert pause(100_000) < 1.2 * CONFIG.idle_round_ms


def test_news_hurries_no_more_than_a_long_summary_allows() -> None:
    _, rounds = cluster(1)
    for _ in range(20):
        rounds.agreed("n2", ROOT, 0)
    rounds.take_due(10)
    rounds.said(100_000)
    rounds.news(20)
    assert rounds.wake_at_ms > 0.7 * CONFIG.idle_round_ms


def test_another_root_in_a_late_answer_ends_the_calm() -> None:
    _, rounds = cluster(1)
    rounds.agreed("n2", ROOT, 0)
    assert rounds.calm
    rounds.doubted("n2", OTHER)
    assert not rounds.calm
    assert rounds.agrees("n2", OTHER)
