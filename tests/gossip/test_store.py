"""A store gives back the bytes it was given, by position; the config's defaults are legal."""

import msgspec
import pytest

from domain.arrival import TAG_BYTES
from domain.dot import LogId
from gossip.config import GossipConfig
from gossip.entry import GENESIS, HASH_BYTES, PREV_BYTES
from gossip.store import MemoryStore
from tests.gossip.builders import chain


def test_the_bytes_of_a_position_come_back_one_by_one_or_as_a_span() -> None:
    store = MemoryStore()
    entries = chain("n1", 5)
    others = chain("n1", 5, epoch=2)
    for one in entries + others:
        store.put(one)
    log = LogId("n1", 1)
    assert [store.get(log, seq) for seq in range(1, 6)] == [one.data for one in entries]
    assert store.span(log, 2, 4) == [one.data for one in entries[1:4]]
    assert store.span(LogId("n1", 2), 1, 5) == [one.data for one in others]


def test_an_entry_names_itself_by_parts_of_its_hash() -> None:
    first, second = chain("n1", 2)
    assert first.prev == GENESIS
    assert second.prev == first.chain_hash == first.hash[:PREV_BYTES]
    assert first.tag == first.hash[:TAG_BYTES]
    assert len(first.hash) == HASH_BYTES


def test_the_defaults_of_the_config_pass_its_own_limits() -> None:
    config = GossipConfig()
    assert msgspec.convert(msgspec.to_builtins(config), GossipConfig) == config


@pytest.mark.parametrize(
    "knobs", [{"round_ms": 0}, {"delta_bytes_max": 1024}, {"ranges_max": 257}, {"round_s": 1}]
)
def test_a_knob_out_of_bounds_is_refused(knobs: dict[str, int]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(knobs, GossipConfig)
