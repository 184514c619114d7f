"""What a world knows of its events: by the real codec, or because it has encoded them."""

import pytest

from domain.clock import Stamp
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined
from gossip.entry import GENESIS
from lab.sim.event_names import NamingCodec
from node.core.ports import Decoded
from node.storage.codec import ProtobufCodec


def event(seq: int) -> MessagePosted:
    return MessagePosted(Dot("n1", 5, seq), Stamp(7, seq), (), "ann", f"text {seq}", ())


def test_an_event_comes_out_of_its_bytes_also_where_they_were_made() -> None:
    known, codec = NamingCodec(), ProtobufCodec()
    for seq in range(1, 5):
        prev = GENESIS if seq == 1 else bytes([seq]) * 16
        made = event(seq)
        data = known.encode(made, prev)
        assert known.decode(data) == codec.decode(data) == Decoded(made, prev)
        assert known.decode(data).event is not made
        assert known.decode(data) is known.decode(data)


def test_a_codec_that_does_not_give_back_what_it_took_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode = ProtobufCodec.encode

    def forgetful(self: ProtobufCodec, one: Event, prev: bytes) -> bytes:
        return encode(self, ParticipantJoined(one.dot, one.stamp, one.parents, one.author), prev)

    monkeypatch.setattr(ProtobufCodec, "encode", forgetful)
    with pytest.raises(AssertionError, match="not what its bytes say"):
        NamingCodec().encode(event(1), GENESIS)
