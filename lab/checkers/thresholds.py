"""Thresholds are the limits that a run is judged by, besides what is always required. Zero turns a
limit off, unless its comment says otherwise.
"""

from msgspec import Struct


class Thresholds(Struct, frozen=True):
    """A limit that must be calibrated first is 0 until it has been."""

    bound_us: int = 0  # C6: from the last fault; else what the trace declares
    swarm: bool = False  # C17: faults were drawn; one without an occasion is the batch's business
    causal: bool = False  # C7: the strategy claims causal delivery
    calm_us: int = 0  # C12: so long after the last change, packets only say that nothing changed
    idle_packets_s: float = 0  # C12: of one node on average, from then on ...
    idle_bytes_s: float = 0
    idle_rounds_s: float = 0
    idle_us_min: int = 1_000_000  # C12: no rate is judged over less
    useless_max: int = 0  # C12: packets with entries in a row that one node takes nothing of
    useless_us: int = 0  # C12: counted from so long after the first of them
    answer_us: int = 0  # C12: who asks has an answer within so long, and a good one if all is well
    syncs: bool = True  # C12: nodes sync of their own accord, so that `durable` comes in time
    packets_per_event: float = 0  # C12: of all nodes, per event and node, before that
    restarts_max: int = 5  # C14: of one worker or core ...
    restarts_us: int = 60_000_000  # ... within so long
    unsuspected_us: int = 0  # C13: a node that is back is taken for alive within so long
    stamp_slack_ms: int = 10  # C16: for what clocks show between two looks at them
    stamp_far_ms: int = 86_400_000  # C16: further ahead than this was never the time
    stamp_ahead_ms: int = 300_000  # C16: a stamp further ahead of the receiver's clock is skewed
