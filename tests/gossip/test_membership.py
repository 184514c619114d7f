"""Alive, suspect, dead: SWIM's rules (section 4.2), with exchanges as the probes."""

from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.incarnation import NUMBER_MAX, START
from gossip.membership import LEAP_MAX, OPINIONS_PER_PACKET_MAX, Change, Member, Membership, State
from gossip.packets import Opinion

ALIVE, SUSPECT, DEAD = State.ALIVE, State.SUSPECT, State.DEAD
MISSES, DEAD_MS, TRUST_MS = 2, 3000, 1000


def members(*peers: str, incarnation: int = 1) -> Membership:
    return Membership(
        "n1",
        incarnation,
        peers or ("n2", "n3"),
        suspect_after_misses=MISSES,
        dead_ms=DEAD_MS,
        trust_ms=TRUST_MS,
    )


def of(membership: Membership, name: str = "n2") -> Member:
    member = membership.get(name)
    assert member is not None
    return member


def in_state(state: State, incarnation: int, now_ms: int = 0) -> Membership:
    """n2 is in this state; nothing is left to be told or reported about it."""
    membership = members()
    membership.receive(Opinion("n2", state, incarnation), now_ms)
    membership.take_changes()
    while membership.next_opinions("n3"):
        pass
    assert (of(membership).state, of(membership).incarnation) == (state, incarnation)
    return membership


# --- evidence -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "incarnation", "opinion", "after", "known"),
    [
        # SWIM 4.2: {Alive M, i} overrides {Suspect M, j} and {Alive M, j} if i > j.
        (ALIVE, 5, (ALIVE, 6), ALIVE, 6),
        (ALIVE, 5, (ALIVE, 5), ALIVE, 5),
        (ALIVE, 5, (ALIVE, 4), ALIVE, 5),
        (SUSPECT, 5, (ALIVE, 6), ALIVE, 6),
        (SUSPECT, 5, (ALIVE, 5), SUSPECT, 5),
        (SUSPECT, 5, (ALIVE, 4), SUSPECT, 5),
        # Here death can be refuted as well: it is a belief, and the node may have come back.
        (DEAD, 5, (ALIVE, 6), ALIVE, 6),
        (DEAD, 5, (ALIVE, 5), DEAD, 5),
        # {Suspect M, i} overrides {Suspect M, j} if i > j, {Alive M, j} if i >= j.
        (ALIVE, 5, (SUSPECT, 6), SUSPECT, 6),
        (ALIVE, 5, (SUSPECT, 5), SUSPECT, 5),
        (ALIVE, 5, (SUSPECT, 4), ALIVE, 5),
        (SUSPECT, 5, (SUSPECT, 6), SUSPECT, 6),
        (SUSPECT, 5, (SUSPECT, 5), SUSPECT, 5),
        (SUSPECT, 5, (SUSPECT, 4), SUSPECT, 5),
        (DEAD, 5, (SUSPECT, 5), DEAD, 5),
        (DEAD, 5, (SUSPECT, 6), SUSPECT, 6),
        # {Confirm M, i} overrides whatever is not newer.
        (ALIVE, 5, (DEAD, 5), DEAD, 5),
        (ALIVE, 5, (DEAD, 4), ALIVE, 5),
        (SUSPECT, 5, (DEAD, 5), DEAD, 5),
        (SUSPECT, 5, (DEAD, 4), SUSPECT, 5),
        (DEAD, 5, (DEAD, 5), DEAD, 5),
        (DEAD, 5, (DEAD, 6), DEAD, 6),
    ],
)
def test_the_table_of_opinions(
    state: State, incarnation: int, opinion: tuple[State, int], after: State, known: int
) -> None:
    membership = in_state(state, incarnation)
    membership.receive(Opinion("n2", *opinion), 10)
    member = of(membership)
    assert (member.state, member.incarnation) == (after, known)
    changed = [Change("n2", after, known, "told")] if after is not state else []
    assert membership.take_changes() == changed
    assert membership.take_changes() == []
    moved = (after, known) != (state, incarnation)
    assert bool(member.retells) is moved  # news is passed on, old hat is not


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("incarnation", [4, 5, 6])
def test_the_table_of_hearing_from_a_peer_itself(state: State, incarnation: int) -> None:
    membership = in_state(state, 5)
    of(membership).misses = 7
    membership.heard("n2", incarnation, 10)
    member = of(membership)
    assert (member.heard_ms, member.misses, member.incarnation) == (10, 0, max(5, incarnation))
    if state is ALIVE or incarnation >= 5:
        assert member.state is ALIVE
    else:  # it has to hear what is said about it, and to refute it
        assert member.state is state
        assert membership.next_opinions("n2") == [Opinion("n2", state, 5)]
        assert membership.next_opinions("n3") == []
    changed = state is not ALIVE and incarnation >= 5
    assert bool(membership.take_changes()) is changed


def test_missed_exchanges_make_a_suspect_and_silence_makes_it_dead() -> None:
    membership = members()
    assert membership.wake_at_ms is None
    membership.missed("n2", 100)
    assert of(membership).state is ALIVE
    membership.missed("n2", 200)
    assert (of(membership).state, of(membership).since_ms) == (SUSPECT, 200)
    membership.missed("n2", 300)
    assert membership.wake_at_ms == 200 + DEAD_MS
    membership.tick(200 + DEAD_MS - 1)
    assert of(membership).state is SUSPECT
    membership.tick(200 + DEAD_MS)
    assert of(membership).state is DEAD
    assert membership.wake_at_ms is None
    assert [(each.state, each.because) for each in membership.take_changes()] == [
        (SUSPECT, "missed"),
        (DEAD, "silent"),
    ]
    membership.missed("n2", 9000)
    membership.tick(99_000)
    assert membership.take_changes() == []


def test_an_answer_in_between_starts_the_count_anew() -> None:
    membership = members()
    for _ in range(5):
        membership.missed("n2", 100)
        membership.heard("n2", 1, 150)
    assert of(membership).state is ALIVE
    assert membership.names(ALIVE) == ["n2", "n3"]
    assert membership.names(SUSPECT, DEAD) == []


@pytest.mark.parametrize("state", [SUSPECT, DEAD])
def test_whoever_was_heard_just_now_is_not_doubted_because_of_others(state: State) -> None:
    membership = members()
    membership.heard("n2", 3, 1000)
    membership.receive(Opinion("n2", state, 3), 1000 + TRUST_MS)
    assert of(membership).state is ALIVE
    membership.receive(Opinion("n2", state, 3), 1001 + TRUST_MS)
    assert of(membership).state is state


def test_good_news_is_believed_of_whoever_was_heard_just_now() -> None:
    membership = members()
    membership.heard("n2", 3, 1000)
    membership.receive(Opinion("n2", ALIVE, 8), 1001)
    assert of(membership).incarnation == 8


def test_a_suspicion_of_a_newer_incarnation_has_its_own_time() -> None:
    """It once inherited the old one's, and a node that had just refuted was declared dead."""
    membership = in_state(SUSPECT, 5, now_ms=0)
    membership.receive(Opinion("n2", SUSPECT, 6), DEAD_MS - 1)
    membership.tick(DEAD_MS)
    assert of(membership).state is SUSPECT
    membership.tick(2 * DEAD_MS - 1)
    assert of(membership).state is DEAD


def test_strangers_change_nothing() -> None:
    membership = members()
    membership.heard("n9", 1, 10)
    membership.receive(Opinion("n9", DEAD, 9), 10)
    assert membership.get("n9") is None
    assert membership.take_changes() == []
    assert [member.name for member in membership] == ["n2", "n3"]


def test_a_node_is_not_its_own_peer() -> None:
    with pytest.raises(AssertionError):
        members("n1", "n2")


# --- refuting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opinion", "incarnation"),
    [
        ((SUSPECT, 4), 5),
        ((SUSPECT, 5), 6),
        ((DEAD, 5), 6),
        ((DEAD, 70), 71),
        ((ALIVE, 5), 5),
        ((ALIVE, 9), 5),
        ((DEAD, NUMBER_MAX), 5),  # nothing can refute this, so nothing tries
    ],
)
def test_only_doubt_about_itself_raises_a_nodes_incarnation(
    opinion: tuple[State, int], incarnation: int
) -> None:
    membership = members(incarnation=5)
    membership.receive(Opinion("n1", *opinion), 10)
    assert membership.incarnation == incarnation
    refuted = Opinion("n1", ALIVE, incarnation) in membership.next_opinions("n2")
    assert refuted is (incarnation > 5)


def test_a_doubted_node_hears_of_it_refutes_and_is_believed_by_all() -> None:
    """n1 suspects n2 and tells n3; n2 answers n3, and n1 learns of it from n3."""
    n1 = members("n2", "n3")
    n2 = Membership("n2", 1, ("n1", "n3"), suspect_after_misses=2, dead_ms=1, trust_ms=1)
    n3 = Membership("n3", 1, ("n1", "n2"), suspect_after_misses=2, dead_ms=1, trust_ms=1)
    n1.heard("n2", 1, 50)
    for _ in range(MISSES):
        n1.missed("n2", 100)
    for opinion in n1.next_opinions("n3"):
        n3.receive(opinion, 110)
    assert of(n3).state is SUSPECT
    for opinion in n3.next_opinions("n2"):
        n2.receive(opinion, 120)
    assert n2.incarnation == 2
    for opinion in n2.next_opinions("n3"):
        n3.receive(opinion, 130)
    assert of(n3).state is ALIVE
    for opinion in n3.next_opinions("n1"):
        n1.receive(opinion, 140)
    assert (of(n1).state, of(n1).incarnation) == (ALIVE, 2)


evidence = st.one_of(
    st.tuples(st.just("heard"), st.integers(0, 4)),
    st.tuples(st.just("missed"), st.just(0)),
    st.tuples(st.sampled_from([ALIVE, SUSPECT, DEAD]), st.integers(0, 4)),
)


@given(st.lists(evidence, max_size=30))
def test_incarnations_never_fall_and_changes_tell_the_whole_story(
    story: list[tuple[str | State, int]],
) -> None:
    membership = members()
    state, incarnation = ALIVE, 0
    for at, (what, number) in enumerate(story):
        now_ms = at * 700
        if what == "heard":
            membership.heard("n2", number, now_ms)
        elif what == "missed":
            membership.missed("n2", now_ms)
        else:
            assert isinstance(what, State)
            membership.receive(Opinion("n2", what, number), now_ms)
        membership.tick(now_ms)
        assert of(membership).incarnation >= incarnation
        incarnation = of(membership).incarnation
        for change in membership.take_changes():
            assert change.state is not state
            state = change.state
        assert of(membership).state is state


@given(st.lists(st.tuples(st.sampled_from(list(State)), st.integers(0, 5)), max_size=12), st.data())
def test_opinions_settle_on_the_same_whatever_their_order(
    opinions: list[tuple[State, int]], data: st.DataObject
) -> None:
    one, other = members(), members()
    for each in opinions:
        one.receive(Opinion("n2", *each), 10)
    for each in data.draw(st.permutations(opinions)):
        other.receive(Opinion("n2", *each), 10)
    assert (of(one).state, of(one).incarnation) == (of(other).state, of(other).incarnation)


# --- passing it on ------------------------------------------------------------------------------


def test_an_idle_cluster_says_nothing_about_members() -> None:
    membership = members()
    membership.heard("n2", 1, 10)
    assert membership.next_opinions("n3") == []


def test_news_cools_after_a_logarithmic_number_of_tellings() -> None:
    peers = tuple(f"n{i}" for i in range(2, 27))
    membership = members(*peers)
    for _ in range(MISSES):
        membership.missed("n2", 0)
    told = 0
    while membership.next_opinions("n3"):
        told += 1
    assert told == 3 * ceil(log2(27))


def test_a_packet_carries_few_opinions_and_the_freshest_first() -> None:
    peers = tuple(f"n{i}" for i in range(2, 40))
    membership = members(*peers)
    for name in peers[:20]:
        membership.receive(Opinion(name, SUSPECT, 0), 0)
    first = [opinion.name for opinion in membership.next_opinions("n39")]
    assert first == list(peers[:OPINIONS_PER_PACKET_MAX])
    second = [opinion.name for opinion in membership.next_opinions("n39")]
    assert second == list(peers[OPINIONS_PER_PACKET_MAX : 2 * OPINIONS_PER_PACKET_MAX])
    membership.receive(Opinion("n1", DEAD, 1), 0)
    full = membership.next_opinions("n2")
    assert full[:2] == [Opinion("n2", SUSPECT, 0), Opinion("n1", ALIVE, 2)]
    assert len(full) == OPINIONS_PER_PACKET_MAX


def test_the_doubted_one_is_told_for_as_long_as_it_is_doubted() -> None:
    membership = in_state(DEAD, 3)
    for _ in range(50):
        assert membership.next_opinions("n2") == [Opinion("n2", DEAD, 3)]
        assert membership.next_opinions("n3") == []
    assert membership.next_opinions("stranger") == []


# --- incarnations that somebody made up ----------------------------------------------------------


def test_an_opinion_about_another_raises_its_incarnation_by_a_bounded_step() -> None:
    membership = members()
    for made_up in (LEAP_MAX + 1, NUMBER_MAX):
        membership.receive(Opinion("n2", DEAD, made_up), 10_000)
        assert of(membership).state is ALIVE
    membership.receive(Opinion("n2", DEAD, LEAP_MAX), 10_000)
    assert of(membership).state is DEAD
    membership.receive(Opinion("n2", DEAD, 2 * LEAP_MAX), 10_000)
    assert of(membership).incarnation == LEAP_MAX, "one step, and then it can be refuted"
    membership.receive(Opinion("n2", DEAD, 2 * LEAP_MAX), 20_000)
    assert of(membership).incarnation == 2 * LEAP_MAX


def test_a_node_goes_towards_a_made_up_incarnation_of_itself_in_steps() -> None:
    membership = members(incarnation=5)
    membership.receive(Opinion("n1", DEAD, NUMBER_MAX - 1), 10_000)
    assert membership.incarnation == 5 + LEAP_MAX + 1
    membership.receive(Opinion("n1", DEAD, NUMBER_MAX - 1), 10_100)
    assert membership.incarnation == 5 + LEAP_MAX + 1
    membership.receive(Opinion("n1", DEAD, NUMBER_MAX - 1), 20_000)
    assert membership.incarnation == 5 + 2 * (LEAP_MAX + 1)


# --- headers in the name of a peer --------------------------------------------------------------


def test_a_header_raises_an_incarnation_by_a_bounded_step() -> None:
    membership = members()
    membership.heard("n2", NUMBER_MAX, 10_000)
    assert of(membership).incarnation == LEAP_MAX
    membership.heard("n2", NUMBER_MAX, 10_001)
    assert of(membership).incarnation == LEAP_MAX, "one step, and then it can be refuted"
    membership.heard("n2", LEAP_MAX + START, 10_002)
    assert of(membership).incarnation == LEAP_MAX + START, "the next start is no leap"
    membership.heard("n2", NUMBER_MAX, 20_000)
    assert of(membership).incarnation == 2 * LEAP_MAX + START


def test_a_peer_that_was_spoofed_comes_back_by_itself() -> None:
    """Somebody sent a packet in its name with the largest incarnation, and then it was silent."""
    n1 = members("n2")
    n2 = Membership("n2", START, ("n1",), suspect_after_misses=MISSES, dead_ms=1, trust_ms=1)
    n1.heard("n2", n2.incarnation, 1)
    n1.heard("n2", NUMBER_MAX, 2)
    for _ in range(MISSES):
        n1.missed("n2", 10_000)
    n1.tick(10_000 + DEAD_MS)
    assert of(n1).state is DEAD
    for round_number in range(3):
        now_ms = 20_000 + 2_000 * round_number
        n1.heard("n2", n2.incarnation, now_ms)
        for opinion in n1.next_opinions("n2"):
            n2.receive(opinion, now_ms)
    assert of(n1).state is ALIVE
