"""How a replica is driven: what waits, what a turn does in which order, and when it is over."""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from domain.arrival import Arrival
from domain.commands import PostMessage
from domain.dot import LogId
from gossip.packets import Packet
from gossip.wire import encode
from node.core import inbox
from node.core.checkpoint import Checkpoint
from node.core.inbox import CURRENT_ENTRY_US, OLD_ENTRY_US, OWED_US_MAX, SHARE_US_PER_MS
from node.core.interface import Acked, Outbox, Outcome, Persisted, PersistFailed, Received, Submit
from node.core.ports import AckLevel, Note, Record
from node.core.replica import Replica, ReplicaConfig
from node.core.turn_loop import TurnLoop
from node.storage.codec import ProtobufCodec
from tests.node.replicas import WALL_MS
from tests.node.runtimes import News


class Bench:
    """A replica, its turns, and a world that writes down what it is asked."""

    def __init__(self, inputs_max: int = 100) -> None:
        config = ReplicaConfig("n1", "test", ("n2", "n3"))
        self.replica = Replica(config, ProtobufCodec(), Random(1), 1)
        self.turns = TurnLoop(self.replica, self, inputs_max)
        self.now_ms = 0
        self.asked = 0
        self.slow = False  # each packet takes long
        self.worked = self.each_us = 0
        self.woken_at: list[int] = []
        self.did: list[str] = []
        self.persisted: list[Record] = []
        self.replies: dict[int, Outcome] = {}
        self.broken: list[Exception] = []
        self.hook: Callable[[str], None] = lambda _: None
        self.replica.boot(0, WALL_MS, "")
        self.news = News()
        self.turns.run()
        self.did.clear()

    def _do(self, what: str) -> None:
        self.did.append(what)
        self.hook(what)

    # --- ports ----------------------------------------------------------------------------------

    def clock(self) -> tuple[int, int]:
        return self.now_ms, WALL_MS + self.now_ms

    def late(self) -> bool:
        return self.slow

    def worked_us(self) -> int:
        self.worked += self.each_us
        return self.worked

    def soon(self) -> None:
        self.asked += 1

    def wake(self, at_ms: int) -> None:
        self.woken_at.append(at_ms)

    def failing(self, failure: PersistFailed) -> None:
        del self.persisted[failure.kept :]
        self._do("failing")

    def persist(self, outbox: Outbox) -> None:
        self.persisted += outbox.persist
        self._do("persist")

    def send(self, packets: list[tuple[str, Packet]]) -> None:
        self._do("send")

    def publish(self, published: list[tuple[int, Arrival]]) -> None:
        self._do("publish")

    def reply(self, replies: list[tuple[int, Outcome]]) -> None:
        self.replies |= dict(replies)
        self._do("reply")

    def note(self, notes: list[Note]) -> None:
        self._do("note")

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._do("keep")

    def broke(self, error: Exception) -> None:
        self.broken.append(error)

    # --- what a test does -----------------------------------------------------------------------

    def receive(self, count: int = 1) -> bool:
        packet = self.news.packet(count)
        return self.turns.take(Received(packet, len(encode(packet))))

    def post(self, ticket: int, text: str = "hello") -> bool:
        return self.turns.take(Submit(ticket, PostMessage("ana", text), AckLevel.DURABLE))

    def written(self) -> None:
        self.turns.take(Persisted(len(self.persisted), len(self.persisted)))
        self.turns.run()


def test_inputs_that_wait_share_a_turn_which_is_asked_for_once() -> None:
    bench = Bench()
    bench.receive()
    bench.receive()
    bench.post(1)
    assert (bench.asked, bench.turns.waiting, bench.turns.runs) == (1, 3, 1)
    bench.turns.run()
    assert (bench.turns.waiting, bench.turns.runs) == (0, 2)
    assert bench.did.count("persist") == 1
    assert len(bench.persisted) == 4  # with the epoch
    bench.receive()
    assert bench.asked == 2


def test_a_turn_steps_no_more_than_its_bound_and_asks_for_another() -> None:
    bench = Bench(inputs_max=2)
    for _ in range(5):
        bench.receive()
    for left, asked in ((3, 2), (1, 3), (0, 3)):
        bench.turns.run()
        assert (bench.turns.waiting, bench.asked) == (left, asked)
    assert len(bench.persisted) == 6


def test_what_an_outbox_holds_is_done_in_the_order_of_its_fields() -> None:
    bench = Bench()
    bench.post(1)
    bench.turns.run()
    assert bench.did == ["persist"]
    bench.did.clear()
    bench.written()
    assert bench.did == ["send", "publish", "reply", "note"]
    assert type(bench.replies[1]) is Acked


def test_a_failure_covers_what_was_handed_out_before_it_and_nothing_later() -> None:
    """The epoch is written; then one command, the failure, and another command, in one turn."""
    bench = Bench()
    bench.written()
    bench.did.clear()
    bench.post(1)
    bench.turns.take(PersistFailed(1, "disk_full", "no room", False))
    bench.post(2)
    bench.turns.run()
    assert bench.did == ["persist", "failing", "persist", "reply", "note"]
    assert len(bench.persisted) == 2, "the epoch, and the second command"
    assert list(bench.replies) == [1]
    bench.written()
    acked = bench.replies[2]
    assert type(acked) is Acked
    assert acked.dot.seq == 1


def test_a_newer_progress_takes_the_place_of_one_that_waits() -> None:
    bench = Bench()
    bench.post(1)
    bench.turns.run()
    bench.turns.take(Persisted(1, 0))
    bench.turns.take(Persisted(2, 2))
    assert bench.turns.waiting == 1
    bench.turns.take(PersistFailed(2, "disk_full", "no room", False))
    bench.turns.take(Persisted(2, 2))
    assert bench.turns.waiting == 3, "what came before a failure is not mixed with what came after"
    bench.turns.run()
    assert type(bench.replies[1]) is Acked


def test_what_the_inbox_drops_is_not_taken_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LANE_PACKETS_MAX", 3)
    bench = Bench(inputs_max=2)
    assert [bench.receive() for _ in range(5)] == [True, True, True, False, False]
    assert bench.turns.unheard == 2
    assert bench.post(1), "commands have their own bound, at their door"
    bench.turns.run()
    assert [bench.receive() for _ in range(3)] == [True, False, False]
    assert bench.turns.unheard == 4


def test_the_timer_is_set_when_the_replica_wants_another_time_and_not_before() -> None:
    bench = Bench()
    (first_ms,) = bench.woken_at
    assert first_ms == max(bench.replica.wake_at_ms, 1)
    bench.turns.ask()
    bench.turns.run()
    assert bench.woken_at == [first_ms]
    bench.now_ms = first_ms
    bench.turns.woke()
    bench.turns.run()
    assert bench.woken_at[1] > first_ms
    bench.turns.lost_timer()
    bench.turns.run()
    assert bench.woken_at[1] == bench.woken_at[2]


def test_an_overdue_replica_is_asked_again_a_millisecond_later() -> None:
    bench = Bench()
    bench.now_ms = 10
    bench.replica._next_due_ms = lambda: 3  # type: ignore[method-assign]
    bench.turns.run()
    assert bench.woken_at[-1] == 11


@pytest.mark.parametrize("where", ["step", "drain"])
def test_what_came_out_half_stepped_is_never_stepped_again(where: str) -> None:
    bench = Bench()

    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    whole = getattr(bench.replica, where)
    setattr(bench.replica, where, fails)
    bench.receive()
    bench.turns.leave()
    bench.turns.run()
    assert [str(error) for error in bench.broken] == ["a bug"]
    assert bench.turns.over
    calls: list[object] = []

    def watched(*args: object) -> object:
        calls.append(args)
        return whole(*args)

    setattr(bench.replica, where, watched)
    assert not bench.receive()
    bench.turns.run()
    bench.turns.ask()
    bench.turns.run()
    assert calls == []
    assert len(bench.broken) == 1


@pytest.mark.parametrize("dies_at", ["persist", "send", "failing"])
def test_nothing_is_done_any_more_once_the_life_has_ended_in_a_turn(dies_at: str) -> None:
    bench = Bench()
    bench.written()
    bench.post(1)
    bench.turns.run()
    bench.did.clear()
    bench.hook = lambda what: bench.turns.end() if what == dies_at else None
    bench.turns.take(Persisted(2, 2))
    bench.post(2)
    bench.turns.take(PersistFailed(2, "disk_full", "no room", False))
    bench.turns.run()
    assert bench.did[-1] == dies_at
    assert bench.turns.over
    assert bench.turns.waiting == 0


def test_a_ticket_has_one_reply_and_those_without_are_known() -> None:
    bench = Bench()
    bench.post(1)
    bench.post(2, text="")  # refused
    assert bench.turns.flying == {1, 2}
    assert not bench.turns.answered
    bench.turns.run()
    assert bench.turns.flying == {1}
    with pytest.raises(AssertionError, match="used twice"):
        bench.post(1)
    bench.written()
    assert bench.turns.answered


def test_who_leaves_takes_no_commands_and_hears_everything_else() -> None:
    bench = Bench()
    bench.post(1)
    bench.turns.leave()
    assert not bench.post(2)
    bench.receive()
    bench.turns.run()
    assert not bench.turns.answered
    bench.written()
    assert bench.turns.answered
    assert list(bench.replies) == [1]


def test_a_turn_that_takes_long_leaves_packets_for_the_next_one_and_no_command() -> None:
    bench = Bench()
    bench.slow = True
    for _ in range(3):
        bench.receive()
    for ticket in (1, 2):
        bench.post(ticket)
    bench.turns.run()
    assert bench.turns.waiting == 3, "the commands have taken long: no packet shares their turn"
    assert bench.turns.flying == {1, 2}
    for left in (2, 1, 0):
        bench.turns.run()
        assert bench.turns.waiting == left


def test_commands_that_take_long_in_each_turn_keep_no_packet_waiting_for_more_than_one() -> None:
    bench = Bench()
    bench.slow = True
    for _ in range(3):
        bench.receive()
    for ticket, left in enumerate((3, 2, 2, 1, 1, 0), 1):
        bench.post(ticket)
        bench.turns.run()
        assert bench.turns.waiting == left


def test_a_peer_that_rests_is_heard_when_the_timer_comes_and_holds_up_no_stop() -> None:
    bench = Bench()
    bench.post(1)
    bench.turns.run()
    bench.written()
    bench.each_us = OWED_US_MAX + 2000
    bench.receive(0)
    bench.receive(0)
    asked = bench.asked
    bench.turns.run()
    assert (bench.turns.waiting, bench.asked) == (1, asked), "no turn is asked for meanwhile"
    assert bench.turns.answered
    while bench.turns.waiting:  # the replica may want to be woken before
        assert bench.now_ms < 2000 // SHARE_US_PER_MS
        bench.now_ms = bench.woken_at[-1]
        bench.turns.woke()
        bench.turns.run()
    assert bench.now_ms == 2000 // SHARE_US_PER_MS


@pytest.mark.parametrize("written", [True, False])
def test_what_configured_nodes_write_now_is_not_owed_and_what_anybody_tells_is(
    written: bool,
) -> None:
    bench = Bench()
    bench.post(1)
    bench.turns.run()
    bench.written()
    if written:
        bench.replica.frontier.places.write(LogId("n2", 5))
    bench.each_us = OWED_US_MAX + 2000
    count = bench.each_us // CURRENT_ENTRY_US + 1
    bench.receive(count)
    bench.receive(count)
    assert bench.turns.rests_ms("n2", 0) == 0
    bench.turns.run()
    assert bench.turns.waiting == (0 if written else 1)
    owed_us = 2000 - OLD_ENTRY_US * count
    assert bench.turns.rests_ms("n2", 0) == (0 if written else -(-owed_us // SHARE_US_PER_MS))
