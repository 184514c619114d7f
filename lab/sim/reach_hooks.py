"""The interface through which a world reports packets, opened journals and ended lives to coverage
counting (`lab.campaign.reached`). An implementation must change nothing.
"""

from typing import Protocol

from gossip.packets import Packet
from lab.sim.disk import SimDisk
from node.core.replica import Replica
from node.storage.journal import Journal
from node.storage.recovered import Recovery


class Watched(Protocol):
    """A host, as it is looked at."""

    name: str
    disk: SimDisk


class ReachHooks(Protocol):
    def packet(self, sender: str, peer: str, packet: Packet) -> None:
        """This one is sent."""
        ...

    def opened(self, host: Watched, journal: Journal, recovery: Recovery) -> None:
        """The journal of this host was opened."""
        ...

    def ended(self, host: Watched, replica: Replica, log: object) -> None:
        """A life is about to end, or the run."""
        ...
