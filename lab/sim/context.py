"""What all hosts of one world share: the plan, the scheduler, the trace, the network, and the codec
that names events.
"""

from domain.moderation import Moderator
from lab.plan.faults import Plan
from lab.plan.random_streams import RandomStreams
from lab.sim.event_names import NamingCodec
from lab.sim.network import Network
from lab.sim.reach_hooks import ReachHooks, Watched
from lab.sim.scheduler import Scheduler
from lab.trace.kinds import Detail
from lab.trace.trace import Trace
from node.core.replica import Replica
from node.storage.journal import Journal
from node.storage.recovered import Recovery


class SimContext:
    """Mutable: its parts change, and the list of failures grows."""

    def __init__(
        self,
        plan: Plan,
        agenda: Scheduler,
        trace: Trace,
        network: Network,
        streams: RandomStreams,
        moderator: Moderator,
        detail: Detail,
        watch: ReachHooks | None = None,
    ) -> None:
        self.plan = plan
        self.agenda = agenda
        self.trace = trace
        self.network = network
        self.streams = streams
        self.known = NamingCodec()
        self.moderator = moderator
        self.detail: Detail = detail
        self.watch = watch
        if watch is not None:
            network.watch = watch.packet
        self.core_failures: list[str] = []  # with their tracebacks

    def opened(self, host: Watched, journal: Journal, recovery: Recovery) -> None:
        """The journal of this host was opened; coverage counting is notified."""
        if self.watch is not None:
            self.watch.opened(host, journal, recovery)

    def ended(self, host: Watched, replica: Replica, log: object) -> None:
        """A life or the run is about to end; coverage counting is notified."""
        if self.watch is not None:
            self.watch.ended(host, replica, log)
