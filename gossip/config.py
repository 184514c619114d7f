"""The knobs of gossip, each with unit and trade-off. The defaults suit one machine or LAN."""

from typing import Annotated

from msgspec import Meta, Struct

Ms = Annotated[int, Meta(ge=1, le=3_600_000)]


class GossipConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Shorter periods find loss sooner and cost packets; an idle cluster pays `idle_round_ms`."""

    # Anti-entropy: one exchange per node this often while something is new ...
    round_ms: Ms = 200
    # ... growing up to this while roots agree. Bounds how late a silent loss is noticed.
    idle_round_ms: Ms = 1000
    # An exchange not answered by then is a missed one. Above the worst honest round trip.
    exchange_timeout_ms: Ms = 500
    # Missed exchanges in a row before a peer is suspect. 1 flaps under load, 5 is slow.
    suspect_after_misses: Annotated[int, Meta(ge=1, le=100)] = 2
    # A suspect that stays silent this long is dead. Dead peers are still probed, never forgotten.
    dead_ms: Ms = 3000
    # How often one dead peer is probed: bounds how late a healed partition is noticed.
    dead_round_ms: Ms = 500
    # Bytes of entries in one leg. Larger catches up faster and delays what queues behind it.
    # Never less than the largest entry and its header, or that one would never leave.
    delta_bytes_max: Annotated[int, Meta(ge=144 * 1024, le=960 * 1024)] = 256 * 1024
    # Up to this many peers, own events go straight to all of them: one hop, no duplicates.
    direct_peers_max: Annotated[int, Meta(ge=0, le=256)] = 32
    # Above it rumors spread: to `fanout` peers every `rumor_ms`, until `rumor_k` useless contacts.
    fanout: Annotated[int, Meta(ge=1, le=32)] = 3
    rumor_ms: Ms = 50
    rumor_k: Annotated[int, Meta(ge=1, le=16)] = 2
    # Ranges above the contiguous prefix of a log that one line tells. Of more, lines tell a part
    # each, in turns. A push that would begin one more is left to rounds.
    ranges_max: Annotated[int, Meta(ge=1, le=256)] = 16
