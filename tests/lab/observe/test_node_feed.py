"""A feed is followed by its numbers: gaps are noticed, filled or counted, and lives told apart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import MessagePosted
from lab.client.location import NodeLocation
from lab.observe import node_feed
from lab.observe.event_queue import EventQueue
from lab.observe.node_feed import CALM_MAX, FILL_MAX, LOAD_MAX, Met, NodeFeed
from lab.trace.kinds import Boot, Handed, Visible
from lab.trace.trace import Event
from node.control.messages import TimelineItem, TimelinePage


def item(seq: int, origin: str = "n1", text: str = "hi") -> TimelineItem:
    event = MessagePosted(Dot(origin, 7, seq), Stamp(seq, 0), (), "ada", text)
    return TimelineItem(event, seq, "local" if origin == "n1" else "rumor")


def page(first: int, last: int, total: int, arrivals: int) -> TimelinePage:
    return TimelinePage(1, [item(seq) for seq in range(first, last + 1)], arrivals, total, 0, [])


class Clock(EventQueue):
    """A queue whose time is set by hand."""

    at_us = 0

    @property
    def now_us(self) -> int:
        return self.at_us


@pytest.fixture
def events() -> Clock:
    return Clock()


@pytest.fixture
def feed(events: Clock, short_path: Path) -> Iterator[NodeFeed]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    texts = dict.fromkeys(NodeLocation.__struct_fields__, "")
    at = NodeLocation(**texts | {"name": "n1", "pid_file": "x", "feed": str(short_path / "feed")})  # type: ignore[arg-type]
    made = NodeFeed(at, context, events, Met(events))
    yield made
    made.socket.close(linger=0)
    context.term()


def shown(events: EventQueue) -> list[int]:
    data = [one.data for one in events.drain() if isinstance(one, Event)]
    return [one.index for one in data if type(one) is Visible]


def begun(feed: NodeFeed, events: EventQueue, arrivals: int = 3) -> None:
    feed.begin(1, "n1.7")
    first = max(arrivals - LOAD_MAX, 0) + 1
    feed.page(page(first, arrivals, arrivals - first + 1, arrivals))
    assert feed.following and feed.seen == arrivals
    events.drain()


def test_a_life_begins_with_what_it_shows(feed: NodeFeed, events: Clock) -> None:
    feed.take(1, item(1))  # not followed yet
    feed.begin(1, "n1.7")
    asked = feed.request(9)
    assert asked is not None and (asked.last, asked.offset, asked.arrivals) == (LOAD_MAX, 0, None)
    feed.page(page(1, 2, 3, 3))
    feed.take(4, item(4))  # it is read from the timeline, later
    asked = feed.request(9)
    assert asked is not None and (asked.offset, asked.arrivals) == (2, 3)
    feed.page(page(3, 3, 3, 3))
    kinds = [one.data for one in events.drain() if isinstance(one, Event)]
    assert [type(one) for one in kinds] == [Handed, Handed, Handed, Boot]
    assert isinstance(kinds[-1], Boot) and kinds[-1].arrivals == ("n1.7:1", "n1.7:2", "n1.7:3")
    feed.take(4, item(4))
    feed.take(4, item(4))
    feed.take(5, item(5))
    assert shown(events) == [4, 5]


def test_a_small_gap_is_read_from_the_timeline(feed: NodeFeed, events: Clock) -> None:
    begun(feed, events)
    feed.take(7, item(7))
    feed.take(8, item(8))
    asked = feed.request(9)
    assert asked is not None and (asked.last, asked.offset, asked.arrivals) == (None, 3, 8)
    feed.page(page(4, 5, 8, 8))
    assert feed.request(9) is not None
    feed.take(6, item(6))  # it is in the page that comes, too
    feed.take(9, item(9))
    feed.page(page(6, 8, 8, 8))
    asked = feed.request(9)
    assert asked is not None and (asked.offset, asked.arrivals) == (8, 9)
    feed.page(page(9, 9, 9, 9))
    assert feed.request(9) is None
    assert (shown(events), feed.missed, feed.unread) == ([4, 5, 6, 7, 8, 9], 3, 0)
    feed.take(FILL_MAX + 8, item(FILL_MAX + 8))  # too many together
    assert (shown(events), feed.unread) == ([FILL_MAX + 8], FILL_MAX - 2)
    events.at_us = 10**9
    feed.take(FILL_MAX + 10, item(FILL_MAX + 10))  # long after that, there is room again
    assert feed.request(9) is not None


def test_a_flood_is_left_out_and_its_end_is_read(feed: NodeFeed, events: Clock) -> None:
    begun(feed, events)
    far = 50 * FILL_MAX
    feed.take(far, item(far))
    assert (shown(events), feed.missed, feed.unread) == ([far], far - 4, far - 4)
    feed.behind(2 * far, 2 * far - CALM_MAX - 1)  # much has come since the last status
    assert feed.request(9) is None
    feed.behind(2 * far, 2 * far - CALM_MAX)
    asked = feed.request(9)
    assert asked is not None and (asked.offset, asked.arrivals) == (2 * far - LOAD_MAX, 2 * far)
    feed.page(page(2 * far - LOAD_MAX + 1, 2 * far, 2 * far, 2 * far))
    assert shown(events)[-1] == 2 * far == feed.seen
    assert feed.missed == feed.unread + LOAD_MAX == 2 * far - 4


def test_what_the_timeline_does_not_have_is_not_asked_for_ever(
    feed: NodeFeed, events: Clock
) -> None:
    begun(feed, events)
    feed.take(7, item(7))
    feed.page(TimelinePage(1, [], 5, 5, 0, []))
    assert (feed.request(9), feed.seen, feed.unread) == (None, 7, 4)


def test_another_life_keeps_what_was_shown_if_it_is_the_same(
    feed: NodeFeed, events: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_feed, "LOAD_MAX", 3)
    begun(feed, events, 2)
    for seq in range(3, 9):
        feed.take(seq, item(seq))
    events.drain()
    for life, first, text in ((2, 7, "same"), (3, 1, "other")):
        feed.end()
        feed.begin(life, "n1.7")
        last = first + 2
        feed.page(page(first, last, 3, last))
        boot = next(
            one.data for one in events.drain() if isinstance(one, Event) and one.kind == "boot"
        )
        assert isinstance(boot, Boot)
        seqs = [int(dot.rpartition(":")[2]) for dot in boot.arrivals]
        assert seqs == (list(range(1, 10)) if text == "same" else [1, 2, 3])


def test_where_it_was_made_an_event_is_first(feed: NodeFeed, events: Clock) -> None:
    begun(feed, events)
    feed.announce(4, item(4))
    feed.take(4, item(4))
    handed, visible = (one for one in events.drain() if isinstance(one, Event))
    assert (handed.kind, visible.kind, visible.cause) == ("handed", "visible", handed.seq)


def test_long_texts_are_cut(feed: NodeFeed, events: Clock) -> None:
    begun(feed, events)
    feed.take(4, item(4, text="x" * 60_000))
    handed = events.drain()[0]
    assert isinstance(handed, Event) and isinstance(handed.data, Handed)
    assert len(handed.data.facts.text) < 1000


def test_a_queue_that_nobody_drains_is_bounded_and_its_file_is_whole(tmp_path: Path) -> None:
    events = EventQueue(entries_max=10)
    events.save(tmp_path / "run.jsonl")
    for index in range(25):
        events.put("n1", 1, Visible(index, f"n1.7:{index + 1}", "local"))
    events.close()
    assert (len(events.drain()), events.dropped) == (10, 15)
    assert len((tmp_path / "run.jsonl").read_bytes().splitlines()) == 25
