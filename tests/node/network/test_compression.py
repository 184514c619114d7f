"""Large packets on the wire are compressed where it is asked for, and understood by everybody."""

from random import Random

import pytest
import zstandard

from gossip.wire import PACKET_BYTES_MAX, WireError, encode
from node.network.compression import MAGIC, compressed, expanded
from tests.node.ends import Pair, large
from tests.node.loops import run, until


def test_large_packets_are_compressed_where_it_is_asked_for_and_understood_by_all() -> None:
    async def main() -> None:
        async with Pair(compress=True) as pair:
            pair.a.send(1)
            for number in (2, 3):
                pair.a.transport.send("b", large(number))
                pair.b.transport.send("a", large(number, sender="b"))
            await until(lambda: pair.b.got == [1, 2, 3] and pair.a.got == [2, 3])
            sent, came = pair.a.transport.traffic("b"), pair.b.transport.traffic("a")
            assert sent.sent_bytes == came.received_bytes < 2000
            assert pair.b.transport.traffic("a").sent_bytes > 400_000

    run(main)


def test_the_largest_packet_may_be_compressed() -> None:
    for size in (0, PACKET_BYTES_MAX - 1, PACKET_BYTES_MAX):
        assert expanded(zstandard.ZstdCompressor().compress(bytes(size))) == bytes(size)
    with pytest.raises(WireError) as refused:
        expanded(zstandard.ZstdCompressor().compress(bytes(PACKET_BYTES_MAX + 1)))
    assert refused.value.reason == "oversize"


def test_what_claims_to_be_compressed_is_a_packet_or_a_count() -> None:
    """Bombs, cut ones, ones that do not say their size, garbage behind the magic."""
    bomb = zstandard.ZstdCompressor().compress(bytes(PACKET_BYTES_MAX + 1))
    unsaid = zstandard.ZstdCompressor(write_content_size=False).compress(encode(large(1)))
    whole = compressed(encode(large(7)))
    bad = [bomb, unsaid, whole[:-5], MAGIC, MAGIC + b"\xff" * 40, compressed(bytes(9000))]

    async def main() -> None:
        async with Pair() as pair:
            stranger = pair.raw()
            for frame in (*bad, whole):
                stranger.send(frame)
            await until(lambda: pair.b.got == [7])
            rejected = pair.b.transport.rejected
            assert sum(rejected.values()) == len(bad) and rejected.keys() <= {
                "oversize",
                "malformed",
            }
            stranger.close()

    run(main)


def test_small_packets_and_those_that_do_not_shrink_stay_as_they_are() -> None:
    noise = Random(1).randbytes(50_000)
    assert compressed(b"x" * 100) == b"x" * 100
    assert compressed(noise) == noise == expanded(noise)
    assert expanded(compressed(bytes(50_000))) == bytes(50_000)
