"""The machine that decides what a replica takes in: its table, and a replica that lives by it."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gossip.packets import Push, Syn
from node.core.interface import Persisted, PersistFailed, Unmet
from node.core.ports import EventRecord
from node.core.write_state import NEXT, TAKING, WriteBounds, WriteEvent, WritePhase, WriteState
from tests.node.replicas import Node, exchange
from tests.node.runtimes import News

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"
FEW = WriteBounds(records=4, bytes=4000)


def record(size: int = 10) -> EventRecord:
    return EventRecord(bytes(size), 1, "rumor", "n2")


def failure(kept: int = 0, *, final: bool = False) -> PersistFailed:
    return PersistFailed(kept, "disk_full", "no room", final)


def table() -> list[str]:
    """The table as the page has it."""
    lines = ["| | " + " | ".join(f"`{what}`" for what in WriteEvent) + " |"]
    lines.append("|---" * (len(WriteEvent) + 1) + "|")
    for state, row in NEXT.items():
        cells = [f"{row[what]}" if what in row else "" for what in WriteEvent]
        lines.append(f"| **{state}** | " + " | ".join(cells) + " |")
    return lines


def test_the_page_shows_the_table() -> None:
    page = ARCHITECTURE.read_text()
    for line in table():
        assert line in page, line


def test_every_state_but_the_final_one_can_be_left_and_reached() -> None:
    assert set(NEXT) == set(WritePhase)
    for state, row in NEXT.items():
        assert (not row) == (state is WritePhase.READ_ONLY)
        assert state not in row.values(), "what changes nothing is not in the table"
    reached, todo = {WritePhase.RUNNING}, [WritePhase.RUNNING]
    while todo:
        for after in NEXT[todo.pop()].values():
            if after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == set(WritePhase)
    for state in WritePhase:
        back = {state}
        while more := {after for one in back for after in NEXT[one].values()} - back:
            back |= more
        assert (WritePhase.RUNNING in back) == (state is not WritePhase.READ_ONLY)


def test_behind_until_half_is_written() -> None:
    writing = WriteState(FEW)
    for number in range(1, 6):
        writing.handed_out(record())
        writing.sent(number)
    assert (writing.phase, writing.holds, writing.refuses) == (WritePhase.BEHIND, True, False)
    writing.written(2)
    assert writing.phase is WritePhase.BEHIND, "three of four are left"
    assert not writing.written(3)
    assert (writing.phase, writing.records, writing.bytes) == (WritePhase.RUNNING, 2, 2 * 74)


def test_bytes_count_too_and_commands_have_as_much_again() -> None:
    writing = WriteState(FEW)
    writing.handed_out(record(4000))
    assert writing.holds
    assert not writing.full
    writing.handed_out(record(4000))
    assert writing.full


def test_in_doubt_no_more_is_risked_than_may_wait() -> None:
    writing = WriteState(FEW)
    writing.handed_out(record())
    writing.sent(1)
    writing.failed(failure(), waits=False)
    assert (writing.phase, writing.records, writing.holds) == (WritePhase.DOUBTED, 0, False)
    for _ in range(5):
        writing.handed_out(record())
    assert writing.phase is WritePhase.STUCK
    writing.sent(5)
    assert writing.written(5)
    assert (writing.phase, writing.trouble) == (WritePhase.RUNNING, None)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("hand"), st.integers(0, 3000)),
            st.tuples(st.just("send"), st.just(0)),
            st.tuples(st.just("write"), st.integers(0, 6)),
            st.tuples(st.just("fail"), st.integers(0, 1)),
        ),
        max_size=60,
    )
)
def test_what_is_counted_is_what_was_handed_out_and_not_written(
    steps: list[tuple[str, int]],
) -> None:
    """Whatever comes in whatever order: the counts agree with a list, and so do the bounds."""
    writing, groups, fresh, number = WriteState(FEW), [], [], 0
    for what, how in steps:
        if what == "hand":
            number += 1
            fresh.append((number, 64 + how))
            writing.handed_out(record(how))
        elif what == "send" and fresh:
            groups.append(fresh)
            writing.sent(number)
            fresh = []
        elif what == "write" and groups:
            done = groups[: min(how, len(groups))]
            if done:
                del groups[: len(done)]
                writing.written(done[-1][-1][0])
        elif what == "fail":
            groups, fresh = [], []
            writing.failed(failure(number), waits=bool(how))
        left = [one for group in [*groups, fresh] for one in group]
        assert writing.records == len(left)
        assert writing.bytes == sum(size for _, size in left)
        over = len(left) > FEW.records or writing.bytes > FEW.bytes
        if over:
            assert writing.holds
        assert writing.holds == (writing.phase not in TAKING)
        assert (writing.trouble is not None) == (
            writing.phase in (WritePhase.DOUBTED, WritePhase.STUCK)
        )


# --- the replica lives by it --------------------------------------------------------------------


def test_a_full_disk_does_not_let_more_in_however_often_it_is_tried() -> None:
    node, news = Node("n1", ("n2",), persist=False), News()
    node.write()
    node.receive(news.packet(20))
    node.fail()
    for _ in range(20):
        node.turn(ms=500)
        assert node.is_("read_only"), "handed out again is not written"
        assert node.replica.engine.holding
        node.receive(news.packet(20))
        assert len(node.unwritten) == 20
        assert node.replica.frontier.count == 20
        node.fail()
    node.turn(ms=500)
    node.write()
    assert node.is_("running")
    assert len(node.replica.timeline) == 20
    node.receive(news.packet(20))
    assert node.replica.frontier.count > 20


def test_a_stuck_node_tells_its_peers_to_hold_back_until_it_has_written() -> None:
    node, news = Node("n1", ("n2",), persist=False), News()
    node.write()
    node.receive(news.packet(1))
    node.fail()
    node.sent.clear()
    node.turn(ms=400)
    budgets = [packet.body.budget for _, packet in node.sent if type(packet.body) is Syn]
    assert set(budgets) == {0}
    node.turn(ms=200)
    node.write()
    node.sent.clear()
    for _ in range(40):
        node.turn(ms=100)
    budgets = [packet.body.budget for _, packet in node.sent if type(packet.body) is Syn]
    assert budgets
    assert all(budgets)


def test_a_slow_disk_makes_peers_hold_back_and_takes_commands() -> None:
    node, news = Node("n1", ("n2",), persist=False, unwritten=FEW), News()
    node.write()
    node.receive(news.packet(5))
    assert node.said("writes_behind")
    assert node.is_("running")
    node.receive(news.packet(5))
    assert node.replica.frontier.count == 5
    assert node.replica.engine.holding
    for number in range(3):
        node.post(f"own {number}")
    assert node.outcomes == {}, "they wait for the disk"
    refused = node.post("one too many")
    assert type(refused) is Unmet
    assert (refused.code, refused.dot) == ("busy", None)
    node.write()
    assert node.said("writes_caught_up")
    assert not node.replica.engine.holding
    assert len(node.replica.timeline) == 8


def test_what_waits_comes_before_what_was_handed_out_since() -> None:
    """A failed write leaves another's event waiting; an epoch that is opened then fails, too."""
    one, two = Node("n1", ("n2",), persist=False), Node("n2", ("n1",))
    one.write()
    two.post("first")
    exchange(one, two)
    one.fail()
    one.replica._open_epoch("a test")
    one.turn()
    (epoch,) = one.unwritten
    one.fail()
    assert one.replica.wake_at_ms <= one.now_ms + 500
    one.turn(ms=500)
    assert [type(record).__name__ for record in one.unwritten] == ["EventRecord", "EpochRecord"]
    assert one.unwritten[1] == epoch
    one.write()
    assert one.is_("running")


def test_what_still_waits_goes_out_at_once_when_the_disk_is_found_to_write() -> None:
    one, two = Node("n1", ("n2",), persist=False), Node("n2", ("n1",))
    one.write()
    two.post("first")
    exchange(one, two)
    one.fail()
    one.replica._open_epoch("a test")
    one.turn()
    one.write()  # the epoch: the disk writes again
    assert len(one.unwritten) == 1
    one.turn(Persisted(len(one.journal), len(one.journal)))
    one.write()
    assert one.texts == ["first"]


def test_the_retry_of_what_waits_is_known_to_the_timer() -> None:
    node, news = Node("n1", ("n2",), persist=False), News()
    node.write()
    node.receive(news.packet(1))
    node.fail()
    failed_ms = node.now_ms
    due_ms = failed_ms + 500
    while node.now_ms < due_ms:
        assert node.unwritten == []
        assert node.now_ms < node.replica.wake_at_ms <= due_ms
        node.turn(ms=node.replica.wake_at_ms - node.now_ms)
    assert len(node.unwritten) == 1


def test_entries_of_a_push_are_refused_while_behind_and_its_receipt_with_them() -> None:
    node, news = Node("n1", ("n2",), persist=False, unwritten=FEW), News()
    node.write()
    node.receive(news.packet(5))
    packet = news.packet(1)
    assert type(packet.body) is Push
    node.receive(packet)
    assert node.replica.counters["unwritable"] == 1
    assert node.replica.frontier.count == 5
