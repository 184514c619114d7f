"""Link settings: the faults of a plan that are active now, as settings of the nodes' transports.

Each node applies the faults of the links that begin at it. Several faults of one link are combined.
A node that is down or stopped cannot be set now: it is set when it answers again. Until then it
sends nothing, except for some milliseconds after a start.
"""

import contextlib
import time

from lab.client.client import Client, Unreachable
from lab.client.location import ClusterLocation
from lab.plan.faults import Duplicate, Fault, Hold, Latency, Loss, Partition, Reorder, Timed
from node.control.messages import SetFault
from node.network.link_faults import DELAY_MS_MAX, WHOLE, LinkFault

Pair = tuple[str, str]
TELL_S = 0.5
LINK_FAULTS = (Loss, Duplicate, Reorder, Latency, Hold, Partition)
STEP_MS = 100  # a delay until a given moment is set again this often


class LinkSettings:
    """The settings of all links. Mutable."""

    def __init__(self, place: ClusterLocation, nodes: tuple[str, ...]) -> None:
        self._place = place
        self._nodes = nodes
        self._active: dict[int, tuple[Timed, int]] = {}  # and when it ends, in ns
        self._told: dict[Pair, LinkFault] = {}
        self.spans: list[tuple[int, int, Fault]] = []  # what was in force, from and to

    def begin(self, timed: Timed, until_ns: int) -> None:
        self._active[timed.id] = (timed, until_ns)
        self.spans.append((time.monotonic_ns(), until_ns, timed.fault))

    def end(self, timed: Timed) -> None:
        self._active.pop(timed.id, None)

    @property
    def moving(self) -> bool:
        """Whether some delay changes with time and must be set again soon."""
        return any(type(timed.fault) is Hold for timed, _ in self._active.values())

    def tell(self, reachable: list[str]) -> None:
        """Set the links of these nodes as the active faults say."""
        now_ns = time.monotonic_ns()
        for node in reachable:
            changed: dict[str, LinkFault] = {}
            for peer in self._nodes:
                if peer == node:
                    continue
                wanted = self._wanted((node, peer), now_ns)
                if wanted != self._told.get((node, peer), WHOLE):
                    changed[peer] = wanted
            if changed and self._tell(node, changed):
                for peer, fault in changed.items():
                    self._told[node, peer] = fault

    def forget(self, node: str) -> None:
        """The node starts again: its links are without faults."""
        for peer in self._nodes:
            self._told.pop((node, peer), None)

    def _tell(self, node: str, changed: dict[str, LinkFault]) -> bool:
        control = self._place.nodes[node].control
        with contextlib.suppress(Unreachable), Client(node, control, TELL_S) as client:
            requests = [
                SetFault(
                    id=client.new_id(),
                    peers=[peer for peer, one in changed.items() if one == fault],
                    blocked=fault.blocked,
                    loss=fault.loss,
                    duplicate=fault.duplicate,
                    delay_ms=fault.delay_ms,
                    jitter_ms=fault.jitter_ms,
                )
                for fault in set(changed.values())
            ]
            client.submit(requests)
            left = len(requests)
            until_s = time.monotonic() + TELL_S
            while left and time.monotonic() < until_s:
                left -= len(client.replies(until_s - time.monotonic()))
            return not left
        return False

    def _wanted(self, pair: Pair, now_ns: int) -> LinkFault:
        blocked, whole, single = False, 1.0, 1.0
        delay_ms = jitter_ms = 0.0
        for timed, until_ns in self._active.values():
            fault = timed.fault
            if type(fault) is Partition:
                blocked |= pair in fault.cuts
            elif type(fault) is Loss:
                whole *= 1 - fault.share
            elif type(fault) is Duplicate:
                single *= 1 - fault.share
            elif type(fault) is Latency:
                delay_ms += fault.add_us / 1000
            elif type(fault) is Reorder:
                delay_ms += fault.delay_us / 2000
                jitter_ms += fault.delay_us / 2000
            elif type(fault) is Hold and pair in fault.cuts:
                left_ms = max(until_ns - now_ns, 0) // 1_000_000
                delay_ms += left_ms // STEP_MS * STEP_MS + STEP_MS
        return LinkFault(
            blocked,
            1 - whole,
            1 - single,
            min(delay_ms, DELAY_MS_MAX),
            min(jitter_ms, DELAY_MS_MAX),
        )


def acts_on(fault: Fault, pair: Pair) -> bool:
    """Whether this fault can have acted on a packet of this link."""
    if type(fault) is Partition or type(fault) is Hold:
        return pair in fault.cuts
    return type(fault) in LINK_FAULTS
