"""What a peer can make a node remember is bounded, and what it made up is forgotten again."""

from random import Random

import pytest

from domain.clock import STAMP_MS_MAX, Stamp
from domain.dot import EPOCH_MAX, Dot, LogId
from domain.events import MessagePosted
from domain.seqset import SEQ_MAX
from gossip import frontier as limits
from gossip.config import GossipConfig
from gossip.delta import room_beside
from gossip.entry import GENESIS, PREV_BYTES
from gossip.epoch_folds import ITEMS_SHARED
from gossip.frontier import CLAIMED_LOGS_MAX, RANGES_SHARED, Added
from gossip.packets import PROTOCOL_VERSION, Body, Line, Packet, Push, Run, Stored, Syn, SynAck
from gossip.places import ORIGINS_MAX, STRANGE_LOGS_MAX
from gossip.receipts import Receipts
from gossip.rumor import RUMOR_BYTES_MAX, Rumors
from gossip.wire import PACKET_BYTES_MAX, cluster_hash, encode
from lab.cli.inspect_cluster import _full_text
from node.control.messages import PlacesStatus
from node.storage.codec import ProtobufCodec
from tests.gossip.builders import chain, entry, exchange, held, holding, take
from tests.gossip.engines import Flying, Net, run_of, sent_by
from tests.node.replicas import WALL_MS, Node
from tests.node.replicas import exchange as talk

MADE_UP = Line("nobody", 1, 9, b"\xff" * 8, [])


def flood(count: int, first: int = 1) -> list[Line]:
    return [Line(f"x{number}", 1, 9, b"\xff" * 8, []) for number in range(first, first + count)]


def hear(net: Net, body: Body, number: int = 1) -> Packet | None:
    net.arrive(Flying("n2", "n1", sent_by("n2", body, number)))
    answer = net.flying.popleft().packet if net.flying else None
    net.flying.clear()
    return answer


def test_claims_beyond_every_number_add_up_to_one_that_can_still_be_told() -> None:
    """The sum of three such logs took the control worker of a node down."""
    net = Net("n1", "n2")
    lines = [Line(f"x{number}", 1, SEQ_MAX, b"\xff" * 8, []) for number in range(3)]
    hear(net, Syn(bytes(16), 150_000, lines))
    assert net["n1"].frontier.missing == SEQ_MAX


# --- logs ---------------------------------------------------------------------------------------


def test_made_up_logs_are_bounded_counted_and_forgotten_with_the_next_agreement() -> None:
    net = Net("n1", "n2")
    for first in range(0, 50_000, 10_000):
        hear(net, Syn(bytes(16), 150_000, flood(5_000, first + 1)))
        hear(net, Syn(bytes(16), 150_000, flood(5_000, first + 5_001)))
        net.now_ms += 1000  # the allowance of n2 grows again
    frontier = net["n1"].frontier
    assert len(frontier) == CLAIMED_LOGS_MAX
    assert frontier.claims_refused == 50_000 - CLAIMED_LOGS_MAX
    assert frontier.missing == 9 * CLAIMED_LOGS_MAX
    hear(net, Syn(frontier.root, 150_000))
    assert (len(frontier), frontier.missing) == (0, 0)


def test_a_claim_about_nothing_is_not_remembered() -> None:
    net = Net("n1", "n2")
    hear(net, Syn(bytes(16), 150_000, [Line("x", 1, 0, b"", [])]))
    assert len(net["n1"].frontier) == 0


def test_what_was_claimed_of_a_known_log_falls_back_too() -> None:
    net = Net("n1", "n2")
    net.hold("n1", chain("x", 3))
    hear(net, Syn(bytes(16), 150_000, [Line("x", 1, SEQ_MAX, b"\xff" * 8, [])]))
    frontier = net["n1"].frontier
    assert frontier.missing == SEQ_MAX - 3
    hear(net, Syn(frontier.root, 150_000))
    assert (len(frontier), frontier.missing, frontier.count) == (1, 0, 3)


def test_logs_that_hold_something_are_bounded_and_own_ones_are_always_taken() -> None:
    net = Net("n1", "n2")
    for epoch in range(1, STRANGE_LOGS_MAX + 11):
        hear(net, Push([run_of(*chain("x", 1, epoch=epoch))], direct=True))
    engine = net["n1"]
    assert len(engine.frontier) == STRANGE_LOGS_MAX
    assert engine.counters["entries_full"] == engine.frontier.places.refused == 10
    hear(net, Syn(bytes(16), 150_000, [MADE_UP]))
    assert engine.frontier.claims_refused == 1
    net.emit("n1", 3)
    assert engine.frontier.get(LogId("n1", 1)) is not None
    net.hold("n1", chain("n1", 1, epoch=2))
    assert engine.frontier.get(LogId("n1", 2)) is not None


def test_the_more_logs_the_fewer_ranges_each_and_all_lines_fit_into_a_packet() -> None:
    net = Net("n1", "n2")
    engine = net["n1"]
    origins = ORIGINS_MAX - 2  # n1 and n2 have their place
    for number in range(STRANGE_LOGS_MAX):
        name = f"{number % origins:x}".rjust(32, "z")
        epoch = EPOCH_MAX - number // origins
        for seq in range(SEQ_MAX, SEQ_MAX - 40, -2):
            one = entry(name, seq, bytes(PREV_BYTES), epoch=epoch)
            engine.frontier.add(one, pushed=bool(number % 16))  # others came by rounds
    assert engine.frontier.add(entry("one more", 1)) is Added.FULL
    ranges = [log.held.parts for at, log in enumerate(engine.frontier) if at % 16]
    assert max(ranges) <= 17
    assert ranges[-1] <= max(RANGES_SHARED // STRANGE_LOGS_MAX, 1) + 1
    big = GossipConfig(delta_bytes_max=960 * 1024)
    engine._config = big
    answer = hear(net, Syn(bytes(16), 10**9, []))
    assert answer is not None and type(answer.body) is SynAck
    lines, folds = answer.body.lines, answer.body.folds
    assert len({line.origin for line in lines} | {fold.origin for fold in folds}) == origins
    assert origins <= len(lines) + len(folds) <= ITEMS_SHARED
    assert answer.body.runs and answer.body.more
    assert room_beside(lines, folds) > 150_000, "the largest entry has room beside the lines"


# --- forks --------------------------------------------------------------------------------------


def test_rivals_are_bounded_and_nodes_agree_in_whatever_order_they_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "RIVALS_MAX", 5)
    versions = [entry("x", 1, branch=f"-{number}") for number in range(60)]
    smallest = {one.data for one in sorted(versions, key=lambda one: one.tag)[:6]}
    roots = set()
    for seed in range(20):
        order = versions[:]
        Random(seed).shuffle(order)
        one = holding(order)
        roots.add(one.root)
        assert held(one) == smallest
        assert one.count == 6
        assert take(one, versions) == [
            Added.KNOWN if version.data in smallest else Added.FAR for version in versions
        ]
    assert len(roots) == 1
    some, others = holding(versions[:30]), holding(versions[30:])
    for _ in range(4):
        exchange(some, others)
    assert some.root == others.root == roots.pop()


def test_many_forked_logs_take_turns_in_being_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_NAMED_MAX", 8)
    trunks = [chain(f"x{number}", 2) for number in range(10)]
    branches = [chain(f"x{number}", 2, branch="b") for number in range(10)]
    frontier = holding(*trunks, *branches)
    named: set[str] = set()
    for _ in range(10):
        lines = frontier.next_lines()
        assert sum(len(line.tags) for line in lines) <= 8 * (8 + 2)
        named |= {line.origin for line in lines if line.tags}
    assert len(named) == 10
    one, other = holding(*trunks), holding(*branches)
    for _ in range(60):
        exchange(one, other)
    assert one.root == other.root == frontier.root


# --- rumors and receipts ------------------------------------------------------------------------


def test_rumors_are_bounded_by_bytes_and_what_is_forgotten_holds_no_entries() -> None:
    hot = Rumors(2)
    for number in range(100):
        hot.learn([Run("n1", 1, number + 1, [bytes(512 * 1024)])])
        hot.tell(number, 1 << 30)
    assert len(hot) == RUMOR_BYTES_MAX // (512 * 1024) - 1  # headers count, too
    assert hot.dropped == 100 - len(hot)
    remembered = {id(d): len(d) for told in hot._pushes.values() for r in told for d in r.run.data}
    assert sum(remembered.values()) <= RUMOR_BYTES_MAX
    for number in range(100, 102):
        hot.tell(number, 1 << 30)
        hot.feedback(number, [False] * 100)
    assert len(hot) == hot._bytes == 0


def test_receipts_for_logs_that_nobody_knows_are_not_remembered() -> None:
    net = Net("n1", "n2")
    bad = [Run("n2", epoch, 1, [b"nonsense"]) for epoch in range(1, 1000)]
    hear(net, Push(bad, direct=True, receipt=True))
    receipts: Receipts = net["n1"].receipts
    assert receipts._owed == {}
    hear(net, Syn(bytes(16), 1, []))
    same = SynAck(
        1, bytes(16), 1, [], [], False, [Stored("n1", e, 9, bytes(8)) for e in range(1, 60)]
    )
    hear(net, same)
    assert receipts._durable_there == {}


# --- a replica under a hostile peer -------------------------------------------------------------


def event(origin: str, epoch: int, seq: int, ms: int = 1000, text: str = "hi") -> bytes:
    made = MessagePosted(Dot(origin, epoch, seq), Stamp(ms, 0), (), "eve", text)
    return ProtobufCodec().encode(made, GENESIS if seq == 1 else bytes(PREV_BYTES))


def packet(body: Body, number: int = 1) -> Packet:
    return Packet(PROTOCOL_VERSION, cluster_hash("test"), "n2", 1, number, body)


def test_stamps_from_year_9999_and_the_last_of_all_positions_are_kept_and_drag_nothing() -> None:
    node = Node()
    far = event("n2", 7, SEQ_MAX, STAMP_MS_MAX)
    ahead = event("n2", 8, 1, 253_402_300_799_000)
    runs = [Run("n2", 7, SEQ_MAX, [far]), Run("n2", 8, 1, [ahead])]
    node.receive(packet(Push(runs, direct=True)))
    assert node.replica.counters["skewed"] == 2
    node.post("mine")
    mine = node.replica.timeline.select("arrival")[-1].event
    assert mine.stamp.ms <= WALL_MS + node.now_ms + 1000
    assert len(node.restarted().replica.timeline) == 3


def test_a_delta_that_nobody_asked_for_is_a_delta() -> None:
    node = Node()
    run = Run("n2", 7, 1, [event("n2", 7, 1)])
    node.receive(packet(SynAck(99, bytes(16), 0, [MADE_UP], [run, run], True)))
    assert node.texts == ["hi"]
    assert node.replica.counters["entries_duplicate"] == 1
    assert node.replica.frontier.missing == 9


def test_an_epoch_flood_ends_at_the_limit_and_the_node_still_works() -> None:
    node, peer = Node("n1", ("n2",)), Node("n2", ("n1",))
    rng = Random(3)
    epochs = rng.sample(range(1, EPOCH_MAX), STRANGE_LOGS_MAX + 500)
    for number, first in enumerate(range(0, len(epochs), 1000)):
        runs = [Run("n9", one, 1, [event("n9", one, 1)]) for one in epochs[first : first + 1000]]
        node.receive(packet(Push(runs, direct=True), number + 1))
    assert len(node.replica.frontier) == STRANGE_LOGS_MAX
    assert node.replica.counters["entries_full"] == 500
    (told,) = node.said("places_full")
    assert told.fields == {"origin": "not configured", "origins": 1, "logs": STRANGE_LOGS_MAX}
    node.post("still here")
    for _ in range(40):
        node.turn(ms=50)
        peer.turn(ms=50)
        talk(node, peer)
    assert "still here" in peer.texts
    assert all(len(encode(one)) <= PACKET_BYTES_MAX for _, one in node.sent)


def test_status_says_who_is_refused_and_how_often() -> None:
    text = _full_text(PlacesStatus(2048, 5000, 1311, ["", "n4"]))
    expected = "full: 2,048 origins, 5,000 logs; 1,311 entries refused (names not configured, n4)"
    assert text == expected


def test_bytes_that_are_no_event_are_counted_against_their_sender() -> None:
    node = Node()
    good = event("n2", 7, 1)
    runs = [
        Run("n2", 7, 1, [b"", b"\xff" * 100, good[:-1], good + b"\x00"]),
        Run("n2", 8, 1, [good]),
        Run("n3", 7, 1, [good]),
        Run("n2", 7, 2**62, [good]),
    ]
    node.receive(packet(Push(runs, direct=True)))
    assert node.texts == []
    assert node.replica.engine.bad_entries == {"n2": 7, "n3": 0}
