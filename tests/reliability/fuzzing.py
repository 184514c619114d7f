"""The fuzzers as functions of a count, so that a test and `scripts/evidence` run the same."""

import tempfile
from collections import deque
from pathlib import Path
from random import Random

from gossip.frontier import CLAIMED_LOGS_MAX
from gossip.places import EACH_SHARED, STRANGE_LOGS_MAX
from gossip.wire import WireError, decode, encode
from lab.client.location import LocationError, parse
from lab.plan import scenario
from node.config import cluster_file as config
from node.control.decoding import Bad, read_frame
from node.core.ports import CodecError, EventRecord
from node.storage.codec import ProtobufCodec, decode_block
from node.storage.files import StorageError
from node.storage.headers import decode_identity, decode_mark, decode_segment_header
from node.storage.verify import examine_storage
from tests.node.journals import open_journal
from tests.node.replicas import Node
from tests.reliability.hostile import Packets, documents, mutated, requests, segments
from tests.reliability.journals import BIG, whole

LIFE = 20_000  # packets
ROOT = Path(__file__).resolve().parents[2]
OTHER_CLUSTER = """
name: a
nodes:
  - {name: n1, listen: '127.0.0.1:7101', durability: none}
  - n2
gossip: {round_ms: 50}
moderation:
  rules:
    - {id: a, words: 'builtin:en', action: censor}
  allow: [x]
restarts: {budget: 3, window_s: 10}
"""


def fuzz_packets(count: int, seed: int = 1) -> str:
    """Through the wire into a replica, which goes on living and still takes commands.

    After `LIFE` packets comes the next replica: one that holds thousands of made-up logs has much
    to compare with each packet that made up others, and is slow.
    """
    packets, refused = Packets(seed), 0
    for done in range(0, count, LIFE):
        refused += _fuzz_life(packets, min(LIFE, count - done))
    return (
        f"{count} packets: {refused} refused at the wire, {count - refused} stepped, 0 exceptions"
    )


def _fuzz_life(packets: Packets, count: int) -> int:
    """Of one replica. Returns how many packets were refused at the wire."""
    node = Node("n1", ("n2", "n3"))
    refused = taken = 0
    for data in packets.frames(count):
        try:
            packet = decode(data)
        except WireError as error:
            assert error.reason in ("malformed", "version", "oversize")
            refused += 1
            continue
        taken += 1
        node.receive(packet)
        for _, out in node.sent:
            encode(out)
        node.sent.clear()
        if taken % 50 == 0:
            node.turn(ms=20)
            node.notes.clear()
            node.published.clear()
    frontier = node.replica.frontier
    assert len(frontier) <= STRANGE_LOGS_MAX + 2 * EACH_SHARED + CLAIMED_LOGS_MAX
    assert sum(not log.held for log in frontier) <= CLAIMED_LOGS_MAX
    node.turn(ms=6000)
    assert node.post("still here") is not None
    restarted = node.restarted()
    assert restarted.replica.root == node.replica.root
    return refused


def fuzz_requests(count: int, seed: int = 1) -> str:
    good = bad = 0
    for frame in requests(Random(seed), count):
        for request in read_frame(frame):
            if type(request) is Bad:
                assert len(request.reason) <= 300
                bad += 1
            else:
                good += 1
    return f"{count} request frames: {good} requests, {bad} refused, 0 exceptions"


def fuzz_events(count: int, seed: int = 1) -> str:
    """Events, blocks, marks, headers and identities: a value or a CodecError."""
    rng = Random(seed)
    codec = ProtobufCodec()
    seeds = [record.data for record in whole().held if type(record) is EventRecord]
    refused = 0
    for number in range(count):
        data = mutated(rng, seeds[number % len(seeds)], seeds)
        for decoder in (
            codec.decode,
            decode_block,
            decode_mark,
            decode_segment_header,
            decode_identity,
        ):
            try:
                decoder(data)
            except CodecError:
                refused += 1
    return f"{count} payloads in 5 decoders: {refused} refused, no other exception"


def fuzz_segments(count: int, seed: int = 1) -> str:
    """A damaged segment is read around, or refused in one line; it never ends the reader."""
    one = whole()
    name = one.names[-1]
    data = one.storage.read(name, 0, 5000)
    refused = opened = 0
    for damaged in segments(Random(seed), data, count):
        after = one.storage.killed()
        after.set(name, damaged)
        try:
            _, found = open_journal(after, recover="salvage")
            deque(iter(found.records), maxlen=0)  # not by list: it believes in `len`
            opened += 1
        except StorageError as error:
            assert "\n" not in str(error)
            refused += 1
        try:
            examine_storage(after)
        except StorageError as error:
            assert "\n" not in str(error)
        assert after.read(one.names[0], 0, BIG) == one.storage.read(one.names[0], 0, BIG)
    return f"{count} segments: {opened} opened, {refused} refused in one line, 0 other exceptions"


def fuzz_cluster_files(count: int, seed: int = 1) -> str:
    texts = [
        (ROOT / "cluster.yaml").read_text(encoding="utf-8"),
        OTHER_CLUSTER,
    ]
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cluster.yaml"
        for data in documents(Random(seed), texts, count):
            path.write_bytes(data)
            for loader in (config.load, parse):
                try:
                    loader(path)
                except (config.ConfigError, LocationError) as error:
                    assert "\n" not in str(error), str(error)
                    refused += 1
    return f"{count} cluster files in 2 readers: {refused} refused in one line, no other exception"


def fuzz_scenarios(count: int, seed: int = 1) -> str:
    texts = [path.read_text(encoding="utf-8") for path in scenario.SCENARIOS.glob("*.yaml")]
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.yaml"
        for data in documents(Random(seed), texts, count):
            path.write_bytes(data)
            try:
                scenario.load(path)
            except scenario.ScenarioError as error:
                assert "\n" not in str(error), str(error)
                refused += 1
    return f"{count} scenario files: {refused} refused in one line, no other exception"
