"""What the hosts of one world have in common."""

from domain.moderation import Moderator
from lab.faults import Plan
from lab.kinds import Detail
from lab.sim.agenda import Agenda
from lab.sim.known import Known
from lab.sim.network import Network
from lab.trace import Trace


class Shared:
    """Mutable: the parts are, and the list of failures grows."""

    def __init__(
        self,
        plan: Plan,
        agenda: Agenda,
        trace: Trace,
        network: Network,
        moderator: Moderator,
        detail: Detail,
    ) -> None:
        self.plan = plan
        self.agenda = agenda
        self.trace = trace
        self.network = network
        self.known = Known()
        self.moderator = moderator
        self.detail: Detail = detail
        self.core_failures: list[str] = []  # with their tracebacks
