"""What a node shows is read in pages, and no page takes long, whatever has been said."""

from itertools import count
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import Event, ParticipantJoined
from domain.timeline import Timeline
from gossip.entry import GENESIS
from gossip.packets import Push, Run
from node.control import queries as limits
from node.control.messages import (
    LogStatus,
    Participant,
    ReadFrontier,
    ReadPresence,
    ReadStatus,
    ReadTimeline,
)
from node.control.queries import READ_EVENTS, STATUS_LOGS_MAX, NodeQueries, Running
from node.network.transport import Transport
from node.storage.codec import ProtobufCodec
from tests.node.replicas import Node
from tests.reliability.test_bounds import packet

CODEC = ProtobufCodec()


def views_of(node: Node, step_ms: int = 0) -> NodeQueries:
    """The clock goes on by so much at each look."""
    clock = count(1000, step_ms) if step_ms else None
    return NodeQueries(
        node.replica,
        cast(Transport, None),  # nothing that is asked here needs it
        Running("n1", 1, "always", 0),
        dict,
        dict,
        lambda: next(clock) if clock else 0,
        lambda: 0,
    )


def peopled(authors: list[str]) -> Node:
    """Everybody has joined at n2, each in a log of their own."""
    node = Node()
    runs = []
    for epoch, author in enumerate(authors, 1):
        event: Event = ParticipantJoined(Dot("n2", epoch, 1), Stamp(epoch, 0), (), author)
        runs.append(Run("n2", epoch, 1, [CODEC.encode(event, GENESIS)]))
    node.receive(packet(Push(runs, direct=True)))
    return node


def everybody(views: NodeQueries) -> list[Participant]:
    people: list[Participant] = []
    while True:
        page = views.presence(ReadPresence(1, people[-1].author if people else ""))
        assert len(page.participants) <= limits.PEOPLE_MAX
        people += page.participants
        if not page.participants:
            assert page.total == len(people)
            return people


def all_logs(views: NodeQueries, most: int | None = None) -> list[LogStatus]:
    logs: list[LogStatus] = []
    while True:
        page = views.frontier(ReadFrontier(1, len(logs), most))
        logs += page.logs
        if not page.logs:
            assert page.total == len(logs)
            return logs


@given(st.lists(st.text("abcé", min_size=1, max_size=3), max_size=40), st.integers(1, 9))
def test_pages_of_people_and_of_logs_are_all_of_them_once_in_order(
    authors: list[str], size: int
) -> None:
    node = peopled(authors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PEOPLE_MAX", size)
        patch.setattr(limits, "LOGS_MAX", size)
        views = views_of(node)
        assert [one.author for one in everybody(views)] == sorted(set(authors))
        assert [(log.origin, log.epoch) for log in all_logs(views)] == [
            ("n2", epoch) for epoch in range(1, len(authors) + 1)
        ]


def test_the_root_can_be_asked_for_alone() -> None:
    views = views_of(peopled(["ana", "bob"]))
    page = views.frontier(ReadFrontier(1, logs_max=0))
    assert (page.logs, page.total, page.events) == ([], 2, 2)
    assert [log.epoch for log in views.frontier(ReadFrontier(1, logs_max=1)).logs] == [1]
    assert views.frontier(ReadFrontier(1, -5, -5)).logs == []


@pytest.mark.parametrize("order", ["causal", "arrival", "author"])
def test_a_page_ends_when_its_time_is_over_and_the_next_ones_have_the_rest(order: str) -> None:
    node = Node()
    texts = [node.post(f"text {number}") and f"text {number}" for number in range(200)]
    views = views_of(node, step_ms=limits.READ_MS)
    read: list[str] = []
    pages = 0
    arrivals = None
    while len(read) < len(texts):
        page = views.timeline(ReadTimeline(1, order, offset=len(read), arrivals=arrivals))  # type: ignore[arg-type]
        assert 0 < len(page.items) <= READ_EVENTS
        arrivals = page.arrivals
        read += [one.event.text for one in page.items]  # type: ignore[union-attr]
        pages += 1
    assert read == texts
    assert pages == -(-len(texts) // READ_EVENTS)


def test_holes_are_looked_for_once_for_all_pages_and_said_to_be_more_where_they_are() -> None:
    node = Node()
    node.receive(
        packet(
            Push(
                [
                    Run("n2", 1, seq, [CODEC.encode(_posted(seq), bytes(16))])
                    for seq in range(3, 30, 3)
                ],
                direct=True,
            )
        )
    )
    views = views_of(node)
    holes = views.timeline(ReadTimeline(1)).holes
    assert holes == node.replica.timeline.holes() and len(holes) == 9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "HOLES_MAX", 4)
        page = views.timeline(ReadTimeline(1))
        assert page.holes == holes[:4] and page.more_holes
        patch.setattr(Timeline, "holes", None)  # they are not looked for again
        assert views.timeline(ReadTimeline(1)).holes == holes[:4]
    assert not views.timeline(ReadTimeline(1)).more_holes


def _posted(seq: int) -> Event:
    return ParticipantJoined(Dot("n2", 1, seq), Stamp(seq, 0), (), f"a{seq}")


def test_a_status_has_the_first_logs_and_says_how_many_there_are() -> None:
    views = views_of(peopled([f"a{number}" for number in range(STATUS_LOGS_MAX + 5)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "_peers", lambda _: {})
        status = views.status(ReadStatus(1))
    assert len(status.frontier) == STATUS_LOGS_MAX
    assert status.places.logs == STATUS_LOGS_MAX + 5
