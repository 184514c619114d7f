"""A branch of a run: the same run up to one event of its trace, and another future from there on.

The state of every node, what is in flight and what is scheduled stay as they are. What is drawn
after the event comes from the branch's own seed: delays and losses, the replicas' choices of peers
and pauses, times of syncs, what a loss of power takes, and the packets and calls that faults hit.
Draws that are in the state already, such as when a node wakes next, stay. The ops of the plan stay.
"""

from msgspec import Struct

from lab.plan.faults import Timed


class Branch(Struct, frozen=True):
    """`faults` replace those of the plan that begin after the event; None: the plan's stay.

    Of those given, the ones that would have begun before are left out. Faults in force go on to
    their end.
    """

    after: int  # `seq` of the last event that both runs share; 0: the run itself, before any draw
    seed: int
    faults: tuple[Timed, ...] | None = None
    drills: bool = True  # at the end, as in the run; they draw from the plan's seed alone
