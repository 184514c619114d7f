"""What engines make of bad input, of time, and of each other."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dot import LogId
from gossip.config import GossipConfig
from gossip.incarnation import start_of
from gossip.membership import State
from gossip.packets import (
    Line,
    Opinion,
    Push,
    Run,
    Syn,
    SynAck,
)
from tests.gossip.builders import chain, entry, held
from tests.gossip.engines import BAD, Flying, Net, run_of, sent_by

SMALL = GossipConfig(delta_bytes_max=144 * 1024)
RUMORS = GossipConfig(direct_peers_max=0)


# --- bad input ------------------------------------------------------------------------------------


def test_a_stranger_is_counted_and_not_heard() -> None:
    net = Net("n1", "n2")
    net.engines["n1"].receive(Flying("x", "n1", sent_by("x", Syn(bytes(16), 1))).packet, 0)
    assert net["n1"].counters["strangers"] == 1
    assert net["n1"].flush() == []


def test_bytes_that_are_no_entry_are_counted_against_their_sender() -> None:
    net = Net("n1", "n2")
    one = entry("n3", 2)
    bad = Run("n3", 1, 1, [BAD, one.data])
    net.arrive(Flying("n2", "n1", sent_by("n2", Push([bad], True))))
    assert [str(learnt.value) for learnt in net.learnt["n1"]] == ["n3.1:2"]
    assert net["n1"].bad_entries == {"n2": 1}
    assert net["n1"].counters["entries_bad"] == 1


def test_an_entry_too_far_above_the_prefix_is_left_for_later() -> None:
    net = Net("n1", "n2", config=GossipConfig(ranges_max=1))
    far = [entry("n3", seq) for seq in (5, 10, 20)]
    net.arrive(Flying("n2", "n1", sent_by("n2", Push([run_of(one) for one in far], True))))
    assert len(net.learnt["n1"]) == 1
    assert net["n1"].counters["entries_far"] == 2


def test_both_branches_of_a_fork_are_kept_and_reach_everybody() -> None:
    net = Net("n1", "n2", "n3")
    trunk = chain("x", 2)
    branch = chain("x", 2, after=trunk[0], branch="b")
    net.hold("n1", [*trunk])
    net.hold("n2", [trunk[0], *branch])
    net.run(5000, until=lambda: net.agreed)
    assert net.agreed
    assert net.holdings() == [{one.data for one in [*trunk, *branch]}] * 3
    assert all(net[name].frontier.forked == ["x"] for name in net.engines)
    rivals = [learnt for name in net.engines for learnt in net.learnt[name] if learnt.rival]
    assert rivals
    assert sum(net[name].counters["entries_rival"] for name in net.engines) == len(rivals)


def test_a_wrong_word_about_a_log_is_forgotten_once_the_roots_agree() -> None:
    net = Net("n1", "n2")
    entries = chain("x", 3)
    net.hold("n1", entries)
    net.hold("n2", entries)
    lie = Syn(bytes(16), 150_000, [Line("x", 1, 3, b"\xff" * 8, [])])
    net.arrive(Flying("n2", "n1", sent_by("n2", lie)))
    answer = net.flying.popleft().packet.body
    assert type(answer) is SynAck
    assert answer.lines[0].tags, "it names what it holds"
    net.call("n2", "n1")
    net.settle()
    assert net["n1"].frontier.next_lines()[0].tags == b""


def test_a_rival_that_is_known_already_is_a_duplicate() -> None:
    net = Net("n1", "n2")
    net.hold("n1", [entry("x", 1), entry("x", 1, branch="b")])
    push = Push([run_of(entry("x", 1, branch="b"))], True)
    net.arrive(Flying("n2", "n1", sent_by("n2", push)))
    assert net["n1"].counters["entries_duplicate"] == 1


# --- time -----------------------------------------------------------------------------------------


def test_an_unanswered_exchange_is_missed_and_misses_make_suspects_and_dead() -> None:
    net = Net("n1", "n2")

    def believed() -> tuple[list[str], list[str]]:
        return net["n1"].members.names(State.SUSPECT), net["n1"].members.names(State.DEAD)

    net.run(2500, arrives=lambda _: 0)
    assert believed() == (["n2"], [])
    net.run(4000, arrives=lambda _: 0)
    assert believed() == ([], ["n2"])
    assert net["n1"].counters["rounds_missed"] >= 2
    took_ms = net.run(3000, until=lambda: believed() == ([], []))
    assert took_ms <= 1000, "the dead are probed twice a second"


def test_wake_is_never_later_than_the_next_thing_to_do() -> None:
    rare = GossipConfig(
        round_ms=60_000, idle_round_ms=60_000, dead_ms=500, rumor_ms=50, direct_peers_max=0
    )
    net = Net("n1", "n2", config=rare)
    net.run(7000)  # the first round comes soon, the next after a minute
    engine = net["n1"]
    net.emit("n1")
    net.tick(rare.rumor_ms, "n1")
    assert engine.wake_at_ms <= net.now_ms + rare.rumor_ms, "a rumor is still hot"
    net.run(2000)
    assert not engine.rumors
    for _ in range(2):
        engine.members.missed("n2", net.now_ms)
    assert engine.wake_at_ms <= net.now_ms + rare.dead_ms, "a suspicion runs out"
    net.tick(rare.dead_ms, "n1")
    assert engine.wake_at_ms <= net.now_ms + rare.dead_round_ms, "the dead are probed"


def test_an_idle_network_slows_down_to_its_idle_period() -> None:
    net = Net("n1", "n2", "n3")
    net.run(5000)
    before = sum(engine.counters["rounds_begun"] for engine in net.engines.values())
    net.run(10_000)
    after = sum(engine.counters["rounds_begun"] for engine in net.engines.values())
    assert after - before <= 3 * 13  # three nodes, a round a second each, with jitter


def test_a_packet_is_named_by_sender_start_and_number() -> None:
    names = set()
    for start in (1, 2):
        net = Net("n1", "n2", start=start)
        for _ in range(3):
            net.call("n1", "n2")
            packet = net.flying[-1].packet
            names.add((packet.sender, start_of(packet.incarnation), packet.number))
            net.settle()
            net["n1"].members.receive(Opinion("n1", 1, packet.incarnation), net.now_ms)
    assert len(names) == 6


# --- convergence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [True, False])
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.2, 0.5]))
def test_any_network_that_delivers_now_and_then_converges(
    direct: bool, seed: int, loss: float
) -> None:
    dice = Random(seed)
    config = GossipConfig() if direct else RUMORS
    net = Net("n1", "n2", "n3", "n4", config=config, seed=seed)

    def arrives(_: Flying) -> int:
        return 0 if dice.random() < loss else dice.choice((1, 1, 1, 2))

    for _ in range(5):
        net.emit(dice.choice(("n1", "n2", "n3", "n4")), dice.randrange(1, 4))
        net.run(dice.randrange(200), arrives=arrives)
    net.run(60_000, arrives=arrives, until=lambda: net.agreed)
    assert net.agreed
    everything = {one.data for log in net.logs.values() for one in log}
    assert net.holdings() == [everything] * 4
    for name, learnt in net.learnt.items():
        dots = [one.entry.dot for one in learnt]
        assert len(dots) == len(set(dots)), f"{name} learnt something twice"


def test_a_quiet_voice_does_not_starve_behind_a_backlog() -> None:
    net = Net("n1", "n2", config=SMALL)
    backlog, quiet = chain("x", 500, size=1000), chain("y", 3)
    net.hold("n2", backlog + quiet)
    net.call("n1", "n2")
    net.deliver()
    net.deliver()
    assert {one.data for one in quiet} <= held(net["n1"].frontier)


def test_rounds_that_teach_nobody_anything_get_slow_and_are_counted() -> None:
    """n2 gets no entry across, whatever n1 sends: the same ones were sent at full pace for ever."""
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 5))

    def arrives(one: Flying) -> int:
        return not (one.receiver == "n2" and getattr(one.packet.body, "runs", None))

    net.run(10_000, arrives=arrives)
    before = sum(net[name].counters["rounds_begun"] for name in ("n1", "n2"))
    net.run(20_000, arrives=arrives)
    begun = sum(net[name].counters["rounds_begun"] for name in ("n1", "n2")) - before
    assert 15 <= begun <= 40  # at full pace: 200
    assert net["n1"].counters["rounds_useless"] >= 15
    assert net.run(5_000, until=lambda: net.agreed) <= 1_300
    assert net.agreed


def test_two_without_room_for_the_logs_of_each_other_meet_less_often_after_each_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They differ for good, and each message of somebody began the useless meetings anew."""
    monkeypatch.setattr("gossip.places.STRANGE_LOGS_MAX", 40)
    net = Net("n1", "n2")
    for name, first in (("n1", 1), ("n2", 101)):
        net.hold(name, [one for at in range(40) for one in chain("x", 1, epoch=first + at)])
    net.run(20_000)
    before = {name: net[name].counters["rounds_begun"] for name in ("n1", "n2")}
    for number in range(1, 21):
        net.emit("n1")
        net.run(2_000)
        log = net["n2"].frontier.get(LogId("n1", 1))
        assert log is not None and log.prefix == number
    begun = sum(net[name].counters["rounds_begun"] - count for name, count in before.items())
    assert 2 * 20 <= begun <= 7 * 20  # it was 13 for each message
    assert not net.agreed


def test_news_is_told_at_full_pace_whatever_was_in_vain_before() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("n3", 5))
    deaf = True

    def arrives(one: Flying) -> int:
        return not (deaf and one.receiver == "n2" and getattr(one.packet.body, "runs", None))

    net.run(20_000, arrives=arrives)
    net.emit("n2")
    deaf = False
    assert net.run(5_000, arrives=arrives, until=lambda: net.agreed) <= 300
    assert net.agreed
