"""Checks of requests: a client sends an idle node every kind of request, valid and invalid, and
checks each reply.

`report` is called with one line of text for each reply that is wrong. No request here posts an
event.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import zmq

from lab.client.client import Client
from lab.client.location import NodeLocation
from lab.client.timeline_reader import read_timeline
from node.control.messages import (
    ClearFaults,
    Done,
    Failed,
    FrontierPage,
    Post,
    PresencePage,
    ReadFrontier,
    ReadPresence,
    ReadStatus,
    ReadTimeline,
    Refused,
    Reply,
    Request,
    SetFault,
    Status,
    TimelineItem,
    TimelinePage,
    replies_decoder,
)

ANSWER_S = 10.0
READS = 400  # at once, of one client: more than wait for it
MANY = 16_385  # requests in a frame: one too many
FUTURE_MS = 1 << 45
Reporter = Callable[[str], None]


def ask(place: NodeLocation, peers: list[str], durability: str, report: Reporter) -> None:
    """Send all requests to one node. Its counters must agree with what was sent."""
    with Client(place.name, place.control, ANSWER_S) as client:
        before = client.expect(ReadStatus(client.new_id()), Status).counters
        requests = _read(client, report)
        wrong, bad = _ask_wrong(client, peers, durability, report)
        rubbish, worse = _talk_rubbish(place, report)
        after = client.expect(ReadStatus(client.new_id()), Status).counters
    asked = after["control_requests"] - before["control_requests"]
    expected = requests + wrong + rubbish + 1
    if asked != expected:
        report(f"{place.name} counts {asked} requests, and {expected} were made")
    refused = after["control_bad"] - before["control_bad"]
    if refused != bad + worse:
        report(f"{place.name} counts {refused} bad requests, and {bad + worse} were made")


# --- reading --------------------------------------------------------------------------------------


def _read(client: Client, report: Reporter) -> int:
    """Every view of the same history agrees with the others. Returns how often it asked."""
    first = client.new_id()
    orders = {order: read_timeline(client, order) for order in ("causal", "arrival", "author")}
    causal, arrival = orders["causal"].items, orders["arrival"].items
    wholes = {order: {_dot(one) for one in of.items} for order, of in orders.items()}
    if len({frozenset(one) for one in wholes.values()}) > 1:
        report(f"{client.node} shows other events in another order")
    if any(len(of.items) != len(wholes[order]) for order, of in orders.items()):
        report(f"{client.node} shows an event twice")
    if [one.event.stamp for one in causal] != sorted(one.event.stamp for one in causal):
        report(f"{client.node} shows a timeline that is not in the order of its stamps")
    if [one.received_at_ms for one in arrival] != sorted(one.received_at_ms for one in arrival):
        report(f"{client.node} shows arrivals that are not in the order in which they came")
    _read_parts(client, causal, arrival, report)
    status = client.expect(ReadStatus(client.new_id()), Status)
    if status.events != len(causal):
        report(f"{client.node} says it has {status.events} events and shows {len(causal)}")
    page = client.expect(ReadFrontier(client.new_id()), FrontierPage)
    if (page.root, page.logs, page.total) != (
        status.root,
        status.frontier,
        status.places.logs,
    ):
        report(
            f"{client.node} says one thing of its logs in its status and another in its frontier"
        )
    whole = not status.forked and not status.missing and not any(log.ranges for log in page.logs)
    if whole and sum(log.prefix for log in page.logs) != len(causal):
        report(f"{client.node} has logs of another length than its timeline")
    one = client.expect(ReadFrontier(client.new_id(), 1, 1), FrontierPage)
    none = client.expect(ReadFrontier(client.new_id(), 0, 0), FrontierPage)
    if one.logs != page.logs[1:2] or none.logs or none.root != page.root:
        report(f"{client.node} pages its logs wrongly")
    people = client.expect(ReadPresence(client.new_id()), PresencePage)
    names = [one.author for one in people.participants]
    if names != sorted({one.event.author for one in causal}) or people.total != len(names):
        report(f"{client.node} knows other participants than those of its timeline: {names}")
    if names:
        rest = client.expect(ReadPresence(client.new_id(), names[0]), PresencePage)
        if [one.author for one in rest.participants] != names[1:]:
            report(f"{client.node} pages its participants wrongly")
    return client.new_id() - first - 1


def _read_parts(
    client: Client, causal: list[TimelineItem], arrival: list[TimelineItem], report: Reporter
) -> None:
    """Parts of a timeline are those of the whole."""
    count = len(causal)
    parts = [
        ("the last three", ReadTimeline(0, last=3), causal[-3:]),
        ("what comes after two", ReadTimeline(0, offset=2), causal[2:]),
        ("as of long ago", ReadTimeline(0, as_of_ms=1), []),
        ("as of later", ReadTimeline(0, as_of_ms=FUTURE_MS), causal),
        ("of five arrivals", ReadTimeline(0, "arrival", arrivals=5), arrival[:5]),
        ("of more than there are", ReadTimeline(0, arrivals=count + 9), causal),
        ("of no arrivals", ReadTimeline(0, arrivals=-1), []),
    ]
    if arrival:
        at_ms = arrival[len(arrival) // 2].received_at_ms
        by_then = [one for one in arrival if one.received_at_ms <= at_ms]
        parts.append(("as of then", ReadTimeline(0, "arrival", as_of_ms=at_ms), by_then))
    for what, request, wanted in parts:
        page = client.expect(msgspec.structs.replace(request, id=client.new_id()), TimelinePage)
        items, dots = page.items, [_dot(one) for one in wanted]
        whole = request.offset + len(items) >= page.total
        shown = [_dot(one) for one in items]
        if shown != dots[: len(shown)] or (whole and len(shown) != len(dots)):
            report(f"{client.node} shows {len(shown)} of {len(dots)} events for {what}")
        if page.total != len(dots) + request.offset:
            report(f"{client.node} says {page.total} in all for {what}")


def _dot(item: TimelineItem) -> tuple[str, object]:
    """Its name: two branches of a fork share a dot, and differ in what they say."""
    event = item.event
    return str(event.dot), (event.stamp, event.author, getattr(event, "text", ""))


# --- what is wrong --------------------------------------------------------------------------------


def _ask_wrong(
    client: Client, peers: list[str], durability: str, report: Reporter
) -> tuple[int, int]:
    """Returns how many were asked, and how many of those are bad."""
    n, far = client.new_id, len(peers) + 1
    bad: list[tuple[Request, str]] = [
        (Post(n(), "guest", "x", "maybe"), "unknown: use written, durable, or replicated:K"),
        (Post(n(), "guest", "x", "replicated:"), "unknown"),
        (Post(n(), "guest", "x", "replicated:x"), "unknown"),
        (Post(n(), "guest", "x", "replicated:00001"), "unknown"),
        (Post(n(), "guest", "x", "replicated:0"), f"between 1 and {len(peers)}"),
        (Post(n(), "guest", "x", f"replicated:{far}"), f"between 1 and {len(peers)}"),
        (Post(n(), "guest", "x", "written", 0), "timeout_ms is 0"),
        (Post(n(), "guest", "x", "written", 3_600_001), "timeout_ms is 3600001"),
    ]
    if durability == "none":
        bad.append((Post(n(), "guest", "x", "durable"), "never syncs"))
        bad.append((Post(n(), "guest", "x", "replicated:1"), "never syncs"))
    faults: list[tuple[Request, str]] = [
        (SetFault(n(), ["nobody"], blocked=True), "no peer 'nobody'"),
        (SetFault(n(), [], loss=1.5), "loss is 1.5"),
        (SetFault(n(), [], delay_ms=-1.0), "delay_ms is -1"),
    ]
    for request, text in [*bad, *faults]:
        reply = client.ask(request)
        if type(reply) is not Failed or reply.code != "bad_request" or text not in reply.reason:
            report(f"{client.node} answers {_shown(reply)} to {_shown(request)}")
    refused = [Post(n(), "", "no author"), Post(n(), "guest", "", "written")]
    refused.append(Post(n(), "guest", "long" * 20_000, "written"))
    for request in refused:
        reply = client.ask(request)
        if type(reply) is not Refused or reply.by != "domain":
            report(f"{client.node} answers {_shown(reply)} to {_shown(request)}")
    asked = len(bad) + len(faults) + len(refused) + _set_faults(client, peers, report)
    return asked, len(bad)


def _set_faults(client: Client, peers: list[str], report: Reporter) -> int:
    """A fault is shown as it was set, and is gone when it was cleared."""
    first, peer = client.new_id(), peers[0]
    client.expect(SetFault(client.new_id(), [peer], delay_ms=1.0, jitter_ms=0.5), Done)
    client.expect(SetFault(client.new_id(), [peer], duplicate=0.01), Done)
    status = client.expect(ReadStatus(client.new_id()), Status)
    faults = {name: one.fault for name, one in status.peers.items() if one.fault}
    if faults != {peer: "dup 1% delay 1ms±0.5ms"}:
        report(f"{client.node} shows the faults {faults}")
    client.expect(ClearFaults(client.new_id()), Done)
    status = client.expect(ReadStatus(client.new_id()), Status)
    if any(one.fault for one in status.peers.values()):
        report(f"{client.node} shows faults that were cleared")
    return client.new_id() - first - 1


# --- rubbish --------------------------------------------------------------------------------------


def _talk_rubbish(place: NodeLocation, report: Reporter) -> tuple[int, int]:
    """Frames that are no requests, and far too many. Each part has one answer, and no more."""
    encode = msgspec.msgpack.encode
    status, odd = ReadStatus(5), {"type": "nope", "id": 7}
    cases: list[tuple[str, list[bytes], list[tuple[int, str]]]] = [
        ("no list", [b"\xc1rubbish"], [(0, "not a list of requests")]),
        ("nothing", [b""], [(0, "not a list of requests")]),
        ("two frames", [encode([status]), b"more"], [(0, "a message of 2 frames")]),
        ("a bad one between", [encode([status, odd, "x", status])],
         [(5, ""), (7, "not a request"), (0, "not a request"), (5, "")]),
        ("too many", [encode([status] * MANY)], [(0, f"{MANY} requests in a frame")]),
        ("no requests", [encode([])], []),
        ("a read", [encode([status])], [(5, "")]),
    ]  # fmt: skip
    with _dealer(place.control) as dealer:
        for what, frames, wanted in cases:
            dealer.send_multipart(frames)
            replies = _replies(dealer, len(wanted))
            got = sorted((one.id, _reason(one)) for one in replies)
            due = sorted(wanted)
            same = [one[0] for one in got] == [one[0] for one in due]
            if not same or any(w[1] not in g[1] for g, w in zip(got, due, strict=True)):
                report(f"{place.name} answers {got} to {what}")
        reads = [ReadFrontier(100 + at, 0, 0) for at in range(READS)]
        dealer.send(encode(reads))
        ids = Counter(one.id for one in _replies(dealer, READS))
        if ids != Counter(one.id for one in reads):
            report(f"{place.name} answers {len(ids)} of {READS} reads, {ids.total()} times")
    bad = 6
    requests = 8 + READS
    return requests, bad


@contextmanager
def _dealer(path: str) -> Iterator["zmq.Socket[bytes]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.connect(f"ipc://{path}")
    try:
        yield dealer
    finally:
        dealer.close(linger=0)
        context.term()


def _replies(dealer: "zmq.Socket[bytes]", count: int) -> list[Reply]:
    """So many, and whatever else comes with them."""
    found: list[Reply] = []
    while len(found) < count and dealer.poll(int(ANSWER_S * 1000)):
        found += replies_decoder.decode(dealer.recv())
    return found


def _reason(reply: Reply) -> str:
    return reply.reason if type(reply) is Failed else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:119]}…"
