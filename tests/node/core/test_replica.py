"""What a replica promises: durable before visible, facts are never judged, the past is kept."""

import pytest

from domain.clock import SKEW_MAX_MS
from domain.commands import PostMessage
from domain.events import MessagePosted
from domain.moderation import Policy
from gossip.packets import Push
from node.core import emitter
from node.core.interface import Acked, Denied, Persisted, Submit, Unmet
from node.core.ports import AckLevel, EpochRecord, EventRecord
from tests.node.replicas import WALL_MS, Node, exchange, settle

# --- durable before visible -----------------------------------------------------------------------


def test_nothing_of_an_own_event_leaves_before_it_is_durable() -> None:
    node = Node(persist=False)
    node.write()
    node.sent.clear()
    node.post("hello")
    assert len(node.unwritten) == 1
    assert (node.outcomes, node.published, node.texts, node.sent) == ({}, [], [], [])
    root = node.replica.root
    out = node.write()
    assert [type(packet.body) for _, packet in out.send] == [Push, Push]
    assert node.published == ["ana"]
    assert node.texts == ["hello"]
    assert node.replica.root != root
    outcome = node.outcomes[1]
    assert type(outcome) is Acked
    assert outcome.level is AckLevel.DURABLE
    assert outcome.text == "hello"


@pytest.mark.parametrize("ack", [AckLevel.WRITTEN, AckLevel.DURABLE])
def test_written_is_enough_to_be_visible_where_the_mode_says_so(ack: AckLevel) -> None:
    node = Node(persist=False, durability="interval")
    node.write()
    node.submit(PostMessage("ana", "hello"), ack)
    node.write(durable=False)
    assert node.texts == ["hello"]
    assert bool(node.outcomes) is (ack is AckLevel.WRITTEN)
    node.turn(Persisted(2, 2))
    assert type(node.outcomes[1]) is Acked


def test_in_mode_always_written_is_acknowledged_no_sooner_than_durable() -> None:
    node = Node(persist=False)
    node.write()
    node.submit(PostMessage("ana", "hello"), AckLevel.WRITTEN)
    node.write(durable=False)
    assert node.outcomes == {}
    node.turn(Persisted(2, 2))
    acked = node.outcomes[1]
    assert type(acked) is Acked
    assert acked.level is AckLevel.WRITTEN


def test_arrivals_become_visible_in_the_order_of_their_records() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    two.post("from n2")
    one.persist = False
    one.post("from n1")
    exchange(one, two)
    assert one.texts == []
    assert one.replica.frontier.count == 1, "n2 must not send it again"
    one.write()
    assert one.texts == ["from n1", "from n2"]
    assert one.restarted().texts == one.texts


def test_the_root_that_is_shown_is_that_of_what_is_visible() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    one.persist = False
    before = one.replica.root
    two.post("from n2")
    exchange(one, two)
    assert one.replica.root == before != one.replica.frontier.root
    one.write()
    assert one.replica.root == one.replica.frontier.root == two.replica.root


# --- commands -------------------------------------------------------------------------------------


def test_moderation_rejects_or_censors_commands() -> None:
    node = Node()
    denied = node.post("this is forbidden")
    assert type(denied) is Denied
    assert (denied.by, denied.rules) == ("moderation", ("no",))
    censored = node.post("dang it")
    assert type(censored) is Acked
    assert censored.rules == ("mild",)
    assert node.texts == [censored.text]
    assert "dang" not in censored.text
    assert node.replica.counters["rejected"] == node.replica.counters["censored"] == 1


def test_names_are_moderated_and_never_censored() -> None:
    node = Node()
    for _ in range(2):  # what is remembered of a name says the same
        for answer in (node.join("dang"), node.leave("dang"), node.post("hi", author="Mr dang")):
            assert type(answer) is Denied
            assert (answer.by, answer.rules) == ("moderation", ("mild",))
            assert "name" in answer.reason
    assert node.texts == []
    node.replica.set_policy(Policy((), ()))
    assert type(node.join("dang")) is Acked


def test_the_memory_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter, "NAMES_MAX", 2)
    node = Node()
    answers = [type(node.join(name)) for name in ("a", "b", "c", "dang")]
    assert answers == [Acked, Acked, Acked, Denied]


def test_moderation_never_judges_what_others_said() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    two.replica.set_policy(Policy((), ()))
    two.post("this is forbidden, dang")
    exchange(one, two)
    assert one.texts == ["this is forbidden, dang"]


def test_the_domain_refuses_and_nothing_is_emitted() -> None:
    node = Node()
    denied = node.post("   ")
    assert type(denied) is Denied
    assert denied.by == "domain"
    assert node.texts == []
    acked = node.post("first")
    assert type(acked) is Acked
    assert acked.dot.seq == 1


def test_nobody_joins_twice_within_one_sync() -> None:
    node = Node(persist=False)
    node.write()
    node.join("ana")
    node.join("ana")
    denied = node.outcomes[2]
    assert type(denied) is Denied
    node.leave("ana")
    node.write()
    assert type(node.outcomes[1]) is type(node.outcomes[3]) is Acked
    assert not node.replica.presence.is_active("ana")


def test_events_name_what_their_node_had_seen_since_its_last_own_event() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    for text in ("a", "b"):
        two.post(text)
    exchange(one, two)
    one.post("answer")
    one.post("more")
    answer, more = [a.event for a in one.replica.timeline.select("causal")][-2:]
    assert [dot.seq for dot in answer.parents] == [2]
    assert more.parents == ()
    assert one.restarted().post("again") is not None


# --- acknowledgements -----------------------------------------------------------------------------


def test_replicated_waits_for_receipts_of_that_many_peers() -> None:
    nodes = [Node(name, tuple({"n1", "n2", "n3"} - {name})) for name in ("n1", "n2", "n3")]
    one = nodes[0]
    assert one.post("hello", ack=AckLevel.REPLICATED, copies=2) is None  # type: ignore[arg-type]
    exchange(*nodes, lost=("n3",))
    assert one.outcomes == {}
    settle(*nodes, ms=1500)
    acked = one.outcomes[1]
    assert type(acked) is Acked
    assert (acked.level, acked.copies) == (AckLevel.REPLICATED, 2)


def test_a_promise_that_cannot_be_kept_in_time_names_the_event_all_the_same() -> None:
    node = Node()
    assert node.post("hello", ack=AckLevel.REPLICATED, copies=1, timeout_ms=200) is None  # type: ignore[arg-type]
    node.turn(ms=199)
    assert node.outcomes == {}
    assert node.replica.wake_at_ms <= 200
    node.turn(ms=1)
    unmet = node.outcomes[1]
    assert type(unmet) is Unmet
    assert unmet.code == "ack_timeout"
    assert unmet.dot is not None
    assert "1 other nodes" in unmet.reason
    assert node.texts == ["hello"]


def test_an_overdue_promise_is_answered_once() -> None:
    node = Node(persist=False)
    node.write()
    node.post("hello", timeout_ms=100)
    out = node.turn(ms=100)
    assert len(out.reply) == 1
    out = node.write()
    assert out.reply == []
    assert node.texts == ["hello"]


def test_more_commands_than_can_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.core.commit_tracker.SUBMITTED_MAX", 2)
    node = Node(persist=False)
    node.write()
    for _ in range(3):
        node.post("hello")
    unmet = node.outcomes[3]
    assert type(unmet) is Unmet
    assert unmet.code == "busy"
    node.write()
    assert type(node.outcomes[1]) is type(node.outcomes[2]) is Acked


# --- the disk fails -------------------------------------------------------------------------------


def test_an_own_event_that_was_not_written_never_was() -> None:
    node = Node(persist=False)
    node.write()
    node.post("lost")
    node.post("lost, too")
    node.fail()
    for ticket in (1, 2):
        unmet = node.outcomes[ticket]
        assert type(unmet) is Unmet
        assert (unmet.code, unmet.dot) == ("disk_full", None)
    assert node.is_("running"), "nothing is stuck: the next command is taken, and is the probe"
    node.post("kept")
    node.write()
    acked = node.outcomes[3]
    assert type(acked) is Acked
    assert acked.dot.seq == 1
    assert node.texts == ["kept"]
    assert node.is_("running")
    assert [note.event for note in node.notes if note.event.startswith("writes")] == [
        "writes_refused",
        "writes_resumed",
    ]
    assert node.restarted().texts == ["kept"]


def test_what_came_from_others_is_written_later_and_nothing_more_is_taken_in_meanwhile() -> None:
    one, two = Node("n1", ("n2",), persist=False), Node("n2", ("n1",))
    one.write()
    two.post("first")
    exchange(one, two)
    one.post("own")
    one.fail()
    assert one.is_("read_only")
    assert one.replica.root == Node("n1", ("n2",), persist=False).replica.root  # nothing is shown
    two.post("second")
    exchange(one, two)
    assert one.replica.counters["unwritable"] > 0
    refused = one.post("refused")
    assert type(refused) is Unmet
    assert refused.code == "disk_full"
    assert one.unwritten == []
    assert one.replica.wake_at_ms <= one.now_ms + 500
    one.turn(ms=500)
    assert len(one.unwritten) == 1
    one.write()
    assert one.texts == ["first"]
    one.persist = True
    settle(one, two)
    assert one.texts == ["first", "second"]
    assert one.replica.root == two.replica.root


def test_a_second_failure_keeps_the_order_of_what_is_stuck() -> None:
    one, two = Node("n1", ("n2",), persist=False), Node("n2", ("n1",))
    one.write()
    for text in ("a", "b"):
        two.post(text)
    exchange(one, two)
    one.fail()
    one.turn(ms=500)
    one.fail()
    one.turn(ms=500)
    one.write()
    assert one.texts == ["a", "b"]


def test_a_final_failure_ends_writing_and_reading_goes_on() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    one.post("kept")
    one.persist = False
    one.post("lost")
    one.fail(final=True, code="storage_error")
    refused = one.post("refused")
    assert type(refused) is Unmet
    assert refused.code == "storage_error"
    two.post("from n2")
    settle(one, two)
    assert one.texts == ["kept"]
    assert two.texts == ["from n2", "kept"], "it still gossips what it has"
    assert one.is_("read_only")


def test_an_epoch_that_could_not_be_written_is_written_before_its_events() -> None:
    node = Node(persist=False)
    node.fail()
    assert type(node.post("too early")) is Unmet
    node.turn(ms=500)
    assert type(node.post("still too early")) is Unmet, "handed out again is not written"
    node.write()
    node.post("hello")
    node.write()
    assert [type(record) for record in node.journal] == [EpochRecord, EventRecord]
    assert node.texts == ["hello"]


# --- what others say ------------------------------------------------------------------------------


def test_a_stamp_from_the_future_is_shown_as_skewed_and_not_followed() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    two.now_ms = 2 * SKEW_MAX_MS
    two.post("from the future")
    exchange(one, two)
    arrival = one.replica.timeline.select("arrival")[0]
    assert arrival.skewed
    one.post("now")
    stamps = [a.event.stamp.ms for a in one.replica.timeline.select("arrival")]
    assert stamps[1] < stamps[0] - SKEW_MAX_MS
    assert [a.skewed for a in one.restarted().replica.timeline.select("arrival")] == [True, False]


TEN_YEARS_MS = 10 * 365 * 86_400_000


def stamps_of(node: Node) -> list[int]:
    """Without what the clock of the test shows anyway."""
    arrivals = node.replica.timeline.select("arrival")
    return [arrival.event.stamp.ms - WALL_MS for arrival in arrivals]


def heard(node: Node, other_off_ms: int = 0) -> None:
    """Another node says something, by its own clock."""
    name = f"n{9 + len(node.texts)}"
    other = Node(name, ("n1",))
    other.now_ms, other.clock_off_ms = node.now_ms, other_off_ms
    other.post("as I see it")
    exchange(node, other)


def own_stamps(node: Node) -> list[int]:
    arrivals = node.replica.timeline.select("arrival")
    return [one.event.stamp.ms - WALL_MS for one in arrivals if one.event.dot.origin == "n1"]


OTHERS = tuple(f"n{number}" for number in range(2, 20))


@pytest.mark.parametrize("restart", [False, True])
def test_after_a_clock_that_was_ten_years_ahead_own_stamps_come_back_and_say_so(
    restart: bool,
) -> None:
    node = Node("n1", OTHERS)
    node.post("before")
    heard(node)
    node.clock_off_ms = TEN_YEARS_MS
    node.post("far ahead")
    node.clock_off_ms = 0
    if restart:
        node = node.restarted()
    node.now_ms += 5000
    node.post("after")
    stamps = own_stamps(node)
    assert stamps[1] >= TEN_YEARS_MS and stamps[0] < stamps[2] == node.now_ms
    (told,) = node.said("stamps_set_back")
    assert told.fields["ahead_ms"] == 0 and told.fields["were_ahead_ms"] == TEN_YEARS_MS - 5000
    assert node.replica.stamps_ahead_ms == 0
    node.post("and on")
    assert own_stamps(node)[3] >= stamps[2] and len(node.said("stamps_set_back")) == 1
    again = node.restarted()
    again.now_ms = node.now_ms + 1000
    again.post("after another start")
    assert own_stamps(again)[-1] == again.now_ms


@pytest.mark.parametrize("off_ms", [-TEN_YEARS_MS, -40 * 86_400_000, 1 - WALL_MS])
def test_a_clock_that_is_far_behind_now_does_not_turn_the_order_round(off_ms: int) -> None:
    """As of a board without a battery, before it has found its time server."""
    node = Node("n1", OTHERS)
    heard(node)
    node.post("before")
    node.clock_off_ms = off_ms
    node.post("while it is wrong")
    assert own_stamps(node) == sorted(own_stamps(node)) and not node.said("stamps_set_back")
    assert len(node.said("stamps_ahead")) == 1
    node.clock_off_ms = 0
    node.post("after")
    assert own_stamps(node) == sorted(own_stamps(node)) and node.replica.stamps_ahead_ms == 0


def test_who_is_alone_keeps_the_order_until_somebody_else_says_what_time_it_is() -> None:
    node = Node("n1", OTHERS)
    node.clock_off_ms = TEN_YEARS_MS
    node.post("far ahead")
    node.clock_off_ms = 0
    node.post("nobody knows")
    assert own_stamps(node)[1] >= TEN_YEARS_MS and len(node.said("stamps_ahead")) == 1
    heard(node)
    node.post("now one does")
    assert own_stamps(node)[2] < 60_000 and len(node.said("stamps_set_back")) == 1


def test_what_waits_for_the_disk_is_not_gone_behind() -> None:
    node = Node("n1", OTHERS)
    heard(node)
    node.persist = False
    node.clock_off_ms = 3_600_000
    node.post("an hour ahead, and not written yet")
    node.clock_off_ms = TEN_YEARS_MS
    node.post("far ahead")
    node.clock_off_ms = 0
    node.post("after")
    node.write()
    _, first, _, third = (one.event.stamp for one in node.replica.timeline.select("arrival"))
    assert first < third and third.ms - WALL_MS == 3_600_000


def test_a_glitch_of_less_than_a_day_keeps_the_order_and_is_told_once() -> None:
    node = Node()
    node.clock_off_ms = 14 * 3_600_000  # the wrong zone
    node.post("ahead")
    node.clock_off_ms = 0
    for _ in range(3):
        node.post("after")
    stamps = stamps_of(node)
    assert stamps == sorted(stamps) and stamps[-1] >= 14 * 3_600_000
    assert len(node.said("stamps_ahead")) == 1 and not node.said("stamps_set_back")
    assert node.replica.stamps_ahead_ms > 13 * 3_600_000


def test_bytes_that_are_no_event_are_counted_and_change_nothing() -> None:
    one, two = Node("n1", ("n2",)), Node("n2", ("n1",))
    two.post("hello")
    push = next(packet for _, packet in two.sent if type(packet.body) is Push)
    assert type(push.body) is Push
    push.body.runs[0].data[0] = b"\xff nonsense"
    one.receive(push)
    assert one.texts == []
    assert one.replica.counters["entries_bad"] == 1


def test_peers_are_described_as_this_node_sees_them() -> None:
    one, two = Node("n1", ("n2", "n3")), Node("n2", ("n1", "n3"))
    settle(one, two)
    peers = one.replica.peer_states(one.now_ms)
    assert peers["n2"].state == "alive"
    assert peers["n2"].in_sync
    assert peers["n2"].incarnation == 1
    assert peers["n2"].last_heard_ms is not None
    assert peers["n3"].last_heard_ms is None
    assert peers["n3"].state in ("suspect", "dead")
    assert one.said("peer_suspect")


def test_a_replica_is_a_function_of_its_seed_and_inputs() -> None:
    def life(seed: int) -> list[object]:
        one, two = Node("n1", ("n2",), seed=seed), Node("n2", ("n1",), seed=seed)
        outs: list[object] = []
        for i in range(20):
            submit = Submit(i, PostMessage("ana", f"text {i}"), AckLevel.DURABLE)
            outs.append(one.turn(submit, ms=37))
            exchange(one, two)
            outs.append(two.turn(ms=11))
        return [*outs, one.journal, two.journal]

    assert life(1) == life(1)
    assert life(1) != life(2)


def test_a_monotonic_clock_that_goes_back_is_a_bug_of_the_caller() -> None:
    node = Node()
    node.turn(ms=10)
    with pytest.raises(AssertionError, match="went back"):
        node.turn(ms=-1)


def test_texts_of_every_arrival_are_the_events_own() -> None:
    node = Node()
    node.join("ana")
    node.post("hello")
    kinds = [type(a.event) for a in node.replica.timeline.select("arrival")]
    assert kinds[1] is MessagePosted
    assert len(kinds) == 2
