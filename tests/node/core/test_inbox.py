"""The inbox: who comes first, who waits, and what is dropped and counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import PostMessage
from gossip.packets import PROTOCOL_VERSION, Ack, Body, Packet, Push, Same
from node.core import inbox
from node.core.inbox import (
    CURRENT_ENTRY_US,
    LANE_BYTES_MAX,
    LANE_PACKETS_MAX,
    OLD_ENTRY_US,
    OWED_US_MAX,
    PACKET_COST_BYTES,
    PEOPLE_MS,
    RESTING_BYTES_MAX,
    RESTING_PACKETS_MAX,
    SAVED_US_MAX,
    SHARE_US_PER_MS,
    TURN_BYTES,
    Inbox,
)
from node.core.interface import Input, Persisted, PersistFailed, Received, Submit
from node.core.ports import AckLevel

PEERS = ("n2", "n3")
ALL = 2048


def packet(sender: str, number: int, size: int = 100, decoded_us: int = 0) -> Received:
    return received(sender, number, Same(1, bytes(16)), size, decoded_us)


def received(
    sender: str, number: int, body: Body, size: int = 100, decoded_us: int = 0
) -> Received:
    return Received(Packet(PROTOCOL_VERSION, 1, sender, 1, number, body), size, decoded_us)


def submit(ticket: int) -> Submit:
    return Submit(ticket, PostMessage("ana", "hello"), AckLevel.WRITTEN)


def turn(box: Inbox, inputs_max: int = ALL) -> list[Input]:
    """The inputs of one turn, in order."""
    own = box.own(inputs_max)
    return [*own, *box.packets(inputs_max - len(own))]


def numbers(items: list[Input], sender: str) -> list[int]:
    return [
        item.packet.number
        for item in items
        if type(item) is Received and item.packet.sender == sender
    ]


def test_people_and_the_journal_come_before_packets() -> None:
    box = Inbox(PEERS)
    for item in (packet("n2", 1), submit(1), packet("n3", 1), Persisted(1, 1), submit(2)):
        assert box.add(item)
    taken = turn(box)
    assert taken[:3] == [submit(1), Persisted(1, 1), submit(2)]
    assert len(taken) == 5
    assert not len(box)


def test_a_newer_progress_takes_the_place_of_the_one_just_before_it() -> None:
    box = Inbox(PEERS)
    failed = PersistFailed(2, "disk_full", "full", final=False)
    for item in (Persisted(1, 0), Persisted(2, 1), failed, Persisted(3, 3), Persisted(4, 4)):
        box.add(item)
    assert turn(box) == [Persisted(2, 1), failed, Persisted(4, 4)]


def test_a_peer_that_sends_without_a_pause_delays_another_one_by_no_turn() -> None:
    box = Inbox(PEERS)
    for number in range(1000):
        box.add(packet("n2", number, 60_000))
    box.add(packet("n3", 7))
    assert numbers(turn(box), "n3") == [7]


def test_two_peers_that_send_without_a_pause_share_each_turn_by_bytes() -> None:
    box = Inbox(PEERS)
    for number in range(500):
        box.add(packet("n2", number, 16_000))
        for part in range(10):
            box.add(packet("n3", 10 * number + part, 1600))
    taken = {"n2": 0, "n3": 0}
    for _ in range(10):
        for item in turn(box):
            assert type(item) is Received
            taken[item.packet.sender] += item.size
    assert 0.8 < taken["n2"] / taken["n3"] < 1.25


def test_names_that_nobody_configured_share_one_queue() -> None:
    box = Inbox(PEERS)
    kept = [box.add(packet(f"x{number}", number)) for number in range(LANE_PACKETS_MAX + 10)]
    assert kept.count(False) == box.unheard == 10
    assert box.add(packet("n2", 1))


def test_each_queue_is_bounded_in_bytes_and_what_finds_no_room_is_counted() -> None:
    box = Inbox(PEERS)
    size = 1024 * 1024
    kept = [box.add(packet("n2", number, size)) for number in range(20)]
    assert sum(kept) * size == LANE_BYTES_MAX
    assert box.unheard == 4
    assert box.add(packet("n3", 1, size))


def test_one_turn_takes_at_least_one_packet_and_few_bytes() -> None:
    box = Inbox(PEERS)
    for number in range(5):
        box.add(packet("n2", number, 4 * TURN_BYTES))
    assert [numbers(turn(box), "n2") for _ in range(5)] == [[0], [1], [2], [3], [4]]


def test_what_a_turn_does_not_ask_for_waits_on() -> None:
    box = Inbox(PEERS)
    for number in range(4):
        box.add(packet("n2", number))
    box.add(packet("n3", 0))
    first = next(box.packets(ALL))
    assert len(box) == 4
    rest = turn(box)
    assert numbers([first, *rest], "n2") == [0, 1, 2, 3]
    assert numbers([first, *rest], "n3") == [0]
    assert not len(box)


def test_what_is_cleared_is_gone() -> None:
    box = Inbox(PEERS)
    box.add(submit(1))
    box.add(packet("n2", 1))
    box.clear()
    assert not len(box)
    assert turn(box) == []
    box.add(packet("n2", 2))
    assert numbers(turn(box), "n2") == [2]


ADDED = st.lists(
    st.tuples(st.sampled_from(("n2", "n3", "x", "own")), st.integers(1, 700_000)), max_size=60
)


@given(ADDED, st.integers(1, 20), st.integers(1, 10))
def test_everything_is_taken_once_in_its_order_or_counted(
    added: list[tuple[str, int]], inputs_max: int, every: int
) -> None:
    box = Inbox(PEERS)
    sent: dict[str, list[int]] = {"n2": [], "n3": [], "x": []}
    taken: list[Input] = []
    submitted = 0

    def one_turn() -> None:
        inputs = turn(box, inputs_max)
        assert len(inputs) <= inputs_max
        packets = [item for item in inputs if type(item) is Received]
        cost = sum(max(item.size, PACKET_COST_BYTES) for item in packets[:-1])
        assert cost < TURN_BYTES, "a turn goes on after it has taken its bytes"
        assert inputs or not len(box), "something waits, and nothing is taken"
        own = [type(item) is not Received for item in inputs]
        assert own == sorted(own, reverse=True)
        taken.extend(inputs)

    for number, (sender, size) in enumerate(added):
        if sender == "own":
            submitted += 1
            box.add(submit(submitted))
        elif box.add(packet(sender, number, size)):
            sent[sender].append(number)
        if not number % every:
            one_turn()
    while len(box):
        one_turn()
    for sender, expected in sent.items():
        assert numbers(taken, sender) == expected
    assert [item.ticket for item in taken if type(item) is Submit] == list(range(1, submitted + 1))
    lost = len(added) - submitted - sum(map(len, sent.values()))
    assert box.unheard == lost


def test_the_bounds_leave_room_for_the_largest_packet() -> None:
    assert inbox.QUANTUM_BYTES <= TURN_BYTES <= LANE_BYTES_MAX


# --- a share of the time --------------------------------------------------------------------------

ONE_REST_MS = 10
COSTLY_US = OWED_US_MAX + ONE_REST_MS * SHARE_US_PER_MS


def with_people(now_ms: int = 0) -> Inbox:
    box = Inbox(PEERS)
    box.add(submit(1))
    box.own(1)
    box.look(now_ms)
    return box


def taken(box: Inbox, now_ms: int, took_us: int = 0, current: int = 0, old: int = 0) -> list[str]:
    """Who is heard in one turn, if each packet takes so long."""
    box.look(now_ms)
    senders = []
    for one in box.packets(ALL):
        box.charge(one, took_us, old + current, current, now_ms)
        senders.append(one.packet.sender)
    return senders


def test_who_took_too_much_of_the_time_rests_while_there_are_people() -> None:
    box = with_people()
    for number in range(3):
        box.add(packet("n2", number))
        box.add(packet("n3", number))
    box.look(0)
    (first, *_) = box.packets(1)
    assert first.packet.sender == "n2"
    box.charge(first, COSTLY_US, 0, 0, 0)
    assert taken(box, 0) == ["n3"] * 3
    assert box.due_ms == ONE_REST_MS
    assert taken(box, ONE_REST_MS - 1) == []
    assert taken(box, ONE_REST_MS) == ["n2"] * 2
    assert box.due_ms is None


def test_a_packet_that_took_too_long_is_the_last_one_of_its_sender_in_a_turn() -> None:
    box = with_people()
    for number in range(3):
        box.add(packet("n2", number))
    assert taken(box, 0, COSTLY_US) == ["n2"]


def test_without_people_nobody_rests() -> None:
    box = Inbox(PEERS)
    for number in range(3):
        box.add(packet("n2", number))
    assert taken(box, 0, 100 * COSTLY_US) == ["n2"] * 3
    box = with_people()
    for number in range(2):
        box.add(packet("n2", number))
    assert taken(box, 0, 100 * COSTLY_US) == ["n2"]
    assert taken(box, PEOPLE_MS - 1) == []
    assert taken(box, PEOPLE_MS) == ["n2"]


def test_what_configured_nodes_write_now_is_not_owed() -> None:
    box = with_people()
    for number in range(20):
        box.add(packet("n2", number))
    current = COSTLY_US // CURRENT_ENTRY_US + 1
    assert taken(box, 0, COSTLY_US, current) == ["n2"] * 20


@pytest.mark.parametrize(
    ("body", "current", "rests"),
    [
        (Push([], direct=True), 1, True),
        (Push([], direct=True), 0, False),
        (Ack(1, [], more=False), 1, False),
    ],
)
def test_people_elsewhere_are_people_too_and_catching_up_is_none(
    body: Body, current: int, rests: bool
) -> None:
    box = Inbox(PEERS)
    box.add(received("n2", 0, body))
    assert taken(box, 0, 1, current) == ["n2"]
    box.look(1)
    box.add(packet("n3", 0))
    assert taken(box, 1, COSTLY_US) == ["n3"]
    assert (box.rests_ms("n3", 1) > 0) == rests
    assert box.rests_ms("n3", PEOPLE_MS) == 0


def test_a_long_run_of_other_logs_is_free_and_saves_nothing() -> None:
    box = with_people()
    run = COSTLY_US // OLD_ENTRY_US + 1
    for number in range(3):
        box.add(packet("n2", number))
        assert taken(box, 0, COSTLY_US, old=2 * run) == ["n2"]
        assert box.rests_ms("n2", 0) == 0
    box.add(packet("n2", 3))
    assert taken(box, 0, COSTLY_US + OLD_ENTRY_US, old=1) == ["n2"]
    assert box.rests_ms("n2", 0) == ONE_REST_MS


def test_what_entries_have_paid_is_saved_up_to_a_bound() -> None:
    box = with_people()
    for number in range(3):
        box.add(packet("n2", number))
        assert taken(box, 0, 1, 2 * SAVED_US_MAX // CURRENT_ENTRY_US) == ["n2"]
    box.add(packet("n2", 3))
    assert taken(box, 10, SAVED_US_MAX + COSTLY_US) == ["n2"], "time saves nothing"
    assert box.rests_ms("n2", 10) == ONE_REST_MS


def test_decoding_is_owed_also_of_what_finds_no_room() -> None:
    box = with_people()
    for number in range(3):
        assert box.add(packet("n2", number, decoded_us=COSTLY_US // 2 + 1))
    assert not box.add(packet("n2", 3, RESTING_BYTES_MAX, decoded_us=COSTLY_US))
    box.add(packet("n3", 1))
    assert taken(box, 0) == ["n3"]
    assert box.rests_ms("n2", 0) >= COSTLY_US // SHARE_US_PER_MS + ONE_REST_MS
    nobody = Inbox(PEERS)
    nobody.add(packet("n2", 1, decoded_us=COSTLY_US))
    assert taken(nobody, 0) == ["n2"]


def test_how_long_a_sender_rests_is_known_while_there_are_people() -> None:
    box = with_people()
    box.add(packet("n2", 0))
    assert box.rests_ms("n2", 0) == 0
    assert taken(box, 0, OWED_US_MAX + 100 * PEOPLE_MS * SHARE_US_PER_MS) == ["n2"]
    assert box.rests_ms("n2", 0) == 100 * PEOPLE_MS
    assert box.rests_ms("n2", 10) == 100 * PEOPLE_MS - 10
    assert box.rests_ms("n3", 0) == box.rests_ms("a stranger", 0) == 0
    assert box.rests_ms("n2", PEOPLE_MS) == 0


def test_of_who_rests_few_packets_wait_and_at_least_one() -> None:
    for size, room in ((1, RESTING_PACKETS_MAX), (RESTING_BYTES_MAX, 1)):
        box = with_people()
        box.add(packet("n2", 0))
        assert taken(box, 0, COSTLY_US) == ["n2"]
        added = [box.add(packet("n2", number, size)) for number in range(room + 5)]
        assert added == [True] * room + [False] * 5
        assert box.unheard == 5
        assert box.add(packet("n3", 1, size))


def test_commands_and_the_journal_are_due_at_once() -> None:
    box = with_people()
    box.add(packet("n2", 1))
    box.add(packet("n2", 2))
    assert box.due_ms == 0
    assert taken(box, 0, COSTLY_US) == ["n2"]
    box.add(Persisted(1, 1))
    assert box.due_ms == 0
